import assert from "node:assert/strict";
import { VirtualClock } from "../../../lib/base/virtual_clock.ts";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import { SessionDriver } from "../../../lib/node/session/session_driver.ts";
import { SessionQuota } from "../../../lib/session/quota.ts";
import { Session } from "../../../lib/session/session.ts";

function session(quota: SessionQuota, clock: VirtualClock): SessionDriver {
  const crypto = nativeSuite();
  const secret = new Uint8Array(32).fill(3);
  const machine = new Session({ crypto, role: "client", secret, quota }, 0);
  return new SessionDriver(machine, clock);
}

Deno.test("SessionDriver tells readers and writers of streams that went because of another session", async () => {
  const quota = new SessionQuota(1_000_000);
  const clock = new VirtualClock({ drain: () => Promise.resolve() });
  const [greedy, modest] = [session(quota, clock), session(quota, clock)];
  const large = greedy.openStream(80);
  const kept = modest.openStream(80);
  await large.write(new Uint8Array(10_000));
  const full = large.write(new Uint8Array(480_000));
  const reading = large.read();
  await Promise.resolve();
  // Nothing reaches the greedy session now: the other one fills the quota.
  const others = Array.from({ length: 9 }, () => session(quota, clock));
  for (const other of others) {
    await other.openStream(80).write(new Uint8Array(55_000));
  }
  await kept.write(new Uint8Array(55_000));
  await assert.rejects(full, { code: "session.reset_exhausted" });
  await assert.rejects(reading, { code: "session.reset_exhausted" });
  assert.ok(quota.usedBytes < 1_000_000);
  for (const driver of [greedy, modest, ...others]) driver.close();
});
