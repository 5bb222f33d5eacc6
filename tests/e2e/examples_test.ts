/** The programs in `examples/`, as a reader would run them. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Lines } from "../support/process.ts";
import { ProcessNetwork } from "../support/process_network.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";

const PROJECT = fileURLToPath(new URL("../../", import.meta.url));

/** An example that runs; killed on dispose. */
class Example implements AsyncDisposable {
  readonly stdout: Lines;
  readonly #child: Deno.ChildProcess;
  readonly #errors: Lines;

  constructor(name: string, words: readonly string[], input: string = "") {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-prompt",
        `--config=${PROJECT}deno.json`,
        "-P",
        `${PROJECT}examples/${name}.ts`,
        ...words,
      ],
      env: { NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.stdout = new Lines(this.#child.stdout);
    this.#errors = new Lines(this.#child.stderr);
    new Blob([input]).stream().pipeTo(this.#child.stdin).catch(() => {});
  }

  stop(signal: "SIGINT" | "SIGTERM"): void {
    this.#child.kill(signal);
  }

  /** Wait for its end. @returns All it printed. */
  async end(): Promise<string> {
    const { code } = await this.#child.status;
    assert.equal(code, 0, await this.#errors.all);
    return await this.stdout.all;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#child.status;
    await Promise.all([this.stdout.all, this.#errors.all]);
  }
}

Deno.test("examples/own_network.ts makes a network, a site and a visitor", async () => {
  await using example = new Example("own_network", []);
  assert.equal(await example.end(), "5 relays\nOnly members get here.\n");
});

Deno.test("examples visit a site, keep its address, forward ports and carry streams", async () => {
  await using network = await ProcessNetwork.start({ relays: 5 });
  await using home = await TemporaryDirectory.create();
  const join = ["local", network.relays[0]?.address ?? ""];
  const siteWords = [...join, home.pathOf("guests")];
  let url: string;
  {
    await using site = new Example("site", siteWords);
    url = await site.stdout.until((line) => line.startsWith("http://"));
    const host = new URL(url).host;
    const body = "Kilroy was here";
    await using stream = new Example(
      "stream",
      [...join, home.pathOf("stream"), host, "80"],
      `POST / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n` +
        `Content-Length: ${body.length}\r\n\r\n${body}`,
    );
    assert.match(await stream.end(), /^HTTP\/1\.1 303 /);
    await using visit = new Example("visit", [
      ...join,
      home.pathOf("visit"),
      url,
    ]);
    assert.match(await visit.end(), /^200 .*\n\* Kilroy was here\n/);
    site.stop("SIGINT");
    await site.end();
  }
  {
    // It remembers the relays: a later start needs no address of one.
    await using site = new Example("site", [
      "local",
      "",
      home.pathOf("guests"),
    ]);
    assert.equal(await site.stdout.until((line) => line !== ""), url);
    site.stop("SIGTERM");
    await site.end();
  }

  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("from behind"),
  );
  const target = `80=127.0.0.1:${server.addr.port}`;
  const state = home.pathOf("forward");
  await using forward = new Example("forward", [...join, state, target]);
  const host = await forward.stdout.until((line) => line.endsWith(".anon"));
  await using visit = new Example("visit", [
    ...join,
    home.pathOf("visit"),
    `http://${host}/`,
  ]);
  assert.match(await visit.end(), /from behind/);
});
