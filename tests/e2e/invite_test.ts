/** From nothing to a page: a network of one's own, an invite, and a newcomer with an empty directory. */
import assert from "node:assert/strict";
import {
  ProgramProcess,
  type ReadyLine,
  runProgram,
} from "../support/process.ts";
import type { ReadyService } from "../support/process_network.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";

/** Relays beside the first: circuits of three hops, and one more to choose from. */
const FURTHER_RELAYS = 3;
const READY = ["--ready-json", "--log-format=json"];

/** A ready line, with the services in it. */
type Ready = ReadyLine & { readonly services: readonly ReadyService[] };

/** Start a node, and wait until all of it works. */
async function start(
  stack: AsyncDisposableStack,
  words: readonly string[],
): Promise<Ready> {
  const process = stack.use(ProgramProcess.start([...words, ...READY]));
  return JSON.parse(await process.stdout.until((line) => line.startsWith("{")));
}

/** Run a command that has to do what it should. */
async function done(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runProgram(words);
  assert.equal(code, 0, stderr);
  return stdout.trim();
}

Deno.test("a newcomer gets from an invite to a page of a network of one's own, with no other flag", async () => {
  await using stack = new AsyncDisposableStack();
  const home = stack.use(await TemporaryDirectory.create());
  const state = (name: string) => `--state=${home.pathOf(name)}`;
  const relay = (name: string) =>
    start(stack, ["relay", state(name), "--listen=127.0.0.1:0"]);

  await done("network", "create", "garden", "--local", state("first"));
  await relay("first");
  const early = await done("invite", state("first"));
  const names = Array.from(
    { length: FURTHER_RELAYS },
    (_, at) => `relay-${at}`,
  );
  await Promise.all(names.map(async (name) => {
    await done("join", early, state(name));
    await relay(name);
  }));

  await using site = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("in the garden\n"),
  );
  const host = await start(stack, [
    "serve",
    `80=127.0.0.1:${site.addr.port}`,
    state("host"),
    `--bootstrap=${early}`,
  ]);
  const [service] = host.services;
  assert.ok(service !== undefined);

  const line = await done("invite", state("first"));
  const joined = JSON.parse(await done("join", line, state("new"), "--json"));
  assert.equal(joined.network, "garden");
  assert.equal(joined.isKeyNew, true);
  assert.equal(joined.relays.length, 1 + FURTHER_RELAYS);
  const proxy = await start(stack, [
    "proxy",
    state("new"),
    "--socks=127.0.0.1:0",
    "--http=127.0.0.1:0",
  ]);
  const { stdout } = await new Deno.Command("curl", {
    args: [
      "-sS",
      "--proxy",
      `socks5h://${proxy.socks}`,
      `http://${service.host}/`,
    ],
    stdin: "null",
  }).output();
  assert.equal(new TextDecoder().decode(stdout), "in the garden\n");

  // A member without the key passes the line on, while its node runs.
  assert.equal(await done("invite", state("new")), line);
  // Of the network's name, and by another key.
  await done("network", "create", "garden", "--local", state("other"));
  const strange = [
    "join",
    await foreignLine(stack, state("other")),
    state("new-2"),
  ];
  await done("join", line, state("new-2"));
  const refused = await runProgram(strange);
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /is signed by .*, and network "garden" has the key/,
  );
});

/** An invite of a network of the same name. */
async function foreignLine(
  stack: AsyncDisposableStack,
  state: string,
): Promise<string> {
  await start(stack, ["relay", state, "--listen=127.0.0.1:0"]);
  return await done("invite", state);
}
