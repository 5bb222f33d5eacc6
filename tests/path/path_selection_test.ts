import assert from "node:assert/strict";
import fc from "fast-check";
import type { NodeId } from "../../lib/auth/identity.ts";
import type { NodeRecord } from "../../lib/auth/node_record.ts";
import { addressGroup, PATH_PREFIX } from "../../lib/auth/subnet.ts";
import { describeNoPath, type NoPath } from "../../lib/path/no_path.ts";
import {
  type PathRequest,
  type PathResult,
  PathSelector,
} from "../../lib/path/path_selection.ts";
import { avoiding } from "../../lib/path/path_avoid.ts";
import { relayKey } from "../../lib/path/relay_key.ts";
import { TEST_UNIX_MS } from "../support/nodes.ts";
import {
  keysOf,
  LOCAL,
  ownSubnet,
  PUBLIC,
  relay,
  relays,
  testSelector,
} from "./_relays.ts";

/** The path, which must be there. */
function pathOf(result: PathResult): readonly NodeRecord[] {
  assert.ok(
    result.type === "path",
    result.type === "no_path" ? describeNoPath(result.why) : "",
  );
  return result.path;
}

/** Why there is no path; there must be none. */
function reasonOf(result: PathResult): NoPath["reason"] {
  assert.equal(result.type, "no_path");
  return result.type === "no_path" ? result.why.reason : "subnets";
}

/** The kept relays differ unless the other ones stand elsewhere on the path; the drawn ones do. */
function checkBacksUp(
  selector: PathSelector,
  one: readonly NodeRecord[],
  other: readonly NodeRecord[],
): void {
  const drawn = keysOf(one.slice(2));
  assert.ok(drawn.isDisjointFrom(keysOf(other.slice(2))));
  const elsewhere = keysOf(other.slice(1));
  const spare = selector.guards.inUse.filter(({ key, record }) =>
    !one.slice(0, 2).includes(record) && !elsewhere.has(key)
  );
  if (spare.length > 0) assert.notEqual(one[0], other[0], "the guards differ");
}

function checkNeighbours(path: readonly NodeRecord[]): void {
  for (const [index, { nodeId }] of path.entries()) {
    assert.notDeepEqual(nodeId, path[index + 1]?.nodeId, "a hop to itself");
  }
}

function groups(record: NodeRecord): string[] {
  return record.addresses.map((address) => addressGroup(address, PATH_PREFIX));
}

Deno.test("PathSelector.select() begins with a guard and a layer-2 guard", () => {
  const { selector } = testSelector(relays(50));
  const guards = keysOf(selector.guards.inUse);
  const layer2 = keysOf(selector.layer2.inUse);
  const seen = new Set<string>();
  for (let i = 0; i < 200; i++) {
    const [first, second, third] = pathOf(selector.select({ hops: 3 }, 0));
    assert.ok(first && second && third);
    assert.ok(guards.has(relayKey(first.nodeId)));
    assert.ok(layer2.has(relayKey(second.nodeId)));
    for (const record of [first, second]) seen.add(relayKey(record.nodeId));
  }
  assert.equal(seen.size, 6, "all guards are used");
});

for (let hops = 1; hops <= 8; hops++) {
  Deno.test(`PathSelector.select() chooses ${hops} hops`, () => {
    const { selector } = testSelector(relays(50));
    const path = pathOf(selector.select({ hops }, 0));
    assert.equal(path.length, hops);
    assert.equal(keysOf(path).size, hops);
  });
}

for (const hops of [0, -1, 2.5, NaN, 9]) {
  Deno.test(`PathSelector.select() refuses ${hops} hops`, () => {
    const { selector } = testSelector(relays(50));
    assert.throws(() => selector.select({ hops }, 0), RangeError);
  });
}

Deno.test("PathSelector.select() adds the last hop given, up to 8 in all", () => {
  const { selector } = testSelector(relays(50));
  const last = relay(1000);
  const path = pathOf(selector.select({ hops: 7, last }, 0));
  assert.equal(path.length, 8);
  assert.equal(path.at(-1), last);
  assert.throws(() => selector.select({ hops: 8, last }, 0), RangeError);
});

