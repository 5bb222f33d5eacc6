/**
 * A machine with Node and nothing else, for the npm package as a new user has it.
 *
 * @module
 */
import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { buildNpmPackage } from "../../tools/npm/npm_package.ts";
import { TemporaryDirectory } from "./temporary_directory.ts";

/** All that there is to be found. `script` is the terminal that the test sits at. */
const PROGRAMS = ["node", "npm", "npx", "sh", "script"];

/** A machine with Node alone, and the package in the folder above an empty one. */
export class EmptyMachine implements AsyncDisposable {
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

  /** Forget what npx has installed, but not what npm has fetched. */
  async uninstall(): Promise<void> {
    await Deno.remove(this.#home.pathOf("cache/_npx"), { recursive: true });
  }

  /** Where a program is that a user calls by its name. */
  pathOf(program: string): string {
    return program.includes("/")
      ? program
      : this.#home.pathOf(`bin/${program}`);
  }

  /** @param before Words that another program is started by, such as `ip netns exec NAME`. */
  async run(
    words: readonly string[],
    before: readonly string[] = [],
  ): Promise<Deno.CommandOutput> {
    const [name = "", ...rest] = words;
    const [program = "", ...args] = [...before, this.pathOf(name), ...rest];
    return await new Deno.Command(program, {
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
