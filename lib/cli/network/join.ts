/**
 * `anonnet join`: check an invite, say what it is, and remember it.
 *
 * @module
 */
import { type Invite, parseInvite } from "../../auth/invite.ts";
import { isInviteLine } from "../../auth/invite_line.ts";
import { ConfigError, errorCode } from "../../base/errors.ts";
import { SILENT_LOG } from "../../log/log.ts";
import { systemRuntime } from "../../machine/runtime.ts";
import type { Files } from "../../storage/files.ts";
import { storageError } from "../../storage/storage_error.ts";
import { defineCommand, type Program } from "../flags/command.ts";
import { switchFlag } from "../flags/flag.ts";
import { stateFlag } from "../flags/node_flags.ts";
import { explainInvite, inviteFacts } from "./explain_invite.ts";
import { unfoldInvite } from "./invite_words.ts";
import { type OpenMembership, openMembership } from "./open_membership.ts";

/** What stands for standard input. */
const STANDARD_INPUT = "-";
/** Longest text that an invite is looked for in, in bytes: a mail. */
const MAX_TEXT_BYTES = 65_536;

/** `anonnet join`. */
export const joinCommand = defineCommand({
  name: "join",
  summary: "take an invite: later starts need no --bootstrap",
  details:
    "Takes the line that anonnet invite printed, a file that holds it, or - for " +
    "standard input; folded lines are put together, and a piece that begins with a " +
    "hyphen is no flag. Checks it, says what it is, and remembers the network, its " +
    "key and the relays in the state directory. No node is asked yet. A later invite " +
    "adds its relays to those that are known, and has to be signed by the same key.",
  operands: {
    text: "LINE | FILE | -",
    reword: unfoldInvite,
    read: (words) => words,
  },
  flags: { state: stateFlag, json: switchFlag("print one JSON object") },
  async run({ state: path, json }, program, words) {
    const { terminal } = program;
    const text = await textOf(words, program);
    const invite = parseInvite((await systemRuntime(SILENT_LOG)).crypto, text);
    using stack = new DisposableStack();
    const { membership, runtime } = await openToJoin(
      path,
      invite,
      program,
      stack,
    );
    await membership.claim({ isFirst: false });
    const { isKeyNew } = membership;
    if (json) {
      terminal.print(JSON.stringify({ ...inviteFacts(invite), isKeyNew }));
      return 0;
    }
    const unixMs = runtime.clock.unixMs();
    for (const line of told(invite, path, unixMs, { isKeyNew })) {
      terminal.print(line);
    }
    return 0;
  },
});

/** @throws {ConfigError} `cli.join_running` while a node runs there; as {@linkcode openMembership}. */
async function openToJoin(
  path: string,
  invite: Invite,
  program: Program,
  stack: DisposableStack,
): Promise<OpenMembership> {
  try {
    return await openMembership(path, { invites: [invite] }, program, stack);
  } catch (cause) {
    if (errorCode(cause) !== "storage.locked") throw cause;
    throw new ConfigError(
      "cli.join_running",
      `Cannot join: a node runs on the state directory "${path}", and takes invites ` +
        `when it starts; stop it, write anonnet join LINE again, and start it as ` +
        `before, or start it with --bootstrap LINE, which takes the invite as well`,
      { cause },
    );
  }
}

function told(
  invite: Invite,
  path: string,
  unixMs: number,
  { isKeyNew }: { readonly isKeyNew: boolean },
): string[] {
  return [
    ...explainInvite(invite, unixMs),
    "",
    isKeyNew
      ? "The key is new here, and is this network's from now on: compare it with what"
      : "The key is the one that this node knows. The relays are asked beside those",
    isKeyNew
      ? `the one who invited you has. Remembered in "${path}": start a node with`
      : `that are known. Remembered in "${path}": start a node with`,
    "",
    `    anonnet proxy --state ${path}`,
  ];
}

/** What the words name: the line itself, though in pieces, a file, or standard input. */
async function textOf(
  words: readonly string[],
  { terminal, files }: Program,
): Promise<string> {
  const [first, ...more] = words;
  if (first === undefined || first.trim() === "") {
    throw new ConfigError(
      "cli.join_words",
      "Cannot join: the invite is missing; write anonnet join LINE, or - to read it " +
        "from standard input",
    );
  }
  const line = words.join("");
  if (isInviteLine(line)) return line;
  if (more.length > 0) {
    throw new ConfigError(
      "cli.join_words",
      "Cannot join: give one invite, in quotes where it is folded, or one file",
    );
  }
  return first === STANDARD_INPUT
    ? inviteIn(await terminal.read(MAX_TEXT_BYTES))
    : inviteIn(await readFile(first, files));
}

/** @throws {ConfigError} `cli.join_file`; `storage.*`. */
async function readFile(path: string, files: Files): Promise<string> {
  const name = path.slice(0, 80);
  try {
    const facts = await files.facts(path);
    if (facts?.kind === "file" && facts.bytes <= MAX_TEXT_BYTES) {
      return new TextDecoder().decode(await files.read(path));
    }
  } catch (error) {
    throw storageError(`Cannot read "${name}"`, error);
  }
  throw new ConfigError(
    "cli.join_file",
    `Cannot join by "${name}": it is no invite, which begins with anonnet:, and no ` +
      "file with one; copy the whole line",
  );
}

/** The invite in a mail: what stands before it and after an empty line is left out. */
function inviteIn(text: string): string {
  const [, found = text] =
    /(?:^|[^a-z0-9])(anonnet:[^]*?)(?:\n[ \t>]*\r?\n|$)/i.exec(text) ?? [];
  return found;
}
