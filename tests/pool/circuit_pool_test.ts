import assert from "node:assert/strict";
import { avoiding } from "../../lib/path/path_avoid.ts";
import fc from "fast-check";
import { MAX_WARM_BUILDS, UNUSED_FOR_MS } from "../../lib/pool/circuit_pool.ts";
import { BUILDS } from "../../lib/pool/build_places.ts";
import { SLOW_BUILD_MS } from "../../lib/pool/build_time.ts";
import {
  type CircuitPurpose,
  PURPOSE_RULES,
  PURPOSES,
} from "../../lib/pool/purpose.ts";
import { relayKey } from "../../lib/path/relay_key.ts";
import { MAX_WAITING } from "../../lib/pool/waiting_requests.ts";
import { PoolWorld, type PoolWorldOptions } from "./_pool_world.ts";
import { keysOf, relay, relays } from "../path/_relays.ts";

const LIST = relays(40);

/** Circuits that the standard rules keep ready. */
const WARM = PURPOSES.reduce(
  (sum, purpose) => sum + PURPOSE_RULES[purpose].warmLeast,
  0,
);

/** A world whose pool is warm. */
function warm(options: Partial<PoolWorldOptions> = {}): PoolWorld {
  const world = new PoolWorld({ relays: LIST, ...options });
  world.run(1000);
  return world;
}

Deno.test("CircuitPool keeps circuits ready before a request comes, three builds at a time", () => {
  const world = new PoolWorld({ relays: LIST });
  assert.equal(world.statesOf("building"), MAX_WARM_BUILDS);
  world.run(1000);
  assert.equal(world.statesOf("unused"), WARM);
  assert.equal(world.statesOf("building"), 0);
});

Deno.test("CircuitPool.take() gives a warm circuit at once, and replaces it", () => {
  const world = warm();
  const request = world.take();
  assert.ok(world.given.get(request));
  world.run(2000);
  assert.equal(world.statesOf("used"), 1);
  assert.equal(world.statesOf("unused"), WARM);
});

for (const purpose of PURPOSES) {
  Deno.test(`CircuitPool.take() gives a circuit for ${purpose} to one request alone, until it is closed`, () => {
    const world = warm();
    const requests = [1, 2, 3].map(() => world.take({ purpose }));
    world.run(2000);
    const circuits = requests.map((request) => world.given.get(request));
    assert.equal(new Set(circuits).size, 3);
    world.run(3 * UNUSED_FOR_MS.most);
    assert.deepEqual(new Set(world.taken), new Set(circuits));
    for (const circuit of world.taken) world.kill(circuit, "done");
    assert.equal(world.statesOf("used"), 0);
  });
}

Deno.test("CircuitPool.take() gives 250 requests at once a circuit each, of their purpose", () => {
  const world = warm();
  const wanted = Array.from({ length: 250 }, (_, index) => {
    const purpose = PURPOSES[index % PURPOSES.length];
    assert.ok(purpose);
    return { purpose, request: world.take({ purpose }) };
  });
  world.run(30_000);
  const circuits = wanted.map(({ request }) => world.given.get(request));
  assert.ok(circuits.every((circuit) => circuit !== undefined));
  assert.equal(new Set(circuits).size, 250);
  const purposes = new Map(
    world.pool.status(world.nowMs).circuits.map((one) => [one.id, one.purpose]),
  );
  for (const { purpose, request } of wanted) {
    const id = world.given.get(request)?.id;
    assert.equal(id && purposes.get(id), purpose);
  }
});

Deno.test("CircuitPool.take() waits for a build when there is no circuit, each for its own", () => {
  const world = new PoolWorld({ relays: LIST, hopMs: 100 });
  const a = world.take();
  const b = world.take();
  assert.equal(world.pool.waiting, 2);
  world.run(1000);
  assert.ok(world.given.get(a) && world.given.get(b));
  assert.notEqual(world.given.get(a), world.given.get(b));
  assert.equal(world.paths.length, WARM + 2);
});

Deno.test("CircuitPool.take() turns a request away when too many wait, and says why", () => {
  const world = new PoolWorld({ relays: LIST });
  for (let i = 0; i < MAX_WAITING; i++) world.take();
  const late = world.take();
  assert.deepEqual(world.failed.get(late), { reason: "busy" });
  assert.equal(world.pool.waiting, MAX_WAITING);
});

