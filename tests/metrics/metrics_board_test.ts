import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import type { MetricSample } from "../../lib/metrics/metric_families.ts";
import {
  MAX_SERIES,
  MetricsBoard,
  untilNextReading,
} from "../../lib/metrics/metrics_board.ts";

function streams(service: string, value: number): MetricSample {
  return { family: "anonnet_hs_streams", labels: [service], value };
}

function reachable(service: string, value: number): MetricSample {
  return { family: "anonnet_hs_reachable", labels: [service], value };
}

Deno.test("MetricsBoard shows what the node is at once, and what others do as of the last minute", () => {
  const board = new MetricsBoard(seededRandom(1));
  assert.deepEqual(board.shown([streams("a", 80), reachable("a", 1)]), [
    reachable("a", 1),
  ]);
  board.onMinute([streams("a", 80), reachable("a", 1)]);
  const [first] = board.shown([streams("a", 80)]);
  assert.ok(first !== undefined);
  assert.ok(Math.abs(first.value - 80) < 8);
  // Asked again and again within the minute, it shows nothing of what goes on.
  for (const now of [0, 81, 500]) {
    assert.deepEqual(board.shown([streams("a", now), reachable("a", 0)]), [
      first,
      reachable("a", 0),
    ]);
  }
  board.onMinute([streams("a", 500)]);
  const [second] = board.shown([streams("a", 0)]);
  assert.ok(second !== undefined && second.value > 490);
});

Deno.test("MetricsBoard forgets a series that is gone", () => {
  const board = new MetricsBoard(seededRandom(1));
  board.onMinute([streams("a", 800), streams("b", 80)]);
  board.onMinute([streams("b", 80)]);
  assert.deepEqual(
    board.shown([streams("a", 800), streams("b", 80)]).map(({ labels }) =>
      labels
    ),
    [["b"]],
  );
});

Deno.test("MetricsBoard shows a bounded number of series", () => {
  const board = new MetricsBoard(seededRandom(1));
  const many = Array.from(
    { length: MAX_SERIES + 10 },
    (_, index) => streams(`s${index}`, 8),
  );
  board.onMinute(many);
  assert.equal(board.shown(many).length, MAX_SERIES);
  const exact = many.map(({ labels }) => reachable(`${labels}`, 1));
  assert.equal(board.shown(exact).length, MAX_SERIES);
});

Deno.test("untilNextReading() leads to whole minutes of the calendar, and is never 0", () => {
  const minute = 1_800_000_000_000;
  for (const [at, wait] of [[0, 60_000], [1, 59_999], [59_999, 1]] as const) {
    assert.equal(untilNextReading(minute + at), wait);
  }
});
