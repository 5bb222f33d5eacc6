/**
 * One command of the program: its words, its flags, and what it does.
 *
 * Understanding the words comes first and all at once, and what fails there is
 * wrong usage (exit code 2); what fails later has failed (1).
 *
 * @module
 */
import { ConfigError } from "../../base/errors.ts";
import type { Files } from "../../storage/files.ts";
import { storageError } from "../../storage/storage_error.ts";
import { readFlags, sortArguments } from "./arguments.ts";
import { readConfig } from "./config_file.ts";
import { type Flags, type FlagValues, switchFlag } from "./flag.ts";
import { formatCommandHelp } from "./help.ts";
import type { Terminal } from "./terminal.ts";

/** 0 done, 1 failed, 2 wrong usage. */
export type ExitCode = 0 | 1 | 2;

/** What a command works with. */
export interface Program {
  readonly terminal: Terminal;
  readonly files: Files;
}

/** A command, ready to be listed and called. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands, in lower case, no full stop. */
  readonly summary: string;
  /** The text that `--help` prints. */
  readonly help: string;
  /**
   * Understand the words after the command's name.
   *
   * @returns What to do now.
   * @throws {ConfigError} when they are wrong.
   */
  prepare(
    args: readonly string[],
    program: Program,
  ): Promise<() => Promise<ExitCode>>;
}

/** The words of a command that are no flags. */
export interface Operands<O> {
  /** What stands for them in the help, such as `ADDRESS`. */
  readonly text: string;
  /**
   * The words of the command line, of which some only look like flags, as they are
   * to be understood. Default: as they are.
   */
  reword?(args: readonly string[], flags: Flags): readonly string[];
  /** @throws {ConfigError} when they are wrong. */
  read(words: readonly string[]): O | Promise<O>;
}

/** What a command is made of. */
export interface CommandDefinition<F extends Flags, O> {
  readonly name: string;
  readonly summary: string;
  /** A paragraph or two for the help. */
  readonly details?: string;
  /** Words that are no flags; none are taken without it. */
  readonly operands?: Operands<O>;
  /** One of them named `config` reads a file. `help` is added to all. */
  readonly flags: F;
  /**
   * See whether flags that are right one by one make sense together, and with the
   * operands.
   *
   * @throws {ConfigError} when they do not.
   */
  check?(values: FlagValues<F>, operands: O): void;
  /**
   * @param reread Understands the same words and the file again; none without a file.
   * @throws {ConfigError} and others: the message is printed, and the exit code is 1.
   */
  run(
    values: FlagValues<F>,
    program: Program,
    operands: O,
    reread?: Reread<F>,
  ): Promise<ExitCode>;
}

/**
 * What the flags and the file say now.
 *
 * @throws {ConfigError} where they make no sense.
 */
export type Reread<F extends Flags> = () => Promise<FlagValues<F>>;

const HELP = switchFlag("print this text");

/** Make a command of its definition. */
export function defineCommand<F extends Flags, O = undefined>(
  definition: CommandDefinition<F, O>,
): Command {
  const flags: Flags = { ...definition.flags, help: HELP };
  const { name, summary, details, operands } = definition;
  const help = formatCommandHelp({
    name,
    summary,
    flags,
    ...details === undefined ? {} : { details },
    ...operands === undefined ? {} : { operands: operands.text },
  });
  return {
    name,
    summary,
    help,
    async prepare(words, program) {
      const args = operands?.reword?.(words, flags) ?? words;
      // A user who asks for help gets it, however wrong the rest is.
      if (asksForHelp(args)) {
        return () => {
          program.terminal.print(help);
          return Promise.resolve(0);
        };
      }
      const given = sortArguments(flags, args);
      if (operands === undefined) checkNoOperands(name, given.operands);
      const [path] = "config" in definition.flags
        ? given.flags.get("config") ?? []
        : [];
      const understand = async () => {
        const fromFile = path === undefined
          ? undefined
          : readConfig(path, await readText(path, program.files), flags);
        const values = readFlags(definition.flags, given.flags, fromFile);
        definition.check?.(values, read);
        return values;
      };
      // A command that takes none has `undefined` for them.
      const read = await operands?.read(given.operands) as O;
      const values = await understand();
      const reread = path === undefined ? undefined : understand;
      return () => definition.run(values, program, read, reread);
    },
  };
}

function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return args.slice(0, end < 0 ? undefined : end)
    .some((word) => word === "--help" || word === "-h");
}

function checkNoOperands(name: string, given: readonly string[]): void {
  const [first] = given;
  if (first === undefined) return;
  throw new ConfigError(
    "cli.operand",
    `Cannot understand "${first.slice(0, 80)}": anonnet ${name} takes only ` +
      `flags; see anonnet ${name} --help`,
  );
}

async function readText(path: string, files: Files): Promise<string> {
  const action = `Cannot read configuration file "${path}"`;
  const bytes = await files.read(path).catch((cause) => {
    throw storageError(action, cause);
  });
  if (bytes === undefined) {
    throw new ConfigError("cli.config_missing", `${action}: there is none`);
  }
  return new TextDecoder().decode(bytes);
}
