import assert from "node:assert/strict";
import {
  ANSWERS_BURST,
  ANSWERS_PER_SECOND,
  IntroductionQueue,
  MAX_WAIT_MS,
  MAX_WAITING_PER_POINT,
} from "../../lib/service/introduction_queue.ts";

Deno.test("IntroductionQueue gives each point its turn, the newest first", () => {
  const queue = new IntroductionQueue<string>(0);
  for (const item of ["a1", "a2", "a3"]) queue.push(1, item, 0);
  queue.push(2, "b1", 0);
  const taken = Array.from({ length: 5 }, () => queue.take(0));
  assert.deepEqual(taken, ["a3", "b1", "a2", "a1", undefined]);
  assert.equal(queue.readyMs, Infinity);
});

Deno.test("IntroductionQueue sheds the oldest of a point that is flooded, and of no other", () => {
  const queue = new IntroductionQueue<number>(0);
  queue.push(2, -1, 0);
  for (let n = 0; n < 10_000; n++) queue.push(1, n, 0);
  assert.equal(queue.length, MAX_WAITING_PER_POINT + 1);
  assert.equal(queue.shed, 10_000 - MAX_WAITING_PER_POINT);
  assert.equal(queue.take(0), -1);
  assert.equal(queue.take(0), 9_999);
});

Deno.test("IntroductionQueue answers so many per second, and says when the next one is due", () => {
  const queue = new IntroductionQueue<number>(0);
  let taken = 0;
  for (let ms = 0; ms < 10_000; ms++) {
    queue.push(1, ms, ms);
    if (queue.take(ms) !== undefined) taken++;
  }
  const most = ANSWERS_BURST + 10 * ANSWERS_PER_SECOND;
  assert.ok(taken <= most + 1 && taken >= most - 2, `${taken}`);
  const { readyMs } = queue;
  assert.ok(readyMs > 9_999 && readyMs <= 9_999 + 1000 / ANSWERS_PER_SECOND);
  assert.equal(queue.take(readyMs - 1), undefined);
  assert.ok(queue.take(readyMs) !== undefined);
});

Deno.test("IntroductionQueue forgets what no client waits for any more", () => {
  const queue = new IntroductionQueue<string>(0);
  queue.push(1, "old", 0);
  queue.push(1, "older than it looks", 1);
  queue.push(2, "new", MAX_WAIT_MS);
  assert.equal(queue.take(MAX_WAIT_MS + 2), "new");
  assert.equal(queue.take(MAX_WAIT_MS + 2), undefined);
  assert.equal(queue.shed, 2);
});

Deno.test("IntroductionQueue drops what came by a point that is gone", () => {
  const queue = new IntroductionQueue<string>(0);
  queue.push(1, "a", 0);
  queue.push(2, "b", 0);
  queue.remove(1);
  assert.equal(queue.length, 1);
  assert.equal(queue.take(0), "b");
});
