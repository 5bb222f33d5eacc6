import assert from "node:assert/strict";
import { networkParameters } from "../../../lib/auth/network.ts";
import { placeWithoutWork } from "../../../lib/auth/proof_of_work.ts";
import { decodeNodeRecord } from "../../../lib/auth/node_record.ts";
import type { SocketAddress } from "../../../lib/auth/socket_address.ts";
import { sleep } from "../../../lib/base/clock.ts";
import { RecordKeeper } from "../../../lib/node/relay/record_keeper.ts";
import { StateDirectory } from "../../../lib/storage/state_directory.ts";
import { systemError } from "../../support/failing_files.ts";
import { testIdentity } from "../../support/nodes.ts";
import { inNodeWorld, type NodeWorld } from "../node_world.ts";

const NETWORK = networkParameters("local");
const LISTEN = { host: "10.0.0.1", port: 4001 };
const EVERYWHERE = { host: "0.0.0.0", port: 4001 };
const OUTSIDE = { host: "10.5.5.5", port: 9999 };
const DAY = 24 * 3_600_000;

/** A keeper on a machine of its own. */
async function start(
  world: NodeWorld,
  { listen = LISTEN, advertise = [], bandwidth = () => 1000 }: {
    listen?: SocketAddress;
    advertise?: readonly SocketAddress[];
    bandwidth?: () => number;
  } = {},
) {
  const machine = world.machine();
  const { crypto, files } = machine.runtime;
  const state = await StateDirectory.open("state", {
    files,
    crypto,
    holder: "test",
    onSetAside: () => {},
  });
  const identity = testIdentity(crypto, 1);
  const workNonce = new Uint8Array(16);
  const place = placeWithoutWork(crypto, identity.publicKey);
  const keeper = await RecordKeeper.start({
    crypto,
    identity,
    network: NETWORK,
    work: { workNonce, place },
    bandwidth,
    blobs: state.blobs,
    runtime: machine.runtime,
    listen,
    advertise,
  });
  return { keeper, machine, state };
}

Deno.test("RecordKeeper announces what the operator says before where it listens", () =>
  inNodeWorld(async (world) => {
    const plain = await start(world);
    assert.deepEqual(plain.keeper.current.addresses, [LISTEN]);
    assert.deepEqual(plain.keeper.current.flags, ["relay"]);
    const told = await start(world, { advertise: [OUTSIDE, LISTEN] });
    assert.deepEqual(told.keeper.current.addresses, [OUTSIDE, LISTEN]);
    for (const { keeper } of [plain, told]) {
      keeper.onObserved(new Uint8Array(32).fill(1), EVERYWHERE);
      keeper.onObserved(new Uint8Array(32).fill(2), EVERYWHERE);
      await keeper[Symbol.asyncDispose]();
    }
    assert.deepEqual(told.keeper.current.addresses, [OUTSIDE, LISTEN]);
  }));

Deno.test("RecordKeeper claims to be a relay once peers agree where it is", () =>
  inNodeWorld(async (world) => {
    const { keeper, machine } = await start(world, { listen: EVERYWHERE });
    assert.deepEqual(keeper.current.addresses, []);
    assert.deepEqual(keeper.current.flags, []);
    const before = keeper.current.sequence;
    keeper.onObserved(new Uint8Array(32).fill(1), OUTSIDE);
    assert.equal(keeper.current.sequence, before);
    keeper.onObserved(new Uint8Array(32).fill(2), OUTSIDE);
    assert.deepEqual(keeper.current.addresses, [OUTSIDE]);
    assert.deepEqual(keeper.current.flags, ["relay"]);
    assert.ok(keeper.current.sequence > before);
    assert.equal(machine.log.messages("info").length, 1);
    await keeper[Symbol.asyncDispose]();
  }));

Deno.test("RecordKeeper shows a record that others accept, at any hour of a month", () =>
  inNodeWorld(async (world) => {
    const { keeper, machine } = await start(world);
    for (let hour = 0; hour < 30 * 24; hour += 7) {
      await sleep(world.clock, 7 * 3_600_000);
      const record = decodeNodeRecord(
        machine.runtime.crypto,
        NETWORK,
        keeper.current.encoded,
        world.clock.unixMs(),
      );
      assert.ok(keeper.onionKeys.find(record.onionKey) !== undefined);
      assert.ok(record.expiry - world.clock.unixMs() > 12 * 3_600_000);
    }
    await keeper[Symbol.asyncDispose]();
  }));

Deno.test("RecordKeeper stores a new onion key before it announces it", () =>
  inNodeWorld(async (world) => {
    const { keeper, state } = await start(world);
    await sleep(world.clock, 8 * DAY);
    await keeper[Symbol.asyncDispose]();
    const stored = await state.blobs.read("onion-keys");
    assert.deepEqual(stored, keeper.onionKeys.encode());
  }));

Deno.test("RecordKeeper goes on with a new onion key that a full disk does not take, and says so", () =>
  inNodeWorld(async (world) => {
    const { keeper, machine } = await start(world);
    const first = keeper.current.onionKey;
    machine.files.create = () =>
      Promise.reject(systemError("ENOSPC", "No space left on device"));
    await sleep(world.clock, 7 * DAY + 3_600_000);
    assert.notDeepEqual(keeper.current.onionKey, first);
    assert.match(machine.log.messages("error")[0] ?? "", /Cannot store/);
    await keeper[Symbol.asyncDispose]();
  }));

Deno.test("RecordKeeper leaves no timer behind", () =>
  inNodeWorld(async (world) => {
    const { keeper } = await start(world);
    assert.equal(world.clock.pending, 1);
    await keeper[Symbol.asyncDispose]();
    assert.equal(world.clock.pending, 0);
  }));

Deno.test("RecordKeeper signs anew when the relay carries twice what its record says, once an hour", () =>
  inNodeWorld(async (world) => {
    let bandwidth = 1000;
    const { keeper } = await start(world, { bandwidth: () => bandwidth });
    const { sequence } = keeper.current;
    bandwidth = 1999;
    await sleep(world.clock, 2 * 3_600_000);
    assert.equal(keeper.current.sequence, sequence);
    bandwidth = 2000;
    await sleep(world.clock, 700_000);
    assert.equal(keeper.current.bandwidth, 2000);
    const second = keeper.current.sequence;
    bandwidth = 8000;
    await sleep(world.clock, 1_800_000);
    assert.equal(keeper.current.sequence, second);
    await sleep(world.clock, 3_600_000);
    assert.equal(keeper.current.bandwidth, 8000);
    await keeper[Symbol.asyncDispose]();
  }));
