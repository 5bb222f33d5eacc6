/**
 * The text of `--help`, made of what the commands say of themselves.
 *
 * @module
 */
import type { Flags } from "./flag.ts";

/** Columns of the text. Terminals have at least these. */
const WIDTH = 80;
/** Column where explanations begin. */
const INDENT = 26;

/** What of a command its help shows. */
export interface HelpSubject {
  readonly name: string;
  readonly summary: string;
  readonly details?: string;
  readonly operands?: string;
  readonly flags: Flags;
}

/** The help of one command. */
export function formatCommandHelp(subject: HelpSubject): string {
  const { name, summary, details, operands, flags } = subject;
  const rows = Object.entries(flags).map(([flagName, flag]) => {
    const value = flag.valueName === undefined ? "" : ` ${flag.valueName}`;
    const notes = [
      ...flag.repeatable ? ["may be repeated"] : [],
      ...flag.defaultText === undefined ? [] : [`default ${flag.defaultText}`],
    ];
    const note = notes.length === 0 ? "" : ` (${notes.join("; ")})`;
    return row(`--${flagName}${value}`, flag.help + note);
  });
  return [
    `anonnet ${name}: ${summary}`,
    "",
    `Usage: anonnet ${name} [flags]${
      operands === undefined ? "" : ` ${operands}`
    }`,
    ...details === undefined ? [] : ["", wrap(details, 0)],
    "",
    "Flags:",
    ...rows,
  ].join("\n");
}

/** The help of the program. */
export function formatProgramHelp(
  commands: Iterable<{ readonly name: string; readonly summary: string }>,
): string {
  const rows = Array.from(commands, ({ name, summary }) => row(name, summary));
  return [
    "anonnet: a network that hides who talks to whom",
    "",
    "Usage: anonnet COMMAND [flags]",
    "",
    "Commands:",
    ...rows,
    "",
    "Each command explains itself: anonnet COMMAND --help",
    "Before the command, --stop-with-parent has it stop with what started it",
    "Exit codes: 0 done, 1 failed, 2 wrong usage",
  ].join("\n");
}

function row(left: string, right: string): string {
  const label = `  ${left}`;
  const text = wrap(right, INDENT);
  return label.length + 2 > INDENT
    ? `${label}\n${" ".repeat(INDENT)}${text}`
    : label.padEnd(INDENT) + text;
}

/** Break lines between words; later lines begin at column `indent`. */
function wrap(text: string, indent: number): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line !== "" && indent + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].join(`\n${" ".repeat(indent)}`);
}
