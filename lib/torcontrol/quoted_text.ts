/**
 * Quoted strings, as the control port's lines hold them.
 *
 *     "C:\\state \"x\" \n \t \r \101"          \ and 1 to 3 octal digits: a byte
 *
 * @see {@link https://spec.torproject.org/control-spec/message-format.html | control-spec, 2.1.1}
 * @module
 */

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["n", "\n"],
  ["t", "\t"],
  ["r", "\r"],
]);

/** A string, and how many characters of the line it took. */
export interface QuotedText {
  readonly text: string;
  readonly length: number;
}

/** Read the quoted string at the start of `line`; `undefined` where there is none. */
export function readQuoted(line: string): QuotedText | undefined {
  const [quoted] = /^"(?:[^"\\]|\\[^])*"/.exec(line) ?? [];
  if (quoted === undefined) return undefined;
  const text = quoted.slice(1, -1).replaceAll(
    /\\([0-7]{1,3}|.)/gs,
    (_all, escape: string) =>
      /^[0-7]/.test(escape)
        ? String.fromCharCode(parseInt(escape, 8) & 0xff)
        : ESCAPES.get(escape) ?? escape,
  );
  return { text, length: quoted.length };
}

/** A string in quotes: nothing in it can end a line, or the string. */
export function quote(text: string): string {
  const escaped = text.replaceAll(/["\\]/g, "\\$&")
    .replaceAll(/[^ -~]/g, (character) => {
      const code = character.charCodeAt(0) & 0xff;
      return `\\${code.toString(8).padStart(3, "0")}`;
    });
  return `"${escaped}"`;
}
