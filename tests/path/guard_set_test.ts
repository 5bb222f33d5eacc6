import assert from "node:assert/strict";
import fc from "fast-check";
import { ProtocolError } from "../../lib/base/errors.ts";
import { seededRandom } from "../../lib/base/random.ts";
import type { NodeRecord } from "../../lib/auth/node_record.ts";
import {
  GUARD_LIFE_MS,
  GUARD_LINE,
  GUARDS,
  GuardSet,
} from "../../lib/path/guard_set.ts";
import {
  DOWN_AFTER_MS,
  FIRST_RETRY_MS,
  LONGEST_RETRY_MS,
  STAND_IN_AFTER_MS,
} from "../../lib/path/kept_relay.ts";
import { type RelayKey, relayKey } from "../../lib/path/relay_key.ts";
import { GIVE_UP_FAILURES, SCOUTS } from "../../lib/path/succession.ts";
import { decodeCbor, encodeCbor } from "../../lib/wire/cbor.ts";
import { TEST_UNIX_MS } from "../support/nodes.ts";
import {
  CRYPTO,
  DAY_MS,
  HOUR_MS,
  keysOf,
  ownSubnet,
  relay,
  relays,
  weighted,
} from "./_relays.ts";

/** A set over a list, with a clock of its own. */
class GuardWorld {
  guards: GuardSet;
  list: NodeRecord[];
  nowMs = 0;
  readonly random;

  constructor(list: NodeRecord[], seed = 1) {
    this.random = seededRandom(seed);
    this.list = list;
    this.guards = GuardSet.create(this.random);
    this.update();
  }

  update(): void {
    const unixMs = TEST_UNIX_MS + this.nowMs;
    this.guards.update(weighted(this.list), [], this.nowMs, unixMs);
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.update();
  }

  get inUse(): NodeRecord[] {
    return this.guards.inUse.map(({ record }) => record);
  }

  reachAll(): void {
    for (const { nodeId } of this.inUse) this.guards.onReached(nodeId);
  }

  /** All in use fail until nothing changes any more, or for `rounds`. */
  failAll(rounds: number): void {
    for (let round = 0; round < rounds; round++) {
      for (const { record } of this.guards.candidates(this.nowMs)) {
        this.guards.onFailed(record.nodeId, this.nowMs);
      }
      this.nowMs += LONGEST_RETRY_MS;
    }
  }

  /**
   * Use guards for so long, a second at a time, where only these answer dials.
   *
   * @returns Those that were met.
   */
  use(ms: number, isUp: (record: NodeRecord) => boolean): Set<string> {
    const met = new Set<string>();
    for (const untilMs = this.nowMs + ms; this.nowMs < untilMs;) {
      for (const { record, key } of this.guards.candidates(this.nowMs)) {
        const { nodeId } = record;
        if (isUp(record)) {
          met.add(key);
          this.guards.onLinked(nodeId);
          this.guards.onReached(nodeId);
        } else {
          this.guards.onUnlinked(nodeId, this.nowMs);
          this.guards.onFailed(nodeId, this.nowMs);
        }
      }
      this.nowMs += 1000;
    }
    return met;
  }

  unlist(records: readonly NodeRecord[]): void {
    const gone = keysOf(records);
    this.list = this.list.filter((r) => !gone.has(relayKey(r.nodeId)));
    this.update();
  }

  restart(): void {
    const snapshot = this.guards.snapshot();
    this.guards = GuardSet.restore(CRYPTO, this.random, snapshot);
    this.nowMs += 1000;
    this.update();
  }
}

Deno.test("GuardSet draws two relays in different subnets, once", () => {
  const twins = [1, 2, 3, 4, 5, 6].map((number) =>
    relay(number, { addresses: [ownSubnet(number % 2)] })
  );
  for (let seed = 0; seed < 20; seed++) {
    const world = new GuardWorld(twins, seed);
    const [a, b, ...more] = world.inUse;
    assert.ok(a && b && more.length === 0);
    assert.notEqual(a.addresses[0]?.host, b.addresses[0]?.host);
    world.pass(HOUR_MS);
    assert.deepEqual(keysOf(world.inUse), keysOf([a, b]));
  }
});

