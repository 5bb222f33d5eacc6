import assert from "node:assert/strict";
import { TimedPlaces } from "../../lib/base/timed_places.ts";

const GRACE_MS = 500;

function never(): void {
  assert.fail("no holder has to give way");
}

Deno.test("TimedPlaces lets the oldest give way, but not before its grace", () => {
  const places = new TimedPlaces<string>(3, GRACE_MS);
  for (const [n, holder] of ["a", "b", "c"].entries()) {
    assert.equal(places.makeRoom(never, 10 * n), true);
    places.take(holder, 10 * n);
  }
  assert.equal(places.makeRoom(never, GRACE_MS - 1), false);
  const gone: string[] = [];
  const giveWay = (holder: string) => gone.push(holder);
  assert.equal(places.makeRoom(giveWay, GRACE_MS), true);
  places.take("d", GRACE_MS);
  assert.deepEqual(gone, ["a"]);
  assert.equal(places.makeRoom(never, GRACE_MS + 9), false); // b is younger
  assert.equal(places.used, 3);
});

Deno.test("TimedPlaces.give() gives a place back once, and never that of another", () => {
  const places = new TimedPlaces<string>(1, GRACE_MS);
  places.take("a", 0);
  places.give("a");
  places.give("a");
  assert.equal(places.makeRoom(never, 1), true);
  places.take("b", 1);
  assert.equal(places.makeRoom(() => {}, 1 + GRACE_MS), true);
  places.take("c", 2 + GRACE_MS);
  places.give("b"); // it has lost its place already
  assert.equal(places.used, 1);
  assert.equal(places.makeRoom(never, 3 + GRACE_MS), false);
});

Deno.test("TimedPlaces of no size has room for no holder", () => {
  assert.equal(new TimedPlaces(0, 0).makeRoom(never, 1e9), false);
});

Deno.test("TimedPlaces never holds more than it may, whatever the flood", () => {
  const places = new TimedPlaces<number>(16, GRACE_MS);
  let admitted = 0;
  for (let nowMs = 1; nowMs <= 5_000; nowMs++) {
    if (!places.makeRoom(() => {}, nowMs)) continue;
    places.take(nowMs, nowMs);
    admitted++;
    assert.ok(places.used <= 16);
  }
  // And not more than its places per grace: 16 in each half second.
  assert.ok(admitted <= 16 * (5_000 / GRACE_MS + 1), `${admitted}`);
});
