import assert from "node:assert/strict";
import { ProtocolError } from "../../lib/base/errors.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { GuardSet } from "../../lib/path/guard_set.ts";
import { GIVE_UP_FAILURES } from "../../lib/path/succession.ts";
import {
  LAYER2_GUARDS,
  LAYER2_LIFE_MS,
  Layer2Set,
} from "../../lib/path/layer2.ts";
import type { WeightedRelays } from "../../lib/path/weighted_relays.ts";
import { TEST_UNIX_MS } from "../support/nodes.ts";
import {
  CRYPTO,
  DAY_MS,
  HOUR_MS,
  keysOf,
  LOCAL,
  ownSubnet,
  relay,
  relays,
  testSelector,
  weighted,
} from "./_relays.ts";

const HUNDRED = weighted(relays(100));

function update(set: Layer2Set, list: WeightedRelays, nowMs: number): void {
  set.update(list, [], nowMs, TEST_UNIX_MS + nowMs);
}

Deno.test("Layer2Set draws four relays that are no guards, all in different subnets", () => {
  const list = Array.from(
    { length: 40 },
    (_, number) => relay(number, { addresses: [ownSubnet(number % 8)] }),
  );
  for (let seed = 0; seed < 20; seed++) {
    const { selector } = testSelector(list, { seed });
    const kept = [...selector.guards.inUse, ...selector.layer2.inUse];
    assert.equal(selector.layer2.inUse.length, LAYER2_GUARDS);
    assert.equal(keysOf(kept).size, 6);
    assert.equal(new Set(kept.flatMap(({ subnets }) => subnets)).size, 6);
  }
});

for (const [size, expected] of [[1, 1], [2, 2], [3, 3], [5, 4], [7, 4]]) {
  Deno.test(`Layer2Set makes do with a network of ${size}`, () => {
    const { selector } = testSelector(relays(size ?? 0), { network: LOCAL });
    assert.equal(selector.layer2.inUse.length, expected);
    if (size === 7) {
      const guards = keysOf(selector.guards.inUse);
      assert.ok(guards.isDisjointFrom(keysOf(selector.layer2.inUse)));
    }
  });
}

Deno.test("Layer2Set gives guards back once the network has others", () => {
  const { selector, source } = testSelector(relays(3));
  const guards = keysOf(selector.guards.inUse);
  assert.ok(guards.isSubsetOf(keysOf(selector.layer2.inUse)));
  source.records = relays(20);
  for (let turn = 1; turn < 5; turn++) {
    selector.refresh(turn * 1000, TEST_UNIX_MS);
  }
  assert.deepEqual(keysOf(selector.guards.inUse), guards);
  assert.ok(guards.isDisjointFrom(keysOf(selector.layer2.inUse)));
  assert.equal(selector.layer2.inUse.length, LAYER2_GUARDS);
});

Deno.test("Layer2Set changes each relay after 1 to 12 days, 8.3 in the mean", () => {
  const random = seededRandom(5);
  const list = weighted(relays(200));
  const born = new Map<string, number>();
  const livesMs: number[] = [];
  const set = Layer2Set.create(random);
  for (let nowMs = 0; nowMs < 900 * DAY_MS; nowMs += 6 * HOUR_MS) {
    update(set, list, nowMs);
    const now = keysOf(set.inUse);
    for (const [key, sinceMs] of born) {
      if (now.has(key)) continue;
      livesMs.push(nowMs - sinceMs);
      born.delete(key);
    }
    for (const key of now) if (!born.has(key)) born.set(key, nowMs);
    assert.equal(now.size, LAYER2_GUARDS);
  }
  const mean = livesMs.reduce((sum, ms) => sum + ms, 0) / livesMs.length;
  assert.ok(Math.min(...livesMs) >= LAYER2_LIFE_MS.least);
  // One in 200 is drawn again in the place that it has just left.
  const long = livesMs.filter((ms) => ms > LAYER2_LIFE_MS.most + 6 * HOUR_MS);
  assert.ok(long.length < livesMs.length / 50);
  assert.ok(Math.abs(mean / DAY_MS - 8.4) < 0.7, `${mean / DAY_MS} days`);
});

Deno.test("Layer2Set lets a hostile guard decline four second hops in 30 days, and no more", () => {
  const set = Layer2Set.create(seededRandom(3));
  const seen = new Set<string>();
  let nowMs = 0;
  // Shorter than the shortest life, so that nothing changes by itself.
  while (nowMs < LAYER2_LIFE_MS.least) {
    update(set, HUNDRED, nowMs);
    for (const { record, key } of set.candidates(nowMs)) {
      seen.add(key);
      set.onFailed(record.nodeId, nowMs);
    }
    nowMs += 60_000;
  }
  assert.equal(seen.size, LAYER2_GUARDS + 4);
});

Deno.test("Layer2Set keeps a relay that was reached, however often it fails later", () => {
  const set = Layer2Set.create(seededRandom(3));
  update(set, HUNDRED, 0);
  const before = keysOf(set.inUse);
  for (const { record } of set.inUse) set.onReached(record.nodeId);
  for (let nowMs = 0; nowMs < LAYER2_LIFE_MS.least; nowMs += 60_000) {
    for (const { record } of set.candidates(nowMs)) {
      set.onFailed(record.nodeId, nowMs);
    }
  }
  assert.deepEqual(keysOf(set.inUse), before);
  assert.ok(set.status(0).every((one) => one.failures > GIVE_UP_FAILURES));
});

Deno.test("Layer2Set.restore() undoes snapshot(), and refuses one of guards", () => {
  const { selector, random } = testSelector(relays(20));
  const snapshot = selector.layer2.snapshot();
  const again = Layer2Set.restore(CRYPTO, random, snapshot);
  assert.deepEqual(again.snapshot(), snapshot);
  update(again, weighted(relays(20)), HOUR_MS);
  assert.deepEqual(keysOf(again.inUse), keysOf(selector.layer2.inUse));
  const guards = selector.guards.snapshot();
  assert.throws(
    () => Layer2Set.restore(CRYPTO, random, guards),
    { name: "ProtocolError", code: "path.kept" },
  );
  assert.throws(
    () => GuardSet.restore(CRYPTO, random, snapshot),
    ProtocolError,
  );
  for (let length = 0; length < snapshot.length; length++) {
    const torn = snapshot.subarray(0, length);
    assert.throws(() => Layer2Set.restore(CRYPTO, random, torn), ProtocolError);
  }
});
