import assert from "node:assert/strict";
import fc from "fast-check";
import { seededRandom } from "../../lib/base/random.ts";
import {
  BLAME_HALVES_MS,
  FailureMemory,
  FIRST_AVOIDED_MS,
  LONGEST_AVOIDED_MS,
} from "../../lib/path/failure_memory.ts";
import { relayKey } from "../../lib/path/relay_key.ts";
import { relay } from "./_relays.ts";

const { nodeId } = relay(1);
const key = relayKey(nodeId);
const other = relay(2).nodeId;

const memory = (capacity?: number) =>
  new FailureMemory(seededRandom(1), capacity);

/** How long a relay is avoided from `nowMs` on, to the second. */
function avoidedMs(failures: FailureMemory, nowMs: number): number {
  let ms = 0;
  while (failures.isAvoided(key, nowMs + ms)) ms += 1000;
  return ms;
}

Deno.test("FailureMemory avoids a relay for a while after one point, and not for ever", () => {
  const failures = memory();
  failures.onFailure(nodeId, 1, 0);
  const ms = avoidedMs(failures, 0);
  assert.ok(ms >= FIRST_AVOIDED_MS / 2 && ms <= FIRST_AVOIDED_MS, `${ms}`);
});

Deno.test("FailureMemory avoids a relay at half a point only when it happens again", () => {
  const failures = memory();
  failures.onFailure(nodeId, 0.5, 0);
  assert.equal(failures.isAvoided(key, 0), false);
  failures.onFailure(nodeId, 0.5, 1);
  assert.equal(failures.isAvoided(key, 1), false, "a hair below one point");
  failures.onFailure(nodeId, 0.5, 2);
  assert.equal(failures.isAvoided(key, 2), true);
});

Deno.test("FailureMemory avoids a relay longer each time, up to a limit", () => {
  const failures = memory();
  let lastMs = 0;
  for (let points = 1; points <= 5; points++) {
    failures.onFailure(nodeId, 1.01, points);
    const ms = avoidedMs(failures, points);
    assert.ok(ms > lastMs * 0.99, `${ms} after ${lastMs}`);
    lastMs = ms;
  }
  for (let i = 0; i < 100; i++) failures.onFailure(nodeId, 1, 100);
  assert.ok(avoidedMs(failures, 100) <= LONGEST_AVOIDED_MS);
});

Deno.test("FailureMemory forgives with time", () => {
  const failures = memory();
  failures.onFailure(nodeId, 1, 0);
  failures.onFailure(nodeId, 0.5, 4 * BLAME_HALVES_MS);
  assert.equal(failures.isAvoided(key, 4 * BLAME_HALVES_MS), false);
});

Deno.test("FailureMemory takes back half a point for a success, so that one does not clear the name of who fails most", () => {
  const failures = memory();
  failures.onFailure(nodeId, 1, 0);
  failures.onSuccess(nodeId, 0);
  assert.equal(failures.isAvoided(key, 0), false);
  failures.onFailure(nodeId, 0.5, 0);
  assert.equal(failures.isAvoided(key, 0), true);
  for (let i = 0; i < 3; i++) failures.onSuccess(nodeId, 0);
  assert.equal(failures.size, 0);
});

Deno.test("FailureMemory keeps relays apart, and forgets all of them when told", () => {
  const failures = memory();
  failures.onFailure(nodeId, 1, 0);
  assert.equal(failures.isAvoided(relayKey(other), 0), false);
  assert.equal(failures.countAvoided(0), 1);
  failures.clear();
  assert.equal(failures.countAvoided(0), 0);
});

Deno.test("FailureMemory holds no more than its capacity, whatever fails", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 30 }), fc.nat(100))),
      (events) => {
        const failures = memory(5);
        let nowMs = 0;
        for (const [number, ms] of events) {
          nowMs += ms;
          const id = relay(number).nodeId;
          if (number % 4 === 0) failures.onSuccess(id, nowMs);
          else failures.onFailure(id, 1, nowMs);
          assert.ok(failures.size <= 5);
          assert.ok(failures.countAvoided(nowMs) <= 5);
        }
      },
    ),
    { numRuns: 50 },
  );
});
