/**
 * From words on the command line, and a configuration file, to values.
 *
 * A flag on the command line wins over the same name in the file, and that over
 * the default. `--no-NAME` turns a switch of the file off.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { ConfigError } from "../../base/errors.ts";
import type { Flags, FlagValues } from "./flag.ts";
import { suggestion } from "./nearest.ts";

/** What was given, as texts: flags by name, and the words that are no flags. */
export interface GivenArguments {
  readonly flags: ReadonlyMap<string, readonly string[]>;
  readonly operands: readonly string[];
}

/**
 * Sort the words of a command line.
 *
 * @throws {ConfigError} `cli.unknown_flag`, `cli.missing_value`,
 * `cli.unwanted_value`, `cli.repeated_flag`.
 */
export function sortArguments(
  flags: Flags,
  args: readonly string[],
): GivenArguments {
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, { valueName }]) => [
      name,
      { type: valueName === undefined ? "boolean" : "string" } as const,
    ]),
  );
  // Not strict, as its errors do not name the nearest flag.
  const { tokens, positionals } = parseArgs({
    args: [...args],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const given = new Map<string, string[]>();
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    const { name, rawName, value, inlineValue } = token;
    const flag = Object.hasOwn(flags, name) ? flags[name] : undefined;
    const off = flag === undefined ? switchedOff(flags, rawName) : undefined;
    if (off !== undefined && value === undefined) {
      if (given.has(off)) throw repeated(off);
      given.set(off, []);
      continue;
    }
    if (flag === undefined || !rawName.startsWith("--")) {
      throw new ConfigError(
        "cli.unknown_flag",
        `Cannot understand ${rawName}: there is no such flag${
          suggestion(name, Object.keys(flags), "--")
        }`,
      );
    }
    if (flag.valueName === undefined && value !== undefined) {
      throw new ConfigError(
        "cli.unwanted_value",
        `Cannot use --${name}: it takes no value; write --${name} alone`,
      );
    }
    // `--state --json` forgot a value; it did not name a directory "--json".
    const isForgotten = value === undefined ||
      (!inlineValue && /^-./.test(value));
    if (flag.valueName !== undefined && isForgotten) {
      throw new ConfigError(
        "cli.missing_value",
        `Cannot use --${name}: the value is missing; write --${name} ` +
          `${flag.valueName}, or --${name}=VALUE when it begins with a hyphen`,
      );
    }
    const texts = given.get(name) ?? [];
    if (given.has(name) && !flag.repeatable) throw repeated(name);
    given.set(name, [...texts, value ?? ""]);
  }
  return { flags: given, operands: positionals };
}

/** The switch that `--no-NAME` turns off, whatever the configuration file says. */
function switchedOff(flags: Flags, rawName: string): string | undefined {
  const [, name = ""] = /^--no-(.+)$/.exec(rawName) ?? [];
  const flag = Object.hasOwn(flags, name) ? flags[name] : undefined;
  return flag === undefined || flag.valueName !== undefined ? undefined : name;
}

function repeated(name: string): ConfigError {
  return new ConfigError(
    "cli.repeated_flag",
    `Cannot use --${name}: it is given twice; write it once`,
  );
}

/**
 * The values of all flags.
 *
 * @param fromFile Texts of the configuration file, by flag name.
 * @throws {ConfigError} what the flag's parser threw, with the flag's name before it.
 */
export function readFlags<F extends Flags>(
  flags: F,
  given: ReadonlyMap<string, readonly string[]>,
  fromFile: ReadonlyMap<string, readonly string[]> = new Map(),
): FlagValues<F> {
  const values = Object.entries(flags).map(([name, flag]) => {
    const isGiven = given.has(name);
    const texts = given.get(name) ?? fromFile.get(name) ?? [];
    try {
      return [name, flag.read(texts)];
    } catch (cause) {
      if (!(cause instanceof ConfigError)) throw cause;
      const place = isGiven ? `--${name}` : `"${name}" of the --config file`;
      throw new ConfigError(
        cause.code,
        `Cannot use ${place}: ${cause.message}`,
        { cause: cause.cause },
      );
    }
  });
  // The one cast: the loop above gave each name the type its flag reads.
  return Object.fromEntries(values) as FlagValues<F>;
}