Deno.test("CircuitPool is crowded while many requests wait, and no longer", () => {
  const world = warm();
  assert.equal(world.pool.pressure, "free");
  for (let n = 0; n < 2 + BUILDS.least; n++) world.take();
  assert.equal(world.pool.waiting, BUILDS.least);
  assert.equal(world.pool.pressure, "crowded");
  world.run(world.nowMs + 5_000);
  assert.equal(world.pool.waiting, 0);
  assert.equal(world.pool.pressure, "free");
});

Deno.test("CircuitPool says that it is slow where builds are, and builds fewer at once", () => {
  const quick = warm();
  for (let n = 0; n < 30; n++) quick.take();
  assert.equal(quick.statesOf("building"), BUILDS.least);
  const slow = new PoolWorld({ relays: LIST, hopMs: SLOW_BUILD_MS / 2 });
  slow.run(60_000);
  assert.ok(slow.pool.buildMs >= SLOW_BUILD_MS);
  assert.equal(slow.pool.pressure, "slow");
  for (let n = 0; n < 30; n++) slow.take();
  assert.equal(slow.statesOf("building"), BUILDS.slow);
});

Deno.test("CircuitPool builds more at once for a crowd that comes while builds stay quick", () => {
  const world = warm();
  let most = 0;
  let longest = 0;
  for (let ms = 0; ms < 15_000; ms += 100) {
    // 100 a second, each build 0.15 s and more: eight at once are not enough.
    for (let n = 0; n < 10; n++) world.take();
    world.run(world.nowMs + 100);
    most = Math.max(most, world.statesOf("building"));
    longest = ms < 8_000 ? 0 : Math.max(longest, world.pool.waiting);
  }
  assert.ok(most > BUILDS.least && most <= BUILDS.most, `${most} at once`);
  assert.ok(longest < 2 * BUILDS.most, `${longest} wait at the end`);
});

Deno.test("CircuitPool closes unused circuits after 20 to 30 minutes, not all at once, and builds others", () => {
  const world = warm();
  const first = new Set(world.circuits.keys());
  world.run(UNUSED_FOR_MS.least);
  assert.deepEqual(new Set(world.circuits.keys()), first);
  world.run(UNUSED_FOR_MS.most + 3000);
  assert.ok(first.isDisjointFrom(new Set(world.circuits.keys())));
  assert.equal(world.statesOf("unused"), WARM);
});

Deno.test("CircuitPool keeps more ready where more was asked for, and fewer later", () => {
  const world = warm();
  for (let i = 0; i < 6; i++) world.take({ purpose: "rendezvous" });
  world.run(5000);
  const { warmLeast, warmMost } = PURPOSE_RULES.rendezvous;
  assert.equal(world.statesOf("unused"), WARM - warmLeast + 6);
  for (let i = 0; i < 40; i++) world.take({ purpose: "rendezvous" });
  world.run(60_000);
  assert.equal(world.statesOf("unused"), WARM - warmLeast + warmMost);
  world.run(3 * UNUSED_FOR_MS.most);
  assert.equal(world.statesOf("unused"), WARM);
});

Deno.test("CircuitPool.take() prefers the circuit with the shortest round trip", () => {
  const world = warm();
  const open = [...world.circuits.values()];
  for (const [index, { id }] of open.entries()) {
    world.pool.onMeasured(id, { roundTripMs: 100 + 50 * index });
  }
  const like = world.pool.status(0).circuits
    .filter(({ purpose }) => purpose === "rendezvous").map(({ id }) => id);
  const [, slower] = like;
  assert.ok(slower !== undefined);
  for (let i = 0; i < 20; i++) {
    world.pool.onMeasured(slower, { roundTripMs: 5 });
  }
  for (const { id } of open) {
    for (const roundTripMs of [NaN, 0, -1, Infinity]) {
      world.pool.onMeasured(id, { roundTripMs });
    }
  }
  assert.equal(world.given.get(world.take())?.id, slower);
});

