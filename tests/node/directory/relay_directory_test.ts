import assert from "node:assert/strict";
import { seededRandom } from "../../../lib/base/random.ts";
import { VirtualClock } from "../../../lib/base/virtual_clock.ts";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import { RelayList } from "../../../lib/dht/relay_list.ts";
import { WatchedRelays } from "../../../lib/node/directory/relay_directory.ts";
import { createDrain } from "../../../lib/sim/world/drain.ts";
import { fakeRecord, point } from "../../dht/records/fake_records.ts";

function makeDirectory() {
  const clock = new VirtualClock({ drain: createDrain() });
  const list = new RelayList({
    crypto: nativeSuite(),
    random: seededRandom(1),
  });
  const relays = new WatchedRelays(list, clock);
  const add = (number: number, expiry = clock.unixMs() + 3_600_000) => {
    list.prove(fakeRecord(point(number), { expiry }), clock.nowMs());
    relays.notice();
  };
  return { clock, list, relays, add };
}

Deno.test("WatchedRelays gives the same snapshot until the list changes", () => {
  const { relays, add } = makeDirectory();
  assert.deepEqual(relays.snapshot(), []);
  add(1);
  const { version } = relays;
  const first = relays.snapshot();
  assert.equal(first.length, 1);
  assert.equal(relays.snapshot(), first);
  add(1);
  assert.equal(relays.version, version);
  add(2);
  assert.ok(relays.version > version);
  assert.equal(relays.snapshot().length, 2);
  assert.equal(first.length, 1);
});

Deno.test("WatchedRelays leaves out what has expired, also as time passes", async () => {
  const { clock, list, relays, add } = makeDirectory();
  add(1, clock.unixMs());
  assert.deepEqual(relays.snapshot(), []);
  add(2, clock.unixMs() + 1000);
  assert.equal(relays.snapshot().length, 1);
  await clock.advance(2000);
  list.sweep(clock.unixMs());
  assert.deepEqual(relays.snapshot(), []);
});

Deno.test("WatchedRelays tells of many changes once, and of nothing when nothing changed", async () => {
  const { clock, relays, add } = makeDirectory();
  add(1);
  let told = 0;
  relays.onChange(() => told++);
  relays.notice();
  await clock.advance(5000);
  assert.equal(told, 0);
  for (let number = 2; number < 50; number++) add(number);
  assert.equal(told, 0);
  await clock.advance(1000);
  assert.equal(told, 1);
  add(50);
  await clock.advance(1000);
  assert.equal(told, 2);
  assert.equal(clock.pending, 0);
});

Deno.test("WatchedRelays tells each listener until it is disposed of", async () => {
  const { clock, relays, add } = makeDirectory();
  const told: string[] = [];
  const listener = () => told.push("a");
  const first = relays.onChange(listener);
  relays.onChange(listener);
  add(1);
  first[Symbol.dispose]();
  await clock.advance(1000);
  assert.deepEqual(told, ["a"]);
  add(2);
  relays[Symbol.dispose]();
  await clock.advance(10_000);
  assert.deepEqual(told, ["a"]);
});
