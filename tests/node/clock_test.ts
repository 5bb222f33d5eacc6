/** Nodes whose machines show another time than the others. */
import assert from "node:assert/strict";
import { networkParameters } from "../../lib/auth/network.ts";
import type { SocketAddress } from "../../lib/auth/socket_address.ts";
import { type Clock, sleep } from "../../lib/base/clock.ts";
import { Node } from "../../lib/node/node.ts";
import { parseServiceHost } from "../../lib/service/address.ts";
import { freePort } from "../support/client_programs.ts";
import { inNodeWorld, type NodeWorld, type RelayNode } from "./node_world.ts";

const HOUR_MS = 3_600_000;
const NEVER = new AbortController().signal;

/** A machine that may be wrong about the time. */
function wrongMachine(world: NodeWorld, offMs: number) {
  const machine = world.machine();
  let off = offMs;
  const clock: Clock = {
    nowMs: () => world.clock.nowMs(),
    unixMs: () => world.clock.unixMs() + off,
    schedule: (delayMs, wake) => world.clock.schedule(delayMs, wake),
  };
  const start = (
    relays: readonly RelayNode[],
    role: "client" | "relay" = "client",
    metrics?: SocketAddress,
  ) =>
    Node.start({
      state: "state",
      network: networkParameters("local"),
      bootstrap: relays.slice(0, 2).map(({ address }) => address),
      control: "off",
      metrics,
      holder: "test",
      signal: NEVER,
      ...role === "client"
        ? { client: machine.client }
        : { relay: { listen: machine.listen, advertise: [] } },
    }, { ...machine.runtime, clock });
  const { log, files } = machine;
  return { log, files, start, set: (ms: number) => void (off = ms) };
}

for (
  const [what, offMs, words] of [
    ["three hours behind", -3 * HOUR_MS, /at least [12] h [0-9]+ min behind/],
    ["two days ahead", 48 * HOUR_MS, /at least 1 d [01] h ahead/],
  ] as const
) {
  Deno.test(`a node whose clock is ${what} says so, goes on trying, and joins within 20 s of its being put right`, () =>
    inNodeWorld(async (world) => {
      await using stack = new AsyncDisposableStack();
      const relays = await world.relays(6, stack);
      await sleep(world.clock, 60_000);
      const machine = wrongMachine(world, offMs);
      const starting = machine.start(relays);
      let ended: string | undefined;
      starting.then(() => ended = "ready", () => ended = "failed");
      await sleep(world.clock, 20_000);
      assert.equal(ended, undefined);
      const errors = machine.log.lines.filter(({ level }) => level === "error");
      assert.ok(errors.length > 0);
      for (const { message, fields } of errors) {
        assert.match(message, /^The clock of this machine seems to be wrong/);
        const error = fields["error"];
        assert.ok(error instanceof Error);
        assert.match(error.message, words);
      }
      machine.set(0);
      await sleep(world.clock, 20_000);
      assert.equal(ended, "ready");
      stack.use(await starting);
    }));
}

Deno.test("a relay whose clock is three hours behind takes no record from the future, costs the others nothing, and is listed once its clock is put right", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const relays = await world.relays(6, stack);
    await sleep(world.clock, 5 * 60_000);
    const machine = wrongMachine(world, -3 * HOUR_MS);
    const starting = machine.start(relays, "relay");
    starting.catch(() => {});
    await sleep(world.clock, 30 * 60_000);
    const listed = () =>
      relays.map(({ relay: { dht } }) => dht.relays.snapshot().length);
    assert.deepEqual(listed(), relays.map(() => 6));
    const errors = machine.log.lines.filter(({ level }) => level === "error");
    assert.match(
      errors[0]?.message ?? "",
      /^The clock of this machine seems to be wrong/,
    );
    machine.set(0);
    await sleep(world.clock, 15 * 60_000);
    const { relay } = stack.use(await starting);
    assert.deepEqual(listed(), relays.map(() => 7));
    assert.equal(relay?.dht.relays.snapshot().length, 7);
  }));

for (
  const [what, offMs, words] of [
    ["three hours ahead", 3 * HOUR_MS, /at least .* ahead/],
    ["two days ahead", 48 * HOUR_MS, /at least .* ahead/],
    ["a year ahead", 365 * 24 * HOUR_MS, /at least .* ahead/],
    ["a year behind", -365 * 24 * HOUR_MS, /at least .* behind/],
  ] as const
) {
  Deno.test(`a relay whose clock is ${what} never ends its start, says so, and joins once it is put right`, () =>
    inNodeWorld(async (world) => {
      await using stack = new AsyncDisposableStack();
      const relays = await world.relays(6, stack);
      await sleep(world.clock, 60_000);
      const machine = wrongMachine(world, offMs);
      const starting = machine.start(relays, "relay");
      let ended: string | undefined;
      starting.then(() => ended = "ready", (error) => ended = String(error));
      await sleep(world.clock, 10 * 60_000);
      assert.equal(ended, undefined);
      const errors = machine.log.lines.filter(({ level }) => level === "error");
      assert.ok(errors.length > 0);
      for (const { message, fields } of errors) {
        assert.match(message, /^The clock of this machine seems to be wrong/);
        const error = fields["error"];
        assert.ok(error instanceof Error);
        assert.match(error.message, words);
      }
      machine.set(0);
      await sleep(world.clock, 30_000);
      assert.equal(ended, "ready");
      stack.use(await starting);
    }));
}

