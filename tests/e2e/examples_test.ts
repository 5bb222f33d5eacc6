/** The programs in `examples/`, as a reader would run them. */
import assert from "node:assert/strict";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { readProjectFile } from "../../tools/project_files.ts";
import { EmbeddingProgram } from "../support/embedding_program.ts";
import { ProcessNetwork } from "../support/process_network.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";

const PROJECT = fileURLToPath(new URL("../../", import.meta.url));

/** An example that runs. */
function example(
  name: string,
  words: readonly string[],
  input = "",
): EmbeddingProgram {
  return new EmbeddingProgram(`${PROJECT}examples/${name}.ts`, {
    words,
    input,
  });
}

Deno.test("examples/own_network.ts makes a network, a site and a visitor", async () => {
  await using program = example("own_network", []);
  assert.equal(await program.end(), "5 relays\nOnly members get here.\n");
});

Deno.test("examples visit a site, keep its address, forward ports and carry streams", async () => {
  await using network = await ProcessNetwork.start({ relays: 5 });
  await using home = await TemporaryDirectory.create();
  const join = ["local", network.relays[0]?.address ?? ""];
  const siteWords = [...join, home.pathOf("guests")];
  let url: string;
  {
    await using site = example("site", siteWords);
    url = await site.stdout.until((line) => line.startsWith("http://"));
    const host = new URL(url).host;
    const body = "Kilroy was here";
    await using stream = example(
      "stream",
      [...join, home.pathOf("stream"), host, "80"],
      `POST / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n` +
        `Content-Length: ${body.length}\r\n\r\n${body}`,
    );
    assert.match(await stream.end(), /^HTTP\/1\.1 303 /);
    await using visit = example("visit", [
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
    await using site = example("site", [
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
  await using forward = example("forward", [...join, state, target]);
  const host = await forward.stdout.until((line) => line.endsWith(".anon"));
  await using visit = example("visit", [
    ...join,
    home.pathOf("visit"),
    `http://${host}/`,
  ]);
  assert.match(await visit.end(), /from behind/);
});

/** A relay, in a directory beside the clone. */
const ELSEWHERE = `
await using relay = await AnonRelay.start({
  state: "state",
  network: "local",
  listen: "127.0.0.1:0",
});
console.log(relay.address);
`;

Deno.test("a program outside the clone embeds a node with the settings of the clone, as the README has it, and cannot without", async () => {
  const [, command = ""] =
    /`(deno run -P --config [^`]+)`/.exec(readProjectFile("README.md")) ?? [];
  const [, named = ""] = / --config (\S+) program\.ts$/.exec(command) ?? [];
  assert.match(named, /^\.\.\/anonnet\/deno\.json$/);
  await using home = await TemporaryDirectory.create();
  const clone = relative(await Deno.realPath(home.path), PROJECT)
    .replaceAll("\\", "/");
  const library = `${clone}/lib/mod.ts`;
  await Deno.writeTextFile(
    home.pathOf("program.ts"),
    `import { AnonRelay } from "${library}";\n${ELSEWHERE}`,
  );

  const config = named.replace("../anonnet", clone);
  const cwd = home.path;
  await using program = new EmbeddingProgram("program.ts", { cwd, config });
  assert.match(await program.end(), /^anon:\/\//);
  const made = await Array.fromAsync(Deno.readDir(cwd), ({ name }) => name);
  assert.deepEqual(made.sort(), ["program.ts", "state"]);

  await using without = new EmbeddingProgram("program.ts", { cwd, config: "" });
  assert.match(await without.failure(), /Import "cborg" not a dependency/);
});