Deno.test("CircuitPool.take() gives a circuit that the last hop asked for fits behind, to be extended by one request", () => {
  const world = warm();
  for (const last of [...LIST.slice(0, 12), relay(777)]) {
    const request = world.take({ purpose: "rendezvous", last });
    world.run(world.nowMs + 3000);
    const circuit = world.given.get(request);
    assert.ok(circuit);
    assert.equal(circuit.path.length, 3);
    assert.ok(world.selector.mayExtend(circuit.path, last));
  }
  const shared = world.take({ last: relay(777) });
  const other = world.take({ last: relay(777) });
  world.run(world.nowMs + 3000);
  assert.ok(world.given.get(shared) && world.given.get(other));
  assert.notEqual(world.given.get(shared), world.given.get(other));
});

Deno.test("CircuitPool.take() builds a disjoint circuit for a second leg", () => {
  const world = warm();
  for (let i = 0; i < 20; i++) {
    const one = world.given.get(world.take({ purpose: "rendezvous" }));
    assert.ok(one);
    const avoid = avoiding([one.path]);
    const request = world.take({ purpose: "rendezvous", avoid });
    world.run(world.nowMs + 5000);
    const other = world.given.get(request);
    assert.ok(other);
    for (const [place, relay] of one.path.entries()) {
      if (place > 0) assert.notEqual(other.path[place], relay);
    }
  }
});

Deno.test("CircuitPool.take() shares relays between legs where the network has no others", () => {
  const world = warm({ relays: relays(3) });
  const one = world.given.get(world.take({ purpose: "rendezvous" }));
  assert.ok(one);
  const avoid = avoiding([one.path]);
  const request = world.take({ purpose: "rendezvous", avoid });
  world.run(world.nowMs + 5000);
  assert.ok(world.given.get(request));
});

Deno.test("CircuitPool tries another path when a build fails, and is warm again within 5 s when a relay dies", () => {
  for (let seed = 0; seed < 10; seed++) {
    const world = warm({ relays: relays(10), seed, hopMs: 10 });
    const [victim] = world.options.relays.slice(seed);
    assert.ok(victim);
    world.dead.add(relayKey(victim.nodeId));
    for (const circuit of [...world.circuits.values()]) {
      if (circuit.path.includes(victim)) world.kill(circuit);
    }
    world.run(world.nowMs + 5000);
    assert.ok(world.statesOf("unused") >= WARM, `seed ${seed}`);
  }
});

Deno.test("CircuitPool serves requests though a third of the relays are dead", () => {
  for (let seed = 0; seed < 10; seed++) {
    const world = new PoolWorld({ relays: LIST, seed });
    const kept = keysOf(world.selector.guards.inUse);
    for (const [index, { nodeId }] of LIST.entries()) {
      const key = relayKey(nodeId);
      if (index % 3 === 0 && !kept.has(key)) world.dead.add(key);
    }
    const requests = Array.from(
      { length: 10 },
      () => world.take({ waitMs: 120_000 }),
    );
    world.run(120_000);
    const served = requests.filter((request) => world.given.has(request));
    assert.ok(served.length >= 8, `${served.length} of 10, seed ${seed}`);
  }
});

Deno.test("CircuitPool gives up a build that takes too long, and blames the hop that did not answer", () => {
  const world = warm();
  const [victim] = world.selector.layer2.inUse;
  assert.ok(victim);
  world.dead.add(victim.key);
  for (let i = 0; i < 12; i++) world.take();
  world.run(60_000);
  const { counts } = world.pool.status(world.nowMs);
  assert.ok(counts.timedOut >= 1);
  const failures = world.selector.layer2.status(world.nowMs)
    .map((status) => status.failures);
  assert.ok(failures.some((count) => count > 0));
  assert.equal(world.failed.size, 0);
});

Deno.test("CircuitPool says that no guard answers, to who waits and to the log, and goes on when one does", () => {
  const world = warm();
  for (const { key } of world.selector.guards.inUse) world.dead.add(key);
  for (const circuit of [...world.circuits.values()]) world.kill(circuit);
  const request = world.take({ waitMs: 60_000 });
  world.run(90_000);
  assert.equal(world.failed.get(request)?.reason, "guards_down");
  assert.equal(world.obstacles.includes("guards_down"), true);
  const [obstacle] = world.pool.status(world.nowMs).obstacles;
  assert.equal(obstacle?.why.reason, "guards_down");
  world.dead.clear();
  const later = world.take();
  world.run(world.nowMs + 31_000);
  assert.ok(world.given.has(later));
  assert.equal(world.obstacles.at(-1), undefined);
});