Deno.test("GuardSet draws by bandwidth", () => {
  const list = relays(20);
  const small = [90, 91, 92, 93].map((number) =>
    relay(number, { bandwidth: 1_000_000 })
  );
  let drawn = 0;
  for (let seed = 0; seed < 300; seed++) {
    const world = new GuardWorld([...list, ...small], seed);
    const inUse = keysOf(world.inUse);
    drawn += small.filter(({ nodeId }) => inUse.has(relayKey(nodeId))).length;
  }
  // 0.4 of 20.4 shares, twice: 4 %. By number it would be a third.
  assert.ok(drawn > 2 && drawn < 30, `${drawn} of 300`);
});

for (const size of [0, 1, 2, 3]) {
  Deno.test(`GuardSet makes do with a list of ${size}, and fills up when more relays appear`, () => {
    const world = new GuardWorld(relays(size));
    assert.equal(world.inUse.length, Math.min(size, GUARDS));
    const before = keysOf(world.inUse);
    world.list = relays(10);
    world.pass(1000);
    assert.equal(world.inUse.length, GUARDS);
    assert.ok(before.isSubsetOf(keysOf(world.inUse)));
  });
}

Deno.test("GuardSet keeps a guard for 60 to 120 days, each for a time of its own", () => {
  const lives = new Set<number>();
  for (let seed = 0; seed < 20; seed++) {
    const world = new GuardWorld(relays(30), seed);
    world.reachAll();
    const first = keysOf(world.inUse);
    let days = 0;
    while (first.isSubsetOf(keysOf(world.inUse))) {
      world.pass(DAY_MS);
      days++;
    }
    assert.ok(days * DAY_MS >= GUARD_LIFE_MS.least, `${days} days`);
    assert.ok(days * DAY_MS <= GUARD_LIFE_MS.most + DAY_MS, `${days} days`);
    assert.equal(world.inUse.length, GUARDS);
    assert.equal(keysOf(world.inUse).intersection(first).size, 1);
    lives.add(days);
  }
  assert.ok(lives.size > 8);
});

Deno.test("GuardSet retries a guard that was reached once, with back-off, and never replaces it", () => {
  const world = new GuardWorld(relays(30));
  world.reachAll();
  const before = keysOf(world.inUse);
  world.failAll(2000);
  assert.deepEqual(keysOf(world.inUse), before);
  for (const status of world.guards.status(world.nowMs)) {
    assert.ok(status.isInUse && status.wasReached);
    assert.ok(status.failures >= GIVE_UP_FAILURES);
  }
  assert.equal(world.guards.status(world.nowMs).length, GUARDS);
  // The same relays by name, for who may see that; else no word of which they are.
  const named = world.guards.named(world.nowMs);
  assert.deepEqual(
    new Set(named.map(({ nodeId }) => relayKey(nodeId))),
    keysOf(world.inUse),
  );
  for (const status of world.guards.status(world.nowMs)) {
    assert.deepEqual(Object.keys(status).sort(), [
      "daysLeft",
      "failures",
      "isInUse",
      "isListed",
      "wasReached",
    ]);
  }
});

Deno.test("GuardSet waits longer after each failure, tells until when, and takes failures at once for one", () => {
  const world = new GuardWorld(relays(1));
  const [guard] = world.inUse;
  assert.ok(guard);
  world.reachAll();
  assert.equal(world.guards.retryMs(0), undefined);
  let longest = FIRST_RETRY_MS;
  for (let failures = 1; failures < 12; failures++) {
    world.guards.onFailed(guard.nodeId, world.nowMs);
    const retryMs = world.guards.retryMs(world.nowMs);
    assert.ok(retryMs !== undefined);
    const waitMs = retryMs - world.nowMs;
    assert.ok(waitMs >= longest / 2 && waitMs <= longest, `${waitMs}`);
    world.guards.onFailed(guard.nodeId, world.nowMs);
    assert.equal(world.guards.retryMs(world.nowMs), retryMs);
    assert.deepEqual(world.guards.candidates(retryMs - 1), []);
    assert.equal(world.guards.candidates(retryMs).length, 1);
    world.nowMs = retryMs;
    longest = Math.min(LONGEST_RETRY_MS, 2 * longest);
  }
  world.guards.onFailed(guard.nodeId, world.nowMs);
  world.guards.retryAll();
  assert.equal(world.guards.candidates(world.nowMs).length, 1);
  world.guards.onFailed(guard.nodeId, world.nowMs);
  world.guards.onReached(guard.nodeId);
  assert.equal(world.guards.candidates(world.nowMs).length, 1);
  assert.equal(world.guards.status(0)[0]?.failures, 0);
});

