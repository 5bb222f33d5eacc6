/**
 * `anonnet invite`: one line by which a newcomer joins.
 *
 * @module
 */
import {
  FEW_INVITE_RELAYS,
  formatDate,
  formatInvite,
  type Invite,
  MAX_INVITE_RELAYS,
  networkFingerprint,
  parseInvite,
} from "../../auth/invite.ts";
import { inviteRelays } from "../../auth/invite_relays.ts";
import { utf8 } from "../../base/bytes.ts";
import { ConfigError, errorCode } from "../../base/errors.ts";
import { isJsonObject, type JsonValue } from "../../control/json.ts";
import { SILENT_LOG } from "../../log/log.ts";
import { systemRuntime } from "../../machine/runtime.ts";
import { DhtMemory } from "../../node/directory/dht_memory.ts";
import {
  type InviteWish,
  makeInvite,
  MAX_INVITE_LIFE_MS,
  MIN_INVITE_LIFE_MS,
} from "../../node/directory/make_invite.ts";
import { createPrivateFile } from "../../storage/private_file.ts";
import { askNode } from "../ask/ask_node.ts";
import { defineCommand, type Program } from "../flags/command.ts";
import {
  defaultFlag,
  optionalFlag,
  parseText,
  switchFlag,
} from "../flags/flag.ts";
import { stateFlag } from "../flags/node_flags.ts";
import { inviteFacts } from "./explain_invite.ts";
import { openMembership } from "./open_membership.ts";
import { qrLines } from "./qr.ts";

/**
 * Relays in an invite that is shown as a QR code: with more it would be wider than a
 * terminal of 80 columns.
 */
const QR_RELAYS = 3;

const UNITS_MS: Readonly<Record<string, number>> = {
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** How an invite came about: see `makeInvite`. */
type MadeBy = "key" | "new_key" | "passed_on";

/** `anonnet invite`. */
export const inviteCommand = defineCommand({
  name: "invite",
  summary: "print one line by which others join the network",
  details:
    "The line names the network and some relays, and is signed by the network's " +
    "key: the first node of a network has it, and each node that was given a copy. " +
    "Another node passes on the invite that it joined by. A running node is asked " +
    "which relays are there; where none runs, those of the last run are named. " +
    "Send the line by a way on which no stranger can exchange it for another.",
  flags: {
    state: stateFlag,
    expires: defaultFlag(
      "TIME",
      "how long it is valid: a number and m, h or d; at most 365d",
      "7d",
      parseLife,
    ),
    qr: switchFlag(
      `show it as a QR code too, with ${QR_RELAYS} relays, so that it fits into 80 columns`,
    ),
    file: optionalFlag(
      "PATH",
      "write it to a new file, and print nothing",
      parseText,
    ),
    json: switchFlag("print one JSON object"),
  },
  async run({ state, expires, qr, file, json }, program) {
    const { terminal, files } = program;
    const mostRelays = qr ? QR_RELAYS : MAX_INVITE_RELAYS;
    const wish: InviteWish = { lifeMs: expires, mostRelays };
    const { line, by } = await askForInvite(state, wish, program);
    const { crypto } = await systemRuntime(SILENT_LOG);
    const invite = parseInvite(crypto, line);
    if (file !== undefined) {
      await createPrivateFile(files, file, utf8(`${line}\n`));
    }
    for (const word of wordsOn(invite, by)) terminal.tell(word);
    if (json) {
      terminal.print(JSON.stringify({ line, by, ...inviteFacts(invite) }));
      return 0;
    }
    if (qr) { for (const row of qrLines(line)) terminal.print(row); }
    if (file === undefined) terminal.print(line);
    return 0;
  },
});

/** By the node that runs on the state directory, or out of it where none does. */
async function askForInvite(
  state: string,
  wish: InviteWish,
  program: Program,
): Promise<{ readonly line: string; readonly by: MadeBy }> {
  const { lifeMs, mostRelays: relays } = wish;
  let answer: JsonValue;
  try {
    answer = await askNode(program.files, state, "invite", { lifeMs, relays });
  } catch (error) {
    if (errorCode(error) !== "cli.not_running") throw error;
    return await inviteFromState(state, wish, program);
  }
  const { line, by } = isJsonObject(answer) ? answer : {};
  if (typeof line === "string" && isMadeBy(by)) return { line, by };
  throw new ConfigError(
    "cli.invite",
    "Cannot make an invite: the node that has the state directory gives none; it " +
      "may be of another version",
  );
}

function isMadeBy(value: unknown): value is MadeBy {
  return value === "key" || value === "new_key" || value === "passed_on";
}

async function inviteFromState(
  path: string,
  wish: InviteWish,
  program: Program,
): Promise<{ readonly line: string; readonly by: MadeBy }> {
  using stack = new DisposableStack();
  const { state, membership, runtime } = await openMembership(
    path,
    {},
    program,
    stack,
  );
  const { crypto, random } = runtime;
  const contacts = await new DhtMemory(crypto, state.blobs).contacts();
  const relays = inviteRelays(undefined, contacts, random);
  const { invite, by } = await makeInvite(membership, relays, wish, runtime);
  return { line: formatInvite(crypto, invite), by };
}

/** What the operator should know of it, on standard error. */
function wordsOn(invite: Invite, by: MadeBy): string[] {
  const { network, networkKey, relays, expiryMs } = invite;
  const fingerprint = networkFingerprint(networkKey);
  return [
    ...by === "new_key"
      ? [
        `anonnet: made the key of network "${network.name}" for it: keep a copy of ` +
        "network.key, whose holder makes invites",
      ]
      : [],
    ...by === "passed_on"
      ? [
        "anonnet: this node does not hold the network's key, and passes on the " +
        "invite that it joined by, with the relays and the end that it has",
      ]
      : [],
    `anonnet: an invite to network "${network.name}", valid until ` +
    `${formatDate(expiryMs)}, signed by ${fingerprint}`,
    ...relays.length < FEW_INVITE_RELAYS
      ? [
        `anonnet: it names ${relays.length} of the ${FEW_INVITE_RELAYS} relays that an ` +
        "invite should name: who joins by it depends on them. Make another one when " +
        "there are more",
      ]
      : [],
  ];
}

/** @throws {ConfigError} `cli.expires`. */
function parseLife(text: string): number {
  const [, digits, unit = ""] = /^([0-9]{1,6})([mhd])$/.exec(text) ?? [];
  const lifeMs = Number(digits) * (UNITS_MS[unit] ?? NaN);
  if (lifeMs >= MIN_INVITE_LIFE_MS && lifeMs <= MAX_INVITE_LIFE_MS) {
    return lifeMs;
  }
  throw new ConfigError(
    "cli.expires",
    `it is "${
      text.slice(0, 40)
    }"; write a time such as 30m, 12h or 7d, at most 365d`,
  );
}
