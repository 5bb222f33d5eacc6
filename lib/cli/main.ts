/**
 * The program: which command it is, what its exit code is, and what becomes of
 * errors that were not thrown on purpose.
 *
 * @module
 */
import { AnonNetError, ConfigError, describeError } from "../base/errors.ts";
import { DenoFiles } from "../storage/deno_files.ts";
import { circuitsCommand } from "./ask/circuits.ts";
import { dashboardCommand } from "./ask/dashboard.ts";
import { clientKeyCommand } from "./client_key.ts";
import { delegateCommand } from "./delegate.ts";
import type { Command, ExitCode, Program } from "./flags/command.ts";
import { doctorCommand } from "./doctor/doctor.ts";
import { demoCommand } from "./demo/demo.ts";
import { formatProgramHelp } from "./flags/help.ts";
import { keygenCommand } from "./keygen.ts";
import { lookupCommand } from "./ask/lookup.ts";
import { inviteCommand } from "./network/invite.ts";
import { joinCommand } from "./network/join.ts";
import { networkCommand } from "./network/network.ts";
import { newnymCommand } from "./ask/newnym.ts";
import { suggestion } from "./flags/nearest.ts";
import { peersCommand } from "./ask/peers.ts";
import { proxyCommand } from "./proxy.ts";
import { relayCommand } from "./relay.ts";
import { runCommand } from "./run.ts";
import { serveCommand } from "./serve.ts";
import { servicesCommand } from "./ask/services.ts";
import { simulateCommand } from "./simulate.ts";
import { statusCommand } from "./ask/status.ts";
import { processTerminal, type Terminal } from "./flags/terminal.ts";
import { getCommand } from "./share/get.ts";
import { receiveCommand } from "./share/receive.ts";
import { shareCommand } from "./share/share.ts";
import { versionCommand } from "./version.ts";

/** All commands, in the order in which the help lists them. */
const COMMANDS: readonly Command[] = [
  demoCommand,
  joinCommand,
  proxyCommand,
  serveCommand,
  shareCommand,
  receiveCommand,
  getCommand,
  relayCommand,
  runCommand,
  networkCommand,
  inviteCommand,
  dashboardCommand,
  statusCommand,
  doctorCommand,
  peersCommand,
  circuitsCommand,
  servicesCommand,
  lookupCommand,
  newnymCommand,
  keygenCommand,
  simulateCommand,
  clientKeyCommand,
  delegateCommand,
  versionCommand,
];

/** Before the command: a flag of starters, who know no flags of commands. */
const WITH_PARENT = "--stop-with-parent";

/** Run the program in this process, to its end. */
export async function main(args: readonly string[]): Promise<never> {
  const [first, ...rest] = args;
  const withParent = first === WITH_PARENT;
  const terminal = processTerminal({ withParent });
  const words = withParent ? rest : args;
  Deno.exit(await run(words, { terminal, files: new DenoFiles() }));
}

/** Run one command line. Never throws. */
export async function run(
  args: readonly string[],
  program: Program,
): Promise<ExitCode> {
  let work: () => Promise<ExitCode>;
  try {
    work = await prepare(args, program);
  } catch (error) {
    return tell(error, program.terminal, 2);
  }
  try {
    return await work();
  } catch (error) {
    return tell(error, program.terminal, 1);
  }
}

async function prepare(
  args: readonly string[],
  program: Program,
): Promise<() => Promise<ExitCode>> {
  const [name, ...rest] = args;
  if (name === undefined) {
    program.terminal.tell(formatProgramHelp(COMMANDS));
    return () => Promise.resolve(2);
  }
  if (name === "--version") return await prepare(["version"], program);
  if (name === "help" || name === "--help" || name === "-h") {
    const [subject] = rest;
    if (subject === undefined) {
      return printing(formatProgramHelp(COMMANDS), program);
    }
    return printing(find(subject).help, program);
  }
  return await find(name).prepare(rest, program);
}

function printing(
  text: string,
  { terminal }: Program,
): () => Promise<ExitCode> {
  return () => {
    terminal.print(text);
    return Promise.resolve(0);
  };
}

/** @throws {ConfigError} `cli.unknown_command`, with the nearest known one. */
function find(name: string): Command {
  const command = COMMANDS.find((command) => command.name === name);
  if (command !== undefined) return command;
  const what = name.startsWith("-")
    ? `Cannot understand "${name.slice(0, 40)}": the command comes first`
    : `Cannot understand "${name.slice(0, 40)}": there is no such command${
      suggestedFor(name.toLowerCase())
    }`;
  throw new ConfigError("cli.unknown_command", `${what}; see anonnet --help`);
}

/** The nearest command, or else the only one that begins so. */
function suggestedFor(word: string): string {
  const names = COMMANDS.map(({ name }) => name);
  const near = suggestion(word, names);
  const [begun, ...others] = names.filter((name) => name.startsWith(word));
  return near !== "" || begun === undefined || others.length > 0
    ? near
    : suggestion(begun, names);
}

/** Print what went wrong. What was not thrown on purpose is a bug, and shown whole. */
function tell(error: unknown, terminal: Terminal, code: ExitCode): ExitCode {
  if (error instanceof Deno.errors.BrokenPipe) return 1;
  if (error instanceof Deno.errors.NotCapable) {
    const [what = ""] = error.message.split(",");
    terminal.tell(
      `anonnet: Cannot go on: this process was started without a permission ` +
        `that it needs (${what.toLowerCase()}); "Sandbox" in README.md lists all`,
    );
    return code;
  }
  if (error instanceof AnonNetError) {
    terminal.tell(`anonnet: ${describeError(error)}`);
    return code;
  }
  terminal.tell(`anonnet: a bug: ${describeError(error)}`);
  if (error instanceof Error && error.stack) terminal.tell(error.stack);
  return 1;
}
