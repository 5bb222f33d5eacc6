/**
 * Hostile relays, reachable and well behaved, that declare any bandwidth to be drawn
 * more often than their number warrants: as the guard of a client, and as guard and
 * last hop of one circuit.
 *
 * @see protocol §5.8 "Paths"
 */
import assert from "node:assert/strict";
import { randomFloat, seededRandom } from "../../lib/base/random.ts";
import { relayKey } from "../../lib/path/relay_key.ts";
import { relay, testSelector } from "../path/_relays.ts";

const RELAYS = 1000;
const CLIENTS = Deno.env.get("ATTACK_SCALE") === "full" ? 20_000 : 600;

/** Honest relays declare what they have: from a tenth of the middle to ten times as much. */
function network(hostile: number) {
  const random = seededRandom(7);
  const list = Array.from({ length: RELAYS }, (_, number) => {
    const spread = randomFloat(random) + randomFloat(random) - 1;
    return relay(number, {
      bandwidth: number < hostile
        ? Number.MAX_SAFE_INTEGER
        : Math.round(10_000_000 * 10 ** spread),
    });
  });
  const isHostile = new Set(
    list.slice(0, hostile).map(({ nodeId }) => relayKey(nodeId)),
  );
  return { list, isHostile };
}

const CASES = [
  { hostile: 100, guard: 0.12, both: 0.015 },
  { hostile: 200, guard: 0.24, both: 0.06 },
];
for (const { hostile, guard, both } of CASES) {
  Deno.test(`${hostile} of ${RELAYS} relays that declare what they like gain no more than a fifth by it`, () => {
    const { list, isHostile } = network(hostile);
    let guards = 0;
    let ends = 0;
    let circuits = 0;
    for (let seed = 0; seed < CLIENTS; seed++) {
      const { selector } = testSelector(list, { seed });
      for (let circuit = 0; circuit < 4; circuit++) {
        const result = selector.select({ hops: 3 }, 0);
        assert.ok(result.type === "path");
        const [first, , last] = result.path;
        assert.ok(first && last);
        circuits++;
        if (!isHostile.has(relayKey(first.nodeId))) continue;
        guards++;
        if (isHostile.has(relayKey(last.nodeId))) ends++;
      }
    }
    assert.ok(guards / circuits <= guard, `guard: ${guards / circuits}`);
    assert.ok(ends / circuits <= both, `both ends: ${ends / circuits}`);
  });
}
