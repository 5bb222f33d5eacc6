import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import {
  DOWN_AFTER_MS,
  FIRST_RETRY_MS,
  KeptRelay,
  LONGEST_RETRY_MS,
  STAND_IN_AFTER_MS,
} from "../../lib/path/kept_relay.ts";
import { GIVE_UP_FAILURES } from "../../lib/path/succession.ts";
import { TEST_UNIX_MS, testRecord } from "../support/nodes.ts";

const DAY_MS = 24 * 3_600_000;
const LIFE_MS = 30 * DAY_MS;
const RECORD = testRecord(nativeSuite(), 900);

/** A relay that was drawn at this time, and has never been tried. */
function kept(sampledUnixMs = TEST_UNIX_MS): KeptRelay {
  const { nodeId, publicKey, addresses } = RECORD;
  return new KeptRelay({
    nodeId,
    publicKey,
    addresses,
    sampledUnixMs,
    expiresUnixMs: sampledUnixMs + LIFE_MS,
    missingUnixMs: undefined,
    reachedOrder: 0,
    failures: 0,
  });
}

Deno.test("a kept relay is tried later after each failure, and at once when it was reached", () => {
  const random = seededRandom(1);
  const relay = kept();
  for (let failures = 1; failures <= 10; failures++) {
    const isNew = relay.onFailed(random, 0);
    assert.equal(isNew, failures <= GIVE_UP_FAILURES);
    const mostMs = Math.min(
      LONGEST_RETRY_MS,
      FIRST_RETRY_MS * 2 ** (failures - 1),
    );
    assert.ok(relay.retryMs >= mostMs / 2 && relay.retryMs <= mostMs);
  }
  assert.equal(relay.onReached(), true);
  assert.equal(relay.onReached(), false);
  assert.equal(relay.retryMs, 0);
  assert.equal(relay.failures, 0);
});

Deno.test("dials in vain make a relay hopeless when they were many, and over some time", () => {
  const relay = kept();
  const isHopeful = () => {
    relay.note({ isListed: true }, TEST_UNIX_MS);
    return relay.isHopeful;
  };
  for (const atMs of [0, 1, DOWN_AFTER_MS - 1]) relay.onUnlinked(atMs);
  assert.equal(isHopeful(), true);
  relay.onUnlinked(DOWN_AFTER_MS);
  assert.equal(isHopeful(), false);
  assert.equal(relay.onLinked(), true);
  assert.equal(relay.onLinked(), false);
  assert.equal(isHopeful(), true);
  // Two are too few, however far apart.
  for (const atMs of [0, 9 * DOWN_AFTER_MS]) relay.onUnlinked(atMs);
  assert.equal(isHopeful(), true);
});

Deno.test("a link has a relay tried at once where dials had failed, and changes nothing where other things did", () => {
  const random = seededRandom(1);
  const relay = kept();
  relay.onFailed(random, 0);
  assert.equal(relay.onLinked(), false);
  assert.ok(relay.retryMs > 0);
  relay.onUnlinked(0);
  assert.equal(relay.onLinked(), true);
  assert.equal(relay.retryMs, 0);
});

Deno.test("a relay off the list is hopeless for a while, and let go in the end", () => {
  const relay = kept();
  const missingMs = 3 * DAY_MS;
  assert.equal(relay.look(undefined, TEST_UNIX_MS), true);
  assert.equal(relay.look(undefined, TEST_UNIX_MS + 5), false);
  relay.note({ isListed: false }, TEST_UNIX_MS + STAND_IN_AFTER_MS - 1);
  assert.equal(relay.isHopeful, true);
  relay.note({ isListed: false }, TEST_UNIX_MS + STAND_IN_AFTER_MS);
  assert.equal(relay.isHopeful, false);
  assert.equal(relay.isOver(missingMs, TEST_UNIX_MS + missingMs - 1), false);
  assert.equal(relay.isOver(missingMs, TEST_UNIX_MS + missingMs), true);
  assert.equal(relay.look(RECORD, TEST_UNIX_MS + missingMs), true);
  assert.equal(relay.isOver(missingMs, TEST_UNIX_MS + missingMs), false);
  assert.equal(relay.isOver(missingMs, TEST_UNIX_MS + LIFE_MS), true);
});

Deno.test("a relay drawn while the clock was ahead keeps the length of its life", () => {
  const relay = kept(TEST_UNIX_MS + 100 * DAY_MS);
  assert.equal(relay.look(RECORD, TEST_UNIX_MS), true);
  assert.equal(relay.sampledUnixMs, TEST_UNIX_MS);
  assert.equal(relay.expiresUnixMs, TEST_UNIX_MS + LIFE_MS);
  assert.equal(relay.look(RECORD, TEST_UNIX_MS), false);
});

Deno.test("look() takes over where the relay is now", () => {
  const relay = kept();
  const addresses = [{ host: "198.51.100.7", port: 4100 }];
  assert.equal(relay.look({ ...RECORD, addresses }, TEST_UNIX_MS), true);
  assert.deepEqual(relay.addresses, addresses);
  assert.equal(relay.look({ ...RECORD, addresses }, TEST_UNIX_MS), false);
});