Deno.test("PathSelector.select() draws the other hops by weight", () => {
  const fast = relays(60);
  const slow = relay(999, { bandwidth: 4_000_000 });
  const selector = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    .map((seed) => testSelector([...fast, slow], { seed }).selector)
    .find(({ guards, layer2 }) =>
      !keysOf([...guards.inUse, ...layer2.inUse]).has(relayKey(slow.nodeId))
    );
  assert.ok(selector, "kept by all of them");
  const counts = new Map<string, number>();
  const draws = 6000;
  for (let i = 0; i < draws; i++) {
    const third = pathOf(selector.select({ hops: 3 }, 0))[2];
    const key = relayKey(third?.nodeId ?? new Uint8Array());
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  // 60 relays and 0.4 shares: those that are kept are drawn like all others.
  const share = (counts.get(relayKey(slow.nodeId)) ?? 0) / draws;
  assert.ok(Math.abs(share - 0.4 / 60.4) < 0.003, `${share}`);
  assert.equal(counts.size, 61);
});

Deno.test("PathSelector.select() gives the same paths for the same seed", () => {
  const choose = () => {
    const { selector } = testSelector(relays(100), { seed: 9 });
    return Array.from(
      { length: 30 },
      () => pathOf(selector.select({ hops: 4 }, 0)).map((r) => r.encoded),
    );
  };
  assert.deepEqual(choose(), choose());
});

Deno.test("PathSelector.select() never leads through ourselves", () => {
  const own = relay(1, { bandwidth: 40_000_000 });
  const list = [own, ...relays(7, 2)];
  const { selector } = testSelector(list, { ownNodeId: own.nodeId });
  for (let i = 0; i < 200; i++) {
    const path = pathOf(selector.select({ hops: 5 }, 0));
    assert.ok(!keysOf(path).has(relayKey(own.nodeId)));
  }
  assert.equal(reasonOf(selector.select({ hops: 8 }, 0)), "too_few_relays");
});

Deno.test("PathSelector.select() avoids relays that failed, while there are others", () => {
  const { selector } = testSelector(relays(30));
  const [a, b, c] = pathOf(selector.select({ hops: 3 }, 0));
  assert.ok(a && b && c);
  selector.onFailed([a, b, c], 2, 0);
  for (let i = 0; i < 200; i++) {
    const path = pathOf(selector.select({ hops: 3 }, 0));
    assert.ok(!keysOf(path).has(relayKey(c.nodeId)));
  }
  const all = Array.from(
    { length: 400 },
    () => pathOf(selector.select({ hops: 3 }, 60_000)),
  );
  assert.ok(keysOf(all.flat()).has(relayKey(c.nodeId)), "after a while again");
});

Deno.test("PathSelector.select() uses a relay that failed where it takes it", () => {
  const { selector } = testSelector(relays(3), { network: LOCAL });
  const path = pathOf(selector.select({ hops: 3 }, 0));
  selector.onFailed(path, 2, 0);
  assert.equal(pathOf(selector.select({ hops: 3 }, 0)).length, 3);
});

Deno.test("PathSelector.select() does not believe that half the network fails", () => {
  const { selector } = testSelector(relays(30));
  const kept = keysOf([...selector.guards.inUse, ...selector.layer2.inUse]);
  const others = relays(30).filter((r) => !kept.has(relayKey(r.nodeId)));
  for (const { nodeId } of others.slice(0, 16)) {
    selector.failures.onFailure(nodeId, 1, 0);
  }
  const thirds = Array.from(
    { length: 400 },
    () => pathOf(selector.select({ hops: 3 }, 0))[2] ?? others[0],
  ).filter((record) => record !== undefined);
  assert.ok(keysOf(thirds).size > 20);
});

Deno.test("PathSelector.select() turns to the other guard when one fails, and says so when both do", () => {
  const { selector } = testSelector(relays(30));
  const [a, b] = selector.guards.inUse;
  assert.ok(a && b);
  selector.guards.onFailed(a.record.nodeId, 0);
  for (let i = 0; i < 50; i++) {
    assert.equal(pathOf(selector.select({ hops: 3 }, 0))[0], b.record);
  }
  selector.guards.onFailed(b.record.nodeId, 0);
  const result = selector.select({ hops: 3 }, 0);
  assert.equal(reasonOf(result), "guards_down");
  assert.ok(result.type === "no_path" && result.why.reason === "guards_down");
  const { retryMs } = result.why;
  assert.equal(retryMs, selector.guards.retryMs(0));
  assert.equal(selector.select({ hops: 3 }, retryMs - 1).type, "no_path");
  assert.equal(selector.select({ hops: 3 }, retryMs).type, "path");
  selector.onNetworkChange();
  assert.equal(selector.select({ hops: 3 }, 0).type, "path");
});

Deno.test("PathSelector.select() prefers the guard that does not fail circuits behind it", () => {
  const { selector } = testSelector(relays(30));
  const [bad] = selector.guards.inUse;
  assert.ok(bad);
  for (let i = 0; i < 3; i++) {
    const [, second, third] = pathOf(selector.select({ hops: 3 }, 0));
    assert.ok(second && third);
    selector.onFailed([bad.record, second, third], 1, 0);
  }
  for (let i = 0; i < 50; i++) {
    assert.notEqual(pathOf(selector.select({ hops: 3 }, 0))[0], bad.record);
  }
});

Deno.test("PathSelector.select() keeps paths disjoint where it can: other guard, other second hop, other relays", () => {
  const { selector } = testSelector(relays(30));
  for (let i = 0; i < 100; i++) {
    const one = pathOf(selector.select({ hops: 4 }, 0));
    const avoid = avoiding([one]);
    const other = pathOf(selector.select({ hops: 4, avoid }, 0));
    checkBacksUp(selector, one, other);
  }
});

Deno.test("PathSelector.select() shares as little as it must in a small network", () => {
  const { selector } = testSelector(relays(5), { network: LOCAL });
  for (let i = 0; i < 100; i++) {
    const one = pathOf(selector.select({ hops: 3 }, 0));
    const other = pathOf(
      selector.select({ hops: 3, avoid: avoiding([one]) }, 0),
    );
    assert.equal(other.length, 3);
    checkBacksUp(selector, one, other);
  }
});

Deno.test("PathSelector.select() works in a network of seven, whichever last hop is asked for", () => {
  for (let seed = 0; seed < 30; seed++) {
    const list = relays(7);
    const { selector } = testSelector(list, { network: LOCAL, seed });
    for (const last of list) {
      const path = pathOf(selector.select({ hops: 3, last }, 0));
      assert.equal(path.at(-1), last);
      assert.equal(path.length, 4);
      checkNeighbours(path);
    }
  }
});

Deno.test("PathSelector.select() works in every network as large as the path", () => {
  for (let size = 3; size <= 10; size++) {
    for (let seed = 0; seed < 10; seed++) {
      const { selector } = testSelector(relays(size), { seed });
      for (let hops = 1; hops <= Math.min(size, 8); hops++) {
        assert.equal(pathOf(selector.select({ hops }, 0)).length, hops);
      }
    }
  }
});

const REASONS: readonly (readonly [
  string,
  NoPath["reason"],
  () => PathResult,
])[] = [
  [
    "an empty list",
    "too_few_relays",
    () => testSelector([]).selector.select({ hops: 3 }, 0),
  ],
  [
    "a list of two",
    "too_few_relays",
    () => testSelector(relays(2)).selector.select({ hops: 3 }, 0),
  ],
  [
    "relays of two subnets, where three are drawn",
    "subnets",
    () => {
      const list = relays(20).map((record, index) => ({
        ...record,
        addresses: [ownSubnet(index % 2)],
      }));
      return testSelector(list).selector.select({ hops: 5 }, 0);
    },
  ],
  [
    "guards that have left the list",
    "guards_missing",
    () => {
      const { selector, source } = testSelector(relays(30));
      const gone = keysOf(selector.guards.inUse);
      for (const { record } of selector.guards.inUse) {
        selector.guards.onReached(record.nodeId);
      }
      source.records = relays(30).filter((r) => !gone.has(relayKey(r.nodeId)));
      selector.refresh(1000, TEST_UNIX_MS);
      return selector.select({ hops: 3 }, 1000);
    },
  ],
  [
    "second hops that have left the list",
    "guards_missing",
    () => {
      const { selector, source } = testSelector(relays(30));
      const gone = keysOf(selector.layer2.inUse);
      source.records = relays(30).filter((r) => !gone.has(relayKey(r.nodeId)));
      selector.refresh(1000, TEST_UNIX_MS);
      return selector.select({ hops: 3 }, 1000);
    },
  ],
];
for (const [what, reason, select] of REASONS) {
  Deno.test(`PathSelector.select() finds no path with ${what}: ${reason}`, () => {
    const result = select();
    assert.equal(reasonOf(result), reason);
    assert.ok(result.type === "no_path");
    assert.match(describeNoPath(result.why), /^Cannot choose a path: .*[^.]$/);
  });
}

Deno.test("PathSelector.mayExtend() holds the last hop against the relay before it alone", () => {
  const { selector } = testSelector(relays(30));
  const path = pathOf(selector.select({ hops: 3 }, 0));
  assert.equal(selector.mayExtend(path, relay(500)), true);
  const [guard, second, third] = path;
  assert.ok(guard && second && third);
  for (const kept of [guard, second]) {
    assert.equal(selector.mayExtend(path, kept), true);
    const neighbour = relay(500, { addresses: kept.addresses });
    assert.equal(selector.mayExtend(path, neighbour), true);
  }
  assert.equal(selector.mayExtend(path, third), false);
  assert.equal(selector.mayExtend([guard, second], relay(500)), false);
  const long = pathOf(selector.select({ hops: 8 }, 0));
  assert.equal(selector.mayExtend(long, relay(500)), false);
});

Deno.test("PathSelector.select() puts a relay of this path alone before a last hop that was named", () => {
  const { selector } = testSelector(relays(50));
  for (const hops of [1, 2, 3]) {
    const path = pathOf(selector.select({ hops, last: relay(3) }, 0));
    assert.equal(path.length, 4);
  }
});

Deno.test("PathSelector.onFailed() blames the relay at fault, half the one before it, and the guard for its own link alone", () => {
  const { selector } = testSelector(relays(30));
  const path = pathOf(selector.select({ hops: 4 }, 0));
  const avoided = () =>
    path.map(({ nodeId }) => selector.failures.isAvoided(relayKey(nodeId), 0));
  selector.onFailed(path, 0, 0);
  assert.deepEqual(avoided(), [false, false, false, false]);
  assert.equal(selector.guards.candidates(0).length, 1);
  selector.onFailed(path, 3, 0);
  assert.deepEqual(avoided(), [false, false, false, true]);
  selector.onFailed(path, 3, 0);
  assert.deepEqual(avoided(), [false, false, true, true]);
  selector.onFailed(path, undefined, 0);
  selector.onFailed(path, undefined, 0);
  assert.deepEqual(avoided(), [false, true, true, true]);
  selector.onBuilt(path, 0);
  assert.deepEqual(avoided(), [false, false, false, false]);
});

Deno.test("PathSelector.refresh() looks at a long list every ten seconds, at a short one whenever it changes", () => {
  const { selector, source } = testSelector(relays(5));
  source.records = relays(1000);
  selector.refresh(1, TEST_UNIX_MS);
  assert.equal(selector.size, 1000);
  source.records = relays(1001);
  selector.refresh(9_000, TEST_UNIX_MS);
  assert.equal(selector.size, 1000);
  selector.refresh(10_001, TEST_UNIX_MS);
  assert.equal(selector.size, 1001);
});

Deno.test("PathSelector.refresh() drops relays as soon as their records have expired, though the list says nothing of it", () => {
  const expiry = TEST_UNIX_MS + 1000;
  const { selector } = testSelector([
    ...relays(300),
    ...relays(5, 500).map((record) => ({ ...record, expiry })),
  ]);
  assert.equal(selector.size, 305);
  selector.refresh(1, expiry - 1);
  assert.equal(selector.size, 305);
  selector.refresh(2, expiry);
  assert.equal(selector.size, 300);
});

/** Any list of relays: few subnets, several addresses, any bandwidth, clients among them. */
const arbitraryRelays = fc.array(
  fc.record({
    subnets: fc.array(fc.nat(12), { minLength: 1, maxLength: 3 }),
    bandwidth: fc.oneof(fc.nat(100), fc.maxSafeNat()),
    isRelay: fc.integer({ min: 0, max: 9 }).map((n) => n > 0),
  }),
  { maxLength: 40 },
).map((items) =>
  items.map(({ subnets, bandwidth, isRelay }, index) =>
    relay(index, {
      addresses: subnets.map(ownSubnet),
      bandwidth,
      flags: isRelay ? ["relay"] : [],
    })
  )
);

Deno.test("PathSelector.select() breaks no rule for any relay list, any request and any failures", () => {
  fc.assert(
    fc.property(
      arbitraryRelays,
      fc.nat(),
      fc.array(
        fc.record({
          hops: fc.integer({ min: 1, max: 7 }),
          last: fc.option(fc.nat(60), { nil: undefined }),
          kept: fc.array(fc.nat(40), { maxLength: 4 }),
          drawn: fc.array(fc.nat(40), { maxLength: 6 }),
          fail: fc.option(fc.nat(7), { nil: undefined }),
        }),
        { minLength: 1, maxLength: 8 },
      ),
      fc.boolean(),
      (list, seed, requests, isPublic) => {
        const network = isPublic ? PUBLIC : LOCAL;
        const own = relay(0).nodeId;
        const { selector } = testSelector(list, {
          seed,
          network,
          ownNodeId: own,
        });
        let nowMs = 0;
        for (const request of requests) {
          const ids = (numbers: number[]) =>
            numbers.map((number) => relay(number).nodeId);
          const { hops } = request;
          const last = request.last === undefined
            ? undefined
            : list[request.last] ?? relay(request.last);
          const avoid = { kept: ids(request.kept), drawn: ids(request.drawn) };
          const result = selector.select({ hops, last, avoid }, nowMs);
          if (result.type === "path") {
            checkRules(selector, result.path, { hops, last }, own);
            if (isPublic) checkSubnets(result.path.slice(2, hops));
            if (request.fail !== undefined && request.fail < hops) {
              selector.onFailed(result.path, request.fail, nowMs);
            }
          }
          nowMs += 5000;
        }
      },
    ),
    { numRuns: 300 },
  );
});

function checkRules(
  selector: PathSelector,
  path: readonly NodeRecord[],
  request: PathRequest,
  own: NodeId,
): void {
  const { last } = request;
  const hops = last === undefined ? request.hops : Math.max(3, request.hops);
  assert.equal(path.length, last === undefined ? hops : hops + 1);
  assert.equal(keysOf(path.slice(2, hops)).size, Math.max(0, hops - 2));
  checkNeighbours(path);
  const [first, second] = path;
  assert.ok(first);
  assert.ok(keysOf(selector.guards.inUse).has(relayKey(first.nodeId)));
  if (hops > 1 && second) {
    assert.ok(keysOf(selector.layer2.inUse).has(relayKey(second.nodeId)));
  }
  for (const record of path.slice(0, hops)) {
    assert.ok(record.flags.includes("relay"));
    assert.notDeepEqual(record.nodeId, own);
  }
  if (last !== undefined) assert.equal(path.at(-1), last);
}

function checkSubnets(path: readonly NodeRecord[]): void {
  const all = path.flatMap((record) => [...new Set(groups(record))]);
  assert.equal(new Set(all).size, all.length, "no subnet twice");
}

Deno.test("PathSelector.select() finds a path wherever there is one, each relay having one subnet", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(9), { maxLength: 25 }),
      fc.nat(),
      fc.integer({ min: 1, max: 8 }),
      (subnets, seed, hops) => {
        const list = subnets.map((subnet, index) =>
          relay(index, { addresses: [ownSubnet(subnet)] })
        );
        const { selector } = testSelector(list, { seed });
        const distinct = new Set(subnets).size;
        const isThere = subnets.length >= hops && distinct >= hops - 2;
        const result = selector.select({ hops }, 0);
        assert.equal(result.type === "path", isThere);
      },
    ),
    { numRuns: 300 },
  );
});