Deno.test("GuardSet replaces a relay that never answered, and survives a first start among dead relays", () => {
  for (let seed = 0; seed < 30; seed++) {
    const world = new GuardWorld(relays(20), seed);
    const isDead = (record: NodeRecord) => (record.nodeId[0] ?? 0) % 2 === 0;
    for (let round = 0; round < 400; round++) {
      for (const { record } of world.guards.candidates(world.nowMs)) {
        const { nodeId } = record;
        if (isDead(record)) world.guards.onFailed(nodeId, world.nowMs);
        else world.guards.onReached(nodeId);
      }
      world.nowMs += 1000;
    }
    const alive = world.inUse.filter((record) => !isDead(record));
    assert.ok(alive.length >= 1, "1 in 500 would have none");
    if (alive.length === GUARDS) {
      assert.equal(world.guards.status(0).length, GUARDS, "others forgotten");
    }
  }
});

Deno.test("GuardSet tries no more than ten relays in 30 days, then goes on retrying those", () => {
  const world = new GuardWorld(relays(50));
  const tried = new Set<string>();
  for (let round = 0; round < 3000; round++) {
    for (const { record, key } of world.guards.candidates(world.nowMs)) {
      tried.add(key);
      world.guards.onFailed(record.nodeId, world.nowMs);
    }
    if (round % 100 === 0) world.restart();
    world.nowMs += 10_000;
  }
  assert.equal(tried.size, GUARD_LINE);
  const last = world.guards.candidates(world.nowMs + LONGEST_RETRY_MS);
  assert.deepEqual(new Set(last.map(({ key }) => key)), tried);
  const [late] = last;
  assert.ok(late);
  assert.equal(world.guards.onReached(late.record.nodeId), true);
  assert.equal(world.inUse[0], late.record);
});

Deno.test("GuardSet.onReached() refuses a third relay that answers in a race", () => {
  const world = new GuardWorld(relays(30));
  world.failAll(40);
  const answering = world.guards.candidates(world.nowMs);
  assert.ok(answering.length > GUARDS);
  const accepted = answering.filter(({ record }) =>
    world.guards.onReached(record.nodeId)
  );
  assert.deepEqual(keysOf(world.inUse), keysOf(accepted));
  assert.equal(accepted.length, GUARDS);
});

Deno.test("GuardSet.onReached() knows no relay that is none of its own", () => {
  const world = new GuardWorld(relays(2));
  assert.equal(world.guards.onReached(relay(77).nodeId), false);
  world.guards.onFailed(relay(77).nodeId, 0);
  assert.equal(world.guards.status(0).length, 2);
});

Deno.test("GuardSet waits three days for a guard that left the list, then draws another", () => {
  const world = new GuardWorld(relays(30));
  world.reachAll();
  const [gone, stays] = world.inUse;
  assert.ok(gone && stays);
  world.unlist([gone]);
  assert.deepEqual(world.inUse, [stays]);
  for (let hour = 0; hour < 71; hour++) world.pass(HOUR_MS);
  assert.deepEqual(world.inUse, [stays]);
  world.pass(2 * HOUR_MS);
  assert.equal(world.inUse.length, GUARDS);
  assert.equal(world.inUse[0], stays);
});

Deno.test("GuardSet takes a guard back that returns to the list", () => {
  const world = new GuardWorld(relays(30));
  world.reachAll();
  const before = keysOf(world.inUse);
  const all = world.list;
  world.unlist(world.inUse.slice(0, 1));
  world.pass(2 * DAY_MS);
  world.list = all;
  world.pass(2 * DAY_MS);
  assert.deepEqual(keysOf(world.inUse), before);
});