Deno.test("CircuitPool tells once how many relays are known and needed while all but one are dead, and each caller in time", () => {
  const list = LIST.slice(0, 7);
  const world = new PoolWorld({ relays: list });
  world.run(5000);
  assert.equal(world.shortages.length, 0);
  assert.equal(world.pool.outageSince(0, world.nowMs), undefined);
  const [guard] = world.selector.guards.inUse;
  for (const { nodeId } of list) {
    const key = relayKey(nodeId);
    if (key !== guard?.key) world.dead.add(key);
  }
  for (const circuit of [...world.circuits.values()]) world.kill(circuit);
  const killedMs = world.nowMs;
  world.run(killedMs + 120_000);
  const [told, ...more] = world.shortages;
  assert.equal(more.length, 0);
  assert.ok(told !== undefined);
  assert.equal(told.reason, "too_few_relays");
  assert.deepEqual([told.known, told.needed], [7, 4]);
  assert.ok(told.silent >= 4);
  const why = world.pool.outageSince(world.nowMs - 15_000, world.nowMs);
  assert.equal(why?.reason, "too_few_relays");
  world.dead.clear();
  world.run(world.nowMs + 120_000);
  assert.equal(world.pool.shortage(world.nowMs), undefined);
  assert.equal(
    world.pool.outageSince(world.nowMs - 15_000, world.nowMs),
    undefined,
  );
});

Deno.test("CircuitPool waits for the relay list, and builds as soon as there is one", () => {
  const world = new PoolWorld({ relays: [] });
  const request = world.take();
  world.run(3000);
  assert.equal(world.failed.size, 0);
  assert.equal(world.obstacles[0], "too_few_relays");
  world.test.source.records = LIST;
  world.refresh();
  world.run(3500);
  assert.ok(world.given.has(request));
});

Deno.test("CircuitPool serves a request for a last hop that claims the guards' subnets like any other", () => {
  const world = warm();
  const hosts = world.selector.guards.inUse
    .flatMap(({ record }) => record.addresses);
  const last = relay(500, { addresses: hosts });
  const named = world.take({ purpose: "rendezvous", last });
  const others = [1, 2, 3, 4, 5, 6].map(() =>
    world.take({ purpose: "rendezvous" })
  );
  world.run(6000);
  assert.ok(others.every((request) => world.given.has(request)));
  assert.ok(world.given.has(named));
  assert.deepEqual(world.obstacles, []);
});

Deno.test("CircuitPool builds a limited number again, however often circuits are killed, and says so", () => {
  const world = warm();
  const before = world.paths.length;
  const endMs = world.nowMs + 600_000;
  while (world.nowMs < endMs) {
    world.take({ purpose: "rendezvous", waitMs: 5000 });
    world.run(world.nowMs + 100);
    for (const circuit of world.taken) world.kill(circuit);
  }
  const built = world.paths.length - before;
  const { burst, perMinute } = PURPOSE_RULES.rendezvous.rebuilds;
  assert.ok(built <= burst + 10 * perMinute + 20, `${built} in ten minutes`);
  assert.ok(world.obstacles.includes("rebuild_budget"));
  const reasons = new Set([...world.failed.values()].map((why) => why.reason));
  assert.deepEqual(reasons, new Set(["rebuild_budget"]));
  const other = world.take({ purpose: "directory" });
  assert.ok(world.given.has(other), "other purposes are not affected");
});

Deno.test("CircuitPool counts no circuit that ends by agreement", () => {
  const world = warm();
  for (let i = 0; i < 400; i++) {
    const request = world.take({ purpose: "rendezvous" });
    world.run(world.nowMs + 400);
    const circuit = world.given.get(request);
    assert.ok(circuit, `request ${i}`);
    world.kill(circuit, "done");
  }
  assert.deepEqual(world.obstacles, []);
});

Deno.test("CircuitPool counts a circuit of the reserve that ends, whatever is said of it", () => {
  const world = warm();
  for (const circuit of [...world.circuits.values()]) {
    world.kill(circuit, "done");
  }
  assert.equal(world.pool.status(world.nowMs).counts.lost, WARM);
});

