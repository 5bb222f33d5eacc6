import assert from "node:assert/strict";
import { SessionQuota } from "../../lib/session/quota.ts";
import {
  type DataFrame,
  HostileVisitor,
  isFullSize,
} from "./hostile_visitor.ts";

const GAPS = 4000;
const CELLS = isFullSize ? 1000 : 200;
const FRAMES = 280;
const BYTE = new Uint8Array(1);

/** A cell of single bytes, each where one lies already, or each at the start. */
function cell(at: (n: number) => number): DataFrame[] {
  return Array.from(
    { length: FRAMES },
    (_, n) => ({ type: "data", id: 1, offset: at(n), bytes: BYTE }),
  );
}

/** Least time of a cell, ms: what others make slower does not count. */
function leastMs(visitor: HostileVisitor, frames: DataFrame[]): number {
  let least = Infinity;
  for (let n = 0; n < CELLS; n++) {
    const startMs = performance.now();
    visitor.send(frames, 0);
    least = Math.min(least, performance.now() - startMs);
  }
  return least;
}

Deno.test("Repeats behind 4,000 gaps take no longer than other bytes", () => {
  const visitor = new HostileVisitor(new SessionQuota());
  visitor.send([{ type: "streamOpen", id: 1, port: 80 }], 0);
  const usualMs = leastMs(visitor, cell(() => 0));
  const gaps = Array.from({ length: GAPS }, (_, n): DataFrame => ({
    type: "data",
    id: 1,
    offset: 2 * n + 2,
    bytes: BYTE,
  }));
  visitor.send(gaps, 0);
  const lowMs = leastMs(visitor, cell((n) => 2 * n + 2));
  const highMs = leastMs(visitor, cell((n) => 2 * (GAPS - n)));
  const worst = Math.max(lowMs, highMs) / usualMs;
  assert.ok(
    worst < 4,
    `a cell takes ${worst.toFixed(1)} times as long ` +
      `(${Math.max(lowMs, highMs).toFixed(3)} ms)`,
  );
});

Deno.test("Gaps that are made and filled again and again take no longer than other bytes", () => {
  const usual = new HostileVisitor(new SessionQuota());
  usual.send([{ type: "streamOpen", id: 1, port: 80 }], 0);
  const usualMs = leastMs(usual, cell(() => 0));
  let least = Infinity;
  // From the far end on, so that each range goes in before all others.
  for (let round = 0; round < 8; round++) {
    const visitor = new HostileVisitor(new SessionQuota());
    visitor.send([{ type: "streamOpen", id: 1, port: 80 }], 0);
    const startMs = performance.now();
    for (let from = GAPS; from > FRAMES; from -= FRAMES) {
      visitor.send(cell((n) => 2 * (from - n)), 0);
    }
    least = Math.min(least, (performance.now() - startMs) / visitor.cells);
  }
  const factor = least / usualMs;
  assert.ok(factor < 8, `a cell takes ${factor.toFixed(1)} times as long`);
});
