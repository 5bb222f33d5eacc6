import assert from "node:assert/strict";
import fc from "fast-check";
import { Places } from "../../lib/base/places.ts";

Deno.test("Places.take() never gives more than there are, in all or to one key", () => {
  const event = fc.tuple(fc.boolean(), fc.constantFrom("a", "b", "c"));
  fc.assert(fc.property(fc.array(event), (events) => {
    const places = new Places(5, 3);
    const held = new Map<string, number>();
    for (const [takes, key] of events) {
      const own = held.get(key) ?? 0;
      const all = [...held.values()].reduce((sum, each) => sum + each, 0);
      if (takes) {
        const expected = own < 3 && all < 5;
        assert.equal(places.take(key), expected);
        if (expected) held.set(key, own + 1);
      } else if (own > 0) {
        places.give(key);
        held.set(key, own - 1);
      }
      const used = [...held.values()].reduce((sum, each) => sum + each, 0);
      assert.equal(places.used, used);
    }
  }));
});

Deno.test("Places.give() of what was not taken changes nothing", () => {
  const places = new Places(1);
  places.give("a");
  assert.equal(places.used, 0);
  assert.equal(places.take("a"), true);
  places.give("b");
  assert.equal(places.take("b"), false);
});
