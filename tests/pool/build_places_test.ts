import assert from "node:assert/strict";
import { BuildPlaces, BUILDS } from "../../lib/pool/build_places.ts";
import { SLOW_BUILD_MS } from "../../lib/pool/build_time.ts";

/** So many builds, all places taken. */
function build(places: BuildPlaces, count: number, meanMs: number): number {
  for (let n = 0; n < count; n++) places.onBuilt(meanMs, places.most);
  return places.most;
}

Deno.test("BuildPlaces has more while builds stay quick, up to a bound, wherever the node is", () => {
  for (const quickMs of [20, 400, 1_000]) {
    const places = new BuildPlaces();
    assert.equal(places.most, BUILDS.least);
    assert.ok(build(places, 40, quickMs) > BUILDS.least);
    assert.equal(build(places, 1_000, 1.4 * quickMs), BUILDS.most);
  }
});

Deno.test("BuildPlaces has no more where it needs no more", () => {
  const places = new BuildPlaces();
  for (let n = 0; n < 1_000; n++) places.onBuilt(100, BUILDS.least - 1);
  assert.equal(places.most, BUILDS.least);
});

Deno.test("BuildPlaces has fewer once builds take longer, at once after a time-out, and half of the least where they are slow", () => {
  const places = new BuildPlaces();
  build(places, 1_000, 100);
  assert.equal(build(places, 100, 250), BUILDS.least);
  build(places, 1_000, 100);
  places.onTimeout();
  assert.equal(places.most, BUILDS.most / 2);
  assert.equal(build(places, 1, SLOW_BUILD_MS), BUILDS.slow);
  assert.ok(build(places, 1, 100) >= BUILDS.least);
});

Deno.test("BuildPlaces learns that a network has become slower for good", () => {
  const places = new BuildPlaces();
  build(places, 100, 100);
  assert.equal(build(places, 200, 400), BUILDS.least);
  assert.ok(build(places, 2_000, 400) > BUILDS.least);
});
