import assert from "node:assert/strict";
import {
  CongestionWindow,
  HIGH_QUEUE_MS,
  INITIAL_CELLS,
  LOW_QUEUE_MS,
  MAX_CELLS,
  MIN_CELLS,
} from "../../lib/session/congestion.ts";

/** Acknowledge a whole window each round trip. */
function rounds(
  window: CongestionWindow,
  count: number,
  roundTripMs: number,
  options: { startMs?: number; isLimited?: boolean } = {},
): number {
  let nowMs = options.startMs ?? 0;
  for (let n = 0; n < count; n++) {
    nowMs += roundTripMs;
    const { cells } = window;
    window.onAcknowledged(cells, roundTripMs, options.isLimited ?? true, nowMs);
  }
  return nowMs;
}

Deno.test("CongestionWindow doubles each round trip to begin with, up to its limit", () => {
  const window = new CongestionWindow();
  assert.equal(window.cells, INITIAL_CELLS);
  rounds(window, 1, 100);
  assert.equal(window.cells, 2 * INITIAL_CELLS);
  rounds(window, 10, 100);
  assert.equal(window.cells, MAX_CELLS);
});

Deno.test("CongestionWindow does not grow for a sender that it does not limit", () => {
  const window = new CongestionWindow();
  rounds(window, 20, 100, { isLimited: false });
  assert.equal(window.cells, INITIAL_CELLS);
});

Deno.test("CongestionWindow stops doubling when cells begin to queue, holds, and shrinks beyond", () => {
  const window = new CongestionWindow();
  let nowMs = rounds(window, 3, 50);
  const before = window.cells;
  nowMs = rounds(window, 2, 50 + LOW_QUEUE_MS + 5, { startMs: nowMs });
  assert.equal(window.cells, before, "holds between the two delays");
  rounds(window, 3, 50 + HIGH_QUEUE_MS + 50, { startMs: nowMs });
  assert.ok(window.cells < before, `${window.cells} of ${before}`);
});

Deno.test("CongestionWindow never falls below what keeps acknowledgements coming", () => {
  const window = new CongestionWindow();
  const nowMs = rounds(window, 1, 10);
  rounds(window, 100, 2_000, { startMs: nowMs });
  assert.ok(window.cells >= MIN_CELLS);
});

Deno.test("CongestionWindow takes a path that has become longer for what it is", () => {
  const window = new CongestionWindow();
  let nowMs = rounds(window, 2, 20);
  nowMs = rounds(window, 40, 300, { startMs: nowMs });
  assert.ok((window.baseMs ?? 0) > 200, `${window.baseMs} ms`);
  const least = window.cells;
  rounds(window, 20, 300, { startMs: nowMs });
  assert.ok(window.cells > least);
});

Deno.test("CongestionWindow smooths round trips, and suspects silence in time", () => {
  const window = new CongestionWindow();
  assert.equal(window.roundTripMs, undefined);
  assert.equal(window.probeTimeoutMs, 3_000);
  rounds(window, 50, 100, { isLimited: false });
  assert.ok(Math.abs((window.roundTripMs ?? 0) - 100) < 1);
  assert.ok(window.probeTimeoutMs >= 200 && window.probeTimeoutMs <= 260);
  rounds(new CongestionWindow(), 1, 0);
  const slow = new CongestionWindow();
  rounds(slow, 5, 20_000, { isLimited: false });
  assert.equal(slow.probeTimeoutMs, 3_000);
  const fast = new CongestionWindow();
  rounds(fast, 50, 0, { isLimited: false });
  assert.equal(fast.probeTimeoutMs, 250);
});
