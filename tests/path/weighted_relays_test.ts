import assert from "node:assert/strict";
import fc from "fast-check";
import { seededRandom } from "../../lib/base/random.ts";
import { BandwidthWeights } from "../../lib/path/bandwidth_weights.ts";
import { PathSubnets, shareSubnet } from "../../lib/path/path_subnets.ts";
import { relayKey } from "../../lib/path/relay_key.ts";
import { WeightedRelays } from "../../lib/path/weighted_relays.ts";
import { TEST_UNIX_MS } from "../support/nodes.ts";
import { LOCAL, PUBLIC, relay, relays, weighted } from "./_relays.ts";

Deno.test("WeightedRelays.draw() draws by weight", () => {
  const bandwidths = [1_000_000, 2_000_000, 3_000_000, 4_000_000];
  // Most relays declare 4 MB/s: so much is believed.
  const list = weighted([
    ...bandwidths.map((bandwidth, index) => relay(index, { bandwidth })),
    ...relays(60, 100).map((record) => ({ ...record, bandwidth: 4_000_000 })),
  ]);
  const isWanted = new Set(
    bandwidths.map((_, index) => relayKey(relay(index).nodeId)),
  );
  const random = seededRandom(7);
  const counts = new Map<number, number>();
  const draws = 20_000;
  for (let i = 0; i < draws; i++) {
    const drawn = list.draw(random, ({ key }) => isWanted.has(key))?.record
      .bandwidth ?? 0;
    counts.set(drawn, (counts.get(drawn) ?? 0) + 1);
  }
  let chiSquare = 0;
  for (const bandwidth of bandwidths) {
    const expected = draws * bandwidth / 10_000_000;
    chiSquare += ((counts.get(bandwidth) ?? 0) - expected) ** 2 / expected;
  }
  assert.ok(chiSquare < 11.3, `chi-square ${chiSquare}, 1 % is at 11.3`);
});

Deno.test("WeightedRelays.draw() keeps the weights where few relays fit", () => {
  const list = weighted([
    ...relays(3000, 100),
    relay(1, { bandwidth: 3_000_000 }),
    relay(2, { bandwidth: 9_000_000 }),
  ]);
  const rare = new Set([relay(1), relay(2)].map((r) => relayKey(r.nodeId)));
  const random = seededRandom(8);
  let fast = 0;
  for (let i = 0; i < 400; i++) {
    const drawn = list.draw(random, ({ key }) => rare.has(key));
    if (drawn?.record.bandwidth === 9_000_000) fast++;
  }
  assert.ok(fast > 260 && fast < 340, `${fast} of 400, expected 300`);
});

Deno.test("WeightedRelays.draw() finds the one relay that fits, and says so when none does", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 2 ** 50 }), {
        minLength: 1,
        maxLength: 60,
      }),
      fc.nat(),
      (bandwidths, seed) => {
        const list = weighted(
          bandwidths.map((bandwidth, index) => relay(index, { bandwidth })),
        );
        const random = seededRandom(seed);
        const only = relayKey(relay(seed % bandwidths.length).nodeId);
        assert.equal(list.draw(random, ({ key }) => key === only)?.key, only);
        assert.equal(list.draw(random, () => false), undefined);
      },
    ),
    { numRuns: 100 },
  );
});

Deno.test("WeightedRelays.draw() has nothing to draw from an empty list", () => {
  assert.equal(weighted([]).draw(seededRandom(1), () => true), undefined);
});

Deno.test("WeightedRelays.draw() gives the same relays for the same seed", () => {
  const draw = () => {
    const random = seededRandom(3);
    const list = weighted(relays(50));
    return Array.from({ length: 20 }, () => list.draw(random, () => true)?.key);
  };
  assert.deepEqual(draw(), draw());
});

Deno.test("WeightedRelays leaves out ourselves, clients and expired records, and keeps one of two", () => {
  const own = relay(1);
  const list = new WeightedRelays(
    [
      own,
      relay(2, { flags: [] }),
      relay(3, { expiry: TEST_UNIX_MS }),
      relay(4),
      relay(4, { bandwidth: 5 }),
    ],
    {
      subnets: new PathSubnets(PUBLIC),
      weights: new BandwidthWeights(),
      ownNodeId: own.nodeId,
      unixMs: TEST_UNIX_MS,
    },
  );
  assert.equal(list.size, 1);
  assert.equal(list.get(relayKey(relay(4).nodeId))?.record.bandwidth, 5);
  assert.deepEqual([...list].map(({ record }) => record.bandwidth), [5]);
});

const SAME: readonly (readonly [string, string, boolean])[] = [
  ["11.1.2.3", "11.1.200.200", true],
  ["11.1.2.3", "11.2.2.3", false],
  ["2a00:1:2::1", "2a00:1:ffff::9", true],
  ["2a00:1::1", "2a00:2::1", false],
  ["11.1.2.3", "2a00:1::1", false],
];
for (const [a, b, expected] of SAME) {
  Deno.test(`shareSubnet() says ${expected} of ${a} and ${b}`, () => {
    const at = (host: string) => relay(1, { addresses: [{ host, port: 1 }] });
    const subnets = new PathSubnets(PUBLIC);
    assert.equal(shareSubnet(subnets.of(at(a)), subnets.of(at(b))), expected);
    const local = new PathSubnets(LOCAL);
    assert.equal(shareSubnet(local.of(at(a)), local.of(at(b))), false);
  });
}

Deno.test("PathSubnets.of() has the subnets of all addresses, each once", () => {
  const hosts = ["11.1.2.3", "11.1.9.9", "2a00:1::1"];
  const record = relay(1, {
    addresses: hosts.map((host) => ({ host, port: 1 })),
  });
  assert.deepEqual(new PathSubnets(PUBLIC).of(record), [
    "11.1.0.0/16",
    "2a00:1::/32",
  ]);
});
