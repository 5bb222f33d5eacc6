/**
 * Every command of the README, run in its order in one directory. What stands for
 * something (`BOOTSTRAP`, `ADDRESS`, `KEY`) and ports are put in, and all networks are the
 * local one; a command that this test does not know fails.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { readProjectFile } from "../../tools/project_files.ts";
import { EmbeddingProgram } from "../support/embedding_program.ts";
import { ProgramProcess, runProgram } from "../support/process.ts";
import { NodeProcess } from "../support/process_network.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";

const README = readProjectFile("README.md");
const PROJECT = fileURLToPath(new URL("../../", import.meta.url));

/** The blocks of one language. */
function blocks(language: string): string[] {
  const found = README.matchAll(
    new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, "gm"),
  );
  return Array.from(found, ([, text = ""]) => text);
}

/** All command lines, in order. */
const COMMANDS = blocks("sh").flatMap((text) => text.trim().split("\n"));

/** Commands that run until they are told to stop. */
const NODES = new Set(["proxy", "serve", "relay", "run"]);

/** Where nodes keep what they must not lose, and are found by commands that ask. */
const DEFAULT_STATE = "anonnet-state";

/** A web server, for which the test has one of its own. */
const WEB_SERVER =
  "python3 -m http.server 8080 --bind 127.0.0.1 --directory site";

/** What a visitor tells curl. */
const VISIT = ["--proxy", "http://127.0.0.1:9280", "http://ADDRESS.anon/"];

/**
 * What a reader has who follows the README, in a directory that stands for the clone:
 * a site, and nodes by their state directories. A node that is started where another
 * one runs takes its place: the reader has pressed Ctrl-C.
 */
class Reader implements AsyncDisposable {
  readonly home: TemporaryDirectory;
  readonly #stack: AsyncDisposableStack;
  readonly #nodes = new Map<string, NodeProcess>();
  #site: Deno.HttpServer<Deno.NetAddr> | undefined;
  #bootstrap = "";
  #invite = "";
  #host = "";
  #clientKey = "";
  #sessionId = "";

  private constructor(home: TemporaryDirectory, stack: AsyncDisposableStack) {
    this.home = home;
    this.#stack = stack;
  }

  static async create(): Promise<Reader> {
    const stack = new AsyncDisposableStack();
    const home = stack.use(await TemporaryDirectory.create());
    return new Reader(home, stack);
  }

