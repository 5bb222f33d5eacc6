import assert from "node:assert/strict";
import { sleep } from "../../../lib/base/clock.ts";
import {
  LEAST_PER_DAY,
  TrafficAccount,
} from "../../../lib/circuit/traffic_account.ts";
import {
  Accounting,
  type AccountingStatus,
  WIRE_FACTOR,
} from "../../../lib/node/relay/accounting.ts";
import { StateDirectory } from "../../../lib/storage/state_directory.ts";
import { inNodeWorld, type Machine, type NodeWorld } from "../node_world.ts";

const DAY_MS = 24 * 3_600_000;
const DRAIN_MS = 30_000;
const LIMIT = { bytes: 1e9, unit: "day" } as const;

/** What a relay was told to do, and what its links have moved. */
function sleeper() {
  const heard: string[] = [];
  const relay = {
    heard,
    moved: 0,
    circuits: 1,
    movedBytes: () => relay.moved,
    hasCircuits: () => relay.circuits > 0,
    rest: () => void heard.push("rest"),
    sleep: () => void heard.push("sleep"),
    wake: () => void heard.push("wake"),
  };
  return relay;
}

async function loadOn({ runtime }: Machine) {
  const { files, crypto } = runtime;
  const directory = await StateDirectory.open("state", {
    files,
    crypto,
    holder: "test",
    onSetAside: () => {},
  });
  const { blobs } = directory;
  const accounting = await Accounting.load({
    runtime,
    blobs,
    limit: LIMIT,
    drainMs: DRAIN_MS,
  });
  return { directory, accounting, blobs };
}

Deno.test("Accounting has a relay take no circuits at the limit, sleep after its drain, and wake with the period", () =>
  inNodeWorld(async (world: NodeWorld) => {
    const { accounting } = await loadOn(world.machine());
    await using _accounting = accounting;
    const relay = sleeper();
    accounting.watch(relay);
    relay.moved = 9e8 / WIRE_FACTOR;
    await sleep(world.clock, 5_000);
    assert.equal(accounting.status.state, "awake");
    relay.moved = 1e9;
    await sleep(world.clock, 1_000);
    assert.deepEqual(relay.heard, ["rest"]);
    await sleep(world.clock, DRAIN_MS);
    assert.deepEqual(relay.heard, ["rest", "sleep"]);
    assert.ok(accounting.isAsleep);
    await sleep(world.clock, accounting.status.untilMs - world.clock.unixMs());
    await sleep(world.clock, 1_000);
    assert.deepEqual(relay.heard, ["rest", "sleep", "wake"]);
    const { state, bytes } = accounting.status;
    assert.deepEqual([state, bytes], ["awake", 0]);
  }));

Deno.test("Accounting lets a relay sleep as soon as no circuit is left", () =>
  inNodeWorld(async (world) => {
    const { accounting } = await loadOn(world.machine());
    await using _accounting = accounting;
    const relay = sleeper();
    relay.moved = 1e9;
    accounting.watch(relay);
    relay.circuits = 0;
    await sleep(world.clock, 1_000);
    assert.deepEqual(relay.heard, ["rest", "sleep"]);
  }));

Deno.test("Accounting sends a relay that was started again at its limit to sleep at once", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    const first = await loadOn(machine);
    const relay = sleeper();
    first.accounting.watch(relay);
    relay.moved = 1e9;
    await first.accounting[Symbol.asyncDispose]();
    first.directory[Symbol.dispose]();
    const { accounting } = await loadOn(machine);
    await using _accounting = accounting;
    const again = sleeper();
    accounting.watch(again);
    assert.deepEqual(again.heard, ["rest"]);
  }));

Deno.test("Accounting loses next to nothing when the process is killed", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    const killed = await loadOn(machine);
    const relay = sleeper();
    killed.accounting.watch(relay);
    for (let second = 0; second < 90; second++) {
      relay.moved += 5e6;
      await sleep(world.clock, 1_000);
    }
    killed.directory[Symbol.dispose](); // without the accounting's end
    const { accounting } = await loadOn(machine);
    await using _accounting = accounting;
    const lost = relay.moved * WIRE_FACTOR - accounting.status.bytes;
    assert.ok(lost >= 0 && lost < 2e7, `${lost} bytes`);
  }));

for (const what of ["damaged", "of the future"]) {
  Deno.test(`Accounting says that what was written down is ${what}, and counts with care`, () =>
    inNodeWorld(async (world) => {
      const machine = world.machine();
      const first = await loadOn(machine);
      const ahead = world.clock.unixMs() + 40 * DAY_MS;
      const future = new TrafficAccount(LIMIT, { type: "none" }, ahead);
      future.add(8e8, ahead);
      await first.accounting[Symbol.asyncDispose]();
      await first.blobs.write(
        "traffic",
        what === "damaged" ? new Uint8Array(3) : future.encode(),
      );
      first.directory[Symbol.dispose]();
      await sleep(world.clock, DAY_MS / 2);
      const { accounting } = await loadOn(machine);
      await using _accounting = accounting;
      const { bytes } = accounting.status;
      if (what === "damaged") assert.ok(Math.abs(bytes - 5e8) < 1e6);
      else assert.equal(bytes, 8e8);
      const words = what === "damaged" ? "cannot be read" : "in the future";
      assert.ok(
        machine.log.lines.some(({ message }) => message.includes(words)),
      );
    }));
}

Deno.test("a relay at its limit is off for others, and there again with the next day", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [first] = await world.relays(3, stack);
    assert.ok(first);
    const machine = world.machine();
    const limited = stack.use(
      await machine.startRelay({
        bootstrap: [first.address],
        limits: { accounting: { bytes: LEAST_PER_DAY, unit: "day" } },
        drainMs: 5_000,
      }),
    );
    const { allowance, links, record, circuits } = limited.relay;
    assert.ok(record.current.bandwidth > 0);
    const state = (): AccountingStatus["state"] | undefined =>
      allowance.accounting?.state;
    await allowance.change({ accounting: { bytes: 100e6, unit: "day" } });
    assert.equal(state(), "awake");
    // As if that much had gone over its links.
    const link = links.links[0];
    assert.ok(link);
    const stream = await links.openCircuit({
      publicKey: link.peerKey,
      addresses: [link.remoteAddress],
    });
    const chunk = new Uint8Array(1e6);
    for (let i = 0; i < 101 && state() === "awake"; i++) {
      await stream.write(chunk).catch(() => {});
    }
    await sleep(world.clock, 2_000);
    assert.notEqual(state(), "awake");
    assert.equal(record.current.bandwidth, 0);
    assert.equal(circuits.size, 0);
    assert.equal(
      links.links.filter((link) => link.direction === "inbound").length,
      0,
    );
    await sleep(world.clock, DAY_MS);
    assert.equal(state(), "awake");
    assert.ok(record.current.bandwidth > 0);
  }));
