import assert from "node:assert/strict";
import { CellQuota } from "../../../lib/circuit/cell_quota.ts";
import { HeldMessage } from "../../../lib/node/relay/held_message.ts";

Deno.test("HeldMessage counts what the beginning of a message takes, since it began, until its end", () => {
  const quota = new CellQuota<string>(10_000);
  const [old, young] = ["old", "young"].map((owner) =>
    new HeldMessage(quota, owner)
  );
  old?.set(4096, 1);
  young?.set(4096, 2);
  assert.ok(!quota.over);
  young?.set(8192, 3);
  assert.equal(young?.oldestMs, 2);
  assert.equal(quota.usedBytes, 12_288);
  assert.equal(quota.usedBytesOf("messages"), 12_288);
  assert.equal(quota.usedBytesOf("cells"), 0);
  assert.deepEqual(quota.victims(), ["old"]);
  old?.set(0, 4);
  assert.equal(quota.usedBytes, 8192);
  young?.set(0, 4);
  assert.equal(quota.usedBytes, 0);
  assert.equal(quota.usedBytesOf("messages"), 0);
  assert.deepEqual([young?.oldestMs, young?.freeableBytes], [undefined, 0]);
});
