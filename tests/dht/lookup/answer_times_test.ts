import assert from "node:assert/strict";
import {
  AnswerTimes,
  MAX_PATIENCE_MS,
  MIN_PATIENCE_MS,
  MIN_STALL_MS,
  STALL_MS,
} from "../../../lib/dht/lookup/answer_times.ts";

function timesOf(...all: readonly number[]): AnswerTimes {
  const times = new AnswerTimes();
  for (const ms of all) times.add(ms);
  return times;
}

Deno.test("before any answer nodes stall after the longest time, and are waited for", () => {
  const times = timesOf();
  assert.equal(times.stallMs, STALL_MS);
  assert.equal(times.patienceMs, Infinity);
});

Deno.test("two answers say nothing yet of how long an answer takes", () => {
  const times = timesOf(1, 1);
  assert.equal(times.stallMs, STALL_MS);
  assert.equal(times.patienceMs, MAX_PATIENCE_MS);
});

Deno.test("waits follow the median, in whatever order the answers came", () => {
  for (const all of [[30, 50, 60], [60, 30, 50], [50, 60, 30]]) {
    const times = timesOf(...all);
    assert.equal(times.stallMs, 12 * 50);
    assert.equal(times.patienceMs, 20 * 50);
  }
});

Deno.test("waits stay within their bounds, and patience with the fastest on a slow line", () => {
  assert.equal(timesOf(1, 1, 1).stallMs, MIN_STALL_MS);
  assert.equal(timesOf(1, 1, 1).patienceMs, MIN_PATIENCE_MS);
  const slow = timesOf(2000, 3000, 4000);
  assert.equal(slow.stallMs, STALL_MS);
  assert.equal(slow.patienceMs, 2.5 * 2000);
});
