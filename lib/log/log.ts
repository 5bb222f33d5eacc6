/**
 * What a node tells its operator. The levels follow what the reader should do:
 *
 *     error     something is broken that we cannot mend: act
 *     warning   something is wrong that we work around: have a look
 *     info      what happens rarely, and to the node as a whole
 *     debug     what happens to single peers, with addresses: do not share
 *
 * No key, payload, service address or target is written at any level but debug.
 * Messages are constant sentences; what varies goes into fields, and addresses
 * in fields are wrapped by {@linkcode sensitive}.
 *
 * @module
 */

/** How much is written: everything from this level up. */
export type LogLevel = "debug" | "info" | "warning" | "error";

/** All levels, the most talkative first. */
export const LOG_LEVELS: readonly LogLevel[] = [
  "debug",
  "info",
  "warning",
  "error",
];

/** A value that belongs to a line. An `Error` becomes its code and its messages. */
export type LogValue = string | number | boolean | null | Error | Sensitive;

/** What varies from line to line, by name; `undefined` is left out. */
export type LogFields = Readonly<Record<string, LogValue | undefined>>;

/** Where lines go. Never throws, never waits. */
export interface Log {
  /** What happens to single peers. */
  debug(message: string, fields?: LogFields): void;
  /** What happens to the node as a whole. */
  info(message: string, fields?: LogFields): void;
  /** What is wrong, and worked around. */
  warning(message: string, fields?: LogFields): void;
  /** What the operator has to mend. */
  error(message: string, fields?: LogFields): void;
  /** The same log for one part of the node, such as `"links"`. */
  part(name: string): Log;
}

/** Text that only debug lines show. Everywhere else it is `[scrubbed]`. */
export class Sensitive {
  readonly #text: string;

  /** Made by {@linkcode sensitive}. */
  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself. */
  reveal(): string {
    return this.#text;
  }

  /** Not the text. */
  toString(): string {
    return SCRUBBED;
  }

  /** Not the text. */
  toJSON(): string {
    return SCRUBBED;
  }

  /** Not the text, in `console.log` neither. */
  [Symbol.for("Deno.customInspect")](): string {
    return SCRUBBED;
  }
}

/** What stands in place of something that is not to be read. */
export const SCRUBBED = "[scrubbed]";

/** Mark an address or a target, so that only debug lines show it. */
export function sensitive(text: string): Sensitive {
  return new Sensitive(text);
}

/** What was thrown, as a field: an error stays one, anything else becomes text. */
export function thrown(error: unknown): LogValue {
  return error instanceof Error ? error : String(error);
}

/** A log without a reader. */
export const SILENT_LOG: Log = Object.freeze({
  debug() {},
  info() {},
  warning() {},
  error() {},
  part: () => SILENT_LOG,
});
