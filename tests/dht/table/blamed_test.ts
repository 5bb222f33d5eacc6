import assert from "node:assert/strict";
import { BLAME_MS, Blamed, MAX_BLAMED } from "../../../lib/dht/table/blamed.ts";
import { point } from "../records/fake_records.ts";

Deno.test("Blamed keeps a node out for its time, and no other", () => {
  const blamed = new Blamed();
  assert.equal(blamed.has(point(1), 0), false);
  blamed.add(point(1), 1000);
  assert.equal(blamed.has(point(1), 1000 + BLAME_MS - 1), true);
  assert.equal(blamed.has(point(1), 1000 + BLAME_MS), false);
  assert.equal(blamed.has(point(2), 1000), false);
});

Deno.test("Blamed forgets the oldest when too many are blamed", () => {
  const blamed = new Blamed();
  for (let count = 0; count <= MAX_BLAMED; count++) {
    blamed.add(point(count >> 8, count & 0xff), 0);
  }
  assert.equal(blamed.has(point(0, 0), 1), false);
  assert.equal(blamed.has(point(0, 1), 1), true);
  assert.equal(blamed.has(point(MAX_BLAMED >> 8, MAX_BLAMED & 0xff), 1), true);
});
