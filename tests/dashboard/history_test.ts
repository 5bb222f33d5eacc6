import assert from "node:assert/strict";
import { History } from "../../lib/dashboard/history.ts";

const STEP_MS = 10_000;

function step(bytes: number, reachable?: boolean) {
  return {
    bytesIn: bytes,
    bytesOut: 2 * bytes,
    bytesForward: 3 * bytes,
    bytesBackward: 4 * bytes,
    services: reachable === undefined ? [] : [{ name: "blog", reachable }],
  };
}

Deno.test("History tells rates per second, the last ones last", () => {
  const history = new History(0);
  history.onStep(step(500), 0);
  history.onStep(step(10_500), STEP_MS);
  history.onStep(step(10_500), 2 * STEP_MS);
  history.onStep(step(40_500), 5 * STEP_MS);
  const told = history.toJson(5 * STEP_MS, 7);
  const { in: received, out: sent, stepMs, forward, backward } = told;
  assert.equal(stepMs, STEP_MS);
  assert.ok(Array.isArray(received) && Array.isArray(sent));
  assert.equal(received.length, 360);
  // What was there before the first look is no rate.
  assert.deepEqual(received.slice(-6), [0, 1000, 0, 0, 0, 3000]);
  assert.deepEqual(sent.slice(-6), [0, 2000, 0, 0, 0, 6000]);
  assert.ok(Array.isArray(forward) && Array.isArray(backward));
  assert.deepEqual([forward.at(-1), backward.at(-1)], [9000, 12_000]);
  // Of what was before that nothing is known.
  assert.deepEqual(received.slice(0, -6), Array(354).fill(null));
});

Deno.test("History forgets what is older than an hour, and stays as large as it was", () => {
  const history = new History(0);
  let bytes = 0;
  for (let n = 0; n <= 8640; n++) {
    if (n < 5000) bytes += 10_000;
    history.onStep(step(bytes, n % 2 === 0), n * STEP_MS);
  }
  const { in: received, reach } = history.toJson(8640 * STEP_MS, 0);
  assert.deepEqual(received, Array(360).fill(0));
  assert.ok(typeof reach === "object" && reach !== null);
  const strip = (reach as Record<string, number[]>)["blog"];
  assert.equal(strip?.length, 96);
  assert.deepEqual(strip?.slice(0, 95), Array(95).fill(0.5));
});

Deno.test("History leaves out of a strip what it did not see", () => {
  const quarterMs = 15 * 60 * 1000;
  const history = new History(0);
  history.onStep(step(0, true), 0);
  history.onStep(step(0, false), 2 * quarterMs);
  const reach = history.toJson(2 * quarterMs, 0)["reach"] as Record<
    string,
    unknown[]
  >;
  assert.deepEqual(reach["blog"]?.slice(-4), [null, 1, null, 0]);
  history.onStep(step(0), 3 * quarterMs);
  assert.deepEqual(history.toJson(3 * quarterMs, 0)["reach"], {});
});

Deno.test("History shows an hour of nothing after a long sleep", () => {
  const history = new History(0);
  history.onStep(step(0), 0);
  history.onStep(step(10_000), STEP_MS);
  assert.deepEqual(
    history.toJson(1000 * STEP_MS, 0)["in"],
    Array(360).fill(0),
  );
});
