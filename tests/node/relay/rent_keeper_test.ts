import assert from "node:assert/strict";
import { customNetwork, networkParameters } from "../../../lib/auth/network.ts";
import { OwnRecord } from "../../../lib/auth/own_record.ts";
import { placeWithoutWork } from "../../../lib/auth/proof_of_work.ts";
import { rentEndMs, rentPeriod } from "../../../lib/auth/rent.ts";
import { sleep } from "../../../lib/base/clock.ts";
import { RentKeeper } from "../../../lib/node/relay/rent_keeper.ts";
import type { Runtime } from "../../../lib/machine/runtime.ts";
import { StateDirectory } from "../../../lib/storage/state_directory.ts";
import { systemError } from "../../support/failing_files.ts";
import { testBytes, testContent, testIdentity } from "../../support/nodes.ts";
import { inNodeWorld, type Machine, type NodeWorld } from "../node_world.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NETWORK = customNetwork({
  name: "priced",
  powDifficulty: 8,
  allowPrivateAddresses: true,
});

/** A machine whose scrypt takes no time, and finds at each tenth call. */
function machineOf(world: NodeWorld) {
  const machine = world.machine();
  const calls = { count: 0, aheadMs: 0 };
  const found = new Set<string>();
  const { clock } = world;
  const runtime: Runtime = {
    ...machine.runtime,
    crypto: {
      ...machine.runtime.crypto,
      scrypt(password) {
        calls.count++;
        // A nonce that was found is right for its key and period alone.
        const isRight = found.has(password.toHex()) || calls.count % 10 === 0;
        if (isRight) found.add(password.toHex());
        return Promise.resolve(new Uint8Array(32).fill(isRight ? 0 : 255));
      },
    },
    clock: {
      nowMs: () => clock.nowMs(),
      unixMs: () => clock.unixMs() + calls.aheadMs,
      schedule: (delayMs, onTime) => clock.schedule(delayMs, onTime),
    },
  };
  return { machine: { ...machine, runtime }, calls };
}

type TestMachine = Pick<Machine, "files" | "log" | "runtime">;

async function open({ runtime: { files, crypto } }: TestMachine) {
  return await StateDirectory.open("state", {
    files,
    crypto,
    holder: "test",
    onSetAside: () => {},
  });
}

async function start(
  machine: TestMachine,
  network = NETWORK,
  onOpen: () => void = () => {},
) {
  const { crypto } = machine.runtime;
  const state = await open(machine);
  onOpen();
  const identity = testIdentity(crypto, 1);
  const keeper = await RentKeeper.start({
    blobs: state.blobs,
    runtime: machine.runtime,
    network,
    publicKey: identity.publicKey,
  });
  return { keeper, state, identity };
}

Deno.test("RentKeeper pays before the first record, ahead of the next period, and never late in a year", () =>
  inNodeWorld(async (world) => {
    const { machine } = machineOf(world);
    const { keeper, state, identity } = await start(machine);
    const record = new OwnRecord({
      crypto: machine.runtime.crypto,
      identity,
      network: NETWORK,
      work: {
        workNonce: testBytes("nonce", 16),
        place: placeWithoutWork(machine.runtime.crypto, identity.publicKey),
      },
      rentOf: (period) => keeper.of(period),
    });
    let paid = 0;
    keeper.watch(() => paid++);
    for (let hour = 0; hour < 365 * 24; hour += 6) {
      const unixMs = world.clock.unixMs();
      const { expiry, rent } = record.sign(testContent(), unixMs);
      assert.deepEqual(rent, keeper.of(rentPeriod(expiry)));
      // Never cut short: what comes next was paid for days before.
      assert.ok(expiry - unixMs > 22 * HOUR_MS);
      await sleep(world.clock, 6 * HOUR_MS);
    }
    assert.ok(paid === 13 || paid === 14, String(paid));
    const stored = await state.blobs.read("rent-priced");
    assert.equal(stored?.length, 3 * 24);
    await keeper[Symbol.asyncDispose]();
    assert.equal(world.clock.pending, 0);
    state[Symbol.dispose]();
  }));

