/**
 * What the control port says: replies and events, as lines.
 *
 *     250-version=…      one of several            250+ns/all=     followed by a block
 *     250 OK             the last                  …
 *     552 Unrecognized…                            .
 *
 * @see {@link https://spec.torproject.org/control-spec/message-format.html | control-spec, 2.3}
 * @module
 */

/** Part of a reply. */
export interface ReplyPart {
  readonly text: string;
  /** Lines that follow as a block. Default: none do. */
  readonly block?: readonly string[];
}

/** A whole reply. */
export interface Reply {
  /** Three digits. */
  readonly code: number;
  /** What comes before the last line, which has the same code. */
  readonly parts: readonly ReplyPart[];
  /** The last line. */
  readonly last: string;
  /** Whether the connection ends after it. Default: no. */
  readonly isFinal?: boolean;
  /** Called once it is on its way. */
  readonly onSent?: () => void;
}

/** A reply of one line. */
export function reply(code: number, last: string): Reply {
  return { code, parts: [], last };
}

/** A reply after which the connection ends. */
export function lastReply(code: number, last: string): Reply {
  return { code, parts: [], last, isFinal: true };
}

/** `250 OK`, after some lines. */
export function okReply(...parts: readonly ReplyPart[]): Reply {
  return { code: 250, parts, last: "OK" };
}

/** The lines of a reply. */
export function formatReply({ code, parts, last }: Reply): string {
  const lines = parts.map(({ text, block }) =>
    block === undefined
      ? `${code}-${oneLine(text)}\r\n`
      : `${code}+${oneLine(text)}\r\n${formatBlock(block)}`
  );
  return `${lines.join("")}${code} ${oneLine(last)}\r\n`;
}

/** The line of an event. */
export function formatEvent(text: string): string {
  return `650 ${oneLine(text)}\r\n`;
}

function formatBlock(lines: readonly string[]): string {
  const block = lines.map((line) => {
    const whole = oneLine(line);
    return `${whole.startsWith(".") ? "." : ""}${whole}\r\n`;
  });
  return `${block.join("")}.\r\n`;
}

/** A line cannot be ended by what stands in it: another one would be read as ours. */
function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]/g, " ");
}