  /** Put in what words and texts stand for. */
  fill(text: string): string {
    const proxy = this.#nodes.get(DEFAULT_STATE);
    return text
      .replaceAll("BOOTSTRAP", this.#bootstrap)
      .replaceAll(/\bLINE\b/g, this.#invite)
      .replaceAll("ADDRESS.anon", this.#host)
      .replaceAll(/\bKEY\b/g, this.#clientKey)
      .replaceAll(/\bID\b/g, this.#sessionId)
      .replaceAll("127.0.0.1:9250", proxy?.socks ?? "127.0.0.1:0")
      .replaceAll("127.0.0.1:9280", proxy?.http ?? "127.0.0.1:0")
      .replaceAll("127.0.0.1:8080", `127.0.0.1:${this.#site?.addr.port}`);
  }

  /** Run one command line, and see that it does what it should. */
  async follow(line: string): Promise<void> {
    const [program = "", ...words] = line.split(" ");
    if (program === "anonnet()") return await this.#define(line);
    if (program === "anonnet") return await this.#anonnet(words);
    if (program === "curl") return await this.#curl(words);
    if (program === "mkdir") return void await this.#shell(line);
    if (line === WEB_SERVER) return this.#serveSite();
    assert.ok(program === "deno" && words[0] === "run", `unknown: ${line}`);
    const main = words.indexOf("main.ts");
    await this.#node(words.slice(main + 1), words.slice(1, main));
  }

  /** The function that stands for the program in all other lines. */
  async #define(line: string): Promise<void> {
    const npx = "npx --yes deno@2.9.6";
    assert.ok(line.includes(npx), line);
    const own = line.replace(npx, `"${Deno.execPath()}"`);
    const shown = await this.#shell(`${own}\nanonnet version`, PROJECT);
    assert.equal(shown, (await runProgram(["version"])).stdout);
  }

  async #anonnet(words: readonly string[]): Promise<void> {
    const [command = "", ...rest] = words;
    if (NODES.has(command)) return await this.#node(words);
    const cwd = this.home.path;
    if (command === "join") await this.#beInvited();
    const filled = rest.map((word) => this.fill(word));
    // A visitor has come, whose session is there to see.
    if (words.includes("--sessions")) await this.#curl(VISIT);
    const { code, stdout, stderr } = await runProgram([command, ...filled], {
      cwd,
    });
    assert.equal(code, 0, `${command}: ${stderr}`);
    assert.notEqual(stdout, "", command);
    if (command === "client-key") this.#clientKey = stdout.trim();
    if (command === "keygen") assert.match(stdout, /address +ab/);
    const [id] = /^[0-9a-f]{8}\b/m.exec(stdout) ?? [];
    if (words.includes("--sessions")) this.#sessionId = id ?? "none";
  }

  /** A friend has sent a line, and the proxy of an earlier try is stopped, as the text says. */
  async #beInvited(): Promise<void> {
    await this.#nodes.get(DEFAULT_STATE)?.end();
    this.#nodes.delete(DEFAULT_STATE);
    const asked = await runProgram(["invite", "--state=relay-1"], {
      cwd: this.home.path,
    });
    assert.equal(asked.code, 0, asked.stderr);
    this.#invite = asked.stdout.trim();
  }

  /** Start a node and wait until it is ready. */
  async #node(
    words: readonly string[],
    permissions?: readonly string[],
  ): Promise<void> {
    const [command = "", ...rest] = words;
    let state = DEFAULT_STATE;
    const flags: string[] = [];
    for (let index = 0; index < rest.length; index++) {
      const word = rest[index] ?? "";
      const value = rest[index + 1] ?? "";
      if (word === "--listen" || word === "--tor-control") {
        flags.push(`${word}=127.0.0.1:0`);
      } else if (word === "--config") {
        state = await this.#configure(value);
        flags.push(word, value);
      } else if (word === "--state") state = value;
      else if (word !== "--network" && word !== "--socks") {
        flags.push(this.fill(word));
        continue;
      }
      index++;
    }
    if (command === "proxy") {
      flags.push("--socks=127.0.0.1:0", "--http=127.0.0.1:0");
    }
    await this.#nodes.get(state)?.end();
    const node = this.#stack.use(
      new NodeProcess(words.join(" "), state, [command, ...flags], {
        cwd: this.home.path,
        ...permissions && { permissions },
      }),
    );
    this.#nodes.set(state, await node.becomeReady());
    if (command === "relay" && this.#bootstrap === "") {
      this.#bootstrap = node.address;
    }
    if (command === "serve") this.#host = node.host;
  }

  /** Write the configuration file. @returns The state directory that it names. */
  async #configure(name: string): Promise<string> {
    const [text = ""] = blocks("toml");
    const own = text.replace("0.0.0.0:4001", "127.0.0.1:0")
      // Taken by the proxy that the reader has open already.
      .replaceAll(/^(socks|http) = .*$/gm, '$1 = "127.0.0.1:0"');
    await Deno.writeTextFile(this.home.pathOf(name), this.fill(own));
    const [, state] = /^state = "(.+)"$/m.exec(text) ?? [];
    return state ?? DEFAULT_STATE;
  }

  #serveSite(): void {
    const page = this.home.pathOf("site/index.html");
    this.#site = this.#stack.use(
      Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen() {} },
        async () => new Response(await Deno.readTextFile(page)),
      ),
    );
  }

  async #curl(words: readonly string[]): Promise<void> {
    const filled = words.map((word) => this.fill(word));
    assert.equal(await run("curl", ["-sS", ...filled]), "It works\n");
  }

  async #shell(text: string, cwd = this.home.path): Promise<string> {
    return await run("sh", ["-c", text], cwd);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** Run a program that is to succeed. @returns What it printed. */
