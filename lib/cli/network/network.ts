/**
 * `anonnet network create`: a network of one's own, with the key that signs its
 * invites.
 *
 * @module
 */
import { networkFingerprint } from "../../auth/invite.ts";
import {
  customNetwork,
  type NetworkParameters,
  networkParameters,
  wellKnownNetwork,
} from "../../auth/network.ts";
import { ConfigError } from "../../base/errors.ts";
import { defineCommand } from "../flags/command.ts";
import { optionalFlag, switchFlag } from "../flags/flag.ts";
import { stateFlag } from "../flags/node_flags.ts";
import { describeTraits } from "./explain_invite.ts";
import { openMembership } from "./open_membership.ts";

const MAX_DIFFICULTY = 32;

/** `anonnet network`. */
export const networkCommand = defineCommand({
  name: "network",
  summary: "make a network of one's own: network create NAME",
  details:
    "Makes the network's key in the state directory, which becomes that of the " +
    "first node: start a relay on it next, and ask it for invites. Who holds the " +
    "key makes invites, and nothing else depends on it: keep a copy of " +
    "network.key. The parameters are those of main, or with --local those of " +
    "local; they are in each invite, and stay as they are.",
  operands: { text: "create NAME", read: readName },
  flags: {
    state: stateFlag,
    local: switchFlag(
      "allow addresses of homes and companies, and ask relays for no proof of work",
    ),
    difficulty: optionalFlag(
      "N",
      "leading zero bits of a relay's proof of work, 0 to 32: 12 take one core " +
        "about a minute, each more twice as long",
      parseDifficulty,
    ),
    json: switchFlag("print one JSON object"),
  },
  async run({ state: path, local, difficulty, json }, program, name) {
    const { terminal } = program;
    using stack = new DisposableStack();
    const network = traitsOf(name, local ? "local" : "main", difficulty);
    const { membership, runtime } = await openMembership(
      path,
      { network },
      program,
      stack,
    );
    await membership.claim({ isFirst: true });
    using key = await membership.makeIdentity(runtime);
    const fingerprint = networkFingerprint(key.publicKey);
    const { keyPath } = membership;
    if (json) {
      terminal.print(
        JSON.stringify({ network: name, key: fingerprint, file: keyPath }),
      );
      return 0;
    }
    const state = `--state ${path}`;
    terminal.print(`network     ${name}: ${describeTraits(network)}`);
    terminal.print(`key         ${fingerprint}`);
    terminal.print(
      `key file    ${keyPath} (secret: keep a copy; its holder makes invites)`,
    );
    terminal.print("");
    terminal.print("Start the first relay, and ask it for an invite:");
    terminal.print("");
    terminal.print(`    anonnet relay ${state} --listen IP:PORT`);
    terminal.print(`    anonnet invite ${state}`);
    return 0;
  },
});

/** The one name after `create`. */
function readName(words: readonly string[]): string {
  const [verb, name, ...more] = words;
  if (verb !== "create" || name === undefined || more.length > 0) {
    throw new ConfigError(
      "cli.network_words",
      "Cannot understand: write anonnet network create NAME",
    );
  }
  if (wellKnownNetwork(name) !== undefined) {
    throw new ConfigError(
      "cli.network_name",
      `Cannot make network "${name}": it is built in, and its first node makes its ` +
        "key when it is asked for an invite; choose another name",
    );
  }
  return traitsOf(name, "main", undefined).name;
}

function traitsOf(
  name: string,
  model: "local" | "main",
  difficulty: number | undefined,
): NetworkParameters {
  const { powDifficulty, allowPrivateAddresses } = networkParameters(model);
  try {
    return customNetwork({
      name,
      powDifficulty: difficulty ?? powDifficulty,
      allowPrivateAddresses,
    });
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new ConfigError(
      "cli.network_name",
      `Cannot make network "${
        name.slice(0, 40)
      }": a name is 1 to 32 of a-z, 0-9 and -`,
    );
  }
}

/** @throws {ConfigError} `cli.difficulty`. */
function parseDifficulty(text: string): number {
  const bits = Number(text);
  if (/^[0-9]{1,2}$/.test(text) && bits <= MAX_DIFFICULTY) return bits;
  throw new ConfigError(
    "cli.difficulty",
    `it is "${text.slice(0, 40)}"; write a number from 0 to ${MAX_DIFFICULTY}`,
  );
}
