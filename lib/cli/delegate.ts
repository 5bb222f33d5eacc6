/**
 * `anonnet delegate`: let hosts serve a name without giving them its key.
 *
 * @module
 */
import { wipe } from "../base/bytes.ts";
import { ConfigError } from "../base/errors.ts";
import { networkParameters } from "../auth/network.ts";
import { Identity } from "../auth/identity.ts";
import { SILENT_LOG } from "../log/log.ts";
import { type Runtime, systemRuntime } from "../machine/runtime.ts";
import { DelegationMemory } from "../node/host/roster/delegation_memory.ts";
import { serviceFileName, serviceHostOf } from "../node/host/service_keys.ts";
import {
  delegate,
  type DelegationPlan,
  MAX_DELEGATION_DAYS,
} from "../service/delegation/delegation.ts";
import { dateOf, encodeHostFile } from "../service/delegation/host_file.ts";
import { MAX_HOSTS } from "../service/delegation/roster.ts";
import { PERIOD_MS, timePeriod } from "../service/time_period.ts";
import { createPrivateFile } from "../storage/private_file.ts";
import { openState } from "./open_state.ts";
import type { StateDirectory } from "../storage/state_directory.ts";
import { defineCommand, type Program } from "./flags/command.ts";
import { defaultFlag, listFlag, parseText, switchFlag } from "./flags/flag.ts";
import { stateFlag } from "./flags/node_flags.ts";

/** `anonnet delegate`. */
export const delegateCommand = defineCommand({
  name: "delegate",
  summary: "let several hosts serve one name, none of which has its key",
  details:
    "Writes a file for each host, NAME-1.host, NAME-2.host and so on, that only you " +
    "can read and that is good for some days: copy each to its machine, and start it " +
    "there with anonnet serve --delegated FILE. Run it again, with the same --hosts, " +
    "before the files lapse: hosts keep their numbers and keys, but for those that " +
    "--move names. Each run takes back what the one before gave, as soon as a host " +
    "runs with a new file; --hosts 0 takes all back, and the service is served by " +
    "its key again. No node may run on the state directory meanwhile.",
  operands: { text: "NAME", read: readName },
  flags: {
    hosts: defaultFlag(
      "N",
      `how many hosts the service has, at most ${MAX_HOSTS}; 0 takes all back`,
      "2",
      (text) => parseCount(text, 0, MAX_HOSTS),
    ),
    days: defaultFlag(
      "N",
      `how many days the files are good for, at most ${MAX_DELEGATION_DAYS}`,
      "7",
      (text) => parseCount(text, 1, MAX_DELEGATION_DAYS),
    ),
    move: listFlag(
      "N",
      "give host N another key: whatever has the old one is no host any more",
      (text) => parseCount(text, 1, MAX_HOSTS),
    ),
    out: defaultFlag("DIR", "where to write the files", ".", parseText),
    state: stateFlag,
    json: switchFlag("print one JSON object"),
  },
  check({ hosts, move }) {
    const stranger = move.find((slot) => slot > hosts);
    if (stranger === undefined) return;
    throw new ConfigError(
      "cli.move",
      `Cannot move host ${stranger}: there are ${hosts}`,
    );
  },
  async run({ hosts, days, move, out, state: path, json }, program, name) {
    const runtime = await systemRuntime(SILENT_LOG);
    using state = await openState(path, program, runtime);
    using identity = await readIdentity(state, name, runtime);
    const folder = out === "." ? "" : `${out.replace(/\/+$/, "")}/`;
    const pathOf = (slot: number) => `${folder}${name}-${slot}.host`;
    const slots = Array.from({ length: hosts }, (_, index) => index + 1);
    await checkNone(program, slots.map(pathOf));
    const memory = await DelegationMemory.load(state, name);
    const unixMs = runtime.clock.unixMs();
    const plan = await memory.plan({ hosts, days, moved: move }, unixMs);
    await writeFiles(program, runtime, identity, plan, pathOf);
    const address = serviceHostOf(runtime.crypto, identity.publicKey);
    const until = (timePeriod(unixMs) + days + 1) * PERIOD_MS;
    const files = slots.map(pathOf);
    program.terminal.print(
      json
        ? JSON.stringify({
          host: address,
          files,
          ...hosts > 0 && { until: new Date(until).toISOString() },
        })
        : [
          `address     ${address}`,
          ...files.map((file) => `host file   ${file}`),
          hosts > 0
            ? `good until  ${dateOf(until)}`
            : "no host any more; start anonnet serve on this state directory",
        ].join("\n"),
    );
    return 0;
  },
});

async function writeFiles(
  { files }: Program,
  { crypto, random }: Runtime,
  identity: Identity,
  plan: DelegationPlan,
  pathOf: (slot: number) => string,
): Promise<void> {
  if (plan.hosts.length === 0) return;
  const network = networkParameters("main"); // whose limits for records all have
  for (const host of delegate(crypto, random, network, identity, plan)) {
    const bytes = encodeHostFile(identity, host);
    try {
      await createPrivateFile(files, pathOf(host.slot), bytes);
    } finally {
      wipe(bytes, host.seed);
    }
  }
}

/** Before anything is taken back, see that the files can be made. */
async function checkNone(
  { files }: Program,
  paths: readonly string[],
): Promise<void> {
  for (const path of paths) {
    if (await files.facts(path) === undefined) continue;
    throw new ConfigError(
      "storage.exists",
      `Cannot write "${path}": there is one already; move it away, or give --out`,
    );
  }
}

async function readIdentity(
  state: StateDirectory,
  name: string,
  { crypto }: Runtime,
): Promise<Identity> {
  const file = serviceFileName(name);
  const seed = await state.keys.read(file);
  if (seed === undefined) {
    throw new ConfigError(
      "delegation.no_key",
      `Cannot delegate service "${name}": there is no key "${
        state.keys.pathOf(file)
      }"; start the service once with anonnet serve, or put a copy of its key there`,
    );
  }
  const identity = new Identity(crypto, seed);
  wipe(seed);
  return identity;
}

/** Judged before anything is done. */
function readName(words: readonly string[]): string {
  const [name, ...others] = words;
  if (name === undefined || others.length > 0) {
    throw new ConfigError(
      "cli.service_name",
      "Cannot delegate: give the one name of the service on this machine, such as " +
        "anonnet delegate default",
    );
  }
  serviceFileName(name);
  return name;
}

function parseCount(text: string, least: number, most: number): number {
  const count = /^[0-9]{1,3}$/.test(text) ? Number(text) : NaN;
  if (count >= least && count <= most) return count;
  throw new ConfigError(
    "cli.count",
    `it is "${text.slice(0, 40)}"; write a number from ${least} to ${most}`,
  );
}