Deno.test("CircuitPool makes room by closing unused circuits, and says when there is none", () => {
  const world = warm({ maxCircuits: 6 });
  const purpose = "rendezvous";
  const requests = Array.from(
    { length: 8 },
    () => world.take({ purpose }),
  );
  world.run(20_000);
  assert.equal(world.given.size, 6);
  assert.equal(world.circuits.size, 6);
  const first = world.given.get(requests[0] ?? 0);
  assert.ok(first);
  world.kill(first, "done");
  world.run(25_000);
  assert.equal(world.given.size, 7);
  world.run(90_000);
  assert.deepEqual([...world.failed.values()], [{ reason: "full" }]);
});

Deno.test("CircuitPool goes by the other guard when one bears no more circuits", () => {
  const world = warm();
  const [full] = world.selector.guards.inUse;
  assert.ok(full);
  world.bears.set(full.key, 5);
  for (let count = 0; count < 40; count++) {
    world.take();
    world.run(world.nowMs + 500);
  }
  world.run(world.nowMs + 5_000);
  assert.equal(world.given.size, 40);
  const over = world.taken.filter(({ path: [guard] }) =>
    guard?.nodeId === full.record.nodeId
  );
  assert.ok(over.length <= 5);
  // Nothing was lost: it was our own load.
  assert.deepEqual(world.obstacles, []);
  assert.equal(world.failed.size, 0);
});

Deno.test("CircuitPool says that it is full when no guard bears more, and loses no guard and no budget by it", () => {
  const world = warm();
  const before = world.selector.guards.inUse.map(({ key }) => key);
  for (const { key } of world.selector.guards.inUse) world.bears.set(key, 10);
  const requests = Array.from({ length: 60 }, () => world.take());
  world.run(60_000);
  assert.ok(world.given.size >= 18 && world.given.size <= 20);
  assert.deepEqual(
    new Set([...world.failed.values()].map(({ reason }) => reason)),
    new Set(["full"]),
  );
  assert.equal(world.given.size + world.failed.size, requests.length);
  // When visitors leave, others come in at once: nothing was used up.
  for (const circuit of world.taken) world.kill(circuit, "done");
  world.run(65_000);
  const after = Array.from({ length: 12 }, () => world.take());
  world.run(75_000);
  assert.ok(after.every((request) => world.given.has(request)));
  assert.deepEqual(
    world.selector.guards.inUse.map(({ key }) => key),
    before,
  );
});

Deno.test("CircuitPool.cancel() forgets a request, and keeps what was being built for it", () => {
  const world = new PoolWorld({ relays: LIST });
  const requests = [1, 2, 3, 4, 5].map(() => world.take());
  for (const request of requests) {
    world.do(world.pool.cancel(request, world.nowMs));
  }
  world.run(5000);
  assert.equal(world.given.size + world.failed.size, 0);
  assert.ok(world.statesOf("unused") >= WARM);
});

Deno.test("CircuitPool.close() closes all circuits, turns all requests away, and does nothing more", () => {
  const world = warm();
  for (let i = 0; i < 9; i++) world.take();
  world.do(world.pool.close());
  assert.equal(world.circuits.size, 0);
  assert.equal(world.given.size + world.failed.size, 9);
  assert.equal(world.pool.deadlineMs, Infinity);
  const late = world.take();
  assert.deepEqual(world.failed.get(late), { reason: "closed" });
  assert.deepEqual(world.pool.onTime(world.nowMs + 1e9), []);
});

Deno.test("CircuitPool closes a circuit that is built after it was given up, and ignores other late news", () => {
  const world = warm();
  const { pool } = world;
  assert.deepEqual(pool.onBuilt(999, 0), [{ type: "close", id: 999 }]);
  assert.deepEqual(pool.onHop(999, 1, 0), []);
  assert.deepEqual(pool.onFailed(999, 0, "timeout", 0), []);
  assert.deepEqual(pool.onClosed(999, "lost", 0), []);
  pool.onMeasured(999, { roundTripMs: 1 });
});

