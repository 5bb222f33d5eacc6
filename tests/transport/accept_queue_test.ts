import assert from "node:assert/strict";
import fc from "fast-check";
import { AcceptQueue } from "../../lib/transport/_accept_queue.ts";

Deno.test("AcceptQueue hands items over in order, to takers in order", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.boolean(), { maxLength: 60 }),
      async (steps) => {
        const queue = new AcceptQueue<number>(60);
        const taken: Promise<number | undefined>[] = [];
        let pushed = 0;
        for (const isPush of steps) {
          if (isPush) assert(queue.push(pushed++));
          else taken.push(queue.take());
        }
        queue.end();
        const items = await Promise.all(taken);
        const expected = taken.map((_, i) => i < pushed ? i : undefined);
        assert.deepEqual(items, expected);
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("AcceptQueue refuses what it has no room for", async () => {
  const queue = new AcceptQueue<string>(2);
  assert(queue.push("a") && queue.push("b"));
  assert.equal(queue.hasRoom, false);
  assert.equal(queue.push("c"), false);
  assert.equal(await queue.take(), "a");
  assert.equal(queue.hasRoom, true);
  assert.equal(queue.push("c"), true);
});

Deno.test("AcceptQueue needs no room while a caller waits", async () => {
  const queue = new AcceptQueue<number>(1);
  const taken = [queue.take(), queue.take(), queue.take()];
  for (const item of [1, 2, 3, 4]) assert(queue.push(item));
  assert.equal(queue.push(5), false);
  assert.deepEqual(await Promise.all(taken), [1, 2, 3]);
});

Deno.test("AcceptQueue takes and gives nothing after its end", async () => {
  const queue = new AcceptQueue<number>(4);
  queue.push(1);
  queue.end();
  queue.end();
  assert.equal(queue.push(2), false);
  assert.equal(queue.hasRoom, false);
  assert.equal(await queue.take(), undefined);
});
