/**
 * The log of a program that gives none: what is broken goes to the console, and
 * nothing else.
 *
 *     anonnet site: The handler of a site failed error=Error: no such page
 *         at file:///srv/site.ts:12:9
 *
 * @module
 */
import { scrubText } from "./_scrub.ts";
import { type Log, type LogFields, type LogValue, Sensitive } from "./log.ts";

/** Writes errors to the console, each with its stack. */
export class ErrorLog implements Log {
  readonly #part: string;

  /** @param part What of the node it is the log of; empty for the whole. */
  constructor(part = "") {
    this.#part = part;
  }

  debug(): void {}
  info(): void {}
  warning(): void {}

  error(message: string, fields: LogFields = {}): void {
    const about = Object.entries(fields)
      .filter(([, value]) => value !== undefined)
      .map(([name, value = null]) => ` ${name}=${textOf(value)}`);
    const source = ["anonnet", ...this.#part === "" ? [] : [this.#part]];
    const text = `${source.join(" ")}: ${message}${about.join("")}`;
    // deno-lint-ignore no-console
    console.error(scrubText(text));
  }

  part(name: string): Log {
    return new ErrorLog(this.#part === "" ? name : `${this.#part}.${name}`);
  }
}

function textOf(value: LogValue): string {
  if (value instanceof Error) return value.stack ?? String(value);
  return value instanceof Sensitive ? String(value) : JSON.stringify(value);
}
