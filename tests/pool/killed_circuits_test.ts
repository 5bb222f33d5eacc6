/**
 * Promise P7: an adversary who destroys circuits at will does not see us change
 * our first and second hops.
 *
 * @module
 */
import assert from "node:assert/strict";
import { randomFloat, seededRandom } from "../../lib/base/random.ts";
import { GuardSet } from "../../lib/path/guard_set.ts";
import { LAYER2_LIFE_MS, Layer2Set } from "../../lib/path/layer2.ts";
import { PURPOSE_RULES, type PurposeTable } from "../../lib/pool/purpose.ts";
import { type RelayKey, relayKey } from "../../lib/path/relay_key.ts";
import { PoolWorld } from "./_pool_world.ts";
import { CRYPTO, DAY_MS, HOUR_MS, relays } from "../path/_relays.ts";

const LIST = relays(60);

/** Slower than usual: ten days at full speed would be two million circuits. */
const SLOW_RULES: PurposeTable = {
  ...PURPOSE_RULES,
  introduction: {
    ...PURPOSE_RULES.introduction,
    warmLeast: 0,
    rebuilds: { perMinute: 0.2, burst: 8 },
  },
  rendezvous: {
    ...PURPOSE_RULES.rendezvous,
    rebuilds: { perMinute: 0.8, burst: 16 },
  },
  directory: {
    ...PURPOSE_RULES.directory,
    rebuilds: { perMinute: 0.2, burst: 8 },
  },
};

/** What the relays of a path have learned of us. */
class Witnesses {
  readonly firstHops = new Set<RelayKey>();
  readonly secondHops = new Set<RelayKey>();
  circuits = 0;

  /** Look at all circuits whose second hop has answered, then destroy them. */
  killAll(world: PoolWorld): void {
    for (const circuit of [...world.circuits.values()]) {
      const [first, second] = circuit.path;
      if (first && circuit.hops > 0) {
        this.firstHops.add(relayKey(first.nodeId));
      }
      if (second && circuit.hops > 1) {
        this.secondHops.add(relayKey(second.nodeId));
      }
      if (!circuit.isOpen) continue;
      this.circuits++;
      world.kill(circuit);
    }
  }
}

Deno.test("CircuitPool shows two first and four second hops to who destroys every circuit for a day, at full speed", () => {
  const world = new PoolWorld({ relays: LIST, seed: 2 });
  const witnesses = new Witnesses();
  // The busiest hour of it; nothing changes by itself within a day.
  while (world.nowMs < HOUR_MS) {
    world.take({ purpose: "rendezvous", waitMs: 2000 });
    world.run(world.nowMs + 500);
    witnesses.killAll(world);
  }
  world.nowMs = 23 * HOUR_MS;
  world.refresh();
  world.run(world.nowMs + HOUR_MS - 1000);
  witnesses.killAll(world);
  assert.ok(witnesses.circuits > 3000, `${witnesses.circuits}`);
  assert.equal(witnesses.firstHops.size, 2);
  assert.equal(witnesses.secondHops.size, 4);
});

Deno.test("CircuitPool shows two first hops in ten days of destroyed circuits, hostile relays and restarts, and second hops for no less than a day each", () => {
  const world = new PoolWorld({ relays: LIST, seed: 3, purposes: SLOW_RULES });
  const witnesses = new Witnesses();
  const chance = seededRandom(4);
  const sinceMs = new Map<RelayKey, number>();
  let departures = 0;
  // Every tenth relay belongs to the adversary, and answers when it likes.
  const hostile = LIST.filter((_, index) => index % 10 === 0)
    .map(({ nodeId }) => relayKey(nodeId));
  for (let turn = 0; world.nowMs < 10 * DAY_MS; turn++) {
    for (const key of hostile) {
      if (randomFloat(chance) < 0.5) world.dead.add(key);
      else world.dead.delete(key);
    }
    world.take({ purpose: "rendezvous", waitMs: 60_000 });
    world.run(world.nowMs + 60_000);
    witnesses.killAll(world);
    if (turn % 1440 === 700) restart(world);
    else world.refresh();

    const now = new Set(world.selector.layer2.inUse.map(({ key }) => key));
    for (const key of witnesses.secondHops) {
      if (now.has(key)) {
        if (!sinceMs.has(key)) sinceMs.set(key, world.nowMs);
      } else if (sinceMs.has(key)) {
        const stayedMs = world.nowMs - (sinceMs.get(key) ?? 0);
        assert.ok(
          stayedMs > LAYER2_LIFE_MS.least - HOUR_MS,
          "its time was over",
        );
        sinceMs.delete(key);
        departures++;
      }
    }
  }
  assert.ok(witnesses.circuits > 5000, `${witnesses.circuits}`);
  assert.equal(witnesses.firstHops.size, 2);
  assert.ok(witnesses.secondHops.size <= 4 + departures);
  assert.ok(
    departures <= 12,
    `${departures}: 1.2 in the mean for each of four`,
  );
});

/** Stop and start again, with what was stored. */
function restart(world: PoolWorld): void {
  const { guards, layer2 } = world.selector;
  const { random } = world.test;
  world.restart(
    GuardSet.restore(CRYPTO, random, guards.snapshot()),
    Layer2Set.restore(CRYPTO, random, layer2.snapshot()),
  );
}
