import assert from "node:assert/strict";
import fc from "fast-check";
import { BoundedQueue } from "../../lib/base/bounded_queue.ts";

Deno.test("BoundedQueue behaves as an array that stops at its limits", () => {
  const steps = fc.array(
    fc.oneof(
      { weight: 30, arbitrary: fc.record({ push: fc.nat(9) }) },
      { weight: 20, arbitrary: fc.constant("shift" as const) },
      { weight: 1, arbitrary: fc.constant("clear" as const) },
    ),
    { maxLength: 400 },
  );
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 150 }),
      fc.integer({ min: 0, max: 300 }),
      steps,
      (capacity, maxWeight, list) => {
        const queue = new BoundedQueue<number>(capacity, maxWeight);
        let model: { item: number; weight: number }[] = [];
        const sum = () =>
          model.reduce((total, { weight }) => total + weight, 0);
        for (const [item, step] of list.entries()) {
          if (step === "shift") {
            assert.equal(queue.shift(), model.shift()?.item);
          } else if (step === "clear") {
            queue.clear();
            model = [];
          } else {
            const weight = step.push;
            const fits = model.length < capacity && sum() + weight <= maxWeight;
            assert.equal(queue.push(item, weight), fits);
            if (fits) model.push({ item, weight });
          }
          assert.equal(queue.length, model.length);
        }
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("BoundedQueue keeps order over many more items than it holds", () => {
  const queue = new BoundedQueue<number>(100, 100 * 7);
  let next = 0;
  for (let item = 0; item < 10_000; item++) {
    if (queue.length === 100) assert.equal(queue.shift(), next++);
    assert.equal(queue.push(item, 7), true);
  }
  while (queue.length > 0) assert.equal(queue.shift(), next++);
  assert.equal(next, 10_000);
  assert.equal(queue.shift(), undefined);
});

Deno.test("BoundedQueue refuses and leaves alone what does not fit", () => {
  const queue = new BoundedQueue<string>(2, 10);
  assert.equal(queue.push("a", 10), true);
  assert.equal(queue.push("b", 1), false);
  assert.equal(queue.push("b", 0), true);
  assert.equal(queue.push("c", 0), false);
  assert.deepEqual([queue.shift(), queue.shift()], ["a", "b"]);
  assert.equal(queue.push("d", 10), true);
});

Deno.test("BoundedQueue cannot be made without room", () => {
  for (const capacity of [0, -1, NaN]) {
    assert.throws(() => new BoundedQueue(capacity), RangeError);
  }
});
