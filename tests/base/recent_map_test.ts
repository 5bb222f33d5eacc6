import assert from "node:assert/strict";
import fc from "fast-check";
import { RecentMap } from "../../lib/base/recent_map.ts";

Deno.test("RecentMap forgets the entry used longest ago", () => {
  const map = new RecentMap<string, number>(2);
  map.set("a", 1);
  map.set("b", 2);
  assert.equal(map.get("a"), 1);
  map.set("c", 3);
  assert.equal(map.get("b"), undefined);
  assert.equal(map.get("a"), 1);
  map.set("c", 4);
  assert.deepEqual([map.get("a"), map.get("c"), map.size], [1, 4, 2]);
});

Deno.test("RecentMap behaves as a list of its last uses", () => {
  const steps = fc.array(
    fc.tuple(fc.constantFrom("get", "set", "delete"), fc.nat(12)),
    { maxLength: 200 },
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), steps, (capacity, list) => {
      const map = new RecentMap<number, number>(capacity);
      let model: [key: number, value: number][] = [];
      for (const [value, [step, key]] of list.entries()) {
        const known = model.find(([other]) => other === key);
        const others = model.filter(([other]) => other !== key);
        if (step === "get") {
          assert.equal(map.get(key), known?.[1]);
          if (known) model = [...others, known];
        } else if (step === "delete") {
          assert.equal(map.delete(key), known !== undefined);
          model = others;
        } else {
          map.set(key, value);
          model = [...others, [key, value] as [number, number]]
            .slice(-capacity);
        }
        assert.equal(map.size, model.length);
      }
      for (const [key, value] of model) assert.equal(map.get(key), value);
    }),
  );
});

Deno.test("RecentMap can be emptied, and cannot be made without room", () => {
  const map = new RecentMap<string, number>(1);
  map.set("a", 1);
  map.clear();
  assert.deepEqual([map.size, map.get("a")], [0, undefined]);
  for (const capacity of [0, -1, NaN]) {
    assert.throws(() => new RecentMap(capacity), RangeError);
  }
});