Deno.test("CircuitPool blames no relay for a build that we cancelled", () => {
  const world = new PoolWorld({ relays: LIST });
  const [circuit] = world.circuits.values();
  assert.ok(circuit);
  world.circuits.delete(circuit.id);
  world.do(world.pool.onFailed(circuit.id, 0, "cancelled", 0));
  assert.equal(world.selector.guards.candidates(0).length, 2);
  assert.equal(world.selector.failures.size, 0);
});

Deno.test("CircuitPool.status() shows roles and coarse ages, and nothing that names a relay", () => {
  const world = warm();
  world.take();
  world.run(37_123);
  const status = world.pool.status(world.nowMs);
  const used = status.circuits.find(({ state }) => state === "used");
  assert.ok(used);
  assert.deepEqual(used.hops.map(({ role }) => role), [
    "guard",
    "layer2",
    "last",
  ]);
  assert.equal(used.ageSeconds, 30);
  assert.equal(status.guards.length, 2);
  assert.equal(status.layer2.length, 4);
  assert.equal(status.counts.servedAtOnce, 1);
  const text = JSON.stringify(status);
  assert.ok(
    !LIST.some(({ addresses }) => text.includes(`${addresses[0]?.host}`)),
  );
});

Deno.test("CircuitPool works with one hop and with seven", () => {
  for (const hops of [1, 7]) {
    const world = warm({ hops });
    const request = world.take();
    assert.equal(world.given.get(request)?.path.length, hops);
  }
});

/** What may happen to a pool. */
const event = fc.record({
  kind: fc.integer({ min: 0, max: 11 }),
  pick: fc.nat(1000),
  purpose: fc.constantFrom<CircuitPurpose>(...PURPOSES),
  waitMs: fc.integer({ min: 1, max: 100_000 }),
});

Deno.test("CircuitPool stays within its limits, and gives no circuit twice, for any order of events", () => {
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 120 }),
      fc.nat(),
      (events, seed) => {
        const limits = { maxCircuits: 12, maxWaiting: 8 };
        const world = new PoolWorld({ relays: relays(12), seed, ...limits });
        for (const one of events) {
          play(world, one);
          assert.ok(world.pool.size <= limits.maxCircuits);
          assert.ok(world.pool.waiting <= limits.maxWaiting);
          assert.equal(world.pool.size, world.circuits.size);
        }
        const answered = world.given.size + world.failed.size;
        assert.ok(answered + world.pool.waiting <= world.wants.size);
        world.dead.clear();
        world.run(world.nowMs + 200_000);
        assert.equal(world.pool.waiting, 0, "no request waits for ever");
        world.do(world.pool.close());
        assert.equal(world.circuits.size, 0);
      },
    ),
    { numRuns: 150 },
  );
});

function play(
  world: PoolWorld,
  { kind, pick, purpose, waitMs }: {
    readonly kind: number;
    readonly pick: number;
    readonly purpose: CircuitPurpose;
    readonly waitMs: number;
  },
): void {
  const { pool, nowMs } = world;
  const circuit =
    [...world.circuits.values()][pick % (world.circuits.size || 1)];
  const list = world.options.relays;
  const chosen = list[pick % list.length] ?? relay(1);
  switch (kind) {
    case 0:
    case 1:
      world.take({ purpose, waitMs });
      break;
    case 2:
      world.take({ purpose, waitMs, last: chosen });
      break;
    case 3: {
      const avoid = circuit && avoiding([circuit.path]);
      world.take({ purpose, waitMs, avoid });
      break;
    }
    case 4:
      if (circuit) world.kill(circuit, pick % 2 === 0 ? "lost" : "done");
      break;
    case 5:
      if (circuit?.isTaken) world.kill(circuit, "done");
      break;
    case 6:
      world.dead.add(relayKey(chosen.nodeId));
      break;
    case 7:
      world.dead.delete(relayKey(chosen.nodeId));
      break;
    case 8:
      world.do(pool.cancel(pick % 50, nowMs));
      break;
    case 9:
      world.test.source.records = list.filter((_, index) =>
        index % 7 !== pick % 7
      );
      world.refresh();
      break;
    case 10:
      if (circuit) pool.onMeasured(circuit.id, { roundTripMs: pick });
      world.do(pool.onNetworkChange(nowMs));
      break;
    default:
      world.run(nowMs + waitMs);
  }
}
