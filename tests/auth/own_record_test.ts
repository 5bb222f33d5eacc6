import assert from "node:assert/strict";
import { networkParameters } from "../../lib/auth/network.ts";
import { OwnRecord } from "../../lib/auth/own_record.ts";
import { placeWithoutWork } from "../../lib/auth/proof_of_work.ts";
import { repeatableSuite } from "../../lib/crypto/repeatable.ts";
import {
  TEST_UNIX_MS,
  testBytes,
  testContent,
  testIdentity,
} from "../support/nodes.ts";

const HOUR_MS = 3_600_000;
const BANDWIDTH = 1_000_000;
const CONTENT = { ...testContent(), bandwidth: BANDWIDTH };

function ownRecord(): OwnRecord {
  const crypto = repeatableSuite();
  const identity = testIdentity(crypto, 1);
  return new OwnRecord({
    crypto,
    identity,
    network: networkParameters("local"),
    work: {
      workNonce: testBytes("nonce", 16),
      place: placeWithoutWork(crypto, identity.publicKey),
    },
  });
}

Deno.test("a record is due when there is none, and six hours after it was signed", () => {
  const record = ownRecord();
  assert.equal(record.isDue(BANDWIDTH, TEST_UNIX_MS), true);
  record.sign(CONTENT, TEST_UNIX_MS);
  assert.equal(record.isDue(BANDWIDTH, TEST_UNIX_MS), false);
  assert.equal(record.isDue(BANDWIDTH, TEST_UNIX_MS + 6 * HOUR_MS - 1), false);
  assert.equal(record.isDue(BANDWIDTH, TEST_UNIX_MS + 6 * HOUR_MS), true);
  assert.equal(record.renewAtMs, TEST_UNIX_MS + 6 * HOUR_MS);
});

Deno.test("a relay that carries twice what its record says signs once an hour for it", () => {
  const record = ownRecord();
  record.sign(CONTENT, TEST_UNIX_MS);
  assert.equal(record.isDue(9 * BANDWIDTH, TEST_UNIX_MS + HOUR_MS - 1), false);
  assert.equal(
    record.isDue(2 * BANDWIDTH - 1, TEST_UNIX_MS + HOUR_MS),
    false,
  );
  assert.equal(record.isDue(2 * BANDWIDTH, TEST_UNIX_MS + HOUR_MS), true);
});

Deno.test("a record of the future is due when no peer takes it, and the next one is of the time that it is", () => {
  const record = ownRecord();
  const { maxClockSkewMs } = networkParameters("local");
  record.sign(CONTENT, TEST_UNIX_MS);
  const edgeMs = TEST_UNIX_MS - maxClockSkewMs;
  assert.equal(record.isDue(BANDWIDTH, edgeMs), false);
  assert.equal(
    record.sign(CONTENT, edgeMs).sequence,
    TEST_UNIX_MS + 1,
  );
  assert.equal(record.isDue(BANDWIDTH, edgeMs), true);
  assert.equal(record.sign(CONTENT, edgeMs).sequence, edgeMs);
});
