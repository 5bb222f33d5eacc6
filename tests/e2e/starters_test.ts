/**
 * Nodes that were started by other programs: what ends a starter ends the node, once
 * and cleanly.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { raceSignal } from "../../lib/base/clock.ts";
import { isInstalled } from "../support/client_programs.ts";
import { Lines } from "../support/process.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";

const PROJECT = fileURLToPath(new URL("../../", import.meta.url));
const DENO = Deno.execPath();
const TASK = [DENO, "task", "start"];

/** As the README has it; `--offline` keeps the test from asking a registry. */
const NPX = ["npx", "--offline", "--yes", "deno@2.9.6"];
const NPX_RUN = [
  ...NPX,
  "run",
  "--quiet",
  "--no-prompt",
  "-P",
  "main.ts",
  "--stop-with-parent",
];

/** Whether npx has the runtime at hand. */
function hasNpx(): boolean {
  if (!isInstalled("npx")) return false;
  const [program = "", ...args] = [...NPX, "--version"];
  return new Deno.Command(program, { args }).outputSync().success;
}

/** Longest time until a node has ended that need not drain, and some more, ms. */
const END_MS = 30_000;

const POSIX = Deno.build.os !== "windows";
const WITH_NPX = POSIX && hasNpx();

/** A relay that a starter started, ready. */
class StartedRelay implements AsyncDisposable {
  readonly starter: Deno.ChildProcess;
  readonly #home: TemporaryDirectory;
  readonly #output: Lines;
  readonly #log: Lines;

  private constructor(starter: Deno.ChildProcess, home: TemporaryDirectory) {
    this.starter = starter;
    this.#home = home;
    this.#output = new Lines(starter.stdout);
    this.#log = new Lines(starter.stderr);
  }

  /** @param wrap Makes the command line of another one. */
  static async start(
    starter: readonly string[],
    wrap = (words: readonly string[]) => words,
  ): Promise<StartedRelay> {
    await using stack = new AsyncDisposableStack();
    const home = stack.use(await TemporaryDirectory.create());
    const [program = "", ...args] = wrap([
      ...starter,
      "relay",
      "--network=local",
      "--listen=127.0.0.1:0",
      `--state=${home.pathOf("state")}`,
      "--ready-json",
    ]);
    const child = new Deno.Command(program, {
      args,
      cwd: PROJECT,
      env: { NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const relay = stack.use(new StartedRelay(child, home));
    await relay.#output.until((line) => line.includes('"event":"ready"'));
    stack.move();
    return relay;
  }

  /** All that it says, once no process of it is left: they hold the other end. */
  async ended(): Promise<string> {
    const limit = AbortSignal.timeout(END_MS);
    const all = Promise.all([this.#log.all, this.#output.all]);
    const log = (await raceSignal(all, limit)).join("");
    await this.starter.status;
    const left = await Array.fromAsync(
      Deno.readDir(this.#home.pathOf("state")),
    );
    const names = left.map(({ name }) => name);
    assert.ok(!names.some((name) => name.startsWith("control")), `${names}`);
    return log;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.starter.stdin.close().catch(() => {});
    await this.#home[Symbol.asyncDispose]();
  }
}

/** The same in a terminal of its own. */
function inTerminal(words: readonly string[]): readonly string[] {
  return ["script", "-qefc", words.join(" "), "/dev/null"];
}

const STARTERS = [
  { name: "deno task", words: TASK, ignore: !POSIX },
  { name: "npx", words: NPX_RUN, ignore: !WITH_NPX },
  {
    name: "npx and deno task",
    words: [...NPX, "task", "start"],
    ignore: !WITH_NPX,
  },
];

for (const { name, words, ignore } of STARTERS) {
  Deno.test({
    name: `one Ctrl-C stops a node that ${name} started, once`,
    ignore: ignore || !isInstalled("script"),
    async fn() {
      await using relay = await StartedRelay.start(words, inTerminal);
      const writer = relay.starter.stdin.getWriter();
      await writer.write(Uint8Array.of(3));
      writer.releaseLock();
      const log = await relay.ended();
      assert.match(log, /Stopped/);
      assert.doesNotMatch(log, /hard way/);
    },
  });
}

const ENDS: readonly [string, readonly string[], Deno.Signal, boolean][] = [
  ["deno task", TASK, "SIGTERM", !POSIX],
  ["deno task", TASK, "SIGHUP", !POSIX],
  ["deno task", TASK, "SIGKILL", !POSIX],
  ["npx", NPX_RUN, "SIGTERM", !WITH_NPX],
];

for (const [name, words, signal, ignore] of ENDS) {
  Deno.test({
    name: `a node ends cleanly with ${name}, which gets a ${signal}`,
    ignore,
    async fn() {
      await using relay = await StartedRelay.start(words);
      relay.starter.kill(signal);
      assert.match(await relay.ended(), /Stopped/);
    },
  });
}
