/**
 * Every command of the README, run. What stands for something (`BOOTSTRAP`,
 * `ADDRESS`, ports, directories) is put in; a command that this test does not know fails.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { readProjectFile } from "../../tools/project_files.ts";
import { ProgramProcess, runProgram } from "../support/process.ts";
import { NodeProcess, ProcessNetwork } from "../support/process_network.ts";

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

/** Where commands that ask a node find one. */
const ASKED: Readonly<Record<string, string>> = {
  lookup: "proxy",
  circuits: "proxy",
  newnym: "proxy",
  services: "serve",
  status: "relay",
  peers: "relay",
};

/** What a reader has who follows the README. */
class Reader implements AsyncDisposable {
  readonly #network: ProcessNetwork;
  readonly #target: Deno.HttpServer<Deno.NetAddr>;
  readonly #stack: AsyncDisposableStack;
  readonly #nodes = new Map<string, NodeProcess>();
  #host = "";
  #clientKey = "";
  #count = 0;

  private constructor(
    network: ProcessNetwork,
    target: Deno.HttpServer<Deno.NetAddr>,
    stack: AsyncDisposableStack,
  ) {
    this.#network = network;
    this.#target = target;
    this.#stack = stack;
  }

  static async create(): Promise<Reader> {
    await using stack = new AsyncDisposableStack();
    const target = stack.use(
      Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen() {} },
        () => new Response("the site of a reader\n"),
      ),
    );
    const network = stack.use(await ProcessNetwork.start({ relays: 4 }));
    const reader = new Reader(network, target, stack.move());
    const site = `80=127.0.0.1:${target.addr.port}`;
    reader.#host = (await network.serve([site])).host;
    return reader;
  }

  /** Put in what words and texts stand for. */
  fill(text: string): string {
    const proxy = this.#nodes.get("proxy");
    return text
      .replaceAll("BOOTSTRAP", this.#network.relays[0]?.address ?? "")
      .replaceAll("ADDRESS.anon", this.#host)
      .replaceAll("KEY", this.#clientKey)
      .replaceAll("127.0.0.1:9250", proxy?.socks ?? "127.0.0.1:0")
      .replaceAll("127.0.0.1:9280", proxy?.http ?? "127.0.0.1:0")
      .replaceAll("127.0.0.1:8080", `127.0.0.1:${this.#target.addr.port}`)
      .replaceAll("service.key", this.path("service.key"));
  }

  path(name: string): string {
    return this.#network.home.pathOf(name);
  }

  /** Run one command line, and see that it does what it should. */
  async follow(line: string): Promise<void> {
    const [program, ...words] = line.split(" ");
    if (program === "anonnet") return await this.#anonnet(words);
    if (program === "curl") return await this.#curl(words);
    assert.ok(program === "deno" && words[0] === "run", `unknown: ${line}`);
    const main = words.indexOf("main.ts");
    await this.#node(words.slice(main + 1), words.slice(1, main));
  }

  async #anonnet(words: readonly string[]): Promise<void> {
    const [command = "", ...rest] = words;
    if (NODES.has(command)) return await this.#node(words);
    const filled = rest.map((word) => this.fill(word));
    const asked = this.#nodes.get(ASKED[command] ?? "");
    const state = asked === undefined
      ? command === "client-key" ? [`--state=${this.path("client")}`] : []
      : [`--state=${asked.state}`];
    const outcome = await runProgram([command, ...filled, ...state]);
    assert.equal(outcome.code, 0, `${command}: ${outcome.stderr}`);
    assert.notEqual(outcome.stdout, "", command);
    if (command === "client-key") this.#clientKey = outcome.stdout.trim();
    if (command === "keygen") assert.match(outcome.stdout, /address +ab/);
  }

  /** Start a node and wait until it is ready. */
  async #node(
    words: readonly string[],
    permissions?: readonly string[],
  ): Promise<void> {
    const [command = "", ...rest] = words;
    const name = `my-${command}-${this.#count++}`;
    const state = await this.#stateFor(command, rest) ?? this.path(name);
    const flags: string[] = [];
    for (let index = 0; index < rest.length; index++) {
      const word = rest[index] ?? "";
      const value = rest[index + 1] ?? "";
      if (word === "--listen") flags.push("--listen=127.0.0.1:0");
      else if (word === "--config") flags.push(await this.#config(value));
      else if (word !== "--state" && word !== "--network") {
        flags.push(this.fill(word));
        continue;
      } else assert.match(value, /^[a-z0-9-]+$/);
      index++;
    }
    if (command === "proxy") {
      flags.push("--socks=127.0.0.1:0", "--http=127.0.0.1:0");
    }
    const node = this.#stack.use(
      new NodeProcess(name, state, [command, ...flags], {
        ...permissions && {
          permissions: permissions
            .map((flag) => flag.replaceAll("anonnet-state", state)),
        },
      }),
    );
    this.#nodes.set(command, await node.becomeReady());
  }

  /** A node that is told of no peer to join by is one that was there before. */
  async #stateFor(
    command: string,
    words: readonly string[],
  ): Promise<string | undefined> {
    const isNew = ["--bootstrap", "--config", "--network"]
      .some((flag) => words.includes(flag));
    if (isNew) return undefined;
    const former = this.#nodes.get(command);
    await former?.end();
    return former?.state;
  }

  async #config(name: string): Promise<string> {
    const [text = ""] = blocks("toml");
    const path = this.path(name);
    await Deno.writeTextFile(
      path,
      this.fill(text).replace("0.0.0.0:4001", "127.0.0.1:0")
        // Taken by the proxy that the reader has open already.
        .replace(/^socks = .*$/m, 'socks = "127.0.0.1:0"'),
    );
    return `--config=${path}`;
  }

  async #curl(words: readonly string[]): Promise<void> {
    const { code, stdout, stderr } = await new Deno.Command("curl", {
      args: ["-sS", ...words.map((word) => this.fill(word))],
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    assert.equal(code, 0, decoder.decode(stderr));
    assert.equal(decoder.decode(stdout), "the site of a reader\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
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

Deno.test("every other command of the README works, in its order", async () => {
  await using reader = await Reader.create();
  const lines = COMMANDS.filter((line) =>
    line !== DEMO && !FRESH_CLONE.includes(line)
  );
  assert.ok(lines.length > 15);
  for (const line of lines) await reader.follow(line);

  // The program that embeds a node, too.
  const [program = ""] = blocks("ts");
  const path = reader.path("embed.ts");
  await Deno.writeTextFile(
    path,
    reader.fill(program)
      .replace("./lib/mod.ts", `${PROJECT}lib/mod.ts`)
      .replace(
        'state: "state",',
        `state: "${reader.path("embed")}",
        network: "local",`,
      ),
  );
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      `--config=${PROJECT}deno.json`,
      "-P",
      path,
    ],
    stdin: "null",
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  assert.match(
    new TextDecoder().decode(stdout),
    /^http:\/\/[a-z2-7]{56}\.anon\/\n$/,
  );
});
