import assert from "node:assert/strict";
import fc from "fast-check";
import { Demand } from "../../lib/pool/demand.ts";

Deno.test("Demand.peak() is the busiest ten seconds of the last five minutes", () => {
  const demand = new Demand();
  assert.equal(demand.peak(0), 0);
  for (let i = 0; i < 7; i++) demand.onRequest(1000);
  demand.onRequest(15_000);
  assert.equal(demand.peak(20_000), 7);
  assert.equal(demand.peak(299_000), 7);
  assert.equal(demand.peak(301_000), 1);
  assert.equal(demand.peak(320_000), 0);
  demand.onRequest(10_000_000);
  assert.equal(demand.peak(10_000_000), 1);
});

Deno.test("Demand.peak() never counts more than was asked for, nor forgets the present", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(400_000), { minLength: 1 }), (gaps) => {
      const demand = new Demand();
      let nowMs = 0;
      for (const gap of gaps) {
        nowMs += gap;
        demand.onRequest(nowMs);
        const peak = demand.peak(nowMs);
        assert.ok(peak >= 1 && peak <= gaps.length);
      }
    }),
    { numRuns: 100 },
  );
});
