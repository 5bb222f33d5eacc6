import assert from "node:assert/strict";
import { networkParameters } from "../../../lib/auth/network.ts";
import { runNode } from "../../../lib/cli/process/run_node.ts";
import { fakeTerminal, OPTIONS } from "../flags/fake_terminal.ts";
import { TemporaryDirectory } from "../../support/temporary_directory.ts";

Deno.test("runNode() prints one ready line, and ends with 0 when asked to stop", async () => {
  await using home = await TemporaryDirectory.create();
  const { program, ready, told, quits, stop } = fakeTerminal(() =>
    Promise.resolve()
  );
  const running = runNode(program, { ...OPTIONS, state: home.pathOf("a") });
  const line = JSON.parse(await ready);
  assert.equal(line.event, "ready");
  assert.match(line.address, /^anon:\/\//);
  assert.equal(line.control, null);
  stop();
  assert.equal(await running, 0);
  assert.deepEqual([told, quits], [[], []]);
});

Deno.test("runNode() takes signals that come together for one, and quits at once at a later one", async () => {
  await using home = await TemporaryDirectory.create();
  const { program, ready, told, quits, stop, pass } = fakeTerminal(() =>
    Promise.resolve()
  );
  const running = runNode(program, { ...OPTIONS, state: home.pathOf("a") });
  await ready;
  stop();
  stop();
  pass(1_900);
  stop();
  assert.deepEqual([told, quits], [[], []]);
  pass(200);
  stop();
  assert.deepEqual(quits, [1]);
  assert.match(told.join(), /the hard way/);
  await running;
});

Deno.test("runNode() logs a failure that reached no handler, and goes on", async () => {
  await using home = await TemporaryDirectory.create();
  const logged = Promise.withResolvers<string>();
  const { program, ready, stop } = fakeTerminal((bytes) => {
    const line = new TextDecoder().decode(bytes);
    if (line.includes("A bug")) logged.resolve(line);
    return Promise.resolve();
  });
  const running = runNode(program, { ...OPTIONS, state: home.pathOf("a") });
  await ready;
  Promise.reject(new TypeError("x is undefined"));
  assert.match(await logged.promise, /"level":"error".*x is undefined/);
  stop();
  assert.equal(await running, 0);
});

Deno.test("runNode() ends cleanly when asked to stop before it is ready", async () => {
  await using home = await TemporaryDirectory.create();
  const joining = Promise.withResolvers<void>();
  const { program, stop } = fakeTerminal((bytes) => {
    if (new TextDecoder().decode(bytes).includes("Joining")) joining.resolve();
    return Promise.resolve();
  });
  const running = runNode(program, {
    ...OPTIONS,
    state: home.pathOf("a"),
    bootstrap: [{
      publicKey: new Uint8Array(32).fill(1),
      address: { host: "127.0.0.1", port: 9 },
    }],
  });
  await joining.promise;
  stop();
  assert.equal(await running, 0);
});

Deno.test("runNode() tells the address of a first relay before it waits for others, and stops all the same", async () => {
  await using home = await TemporaryDirectory.create();
  const { program, ready, stop, quits } = fakeTerminal(() => Promise.resolve());
  const running = runNode(program, {
    ...OPTIONS,
    readyAs: "text",
    state: home.pathOf("a"),
    client: { dialFrom: { host: "127.0.0.1", port: 0 }, hops: 3 },
    proxies: { socks: { host: "127.0.0.1", port: 0 } },
  });
  assert.match(await ready, /The relay is ready\. Others join/);
  stop();
  assert.equal(await running, 0);
  assert.deepEqual(quits, []);
});

Deno.test("runNode() ends with the error of a node that cannot start, and leaves nothing behind", async () => {
  await using home = await TemporaryDirectory.create();
  const { program } = fakeTerminal(() => Promise.resolve());
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  for (let round = 0; round < 2; round++) {
    await assert.rejects(
      runNode(program, {
        ...OPTIONS,
        state: home.pathOf("a"),
        control: { host: "127.0.0.1", port },
      }),
      { name: "ConfigError", code: "control.in_use" },
    );
  }
});

Deno.test("runNode() tells of a proxy's port in use before it joins or makes anything", async () => {
  await using home = await TemporaryDirectory.create();
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  const lines: string[] = [];
  const { program } = fakeTerminal((bytes) => {
    lines.push(new TextDecoder().decode(bytes));
    return Promise.resolve();
  });
  const { relay: _none, ...options } = OPTIONS;
  await assert.rejects(
    runNode(program, {
      ...options,
      state: home.pathOf("a"),
      client: { dialFrom: { host: "127.0.0.1", port: 0 }, hops: 3 },
      proxies: { socks: { host: "127.0.0.1", port } },
      bootstrap: [{
        publicKey: new Uint8Array(32).fill(1),
        address: { host: "127.0.0.1", port: 9 },
      }],
    }),
    { name: "ConfigError", code: "proxy.listen" },
  );
  assert.doesNotMatch(lines.join(""), /Joining|relays/);
  await assert.rejects(Deno.stat(home.pathOf("a")));
});

Deno.test("runNode() tells of a relay's port in use before it works for its identity or joins", async () => {
  await using home = await TemporaryDirectory.create();
  const taken = Deno.listenDatagram({
    transport: "udp",
    hostname: "127.0.0.1",
    port: 0,
  });
  using _taken = { [Symbol.dispose]: () => taken.close() };
  assert.ok(taken.addr.transport === "udp");
  const { port } = taken.addr;
  const lines: string[] = [];
  const { program, stop } = fakeTerminal((bytes) => {
    const line = new TextDecoder().decode(bytes);
    lines.push(line);
    if (/Working|Joining/.test(line)) stop();
    return Promise.resolve();
  });
  const bootstrap = [{
    publicKey: new Uint8Array(32).fill(1),
    address: { host: "9.9.9.9", port: 9 },
  }];
  const at = (port: number) => ({ host: "127.0.0.1", port });
  const listening = runNode(program, {
    ...OPTIONS,
    network: networkParameters("main"),
    state: home.pathOf("a"),
    relay: { listen: at(port), advertise: [] },
    bootstrap,
  });
  await assert.rejects(listening, {
    name: "ConfigError",
    code: "transport.port_in_use",
  });
  const dialling = runNode(program, {
    ...OPTIONS,
    network: networkParameters("main"),
    state: home.pathOf("b"),
    relay: { listen: at(0), advertise: [] },
    client: { dialFrom: at(port), hops: 3 },
    bootstrap,
  });
  await assert.rejects(dialling, { code: "transport.port_in_use" });
  assert.doesNotMatch(lines.join(""), /Working|Joining/);
});