Deno.test("GuardSet draws stand-ins when all guards have left the list, and goes back to the old ones", () => {
  const world = new GuardWorld(relays(30));
  world.reachAll();
  const before = world.inUse;
  const all = world.list;
  world.unlist(before);
  assert.deepEqual(world.inUse, []);
  world.pass(STAND_IN_AFTER_MS - 1000);
  assert.deepEqual(world.inUse, []);
  world.pass(1000);
  const standIns = keysOf(world.inUse);
  assert.equal(standIns.size, GUARDS);
  const met = world.guards.inUse[0]?.record;
  assert.ok(met);
  assert.ok(world.guards.onReached(met.nodeId));
  assert.deepEqual(world.inUse, [met], "one is enough");
  world.list = all;
  world.pass(1000);
  assert.deepEqual(world.inUse, before);
  world.unlist(before);
  world.pass(STAND_IN_AFTER_MS);
  assert.deepEqual(world.inUse, [met], "the same one again");
});

Deno.test("GuardSet counts its draws, however often the list loses its guards", () => {
  const world = new GuardWorld(relays(200));
  const seen = keysOf(world.inUse);
  for (let turn = 0; turn < 50; turn++) {
    world.reachAll();
    world.unlist(world.inUse);
    world.pass(STAND_IN_AFTER_MS);
    for (const key of keysOf(world.inUse)) seen.add(key);
  }
  assert.equal(seen.size, GUARD_LINE);
});

Deno.test("GuardSet turns to the next in line when no link can be made to either guard, and back as soon as one can", () => {
  for (let seed = 0; seed < 10; seed++) {
    const world = new GuardWorld(relays(40), seed);
    world.reachAll();
    const guards = world.inUse;
    const dead = keysOf(guards);
    const isUp = (record: NodeRecord) => !dead.has(relayKey(record.nodeId));
    assert.equal(world.use(DOWN_AFTER_MS - 5000, isUp).size, 0, "too soon");
    assert.equal(world.use(60_000, isUp).size, 1, "one is enough");
    const [standIn] = world.inUse.filter(isUp);
    assert.ok(standIn);
    world.restart();
    assert.deepEqual(world.use(600_000, isUp), keysOf([standIn]));
    dead.delete(relayKey(guards[1]?.nodeId ?? new Uint8Array()));
    assert.ok(world.use(60_000, isUp).size <= 2);
    assert.deepEqual(world.use(HOUR_MS, isUp), keysOf(guards.slice(1)));
  }
});

Deno.test("GuardSet makes do with one guard of two, however long the other is away", () => {
  const world = new GuardWorld(relays(40));
  world.reachAll();
  const [first, second] = world.inUse;
  assert.ok(first && second);
  const met = world.use(DAY_MS / 4, (record) => record === second);
  assert.deepEqual(met, keysOf([second]));
  assert.deepEqual(world.inUse, [first, second]);
});

Deno.test("GuardSet shows no more than its line to who takes one guard after the other off the network", () => {
  const world = new GuardWorld(relays(200));
  world.reachAll();
  const met = keysOf(world.inUse);
  for (let round = 0; round < 40; round++) {
    const dead = new Set(met);
    const isUp = (record: NodeRecord) => !dead.has(relayKey(record.nodeId));
    for (const key of world.use(600_000, isUp)) met.add(key as RelayKey);
    if (round % 5 === 0) world.restart();
  }
  assert.equal(met.size, GUARD_LINE);
});

Deno.test("GuardSet tries two strangers at a time while none answers, and mostly meets none of them when its own network is back", () => {
  let strangers = 0;
  for (let seed = 0; seed < 40; seed++) {
    const world = new GuardWorld(relays(40), seed);
    world.reachAll();
    const known = keysOf(world.inUse);
    world.use(300_000 + 700 * seed, () => false);
    assert.ok(world.inUse.length <= GUARDS + SCOUTS);
    const [first] = world.use(1000 * 40, () => true);
    assert.ok(first !== undefined);
    if (!known.has(first as RelayKey)) strangers++;
    world.use(60_000, () => true);
    assert.deepEqual(keysOf(world.inUse), known);
  }
  assert.ok(strangers <= 16, `${strangers} of 40`);
});

