/**
 * Flags: what each is called, explains, and accepts. A command lists its flags
 * in one object, and gets an object of the same shape with the values.
 *
 *     { listen: optionalFlag("IP:PORT", "…", parseSocketAddress) }
 *     { listen: SocketAddress | undefined }
 *
 * @module
 */
import { ConfigError } from "../../base/errors.ts";

/** One flag, without its name. */
export interface Flag<T> {
  /** What stands for the value in the help, such as `FILE`; none for a switch. */
  readonly valueName?: string;
  /** One sentence for the help, in lower case, no full stop. */
  readonly help: string;
  /** Whether it may be given more than once. */
  readonly repeatable: boolean;
  /** What the help says of leaving it out. */
  readonly defaultText?: string;
  /**
   * The value of the texts given; of none when it was not given. A switch gets
   * one empty text.
   *
   * @throws {ConfigError} The message says what to write.
   */
  read(texts: readonly string[]): T;
}

/** The flags of one command, by name without the two hyphens. */
export type Flags = Readonly<Record<string, Flag<unknown>>>;

/** The values that the flags `F` give. */
export type FlagValues<F extends Flags> = {
  readonly [K in keyof F]: F[K] extends Flag<infer T> ? T : never;
};

/** A flag without a value: there or not. */
export function switchFlag(help: string): Flag<boolean> {
  return { help, repeatable: false, read: (texts) => texts.length > 0 };
}

/** A flag that may be left out. */
export function optionalFlag<T>(
  valueName: string,
  help: string,
  parse: (text: string) => T,
): Flag<T | undefined> {
  return {
    valueName,
    help,
    repeatable: false,
    read: ([text]) => text === undefined ? undefined : parse(text),
  };
}

/** A flag with a value for when it is left out, given as its text. */
export function defaultFlag<T>(
  valueName: string,
  help: string,
  defaultText: string,
  parse: (text: string) => T,
): Flag<T> {
  return {
    valueName,
    help,
    repeatable: false,
    defaultText,
    read: ([text]) => parse(text ?? defaultText),
  };
}

/** A flag that may be given many times. */
export function listFlag<T>(
  valueName: string,
  help: string,
  parse: (text: string) => T,
): Flag<readonly T[]> {
  return {
    valueName,
    help,
    repeatable: true,
    read: (texts) => texts.map(parse),
  };
}

/** Any text but the empty one. */
export function parseText(text: string): string {
  if (text !== "") return text;
  throw new ConfigError("cli.empty", "the value is empty");
}

/** A parser that takes one of some words. */
export function oneOf<T extends string>(
  words: readonly T[],
): (text: string) => T {
  return (text) => {
    const word = words.find((word) => word === text);
    if (word !== undefined) return word;
    throw new ConfigError(
      "cli.word",
      `it is "${text.slice(0, 40)}"; write one of ${words.join(", ")}`,
    );
  };
}
