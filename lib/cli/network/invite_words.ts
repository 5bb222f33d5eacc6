/**
 * Invites on a command line that a mail or a terminal has folded:
 *
 *     join  anonnet:AQDx…  --state DIR  -Kx1…  --6Kj…   two pieces look like flags
 *     join  --state DIR  --  anonnet:AQDx…  -Kx1…  --6Kj…
 *
 * The letters of an invite have the hyphen among them, so a piece of it may begin as
 * flags do. Once a line has begun, only the flags that the command has are flags.
 *
 * @module
 */
import { isInviteLine } from "../../auth/invite_line.ts";
import type { Flags } from "../flags/flag.ts";

/** No word behind it is a flag. */
const END_OF_FLAGS = "--";
const HELP = "--help";

/**
 * The same words with the pieces of an invite behind all flags, where no piece is
 * taken for one. Words that hold no invite stay as they are.
 */
export function unfoldInvite(
  args: readonly string[],
  flags: Flags,
): readonly string[] {
  const own: string[] = [];
  const pieces: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const word = args[at] ?? "";
    const hasBegun = pieces.length > 0;
    if (!hasBegun && word === END_OF_FLAGS) return args;
    const [name = "", value] = nameOf(word);
    const flag = Object.hasOwn(flags, name) ? flags[name] : undefined;
    const isOwn = flag !== undefined || isSwitchedOff(name, flags) ||
      word === HELP;
    if (!isOwn && (hasBegun || !/^-./.test(word))) {
      pieces.push(word);
      continue;
    }
    own.push(word);
    const next = args[at + 1];
    if (
      flag?.valueName !== undefined && value === undefined && next !== undefined
    ) {
      own.push(next);
      at++;
    }
  }
  return isInviteLine(pieces.join(""))
    ? [...own, END_OF_FLAGS, ...pieces]
    : args;
}

/** The name behind two hyphens, and what stands behind `=`. */
function nameOf(word: string): readonly string[] {
  return /^--([^=]+)(?:=([^]*))?$/.exec(word)?.slice(1) ?? [];
}

function isSwitchedOff(name: string, flags: Flags): boolean {
  const [, off = ""] = /^no-(.+)$/.exec(name) ?? [];
  return Object.hasOwn(flags, off);
}