Deno.test("GuardSet.retryAll() forgets dials that failed, and sends scouts home", () => {
  const world = new GuardWorld(relays(40));
  world.reachAll();
  const known = keysOf(world.inUse);
  world.use(300_000, () => false);
  assert.equal(world.inUse.length, GUARDS + SCOUTS);
  world.guards.retryAll();
  assert.deepEqual(keysOf(world.inUse), known);
  assert.deepEqual(keysOf(world.guards.candidates(world.nowMs)), known);
});

Deno.test("GuardSet.contacts() names no relay that we have not met, once there are two who know us", () => {
  const world = new GuardWorld(relays(40));
  world.reachAll();
  const known = keysOf(world.inUse);
  const contacts = () =>
    new Set(world.guards.contacts().map(({ nodeId }) => relayKey(nodeId)));
  world.use(300_000, () => false);
  assert.deepEqual(contacts(), known);
  world.list = [];
  world.restart();
  assert.deepEqual(contacts(), known);
});

Deno.test("GuardSet changes nothing for an empty list, whatever the clock says", () => {
  const world = new GuardWorld(relays(5));
  world.reachAll();
  const before = keysOf(world.inUse);
  const { list } = world;
  world.list = [];
  world.pass(1000 * DAY_MS);
  assert.deepEqual(world.inUse, []);
  world.nowMs = HOUR_MS;
  world.list = list;
  world.update();
  assert.deepEqual(keysOf(world.inUse), before);
});

Deno.test("GuardSet gives guards drawn by a clock ahead of time their life from now on", () => {
  const world = new GuardWorld(relays(30));
  world.nowMs = 3000 * DAY_MS;
  world.guards = GuardSet.create(world.random);
  world.update();
  world.reachAll();
  const before = keysOf(world.inUse);
  world.nowMs = 0;
  world.update();
  for (const { daysLeft } of world.guards.status(0)) {
    assert.ok(daysLeft >= 59 && daysLeft <= 120, `${daysLeft}`);
  }
  world.pass(59 * DAY_MS);
  assert.deepEqual(keysOf(world.inUse), before);
  world.pass(62 * DAY_MS);
  assert.equal(keysOf(world.inUse).intersection(before).size, 0);
});

Deno.test("GuardSet.contacts() tells where guards are, also when the list does not", () => {
  const world = new GuardWorld(relays(5));
  world.reachAll();
  const before = world.guards.contacts();
  assert.equal(before.length, GUARDS);
  world.list = [];
  world.restart();
  assert.deepEqual(
    world.guards.contacts().map(({ publicKey }) => publicKey),
    before.map(({ publicKey }) => publicKey),
  );
  const [first] = before;
  assert.ok(first);
  const moved = { host: "2a00:1::7", port: 9 };
  world.list = relays(5).map((record) => ({ ...record, addresses: [moved] }));
  world.update();
  world.restart();
  assert.deepEqual(world.guards.contacts()[0]?.addresses, [moved]);
});

