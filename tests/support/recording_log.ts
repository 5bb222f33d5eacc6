/**
 * A log that a test can read.
 *
 * @module
 */
import type { Log, LogFields, LogLevel } from "../../lib/log/log.ts";

/** One line of a {@linkcode RecordingLog}. */
export interface RecordedLine {
  readonly level: LogLevel;
  /** Parts, joined by dots. */
  readonly part: string;
  readonly message: string;
  readonly fields: LogFields;
}

/** Remembers every line, of all its parts. */
export class RecordingLog implements Log {
  readonly lines: RecordedLine[];
  readonly #part: string;

  constructor(lines: RecordedLine[] = [], part = "") {
    this.lines = lines;
    this.#part = part;
  }

  debug(message: string, fields?: LogFields): void {
    this.#add("debug", message, fields);
  }
  info(message: string, fields?: LogFields): void {
    this.#add("info", message, fields);
  }
  warning(message: string, fields?: LogFields): void {
    this.#add("warning", message, fields);
  }
  error(message: string, fields?: LogFields): void {
    this.#add("error", message, fields);
  }

  part(name: string): Log {
    const part = this.#part === "" ? name : `${this.#part}.${name}`;
    return new RecordingLog(this.lines, part);
  }

  /** Messages from a level up, in order. */
  messages(...levels: readonly LogLevel[]): string[] {
    return this.lines.filter(({ level }) => levels.includes(level))
      .map(({ message }) => message);
  }

  #add(level: LogLevel, message: string, fields: LogFields = {}): void {
    this.lines.push({ level, part: this.#part, message, fields });
  }
}
