import assert from "node:assert/strict";
import {
  FREE_SHARE,
  FULL_SHARE,
  LATE_MS,
  LoadMeter,
  LOOKS,
  PUNCTUAL_MS,
} from "../../lib/link/load_meter.ts";

/** What a meter says after each of some looks. */
function looks(
  meter: LoadMeter,
  ...all: readonly (readonly [number, number])[]
) {
  return all.map(([lateMs, quotaShare]) => meter.onLook(lateMs, quotaShare));
}

const GOOD = [0, 0] as const;
const BAD = [LATE_MS, 0] as const;

for (
  const [what, bad] of [
    ["a thread that is behind", BAD],
    ["memory that is nearly full", [0, FULL_SHARE]],
  ] as const
) {
  Deno.test(`LoadMeter says after ${LOOKS} looks in a row that a node is overloaded by ${what}, and as slowly that it is not`, () => {
    const meter = new LoadMeter();
    assert.deepEqual(looks(meter, bad, bad, GOOD, bad, bad, bad), [
      ...Array(5).fill("normal"),
      "overloaded",
    ]);
    assert.deepEqual(looks(meter, GOOD, GOOD, bad, GOOD, GOOD, GOOD), [
      ...Array(5).fill("overloaded"),
      "normal",
    ]);
  });
}

Deno.test("LoadMeter takes a machine that slept for no overload", () => {
  const meter = new LoadMeter();
  looks(meter, [3_600_000, 0], GOOD, GOOD);
  assert.equal(meter.load, "normal");
  assert.equal(meter.isUnsettled, false);
});

Deno.test("LoadMeter changes nothing between good and bad, and asks for looks until it is settled", () => {
  const between = [PUNCTUAL_MS, FREE_SHARE] as const;
  const meter = new LoadMeter();
  assert.equal(meter.isUnsettled, false);
  looks(meter, BAD);
  assert.equal(meter.isUnsettled, true);
  looks(meter, between, between, between);
  assert.equal(meter.load, "normal");
  assert.equal(meter.isUnsettled, false);
  looks(meter, BAD, BAD, BAD, between, between, between);
  assert.equal(meter.load, "overloaded");
  assert.equal(meter.isUnsettled, true);
});
