import assert from "node:assert/strict";
import type { Shortage } from "../../lib/path/shortage.ts";
import {
  NOTHING_BUILT_MS,
  Outage,
  SHORT_FOR_MS,
} from "../../lib/pool/outage.ts";

const short = (reason: Shortage["reason"] = "too_few_relays"): Shortage => ({
  reason,
  known: 7,
  silent: 4,
  needed: 4,
});

Deno.test("Outage tells of a shortage once it has lasted, and once", () => {
  const outage = new Outage();
  assert.equal(outage.look(short(), 0), undefined);
  assert.equal(outage.deadlineMs, NOTHING_BUILT_MS);
  assert.equal(outage.look(short(), NOTHING_BUILT_MS - 1), undefined);
  assert.deepEqual(outage.look(short(), NOTHING_BUILT_MS), short());
  assert.equal(outage.deadlineMs, Infinity);
  assert.equal(outage.look(short(), 60_000), undefined);
});

Deno.test("Outage waits longer while circuits are built all the same", () => {
  const outage = new Outage();
  let toldMs: number | undefined;
  for (let nowMs = 0; toldMs === undefined; nowMs += 1000) {
    outage.onBuilt(nowMs);
    if (outage.look(short(), nowMs) !== undefined) toldMs = nowMs;
  }
  assert.equal(toldMs, SHORT_FOR_MS);
});

Deno.test("Outage says nothing of a shortage that is soon over", () => {
  const outage = new Outage();
  for (let nowMs = 0; nowMs < 100_000; nowMs += 4000) {
    assert.equal(outage.look(short(), nowMs), undefined);
    assert.equal(outage.look(undefined, nowMs + 2000), undefined);
  }
});

Deno.test("Outage tells another reason too, and neither again as they alternate", () => {
  const outage = new Outage();
  const told: string[] = [];
  for (let nowMs = 0; nowMs < 300_000; nowMs += 1000) {
    const reason = nowMs % 20_000 < 10_000 ? "too_few_relays" : "guards_down";
    const news = outage.look(short(reason), nowMs);
    if (news !== undefined) told.push(news.reason);
  }
  assert.deepEqual(told, ["too_few_relays", "guards_down"]);
});

Deno.test("Outage tells of the next shortage again", () => {
  const outage = new Outage();
  outage.look(short(), 0);
  assert.ok(outage.look(short(), 10_000));
  outage.look(undefined, 11_000);
  assert.equal(outage.look(short(), 12_000), undefined);
  assert.ok(outage.look(short(), 20_000));
});

Deno.test("Outage knows whether a circuit was built since", () => {
  const outage = new Outage();
  assert.equal(outage.lastsSince(0), true);
  outage.onBuilt(5);
  assert.equal(outage.lastsSince(5), false);
  assert.equal(outage.lastsSince(6), true);
});