/** Relays of three operators with four each, and of 40 others. */
function familyRelays(): NodeRecord[] {
  const key = (name: number) => relay(1000 + name).publicKey;
  return relays(52).map((record, index) => {
    const family = index < 12
      ? { key: key(index % 3), signature: new Uint8Array(64) }
      : undefined;
    return { ...record, family };
  });
}

for (const network of [PUBLIC, LOCAL]) {
  Deno.test(`PathSelector.select() uses no two relays of one family in network ${network.name}`, () => {
    for (let seed = 0; seed < 20; seed++) {
      const { selector } = testSelector(familyRelays(), { seed, network });
      for (let i = 0; i < 50; i++) {
        const path = pathOf(selector.select({ hops: 3 + i % 2 }, 0));
        const keys = path.flatMap(({ family }) => family?.key.toHex() ?? []);
        assert.equal(new Set(keys).size, keys.length, "a family twice");
      }
    }
  });
}

Deno.test("PathSelector.select() does not hold the family of a last hop that was named against kept relays", () => {
  const list = familyRelays();
  for (let seed = 0;; seed++) {
    const { selector } = testSelector(list, { seed });
    const kept = new Set(selector.guards.inUse.map(({ key }) => key));
    const named = list.find(({ nodeId, family }) =>
      family !== undefined && kept.has(relayKey(nodeId))
    );
    if (named?.family === undefined) continue;
    const last = relay(500, { family: named.family });
    const firsts = new Set<NodeRecord | undefined>();
    for (let i = 0; i < 100; i++) {
      firsts.add(pathOf(selector.select({ hops: 3, last }, 0))[0]);
    }
    assert.ok(firsts.has(named), "or the namer learns of our guards");
    break;
  }
});