Deno.test("RentKeeper remembers what was paid, and pays again for what is another key's or damaged", () =>
  inNodeWorld(async (world) => {
    const { machine, calls } = machineOf(world);
    const first = await start(machine);
    await first.keeper[Symbol.asyncDispose]();
    first.state[Symbol.dispose]();
    assert.equal(calls.count, 10);
    const again = await start(machine);
    assert.equal(calls.count, 11);
    const period = rentPeriod(world.clock.unixMs() + DAY_MS);
    assert.deepEqual(again.keeper.of(period), first.keeper.of(period));
    assert.notEqual(again.keeper.of(period), undefined);
    for (const damaged of [new Uint8Array(5), new Uint8Array(500)]) {
      await again.state.blobs.write("rent-priced", damaged);
      const other = await RentKeeper.start({
        blobs: again.state.blobs,
        runtime: machine.runtime,
        network: NETWORK,
        publicKey: testIdentity(machine.runtime.crypto, 2).publicKey,
      });
      assert.notEqual(other.of(period), undefined);
      assert.notDeepEqual(other.of(period), again.keeper.of(period));
    }
    again.state[Symbol.dispose]();
  }));

Deno.test("RentKeeper goes on with what a full disk does not take, and says so", () =>
  inNodeWorld(async (world) => {
    const { machine } = machineOf(world);
    const { keeper, state } = await start(machine, NETWORK, () => {
      machine.files.create = () =>
        Promise.reject(systemError("ENOSPC", "No space left on device"));
    });
    assert.match(machine.log.messages("warning")[0] ?? "", /Cannot store/);
    assert.notEqual(
      keeper.of(rentPeriod(world.clock.unixMs() + DAY_MS)),
      undefined,
    );
    state[Symbol.dispose]();
  }));

Deno.test("RentKeeper computes nothing where there is no work", () =>
  inNodeWorld(async (world) => {
    const { machine, calls } = machineOf(world);
    const { keeper, state } = await start(machine, networkParameters("local"));
    keeper.watch(() => assert.fail("nothing was paid"));
    assert.deepEqual([calls.count, world.clock.pending], [0, 0]);
    await keeper[Symbol.asyncDispose]();
    state[Symbol.dispose]();
  }));

Deno.test("RentKeeper pays for the period that the clock shows after a long sleep", () =>
  inNodeWorld(async (world) => {
    const { machine, calls } = machineOf(world);
    const { keeper, state } = await start(machine);
    let paid = 0;
    keeper.watch(() => paid++);
    const period = rentPeriod(world.clock.unixMs());
    calls.aheadMs = rentEndMs(period + 5) - world.clock.unixMs();
    await sleep(world.clock, 2 * HOUR_MS);
    assert.notEqual(keeper.of(period + 5) ?? keeper.of(period + 6), undefined);
    assert.ok(paid > 0);
    await keeper[Symbol.asyncDispose]();
    state[Symbol.dispose]();
  }));

Deno.test("RentKeeper pays for now where the clock was years ahead, and keeps that", () =>
  inNodeWorld(async (world) => {
    const { machine, calls } = machineOf(world);
    const period = rentPeriod(world.clock.unixMs() + DAY_MS);
    // Paid for a wrong date, and for the period after that.
    calls.aheadMs = rentEndMs(period + 40) - world.clock.unixMs() - 2 * DAY_MS;
    const wrong = await start(machine);
    wrong.keeper.watch(() => {});
    await sleep(world.clock, 4 * DAY_MS);
    await wrong.keeper[Symbol.asyncDispose]();
    wrong.state[Symbol.dispose]();
    calls.aheadMs = 0;
    const { keeper, state } = await start(machine);
    keeper.watch(() => {});
    for (let day = 0; day < 120; day++) {
      const now = rentPeriod(world.clock.unixMs() + 22 * HOUR_MS);
      assert.notEqual(keeper.of(now), undefined, `day ${day}`);
      await sleep(world.clock, DAY_MS);
    }
    await keeper[Symbol.asyncDispose]();
    state[Symbol.dispose]();
    const kept = calls.count;
    const again = await start(machine);
    assert.ok(calls.count - kept <= 3, "nothing is paid twice");
    await again.keeper[Symbol.asyncDispose]();
    again.state[Symbol.dispose]();
  }));
