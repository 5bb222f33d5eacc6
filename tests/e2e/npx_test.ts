/**
 * The npm package as a new user has it: packed, and started by npx in an empty
 * directory, where Node and npm are and nothing else is.
 *
 * @module
 */
import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { buildNpmPackage } from "../../tools/npm/npm_package.ts";
import { isInstalled } from "../support/client_programs.ts";
import { inTerminal, StartedRelay } from "../support/started_relay.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";

const HAS_NPX = Deno.build.os === "linux" && isInstalled("npx") &&
  isInstalled("script");

/** All that there is to be found. `script` is the terminal that the test sits at. */
const PROGRAMS = ["node", "npm", "npx", "sh", "script"];

/** A machine with Node alone, and the package in the folder above an empty one. */
class EmptyMachine implements AsyncDisposable {
  readonly #home: TemporaryDirectory;
  readonly #env: Readonly<Record<string, string>>;

  private constructor(home: TemporaryDirectory) {
    this.#home = home;
    this.#env = {
      HOME: home.pathOf("home"),
      PATH: home.pathOf("bin"),
      NO_COLOR: "1",
      npm_config_cache: home.pathOf("cache"),
      npm_config_prefer_offline: "true",
      npm_config_update_notifier: "false",
    };
  }

  static async create(): Promise<EmptyMachine> {
    await using stack = new AsyncDisposableStack();
    const home = stack.use(await TemporaryDirectory.create());
    for (const name of ["bin", "cache", "empty", "home"]) {
      await Deno.mkdir(home.pathOf(name));
    }
    for (const name of PROGRAMS) {
      await Deno.symlink(
        await run("which", [name]),
        home.pathOf(`bin/${name}`),
      );
    }
    // What npm has fetched before, such as Deno for these tests, it need not fetch again.
    const cache = await run("npm", ["config", "get", "cache"]);
    await Deno.mkdir(`${cache}/_cacache`, { recursive: true });
    await Deno.symlink(`${cache}/_cacache`, home.pathOf("cache/_cacache"));

    await buildNpmPackage(home.pathOf("npm"));
    await run("npm", ["pack", "--silent", "./npm"], home.path);
    stack.move();
    return new EmptyMachine(home);
  }

  /** The words that a user types. */
  get npx(): readonly string[] {
    return ["npx", "--yes", `../anonnet-${config.version}.tgz`];
  }

  /** The folder that npx has installed the package in. */
  async installed(): Promise<string> {
    const folder = this.#home.pathOf("cache/_npx");
    const [hash] = await Array.fromAsync(Deno.readDir(folder));
    return `${folder}/${hash?.name}`;
  }

  get options() {
    return { cwd: this.#home.pathOf("empty"), env: this.#env, clearEnv: true };
  }

  async run(words: readonly string[]): Promise<Deno.CommandOutput> {
    const [program = "", ...args] = words;
    const path = program.includes("/")
      ? program
      : this.#home.pathOf(`bin/${program}`);
    return await new Deno.Command(path, {
      args,
      ...this.options,
      stdin: "null",
    }).output();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#home[Symbol.asyncDispose]();
  }
}

/** What a program prints that cannot but succeed. */
async function run(
  program: string,
  args: readonly string[],
  cwd?: string,
): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    ...cwd === undefined ? {} : { cwd },
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim();
}

Deno.test({
  name: "npx runs the packed package where nothing but Node is",
  ignore: !HAS_NPX,
  async fn(test) {
    await using machine = await EmptyMachine.create();
    const decoder = new TextDecoder();

    await test.step("npx anonnet demo --check works", async () => {
      const { code, stdout, stderr } = await machine.run([
        ...machine.npx,
        "demo",
        "--check",
      ]);
      assert.equal(code, 0, decoder.decode(stderr));
      assert.match(decoder.decode(stdout), /^The demo works\.$/m);
      const left = await Array.fromAsync(Deno.readDir(machine.options.cwd));
      assert.deepEqual(left, [], "nothing is left where it was started");
    });

    await test.step("a word that is none is exit code 2", async () => {
      const anonnet = `${await machine.installed()}/node_modules/.bin/anonnet`;
      const { code, stderr } = await machine.run([anonnet, "rely"]);
      assert.match(decoder.decode(stderr), /did you mean relay\?/);
      assert.equal(code, 2);
    });

    await test.step("the program cannot write to itself, nor to Deno", async () => {
      const folder = `${await machine.installed()}/node_modules`;
      for (const own of ["anonnet/lib", "deno"]) {
        const { code, stderr } = await machine.run([
          `${folder}/.bin/anonnet`,
          "keygen",
          "--out",
          `${folder}/${own}/a.key`,
        ]);
        assert.match(decoder.decode(stderr), /permission/);
        assert.notEqual(code, 0);
      }
    });

    await test.step("one Ctrl-C is one stop", async () => {
      await using relay = await StartedRelay.start(["npx", "anonnet"], {
        ...machine.options,
        cwd: await machine.installed(),
        wrap: inTerminal,
      });
      const writer = relay.starter.stdin.getWriter();
      await writer.write(Uint8Array.of(3));
      writer.releaseLock();
      const log = await relay.ended();
      assert.match(log, /Stopped/);
      assert.doesNotMatch(log, /hard way/);
    });

    await test.step("a launcher that is killed leaves no node", async () => {
      const anonnet = `${await machine.installed()}/node_modules/.bin/anonnet`;
      await using relay = await StartedRelay.start([anonnet], machine.options);
      relay.starter.kill("SIGKILL");
      assert.match(await relay.ended(), /Stopped/);
    });

    await test.step("npx that is killed leaves no node", async () => {
      await using relay = await StartedRelay.start(["npx", "anonnet"], {
        ...machine.options,
        cwd: await machine.installed(),
      });
      relay.starter.kill("SIGKILL");
      assert.match(await relay.ended(), /Stopped/);
    });
  },
});