Deno.test("GuardSet.restore() undoes snapshot() at any moment", () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.array(fc.tuple(fc.nat(5), fc.nat(3)), { maxLength: 40 }),
      (seed, events) => {
        const world = new GuardWorld(relays(12), seed);
        for (const [kind, index] of events) {
          const one = world.inUse[index % 2];
          if (kind === 0 && one) world.guards.onReached(one.nodeId);
          else if (kind === 1) world.failAll(2);
          else if (kind === 2) world.pass(10 * DAY_MS);
          else if (kind === 3 && one) world.unlist([one]);
          else world.list = relays(12);
          world.pass(HOUR_MS / 3 + 0.25);
        }
        const snapshot = world.guards.snapshot();
        const again = GuardSet.restore(CRYPTO, world.random, snapshot);
        assert.deepEqual(again.snapshot(), snapshot);
        const before = world.inUse;
        const { revision } = world.guards;
        world.update();
        assert.equal(world.guards.revision, revision, "nothing new to store");
        world.guards = again;
        world.update();
        assert.deepEqual(keysOf(world.inUse), keysOf(before));
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("GuardSet.revision grows with everything that a restart must not forget", () => {
  const world = new GuardWorld(relays(10));
  let last = "";
  let lastRevision = -1;
  const check = () => {
    const text = world.guards.snapshot().join();
    if (text !== last) assert.ok(world.guards.revision > lastRevision);
    last = text;
    lastRevision = world.guards.revision;
  };
  for (let round = 0; round < 300; round++) {
    const one = world.guards.candidates(world.nowMs)[round % 2];
    if (one && round % 7 === 0) world.guards.onReached(one.record.nodeId);
    check();
    if (one) world.guards.onFailed(one.record.nodeId, world.nowMs);
    check();
    world.list = relays(10).filter((_, index) => (index + round) % 9 > 0);
    world.pass(HOUR_MS);
    check();
  }
});

const whole = (() => {
  const world = new GuardWorld(relays(10));
  world.reachAll();
  return world.guards.snapshot();
})();

const restore = (bytes: Uint8Array) =>
  GuardSet.restore(CRYPTO, seededRandom(1), bytes);

Deno.test("GuardSet.restore() refuses a snapshot cut short or altered anywhere, or reads the same format", () => {
  for (let length = 0; length < whole.length; length++) {
    assert.throws(() => restore(whole.subarray(0, length)), ProtocolError);
  }
  assert.throws(() => restore(new Uint8Array([...whole, 0])), ProtocolError);
  fc.assert(
    fc.property(
      fc.nat(whole.length - 1),
      fc.integer({ min: 1, max: 255 }),
      (at, flip) => {
        const torn = whole.slice();
        torn[at] = (torn[at] ?? 0) ^ flip;
        try {
          const { length } = restore(torn).contacts();
          assert.ok(length <= 16);
        } catch (error) {
          assert.ok(error instanceof ProtocolError, String(error));
        }
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("GuardSet.restore() gives a set or a ProtocolError for arbitrary bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.throws(() => restore(bytes), ProtocolError);
    }),
    { numRuns: 300 },
  );
});

type Tree = Map<string, unknown>;
const BROKEN: readonly (readonly [string, (set: Tree, one: Tree) => void])[] = [
  ["of a later version", (set) => set.set("version", 2)],
  ["of layer-2 guards", (set) => set.set("kind", "layer2")],
  ["with an unknown field", (set) => set.set("more", 1)],
  ["without extras", (set) => set.delete("extras")],
  ["with a date that is none", (set) => set.set("extras", [-1])],
  ["with too many extras", (set) => set.set("extras", Array(17).fill(1))],
  ["with a short key", (_, one) => one.set("key", new Uint8Array(31))],
  ["with a life too long", (_, one) => one.set("expires", 2 ** 50)],
  ["with a life backwards", (_, one) => one.set("expires", 1)],
  ["with too many failures", (_, one) => one.set("failures", 4)],
  ["with an unknown field inside", (_, one) => one.set("more", 1)],
  ["with a host name", (_, one) => one.set("addresses", [["host", 1]])],
  [
    "with an IP of 5 bytes",
    (_, one) => one.set("addresses", [[new Uint8Array(5), 1]]),
  ],
  [
    "with port 0",
    (_, one) => one.set("addresses", [[new Uint8Array(4), 0]]),
  ],
  [
    "with too many addresses",
    (_, one) =>
      one.set("addresses", Array(5).fill([new Uint8Array(4).fill(9), 1])),
  ],
  ["with the same relay twice", (set, one) => set.set("relays", [one, one])],
  [
    "with two relays reached at once",
    (set, one) =>
      set.set("relays", [
        one,
        new Map(one).set("key", new Uint8Array(32)),
      ]),
  ],
  [
    "with too many relays",
    (set, one) =>
      set.set(
        "relays",
        Array.from(
          { length: 17 },
          (_, index) =>
            new Map(one).set("key", new Uint8Array(32).fill(index))
              .set("reached", index),
        ),
      ),
  ],
];
for (const [what, change] of BROKEN) {
  Deno.test(`GuardSet.restore() refuses a snapshot ${what}`, () => {
    const set = decodeCbor(whole) as Tree;
    const [one] = set.get("relays") as Tree[];
    assert.ok(one);
    change(set, one);
    const bytes = encodeCbor(set as Parameters<typeof encodeCbor>[0]);
    assert.throws(
      () => restore(bytes),
      (error: unknown) =>
        error instanceof ProtocolError &&
        /^(path\.kept|wire\.)/.test(error.code),
    );
  });
}
