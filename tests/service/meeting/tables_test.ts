import assert from "node:assert/strict";
import { nobleSuite } from "../../../lib/crypto/noble.ts";
import {
  MAX_WAITING,
  RendezvousTable,
  WAIT_MS,
} from "../../../lib/service/meeting/rendezvous_table.ts";
import {
  MAX_INTRODUCTIONS,
  ReplayCache,
} from "../../../lib/service/meeting/replay_cache.ts";

const cookie = (n: number) => {
  const bytes = new Uint8Array(20);
  new DataView(bytes.buffer).setUint32(0, n);
  return bytes;
};

Deno.test("RendezvousTable joins once by each cookie", () => {
  const table = new RendezvousTable<string>();
  assert.equal(table.establish(cookie(1), "a", 0), "established");
  assert.equal(table.establish(cookie(1), "b", 0), "known");
  assert.equal(table.establish(cookie(2), "a", 0), "taken");
  assert.equal(table.meet(cookie(1)), "a");
  assert.equal(table.meet(cookie(1)), undefined);
  assert.equal(table.meet(cookie(9)), undefined);
});

Deno.test("RendezvousTable lets no client wait for ever, nor too many", () => {
  const table = new RendezvousTable<number>();
  for (let n = 0; n < MAX_WAITING; n++) table.establish(cookie(n), n, n);
  assert.equal(table.establish(cookie(MAX_WAITING), -1, 0), "full");
  assert.equal(table.deadlineMs, WAIT_MS);
  assert.deepEqual(table.expire(WAIT_MS + 1), [0, 1]);
  assert.equal(table.size, MAX_WAITING - 2);
  table.remove(2);
  assert.equal(table.meet(cookie(2)), undefined);
  assert.equal(table.deadlineMs, WAIT_MS + 3);
  table.expire(Infinity);
  assert.equal(table.deadlineMs, Infinity, "no client waits");
});

Deno.test("ReplayCache takes each introduction once, and says when it is full", () => {
  const cache = new ReplayCache(nobleSuite());
  assert.ok(cache.add(cookie(1)));
  assert.ok(!cache.add(cookie(1)));
  for (let n = 2; n <= MAX_INTRODUCTIONS; n++) assert.ok(cache.add(cookie(n)));
  assert.ok(cache.isFull);
  assert.ok(!cache.add(cookie(0)));
});
