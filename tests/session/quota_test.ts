import assert from "node:assert/strict";
import { SessionQuota, type SessionShare } from "../../lib/session/quota.ts";

/** A session that does as it is told, and remembers. */
function session(quota: SessionQuota, bytes: number) {
  const asked: number[] = [];
  const share: SessionShare = quota.open((bytes) => {
    asked.push(bytes);
    share.add(-bytes);
  });
  share.add(bytes);
  return { share, asked };
}

Deno.test("SessionQuota has the session let go that holds most, never another", () => {
  const quota = new SessionQuota(1000);
  const large = session(quota, 490);
  const others = [session(quota, 300), session(quota, 200)];
  for (const { share } of others) share.relieve();
  assert.deepEqual(large.asked, []);
  others[1]?.share.add(20);
  others[1]?.share.relieve();
  assert.deepEqual(large.asked, [135]);
  for (const { asked } of others) assert.deepEqual(asked, []);
  assert.equal(quota.usedBytes, 875);
});

Deno.test("SessionQuota never touches a session that holds less than its even part", () => {
  const quota = new SessionQuota(10_000);
  const innocent = session(quota, 90);
  const flood = Array.from({ length: 99 }, () => session(quota, 100));
  for (let round = 0; round < 50; round++) {
    for (const { share } of flood) {
      share.add(20);
      share.relieve();
    }
  }
  assert.deepEqual(innocent.asked, []);
  assert.ok(quota.usedBytes <= 10_000);
});

Deno.test("SessionQuota lets one session hold half of all, though the rest is free", () => {
  const quota = new SessionQuota(1000);
  const { share, asked } = session(quota, 500);
  share.relieve();
  assert.deepEqual(asked, []);
  share.add(1);
  share.relieve();
  assert.equal(share.heldBytes, 437.5);
});

Deno.test("SessionQuota leaves room for windows to those who hold little, whatever others hold", () => {
  const quota = new SessionQuota(1000);
  const others = Array.from({ length: 3 }, () => session(quota, 320));
  const fresh = session(quota, 1);
  assert.ok(fresh.share.mayGrow(124), "half of an even part");
  assert.ok(!fresh.share.mayGrow(125));
  for (const { share } of others) assert.ok(!share.mayGrow(1));
});

Deno.test("SessionQuota makes no even part smaller for sessions that hold nothing", () => {
  const quota = new SessionQuota(1000);
  const resting = Array.from({ length: 1000 }, () => session(quota, 1));
  for (const { share } of resting) share.add(-1);
  for (const bytes of [300, 300, 300]) session(quota, bytes);
  const fresh = session(quota, 1);
  assert.ok(fresh.share.mayGrow(124));
});

Deno.test("SessionQuota gives up when nothing can be let go of", () => {
  const quota = new SessionQuota(1000);
  const share = quota.open(() => {});
  share.add(2000);
  share.relieve();
  assert.equal(quota.usedBytes, 2000);
  share.close();
  assert.equal(quota.usedBytes, 0);
});
