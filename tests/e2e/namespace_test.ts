/**
 * A newcomer with Node and nothing else, and no network but a loopback device: from
 * an invite to a page, by what the npm package brings.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { isInstalled, succeed } from "../support/client_programs.ts";
import { EmptyMachine } from "../support/empty_machine.ts";
import {
  Lines,
  ProgramProcess,
  type ReadyLine,
  runProgram,
} from "../support/process.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";
import { testBytes } from "./_site.ts";

const IS_ABLE = Deno.build.os === "linux" && Deno.uid() === 0 &&
  ["ip", "npx", "curl", "script"].every(isInstalled);

/** Relays beside the first: circuits of three hops, and one more to choose from. */
const FURTHER_RELAYS = 3;
const READY = ["--ready-json", "--log-format=json"];
/** From the first word to the last byte, ms: thirty seconds where nothing else runs. */
const MOST_MS = 120_000;

/** A network namespace in which a loopback device is up, and no other device is. */
class Namespace implements AsyncDisposable {
  readonly #name = `anonnet-${Deno.pid}`;

  static async create(): Promise<Namespace> {
    const namespace = new Namespace();
    await succeed("ip", ["netns", "add", namespace.#name]);
    try {
      const [program, ...words] = namespace.before;
      await succeed(program, [...words, "ip", "link", "set", "lo", "up"]);
    } catch (error) {
      await namespace[Symbol.asyncDispose]();
      throw error;
    }
    return namespace;
  }

  /** Words that start a program inside. */
  get before(): readonly [string, ...string[]] {
    // As a path: a user's own PATH need not have it.
    return ["/sbin/ip", "netns", "exec", this.#name];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await succeed("ip", ["netns", "del", this.#name]);
  }
}

/** A network of one's own inside of a namespace. */
class Garden implements AsyncDisposable {
  readonly #home: TemporaryDirectory;
  readonly #before: readonly string[];
  readonly #stack = new AsyncDisposableStack();

  private constructor(home: TemporaryDirectory, before: readonly string[]) {
    this.#home = this.#stack.use(home);
    this.#before = before;
  }

  static async plant(before: readonly string[]): Promise<Garden> {
    await using stack = new AsyncDisposableStack();
    const garden = stack.use(
      new Garden(await TemporaryDirectory.create(), before),
    );
    await garden.done("first", "network", "create", "garden", "--local");
    await garden.start("first", "relay", "--listen=127.0.0.1:0");
    const early = await garden.invite();
    const names = Array.from(
      { length: FURTHER_RELAYS },
      (_, at) => `relay-${at}`,
    );
    await Promise.all(
      names.map((name) =>
        garden.start(
          name,
          "relay",
          "--listen=127.0.0.1:0",
          `--bootstrap=${early}`,
        )
      ),
    );
    stack.move();
    return garden;
  }

  /** An invite line. */
  invite(): Promise<string> {
    return this.done("first", "invite");
  }

  /** Share a file. @returns The address of it. */
  async share(bytes: Uint8Array): Promise<string> {
    const path = this.#home.pathOf("page.bin");
    await Deno.writeFile(path, bytes);
    const invite = `--bootstrap=${await this.invite()}`;
    const { link } = await this.start("host", "share", invite, path);
    assert.ok(link !== undefined);
    return `${link}page.bin`;
  }

  /** Run a command that has to do what it should, on a state directory. */
  async done(state: string, ...words: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await runProgram(
      [...words, `--state=${this.#home.pathOf(state)}`],
      { before: this.#before },
    );
    assert.equal(code, 0, stderr);
    return stdout.trim();
  }

  /** Start a node, and wait until all of it works. */
  async start(state: string, ...words: readonly string[]): Promise<ReadyLine> {
    const process = this.#stack.use(ProgramProcess.start(
      [...words, `--state=${this.#home.pathOf(state)}`, ...READY],
      { before: this.#before },
    ));
    return JSON.parse(
      await process.stdout.until((line) => line.startsWith("{")),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** What a user leaves running in a terminal; ended on dispose, with all that it started. */
class RunningProgram implements AsyncDisposable {
  readonly output: Lines;
  readonly #log: Lines;
  readonly #child: Deno.ChildProcess;

  constructor(
    machine: EmptyMachine,
    before: readonly string[],
    words: readonly string[],
  ) {
    const [name = "", ...rest] = words;
    const [program = "", ...args] = [...before, machine.pathOf(name), ...rest];
    this.#child = new Deno.Command(program, {
      args,
      ...machine.options,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.output = new Lines(this.#child.stdout);
    this.#log = new Lines(this.#child.stderr);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
    // The node holds the other ends: all is read once it has stopped.
    await Promise.all([this.output.all, this.#log.all]);
  }
}

Deno.test({
  name:
    "npx join and npx proxy lead to a page where only Node and a loopback device are",
  ignore: !IS_ABLE,
  async fn() {
    await using machine = await EmptyMachine.create();
    // What npm has to fetch it fetches here, where there is a network.
    const warm = await machine.run([...machine.npx, "version"]);
    assert.equal(warm.code, 0, new TextDecoder().decode(warm.stderr));
    await machine.uninstall();

    await using namespace = await Namespace.create();
    const { before } = namespace;
    await using garden = await Garden.plant(before);
    const bytes = testBytes(1_000_000);
    const address = await garden.share(bytes);
    const line = await garden.invite();

    const startMs = performance.now();
    const took = () => ((performance.now() - startMs) / 1_000).toFixed(1);
    const joined = await machine.run(
      [...machine.npx, "join", line, "--json"],
      before,
    );
    assert.equal(joined.code, 0, new TextDecoder().decode(joined.stderr));
    const facts = JSON.parse(new TextDecoder().decode(joined.stdout));
    assert.equal(facts.network, "garden");
    const joinedAfter = took();

    await using proxy = new RunningProgram(machine, before, [
      ...machine.npx,
      "proxy",
      "--socks=127.0.0.1:0",
      "--ready-json",
    ]);
    const ready: ReadyLine = JSON.parse(
      await proxy.output.until((text) => text.startsWith("{"), MOST_MS),
    );
    const readyAfter = took();
    const [program, ...words] = before;
    const { stdout } = await succeed(program, [
      ...words,
      ...["curl", "-q", "-sS", "--proxy", `socks5h://${ready.socks}`, address],
    ]);
    const told =
      `joined after ${joinedAfter} s, proxy after ${readyAfter} s, ` +
      `page after ${took()} s`;
    assert.ok(performance.now() - startMs < MOST_MS, told);
    const digest = (what: Uint8Array) =>
      createHash("sha256").update(what).digest("hex");
    assert.equal(digest(stdout), digest(bytes));
    Deno.stdout.writeSync(new TextEncoder().encode(`${told}\n`));
  },
});
