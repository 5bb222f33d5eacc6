import assert from "node:assert/strict";
import fc from "fast-check";
import { EventQueue } from "../../../lib/sim/world/event_queue.ts";

Deno.test("EventQueue runs events in order of time, and of one moment in order of scheduling", () => {
  fc.assert(fc.property(
    fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 60 }),
    (delays) => {
      const queue = new EventQueue();
      const ran: [number, number][] = [];
      for (const [order, delayMs] of delays.entries()) {
        queue.schedule(delayMs, () => ran.push([queue.nowMs, order]));
      }
      queue.advance(20);
      const expected = delays.map((atMs, order) => [atMs, order])
        .sort(([a = 0, x = 0], [b = 0, y = 0]) => a - b || x - y);
      assert.deepEqual(ran, expected);
    },
  ));
});

Deno.test("EventQueue.advance() runs what is due by then and no more, events of events included", () => {
  const queue = new EventQueue();
  const ran: number[] = [];
  const again = () => {
    ran.push(queue.nowMs);
    queue.schedule(10, again);
  };
  queue.schedule(10, again);
  queue.advance(9);
  assert.deepEqual([ran, queue.nowMs], [[], 9]);
  queue.advance(21);
  assert.deepEqual([ran, queue.nowMs], [[10, 20, 30], 30]);
});

Deno.test("EventQueue.schedule() takes the past for now", () => {
  const queue = new EventQueue();
  queue.advance(5);
  let atMs = -1;
  queue.schedule(-3, () => atMs = queue.nowMs);
  queue.advance(0);
  assert.equal(atMs, 5);
});

Deno.test("EventQueue.runNext() runs one event at its time, and says when there is none", () => {
  const queue = new EventQueue();
  const ran: number[] = [];
  assert.ok(!queue.runNext());
  queue.schedule(20, () => ran.push(queue.nowMs));
  queue.schedule(10, () => ran.push(queue.nowMs));
  assert.ok(queue.runNext());
  assert.deepEqual(ran, [10]);
  assert.ok(queue.runNext());
  assert.deepEqual(ran, [10, 20]);
  assert.ok(!queue.runNext());
  assert.equal(queue.nowMs, 20);
});
