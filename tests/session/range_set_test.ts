import assert from "node:assert/strict";
import fc from "fast-check";
import { type Range, RangeSet } from "../../lib/session/range_set.ts";

const SIZE = 60;
const point = fc.integer({ min: 0, max: SIZE });

/** A set as its model has it: one flag for each offset. */
function members(set: RangeSet): boolean[] {
  const missing = set.missingIn(0, SIZE);
  return Array.from(
    { length: SIZE },
    (_, n) => !missing.some(({ start, end }) => start <= n && n < end),
  );
}

Deno.test("RangeSet holds what was added and not taken away (property)", () => {
  const step = fc.oneof(
    fc.record({ what: fc.constant("add" as const), a: point, b: point }),
    fc.record({ what: fc.constant("below" as const), a: point, b: point }),
    fc.record({ what: fc.constant("take" as const), a: point, b: point }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const set = new RangeSet();
      const model = new Array<boolean>(SIZE).fill(false);
      for (const { what, a, b } of steps) {
        if (what === "add") {
          set.add(a, b);
          model.fill(true, a, Math.max(a, b));
        } else if (what === "below") {
          set.removeBelow(a);
          model.fill(false, 0, a);
        } else {
          const taken = set.takeFirst(b);
          if (taken === undefined) continue;
          assert.ok(taken.end - taken.start <= b);
          assert.equal(taken.start, model.indexOf(true));
          model.fill(false, taken.start, taken.end);
        }
        assert.deepEqual(members(set), model);
        const runs = model.filter((is, n) => is && model[n - 1] !== true);
        assert.equal(set.size, runs.length);
      }
    }),
  );
});

Deno.test("RangeSet.missingIn() gives the gaps, in order, and no more", () => {
  const set = new RangeSet();
  set.add(10, 20);
  set.add(30, 40);
  const cases: [number, number, Range[]][] = [
    [0, 50, [{ start: 0, end: 10 }, { start: 20, end: 30 }, {
      start: 40,
      end: 50,
    }]],
    [12, 18, []],
    [20, 30, [{ start: 20, end: 30 }]],
    [5, 5, []],
  ];
  for (const [start, end, gaps] of cases) {
    assert.deepEqual(set.missingIn(start, end), gaps);
  }
});

Deno.test("RangeSet joins what touches", () => {
  const set = new RangeSet();
  set.add(0, 5);
  set.add(10, 15);
  set.add(5, 10);
  assert.equal(set.size, 1);
  assert.deepEqual(set.first, { start: 0, end: 15 });
  set.clear();
  assert.equal(set.first, undefined);
});
