/**
 * What a relay that loses its power takes with it, by its place on a circuit:
 * the circuit ends at both ends, nothing of it is left, others are ready soon.
 *
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import { PURPOSE_RULES, PURPOSES } from "../../lib/pool/purpose.ts";
import {
  inWholeWorld,
  type WholeWorld,
  type WorldClient,
} from "./whole_world.ts";

const NEVER = new AbortController().signal;
/** Silence after which clients miss a guard, and relays a neighbour, ms. */
const MISSED_MS = [5_000, 10_000, 10_000] as const;
/** For the news to travel, and for a timer on its way, ms. */
const SLACK_MS = 500;
const WARM_MS = 5_000;
const PLACES = ["guard", "second hop", "last hop"] as const;

/** Whether as many circuits are ready as shall be, and none is being built. */
function isWarm({ role }: WorldClient): boolean {
  const { circuits } = role.circuits.status;
  return circuits.every(({ state }) => state !== "building") &&
    PURPOSES.every((purpose) =>
      circuits.filter((one) =>
        one.purpose === purpose && one.state === "unused"
      ).length >= PURPOSE_RULES[purpose].warmLeast
    );
}

/** Circuits that relays hold, each counted at each of its relays. */
function held({ relays }: WholeWorld): number {
  return relays.filter(({ isUp }) => isUp)
    .flatMap(({ role }) => Object.values(role.circuits.stats.states))
    .reduce((sum, count) => sum + count, 0);
}

for (const [hop, place] of PLACES.entries()) {
  Deno.test(`a ${place} that dies ends its circuits at both ends in time, and others are ready within 5 s`, () =>
    inWholeWorld({ relays: 10 }, async (world) => {
      const { clock } = world;
      const client = await world.addClient();
      while (!isWarm(client)) await sleep(clock, 100);
      const circuit = await client.role.circuits.take({
        purpose: "rendezvous",
        signal: NEVER,
      });
      const victim = world.relayOf(
        circuit.path[hop]?.nodeId ?? new Uint8Array(),
      );
      assert.ok(victim !== undefined);
      while (!isWarm(client)) await sleep(clock, 100);
      world.crash(victim);
      const startMs = clock.nowMs();
      await circuit.closed;
      const missedMs = clock.nowMs() - startMs;
      assert.ok(
        missedMs <= (MISSED_MS[hop] ?? 0) + SLACK_MS,
        `missed after ${missedMs} ms`,
      );
      const warmMs = clock.nowMs() + WARM_MS;
      while (!isWarm(client) && clock.nowMs() < warmMs) {
        await sleep(clock, 50);
      }
      assert.ok(isWarm(client), "warm in time");
      // Those on the far side of a dead guard wait for as long as relays do.
      await sleep(clock, 10_000 + SLACK_MS);
      const { circuits } = client.role.circuits.status;
      const hops = circuits.reduce((sum, { hops }) => sum + hops.length, 0);
      assert.equal(held(world), hops);
      for (const { role, isUp } of world.relays) {
        if (isUp) assert.equal(role.circuits.stats.waitingBytes, 0);
      }
    }));
}
