/**
 * Names of files that others chose, made fit for a disk of ours, and for a line of a
 * terminal.
 *
 *     ../../etc/passwd      passwd
 *     con.txt               _con.txt
 *     <U+202E>gpj.exe       gpj.exe
 *     .bashrc               _.bashrc
 *
 * @see {@link https://learn.microsoft.com/windows/win32/fileio/naming-a-file | Naming Files}
 * @module
 */

/** Most bytes of a name in UTF-8: what all file systems take, and room for a number. */
const MAX_NAME_BYTES = 200;
/** An ending is kept where a name is too long, if it is no longer than this. */
const MAX_ENDING = 16;
/** Names of devices on Windows, whatever their ending is. */
const DEVICE = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)$/i;
/** What stands for a name of which nothing is left. */
const NAMELESS = "file";

/**
 * Control characters, those that turn the direction of text or cannot be seen, halves
 * of surrogate pairs, and what is for private use or not assigned.
 */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\u2028\u2029\uFFFD]/gu;
/** What some system takes for more than a part of a name. */
const FORBIDDEN = /[<>:"/\\|?*]/g;

/** A name of one file, without a path, that no system takes for anything else. */
export function cleanName(name: string): string {
  const [last = ""] = name.normalize("NFC").split(/[/\\]/).slice(-1);
  const seen = withoutEnd(
    last.replace(UNSEEN, "").replace(FORBIDDEN, "_").replace(/\s+/g, " ")
      .trim(),
  );
  if (seen === "") return NAMELESS;
  const [stem = ""] = seen.split(".");
  // Hidden files are read by programs, and by no person.
  const isSpecial = seen.startsWith(".") || seen.startsWith("-") ||
    seen.startsWith("~") || DEVICE.test(stem.trim());
  return shortened(isSpecial ? `_${seen}` : seen);
}

/** The parts of a relative path, cleaned one by one; `undefined` where it leads out or is none. */
export function cleanPath(path: string): string[] | undefined {
  const parts = path.split("/");
  const isPath = path.length <= MAX_PATH && parts.length <= MAX_DEPTH &&
    parts.every((part) => part !== "" && part !== "." && part !== "..");
  return isPath ? parts.map(cleanName) : undefined;
}

/** Deepest path that is taken. */
export const MAX_DEPTH = 32;
/** Longest path that is taken: no part of one on a disk is longer than 255 of these. */
const MAX_PATH = MAX_DEPTH * 256;

/** A name with a number in front of its ending: `a (2).txt`. */
export function numberedName(name: string, number: number): string {
  const { stem, ending } = cut(name);
  return `${stem} (${number})${ending}`;
}

/** A name as a terminal may show it, short enough for its line. */
export function shownName(name: string, most = 60): string {
  const shown = name.replace(UNSEEN, "\uFFFD");
  const characters = [...shown];
  if (characters.length <= most) return shown;
  return `${characters.slice(0, most - 1).join("")}…`;
}

function cut(name: string): { readonly stem: string; readonly ending: string } {
  const dot = name.lastIndexOf(".");
  const hasEnding = dot > 0 && name.length - dot <= MAX_ENDING;
  return hasEnding
    ? { stem: name.slice(0, dot), ending: name.slice(dot) }
    : { stem: name, ending: "" };
}

function shortened(name: string): string {
  const { stem, ending } = cut(name);
  const encoder = new TextEncoder();
  const room = MAX_NAME_BYTES - encoder.encode(ending).length;
  let kept = "";
  let bytes = 0;
  for (const character of stem) {
    bytes += encoder.encode(character).length;
    if (bytes > room) break;
    kept += character;
  }
  return withoutEnd(kept) + ending;
}

/** A name without the dots and spaces at its end, which Windows drops. */
function withoutEnd(name: string): string {
  let end = name.length;
  // A pattern would look at a long row of them once for each.
  while (end > 0 && (name[end - 1] === "." || name[end - 1] === " ")) end--;
  return name.slice(0, end);
}
