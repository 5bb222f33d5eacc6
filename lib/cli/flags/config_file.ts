/**
 * The configuration file: TOML, with the names of the flags.
 *
 *     state = "/var/lib/anonnet"
 *     listen = "[::]:4001"
 *     bootstrap = ["anon://…@192.0.2.7:4001"]
 *
 * @module
 */
import { parse, TomlError, type TomlValue } from "smol-toml";
import { ConfigError } from "../../base/errors.ts";
import type { Flag, Flags } from "./flag.ts";
import { suggestion } from "./nearest.ts";

/** Flags that make no sense in a file. */
const COMMAND_LINE_ONLY: ReadonlySet<string> = new Set(["config", "help"]);

/**
 * Read a configuration file: for each flag in it, the texts that would have been
 * given on the command line.
 *
 * @param path For messages.
 * @throws {ConfigError} `cli.toml` where it is not TOML, with line and column;
 * `cli.unknown_key`, with the nearest known one; `cli.key_type`.
 */
export function readConfig(
  path: string,
  text: string,
  flags: Flags,
): Map<string, string[]> {
  const known = Object.keys(flags).filter((name) =>
    !COMMAND_LINE_ONLY.has(name)
  );
  const texts = new Map<string, string[]>();
  for (const [key, value] of Object.entries(parseToml(path, text))) {
    const flag = known.includes(key) ? flags[key] : undefined;
    if (flag === undefined) {
      throw new ConfigError(
        "cli.unknown_key",
        `Cannot use "${key}" of ${path}: there is no such setting${
          suggestion(key, known)
        }`,
      );
    }
    texts.set(key, textsOf(path, key, value, flag));
  }
  return texts;
}

function parseToml(path: string, text: string): Record<string, TomlValue> {
  try {
    return parse(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    const [reason = ""] = cause.message.split("\n");
    // Without its cause, whose message shows the lines: the file may be a key.
    throw new ConfigError(
      "cli.toml",
      `Cannot read ${path}: line ${cause.line}, column ${cause.column}: ${
        reason.replace(/^Invalid TOML document: /, "")
      }`,
    );
  }
}

function textsOf(
  path: string,
  key: string,
  value: TomlValue,
  flag: Flag<unknown>,
): string[] {
  const fail = (expected: string) =>
    new ConfigError(
      "cli.key_type",
      `Cannot use "${key}" of ${path}: write ${expected}`,
    );
  if (flag.valueName === undefined) {
    if (typeof value !== "boolean") throw fail("true or false");
    return value ? [""] : [];
  }
  const items = flag.repeatable && Array.isArray(value) ? value : [value];
  return items.map((item) => {
    if (typeof item === "string") return item;
    if (typeof item === "number" || typeof item === "bigint") {
      return String(item);
    }
    throw fail(
      flag.repeatable
        ? `an array of texts: ${key} = ["…"]`
        : `a text: ${key} = "…"`,
    );
  });
}