for (
  const [offMs, side] of [
    [3 * HOUR_MS, "ahead"],
    [48 * HOUR_MS, "ahead"],
    [-3 * HOUR_MS, "behind"],
    [-48 * HOUR_MS, "behind"],
  ] as const
) {
  Deno.test(`a relay whose clock jumps by ${offMs / HOUR_MS} h while it runs says so, until it is put right`, () =>
    inNodeWorld(async (world) => {
      await using stack = new AsyncDisposableStack();
      const relays = await world.relays(6, stack);
      const machine = wrongMachine(world, 0);
      stack.use(await machine.start(relays, "relay"));
      await sleep(world.clock, 5 * 60_000);
      machine.set(offMs);
      const told = () =>
        machine.log.lines.filter(({ level }) => level === "error")
          .map(({ fields }) => String(fields["error"])).join("\n");
      // Others sign anew within a day, and the relay too.
      for (let hours = 0; hours < 24 && told() === ""; hours += 0.5) {
        await sleep(world.clock, HOUR_MS / 2);
      }
      assert.match(told(), new RegExp(`seems to be at least .* ${side}`));
      machine.set(0);
      await sleep(world.clock, 60_000);
      const messages = machine.log.lines.map(({ message }) => message);
      assert.ok(
        messages.includes("The clock of this machine is right again"),
      );
    }));
}

for (const offMs of [-3 * HOUR_MS, 48 * HOUR_MS]) {
  Deno.test(`a node that remembers relays is back within 20 s of its clock being put right from ${offMs / HOUR_MS} h`, () =>
    inNodeWorld(async (world) => {
      await using stack = new AsyncDisposableStack();
      const relays = await world.relays(6, stack);
      await sleep(world.clock, 60_000);
      const machine = wrongMachine(world, 0);
      await (await machine.start(relays))[Symbol.asyncDispose]();
      machine.set(offMs);
      const starting = machine.start(relays);
      let isReady = false;
      starting.then(() => isReady = true);
      await sleep(world.clock, 60_000);
      const told = machine.log.lines.filter(({ level }) => level === "error");
      const side = offMs < 0 ? "behind" : "ahead";
      assert.match(
        told.map(({ message, fields }) => `${message} ${fields["error"]}`)
          .join(),
        new RegExp(
          "clock of this machine seems to be wrong.*your clock seems to be at " +
            `least .* ${side}`,
        ),
      );
      machine.set(0);
      await sleep(world.clock, 20_000);
      assert.equal(isReady, true);
      const { circuits } = stack.use(await starting).client ?? assert.fail();
      (await circuits.take({ purpose: "rendezvous", signal: NEVER })).close();
    }));
}

for (const hours of [3, 5, -1]) {
  Deno.test(`a visitor whose clock is off by ${hours} h reaches services`, () =>
    inNodeWorld(async (world) => {
      await using stack = new AsyncDisposableStack();
      const relays = await world.relays(8, stack);
      await sleep(world.clock, 60_000);
      const host = world.machine();
      const node = stack.use(
        await host.start({
          bootstrap: relays.slice(0, 2).map(({ address }) => address),
          client: host.client,
          services: [{
            name: "test",
            targets: new Map([[80, {
              type: "handler",
              handle: (stream) => stream.closeWrite(),
            }]]),
          }],
        }),
      );
      const visitor = stack.use(
        await wrongMachine(world, hours * HOUR_MS).start(relays),
      );
      const { visits } = visitor.client ?? assert.fail();
      const { crypto } = host.runtime;
      const address = node.services[0]?.host ?? "";
      const service = parseServiceHost(crypto, address);
      const stream = await visits.connect(
        { service, port: 80, isolation: undefined },
        { signal: NEVER },
      );
      await stream.opened;
      stream.abort();
    }));
}

for (const role of ["client", "relay"] as const) {
  let isAsking = false;
  Deno.test(`the metrics of a ${role} say that its clock is wrong, until it has joined`, () =>
    inNodeWorld(async (world) => {
      await using stack = new AsyncDisposableStack();
      const relays = await world.relays(6, stack);
      await sleep(world.clock, 60_000);
      const machine = wrongMachine(world, -3 * HOUR_MS);
      const place = { host: "127.0.0.1", port: freePort() };
      const starting = machine.start(relays, role, place);
      const page = async () => {
        const token = await machine.files.read("state/metrics-token");
        const authorization = `Bearer ${new TextDecoder().decode(token)}`;
        isAsking = true;
        const response = await fetch(`http://127.0.0.1:${place.port}/metrics`, {
          headers: { authorization: authorization.trim() },
        });
        const text = await response.text();
        isAsking = false;
        return text;
      };
      await sleep(world.clock, 20_000);
      assert.match(await page(), /^anonnet_clock_wrong 1$/m);
      machine.set(0);
      stack.use(await starting);
      assert.match(await page(), /^anonnet_clock_wrong 0$/m);
    }, () => isAsking));
}
