import assert from "node:assert/strict";
import {
  CongestionWindow,
  HIGH_QUEUE_MS,
  INITIAL_CELLS,
  LOW_QUEUE_MS,
  MAX_CELLS,
  MIN_CELLS,
} from "../../lib/session/congestion.ts";

/** Acknowledgements of a window. */
const ACKS = 8;

/** Acknowledge a whole window each round trip, in several parts. */
function rounds(
  window: CongestionWindow,
  count: number,
  roundTripMs: number,
  options: { startMs?: number; isLimited?: boolean } = {},
): number {
  const { isLimited = true } = options;
  let nowMs = options.startMs ?? 0;
  for (let n = 0; n < count; n++) {
    const part = window.cells / ACKS;
    for (let ack = 0; ack < ACKS; ack++) {
      nowMs += roundTripMs / ACKS;
      window.onAcknowledged(part, roundTripMs, isLimited, nowMs);
    }
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
  let nowMs = rounds(window, 3, 20);
  const before = window.cells;
  nowMs = rounds(window, 2, 20 + LOW_QUEUE_MS + 5, { startMs: nowMs });
  const held = window.cells;
  assert.ok(held <= 2 * before, "a round trip later");
  nowMs = rounds(window, 4, 20 + LOW_QUEUE_MS + 5, { startMs: nowMs });
  assert.equal(window.cells, held, "holds between the two delays");
  rounds(window, 3, 20 + HIGH_QUEUE_MS + 50, { startMs: nowMs });
  assert.ok(window.cells < held, `${window.cells} of ${held}`);
});

Deno.test("CongestionWindow goes on doubling on a long path whose links are only getting faster", () => {
  const window = new CongestionWindow();
  let nowMs = rounds(window, 1, 350);
  nowMs = rounds(window, 3, 500, { startMs: nowMs });
  assert.equal(window.cells, 16 * INITIAL_CELLS);
  rounds(window, 3, 600, { startMs: nowMs });
  assert.ok(window.cells < 16 * INITIAL_CELLS, "but not for ever");
});

Deno.test("CongestionWindow goes on doubling when single acknowledgements are late", () => {
  const window = new CongestionWindow();
  let nowMs = 0;
  for (let n = 0; n < 3 * ACKS; n++) {
    nowMs += 50 / ACKS;
    const isLate = n % ACKS !== 1;
    const roundTripMs = isLate ? 50 + 3 * HIGH_QUEUE_MS : 50;
    window.onAcknowledged(window.cells / ACKS, roundTripMs, true, nowMs);
  }
  assert.ok(window.cells > 4 * INITIAL_CELLS, `${window.cells}`);
});

Deno.test("CongestionWindow grows faster the longer no cell has to queue", () => {
  const window = new CongestionWindow();
  let nowMs = rounds(window, 1, 50);
  nowMs = rounds(window, 10, 50 + 4 * HIGH_QUEUE_MS, { startMs: nowMs });
  const least = window.cells;
  const after: number[] = [];
  for (let n = 0; n < 10; n++) {
    nowMs = rounds(window, 2, 50, { startMs: nowMs });
    after.push(window.cells);
  }
  assert.ok((after[0] ?? 0) < 1.5 * least, `${least} to ${after}`);
  assert.ok((after[9] ?? 0) > 4 * least, `${least} to ${after}`);
});

Deno.test("CongestionWindow bears more delay on a long path", () => {
  const window = new CongestionWindow();
  let nowMs = rounds(window, 4, 400);
  nowMs = rounds(window, 1, 700, { startMs: nowMs });
  const held = window.cells;
  nowMs = rounds(window, 4, 400 + 2 * HIGH_QUEUE_MS, { startMs: nowMs });
  assert.equal(window.cells, held);
  rounds(window, 4, 400 + 3 * HIGH_QUEUE_MS, { startMs: nowMs });
  assert.ok(window.cells < held);
});

Deno.test("CongestionWindow tells the least round trip of late, whatever its own bursts add", () => {
  const window = new CongestionWindow();
  assert.equal(window.leastMs, undefined);
  let nowMs = 0;
  for (let n = 0; n < 20 * ACKS; n++) {
    nowMs += 100 / ACKS;
    window.onAcknowledged(1, 100 + 50 * (n % ACKS), true, nowMs);
  }
  assert.equal(window.leastMs, 100);
  assert.ok((window.roundTripMs ?? 0) > 200);
  rounds(window, 3, 300, { startMs: nowMs });
  assert.equal(window.leastMs, 300);
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

Deno.test("CongestionWindow measures round trips anew after a pause", () => {
  const window = new CongestionWindow();
  const nowMs = rounds(window, 10, 400);
  window.onAcknowledged(1, 100, false, nowMs + 500);
  assert.ok((window.roundTripMs ?? 0) > 300, "learned little by little");
  window.onAcknowledged(1, 100, false, nowMs + 2_000);
  assert.equal(window.roundTripMs, 100);
});
