import assert from "node:assert/strict";
import fc from "fast-check";
import { IndexedHeap } from "../../lib/base/indexed_heap.ts";

Deno.test("the first item is one of least rank, whatever was ranked anew or taken out", () => {
  const step = fc.record({ item: fc.nat(12), rank: fc.option(fc.nat(20)) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const heap = new IndexedHeap<number>();
      const model = new Map<number, number>();
      for (const { item, rank } of steps) {
        if (rank === null) {
          assert.equal(heap.delete(item), model.delete(item));
        } else {
          heap.set(item, rank);
          model.set(item, rank);
        }
        assert.equal(heap.size, model.size);
        const least = Math.min(...model.values());
        assert.equal(heap.first?.rank ?? Infinity, least);
        const { first } = heap;
        if (first !== undefined) assert.equal(model.get(first.item), least);
      }
      const drained: number[] = [];
      for (let { first } = heap; first !== undefined; { first } = heap) {
        drained.push(first.rank);
        heap.delete(first.item);
      }
      assert.deepEqual(drained, [...model.values()].sort((a, b) => a - b));
    }),
  );
});

Deno.test("100,000 items come out in order when each is a new least one", () => {
  const heap = new IndexedHeap<number>();
  for (let item = 0; item < 100_000; item++) heap.set(item, -item);
  for (let item = 99_999; item >= 0; item--) {
    assert.equal(heap.first?.item, item);
    heap.delete(item);
  }
  assert.equal(heap.size, 0);
});
