import assert from "node:assert/strict";
import { networkParameters } from "../../lib/auth/network.ts";
import { checkRecordDates } from "../../lib/auth/node_record.ts";
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
const QUARTER_MS = HOUR_MS / 4;
const BANDWIDTH = 1_000_000;
const CONTENT = { ...testContent(), bandwidth: BANDWIDTH };

function ownRecord(number = 1): OwnRecord {
  const crypto = repeatableSuite();
  const identity = testIdentity(crypto, number);
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
  const { sequence } = record.sign(CONTENT, TEST_UNIX_MS);
  const edgeMs = sequence - maxClockSkewMs;
  assert.equal(record.isDue(BANDWIDTH, edgeMs), false);
  assert.equal(record.sign(CONTENT, edgeMs).sequence, sequence + 1);
  assert.equal(record.isDue(BANDWIDTH, edgeMs), true);
  assert.ok(record.sign(CONTENT, edgeMs).sequence < edgeMs);
});

Deno.test("records rise from second to second, over restarts as well, and are valid for peers whose clock is an hour off", () => {
  const network = networkParameters("local");
  let last = 0;
  for (let n = 0; n < 300; n++) {
    const unixMs = TEST_UNIX_MS + n * 41_000;
    // A new process, which remembers none.
    const { sequence, expiry } = ownRecord().sign(CONTENT, unixMs);
    assert.ok(sequence > last);
    last = ownRecord().sign(CONTENT, unixMs + 1000).sequence;
    assert.ok(last > sequence);
    assert.equal(expiry % QUARTER_MS, 0);
    assert.ok(sequence > unixMs - 1.5 * HOUR_MS && sequence <= unixMs);
    const lifeMs = expiry - unixMs;
    assert.ok(lifeMs > 22.5 * HOUR_MS && lifeMs <= 23.75 * HOUR_MS);
    for (const skewMs of [-1, 1].map((sign) => sign * HOUR_MS)) {
      checkRecordDates(network, { sequence, expiry }, unixMs + skewMs);
    }
  }
});

Deno.test("records of one machine show each a clock of its own, and none the machine's", () => {
  // What an observer knows of the clock by the quarters of a relay's records, seen often.
  const shown = (relay: number, aheadMs: number) => {
    const record = ownRecord(relay);
    let hours = 0;
    for (let minute = 0; minute < 600; minute++) {
      const unixMs = TEST_UNIX_MS + minute * 60_000 + aheadMs;
      hours += record.sign(CONTENT, unixMs).expiry / HOUR_MS / 600;
    }
    return hours;
  };
  const relays = Array.from({ length: 40 }, (_, relay) => relay);
  const lags = relays.map((relay) => shown(relay, 0));
  const spread = Math.max(...lags) - Math.min(...lags);
  // They are all over the hour, so that minutes of an offset do not stand out.
  assert.ok(spread > 0.8 && spread < 1.1, `${spread} h`);
  const sorted = lags.toSorted((a, b) => a - b);
  for (const [index, lag] of sorted.entries()) {
    const gap = (sorted[index + 1] ?? lag) - lag;
    assert.ok(gap < 0.25, `none within ${gap} h`);
  }
  for (const relay of relays.slice(0, 5)) {
    const [sequence, other] = [0, 37_000].map((aheadMs) =>
      ownRecord(relay).sign(CONTENT, TEST_UNIX_MS + aheadMs).sequence
    );
    assert.ok(Math.abs((other ?? 0) - (sequence ?? 0) - 37_000) > 1_000);
  }
});
