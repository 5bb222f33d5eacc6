import assert from "node:assert/strict";
import fc from "fast-check";
import { Slots } from "../../lib/base/slots.ts";

Deno.test("Slots.take() never gives more than there are, in all or to one key", () => {
  const event = fc.tuple(fc.boolean(), fc.constantFrom("a", "b", "c"));
  fc.assert(fc.property(fc.array(event), (events) => {
    const slots = new Slots(5, 3);
    const held = new Map<string, number>();
    for (const [takes, key] of events) {
      const own = held.get(key) ?? 0;
      const all = [...held.values()].reduce((sum, each) => sum + each, 0);
      if (takes) {
        const expected = own < 3 && all < 5;
        assert.equal(slots.take(key), expected);
        if (expected) held.set(key, own + 1);
      } else if (own > 0) {
        slots.give(key);
        held.set(key, own - 1);
      }
      const used = [...held.values()].reduce((sum, each) => sum + each, 0);
      assert.equal(slots.used, used);
    }
  }));
});

Deno.test("Slots.give() of what nobody took changes nothing", () => {
  const slots = new Slots(1);
  slots.give("a");
  assert.equal(slots.used, 0);
  assert.equal(slots.take("a"), true);
  slots.give("b");
  assert.equal(slots.take("b"), false);
});