async function run(
  program: string,
  args: readonly string[],
  cwd = PROJECT,
): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    cwd,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  assert.equal(code, 0, decoder.decode(stderr));
  return decoder.decode(stdout);
}

/** Whether a line of `.gitignore` keeps `name`, beside it, out of a commit. */
function isIgnored(name: string): boolean {
  return readProjectFile(".gitignore").split("\n").some((line) => {
    const [, glob] = /^\/?([^#/][^/]*)\/?$/.exec(line) ?? [];
    if (glob === undefined) return false;
    const pattern = glob.replaceAll(".", "\\.").replaceAll("*", ".*");
    return new RegExp(`^${pattern}$`).test(name);
  });
}

/** Lines that the test has its own way to run. */
const FRESH_CLONE = [
  "npx --yes deno@2.9.6 task demo --check",
  "npx --yes deno@2.9.6 task test",
];
const DEMO = "npx --yes deno@2.9.6 task demo";

Deno.test("CI runs what the README tells a newcomer to run, word for word", () => {
  assert.deepEqual(COMMANDS.slice(0, 2), FRESH_CLONE);
  const ci = readProjectFile(".ci/run").split("\n");
  for (const line of FRESH_CLONE) assert.ok(ci.includes(line), line);
});

Deno.test("the demo of the README stays, and what it prints can be pasted into a shell", async () => {
  assert.ok(COMMANDS.includes(DEMO));
  await using demo = ProgramProcess.start(["demo"]);
  await demo.stdout.until((line) => line.includes("Ctrl-C"));
  const pasted: string[] = [];
  for (const kind of ["socks5h://", "--proxy http://"]) {
    pasted.push(
      (await demo.stdout.until((line) =>
        line.includes("curl") && line.includes(kind)
      )).trim(),
    );
  }
  for (const line of pasted) {
    const { code, stdout } = await new Deno.Command("sh", {
      args: ["-c", line.replace("curl", "curl -sS")],
      stdin: "null",
    }).output();
    assert.equal(code, 0, line);
    assert.match(new TextDecoder().decode(stdout), /<h1>It works<\/h1>/);
  }
  const outcome = await demo.stop();
  assert.doesNotMatch(outcome.stderr, /bug|error/i);
});

Deno.test("each node of the README's network of one's own says that it is of it", () => {
  const [, section = ""] =
    /^## A network of your own\n([^]*?)^## /m.exec(README) ?? [];
  const nodes = section.split("\n").filter((line) =>
    /^anonnet (proxy|serve|relay|run) /.test(line)
  );
  assert.equal(nodes.filter((line) => line.includes(" relay ")).length, 4);
  for (const line of nodes) assert.match(line, / --network local /);
});

Deno.test("every other command of the README works, in its order, and makes nothing that git would take", async () => {
  await using reader = await Reader.create();
  const lines = COMMANDS.filter((line) =>
    line !== DEMO && !FRESH_CLONE.includes(line)
  );
  assert.ok(lines.length > 15);
  for (const line of lines) await reader.follow(line);

  // The program that embeds a node, too.
  const [program = ""] = blocks("ts");
  const path = reader.home.pathOf("embed.ts");
  await Deno.writeTextFile(
    path,
    reader.fill(program)
      .replace("./lib/mod.ts", `${PROJECT}lib/mod.ts`)
      .replace('state: "state",', 'state: "state", network: "local",'),
  );
  await using embedding = new EmbeddingProgram(path, {
    cwd: reader.home.path,
  });
  await embedding.stdout.until((line) => line.startsWith("http://"));
  embedding.stop("SIGINT");
  assert.match(
    await embedding.end(),
    /^It works\n\nhttp:\/\/[a-z2-7]{56}\.anon\/\n$/,
  );

  const made: string[] = [];
  for await (const { name } of Deno.readDir(reader.home.path)) {
    if (name !== "embed.ts" && !isIgnored(name)) made.push(name);
  }
  assert.deepEqual(made, [], "not in .gitignore");
});
