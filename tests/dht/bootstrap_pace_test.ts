import assert from "node:assert/strict";
import { BootstrapPace } from "../../lib/dht/bootstrap_pace.ts";

/** Try whenever it is time, and say when. */
function tries(pace: BootstrapPace, count: number): number[] {
  const atMs: number[] = [];
  for (let nowMs = 0; atMs.length < count; nowMs = pace.deadlineMs) {
    atMs.push(nowMs);
    pace.onTry(nowMs);
  }
  return atMs;
}

Deno.test("BootstrapPace doubles its waits, up to five minutes", () => {
  const atMs = tries(new BootstrapPace(), 12);
  const waits = atMs.slice(1).map((ms, index) => ms - (atMs[index] ?? 0));
  assert.deepEqual(waits.slice(0, 4), [2000, 4000, 8000, 16_000]);
  assert.deepEqual(waits.slice(-3), [300_000, 300_000, 300_000]);
});

Deno.test("BootstrapPace rests while a contact is known, and begins anew without one", () => {
  const pace = new BootstrapPace();
  assert.equal(pace.deadlineMs, Infinity);
  tries(pace, 6);
  pace.stop();
  assert.equal(pace.deadlineMs, Infinity);
  pace.onAlone(1e6);
  assert.equal(pace.deadlineMs, 1e6 + 2000);
  pace.onAlone(1e6 + 500); // has its try already
  assert.equal(pace.deadlineMs, 1e6 + 2000);
  pace.onTry(1e6 + 2000);
  assert.equal(pace.deadlineMs, 1e6 + 4000);
});
