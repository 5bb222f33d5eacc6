import assert from "node:assert/strict";
import { nativeSuite } from "../../lib/crypto/native.ts";
import type { CryptoSuite } from "../../lib/crypto/suite.ts";
import { customNetwork, networkParameters } from "../../lib/auth/network.ts";
import { RecordVerifier } from "../../lib/auth/record_verifier.ts";
import { findWork } from "../../lib/auth/proof_of_work.ts";
import { findRent, rentEndMs, rentPeriod } from "../../lib/auth/rent.ts";
import { type Bytes, utf8 } from "../../lib/base/bytes.ts";
import { seededRandom } from "../../lib/base/random.ts";
import {
  TEST_UNIX_MS,
  testBytes,
  testContent,
  testIdentity,
  testRecord,
} from "../support/nodes.ts";
import vector from "../vectors/node_record.json" with { type: "json" };

const HOUR_MS = 3_600_000;
const local = networkParameters("local");
/** A network whose work the tests' own scrypt decides. */
const working = customNetwork({
  name: "local",
  powDifficulty: 8,
  allowPrivateAddresses: true,
});

/** A suite that counts, and whose scrypt is under the test's control. */
class WatchedSuite {
  verified = 0;
  /** Calls of scrypt for work. */
  hashed = 0;
  /** Calls of scrypt for rent, which is always right. */
  rents = 0;
  /** First byte that scrypt gives: 0 is work enough. */
  firstByte = 0;
  /** Calls of scrypt that have not been answered, while `held`. */
  waiting: (() => void)[] = [];
  held = false;
  readonly suite: CryptoSuite;

  constructor() {
    const real = nativeSuite();
    this.suite = {
      ...real,
      verify: (...args) => {
        this.verified++;
        return real.verify(...args);
      },
      scrypt: async (_password, _salt, { N }) => {
        if (N === 1024) {
          this.rents++;
          return new Uint8Array(32);
        }
        this.hashed++;
        if (this.held) {
          await new Promise<void>((resolve) => this.waiting.push(resolve));
        }
        return new Uint8Array(32).fill(this.firstByte);
      },
    };
  }
}

/** The place that the tests' scrypt gives to all. */
const PLACE = nativeSuite().sha256(
  utf8("anonnet v1 place"),
  new Uint8Array(32),
);

function record(seed: number, sequence = TEST_UNIX_MS): Uint8Array {
  const changes = { sequence, place: PLACE };
  return testRecord(nativeSuite(), seed, changes, working).encoded;
}

/** Lets promises go as far as they can. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await null;
}

Deno.test("RecordVerifier takes a record of main that another implementation wrote", async () => {
  const verifier = new RecordVerifier(nativeSuite(), networkParameters("main"));
  const encoded = Uint8Array.fromHex(vector.encoded);
  const verified = await verifier.verify(encoded, vector.sequence);
  assert.equal(verified.nodeId.toHex(), vector.nodeId);
});

Deno.test("RecordVerifier verifies the same record once", async () => {
  const watched = new WatchedSuite();
  const verifier = new RecordVerifier(watched.suite, working);
  const encoded = record(1);
  const first = await verifier.verify(encoded, TEST_UNIX_MS);
  for (let peer = 0; peer < 20; peer++) {
    const again = await verifier.verify(encoded.slice(), TEST_UNIX_MS);
    assert.equal(again, first);
  }
  assert.deepEqual([watched.verified, watched.hashed], [1, 1]);
});

Deno.test("RecordVerifier compares the dates of known records with the time of each call", async () => {
  const verifier = new RecordVerifier(new WatchedSuite().suite, working);
  const encoded = record(1);
  const { expiry } = await verifier.verify(encoded, TEST_UNIX_MS);
  await verifier.verify(encoded, expiry - 1);
  for (const unixMs of [expiry, TEST_UNIX_MS - HOUR_MS - 1]) {
    await assert.rejects(verifier.verify(encoded, unixMs), {
      code: "auth.record_date",
    });
  }
});

Deno.test("RecordVerifier.verifyOverdue() takes a record for a while after its time, known or not", async () => {
  const encoded = record(1);
  const { expiry } = await new RecordVerifier(
    new WatchedSuite().suite,
    working,
  ).verify(encoded, TEST_UNIX_MS);
  for (const isKnown of [false, true]) {
    const watched = new WatchedSuite();
    const verifier = new RecordVerifier(watched.suite, working);
    if (isKnown) await verifier.verify(encoded, TEST_UNIX_MS);
    for (const overMs of [-1, 0, 1, HOUR_MS]) {
      await verifier.verifyOverdue(encoded, expiry + overMs, HOUR_MS);
    }
    assert.equal(watched.hashed, 1);
    for (const unixMs of [expiry + HOUR_MS + 1, TEST_UNIX_MS - HOUR_MS - 1]) {
      await assert.rejects(verifier.verifyOverdue(encoded, unixMs, HOUR_MS), {
        code: "auth.record_date",
      });
    }
  }
});

Deno.test("RecordVerifier checks the work of an identity once", async () => {
  const watched = new WatchedSuite();
  const verifier = new RecordVerifier(watched.suite, working);
  for (let hour = 0; hour < 5; hour++) {
    const now = TEST_UNIX_MS + hour * HOUR_MS;
    const encoded = testRecord(nativeSuite(), 1, {
      sequence: now,
      expiry: now + HOUR_MS,
      place: PLACE,
    }, working).encoded;
    await verifier.verify(encoded, now);
  }
  assert.deepEqual(
    [watched.verified, watched.hashed, watched.rents],
    [5, 1, 1],
  );
  const otherNonce = testRecord(nativeSuite(), 1, {
    workNonce: testBytes("another", 16),
    place: PLACE,
  }, working).encoded;
  await verifier.verify(otherNonce, TEST_UNIX_MS);
  assert.equal(watched.hashed, 2);
});

Deno.test("RecordVerifier refuses wrong work, every time", async () => {
  const watched = new WatchedSuite();
  watched.firstByte = 1;
  const verifier = new RecordVerifier(watched.suite, working);
  for (let time = 1; time <= 2; time++) {
    await assert.rejects(verifier.verify(record(1), TEST_UNIX_MS), {
      name: "ProtocolError",
      code: "auth.record_work",
    });
    assert.equal(watched.hashed, time);
  }
  watched.firstByte = 0;
  await verifier.verify(record(1), TEST_UNIX_MS);
});

Deno.test("RecordVerifier refuses a place that the work does not give, known work or not", async () => {
  const watched = new WatchedSuite();
  const verifier = new RecordVerifier(watched.suite, working);
  const elsewhere = testRecord(nativeSuite(), 1, {
    place: PLACE.with(0, 1),
  }, working).encoded;
  for (let time = 0; time < 2; time++) {
    await assert.rejects(verifier.verify(elsewhere, TEST_UNIX_MS), {
      code: "auth.record_work",
    });
    const { place } = await verifier.verify(record(1), TEST_UNIX_MS);
    assert.deepEqual(place, PLACE);
  }
});

Deno.test("RecordVerifier refuses the work and the place of another key", async () => {
  const crypto = nativeSuite();
  const priced = customNetwork({
    name: "priced",
    powDifficulty: 2,
    allowPrivateAddresses: true,
  });
  const verifier = new RecordVerifier(crypto, priced);
  const { publicKey } = testIdentity(crypto, 1);
  const random = seededRandom(1);
  const work = await findWork(crypto, 2, publicKey, random);
  const period = rentPeriod(testContent().expiry);
  const rent = await findRent(crypto, priced, publicKey, period, random);
  const own = testRecord(crypto, 1, { ...work, rent }, priced).encoded;
  await verifier.verify(own, TEST_UNIX_MS);
  const { publicKey: otherKey } = testIdentity(crypto, 2);
  const paid = await findRent(crypto, priced, otherKey, period, random);
  const foreign = testRecord(crypto, 2, { ...work, rent: paid }, priced)
    .encoded;
  await assert.rejects(verifier.verify(foreign, TEST_UNIX_MS), {
    code: "auth.record_work",
  });
});

Deno.test("RecordVerifier refuses a record that is paid by another key, for another period or not at all", async () => {
  const crypto = nativeSuite();
  const priced = customNetwork({
    name: "priced",
    powDifficulty: 4,
    allowPrivateAddresses: true,
  });
  const { publicKey } = testIdentity(crypto, 1);
  const { publicKey: otherKey } = testIdentity(crypto, 2);
  const random = seededRandom(7);
  const work = await findWork(crypto, 4, publicKey, random);
  const period = rentPeriod(testContent().expiry);
  const pay = (key: typeof publicKey, period: number) =>
    findRent(crypto, priced, key, period, random);
  const rent = await pay(publicKey, period);
  const verifier = new RecordVerifier(crypto, priced);
  const verify = (changes: { rent: Bytes; expiry?: number }, nowMs: number) =>
    verifier.verify(
      testRecord(
        crypto,
        1,
        { sequence: nowMs, ...work, ...changes },
        priced,
      ).encoded,
      nowMs,
    );
  await verify({ rent }, TEST_UNIX_MS);
  const unpaid = { name: "ProtocolError", code: "auth.record_rent" };
  const bad = [
    await pay(publicKey, period - 1),
    await pay(publicKey, period + 1),
    await pay(otherKey, period),
    testBytes("none", 16),
  ];
  for (const rent of bad) {
    await assert.rejects(verify({ rent }, TEST_UNIX_MS), unpaid);
  }
  // What was right in one period is remembered for that one alone.
  const endMs = rentEndMs(period);
  await verify({ rent, expiry: endMs }, endMs - HOUR_MS);
  await assert.rejects(
    verify({ rent, expiry: endMs + 1 }, endMs - HOUR_MS),
    unpaid,
  );
  const next = await pay(publicKey, period + 1);
  await verify({ rent: next, expiry: endMs + 1 }, endMs - HOUR_MS);
});

Deno.test("RecordVerifier spends no work on records that are wrong otherwise", async () => {
  const watched = new WatchedSuite();
  const verifier = new RecordVerifier(watched.suite, working);
  const encoded = record(1);
  const bent = encoded.slice();
  const last = bent.length - 1;
  bent[last] = (bent[last] ?? 0) ^ 1;
  const bad: [encoded: Uint8Array, unixMs: number][] = [
    [bent, TEST_UNIX_MS],
    [encoded, TEST_UNIX_MS + 30 * HOUR_MS],
    [encoded.subarray(1), TEST_UNIX_MS],
    [new Uint8Array(0), TEST_UNIX_MS],
    [new Uint8Array(10_000_000), TEST_UNIX_MS],
  ];
  for (const [bytes, unixMs] of bad) {
    await assert.rejects(verifier.verify(bytes, unixMs), {
      name: "ProtocolError",
    });
  }
  assert.equal(watched.hashed, 0);
});

Deno.test("RecordVerifier makes twenty peers wait for one call", async () => {
  const watched = new WatchedSuite();
  watched.held = true;
  const verifier = new RecordVerifier(watched.suite, working);
  const encoded = record(1);
  const waiting = Array.from(
    { length: 20 },
    () => verifier.verify(encoded, TEST_UNIX_MS),
  );
  await settle();
  assert.equal(watched.hashed, 1);
  for (const answer of watched.waiting) answer();
  const records = await Promise.all(waiting);
  assert.equal(new Set(records.map(({ nodeId }) => nodeId.toHex())).size, 1);
});

Deno.test("RecordVerifier runs a few calls at once, in order, and turns the rest away", async () => {
  const watched = new WatchedSuite();
  watched.held = true;
  const limits = { maxWaiting: 3 };
  const verifier = new RecordVerifier(watched.suite, working, limits);
  const done: number[] = [];
  const checks = [1, 2, 3, 4, 5].map((seed) =>
    verifier.verify(record(seed), TEST_UNIX_MS).then(() => done.push(seed))
  );
  await settle();
  assert.equal(watched.hashed, 2);
  await assert.rejects(verifier.verify(record(6), TEST_UNIX_MS), {
    name: "UnreachableError",
    code: "auth.verifier_busy",
  });
  for (let answered = 1; answered <= 5; answered++) {
    watched.waiting.shift()?.();
    await settle();
    assert.deepEqual(done, [1, 2, 3, 4, 5].slice(0, answered));
    assert.equal(watched.hashed, Math.min(5, 2 + answered));
  }
  await Promise.all(checks);
  watched.held = false;
  await verifier.verify(record(6), TEST_UNIX_MS);
});

Deno.test("RecordVerifier lets the next one go on when scrypt fails", async () => {
  const watched = new WatchedSuite();
  const failing: CryptoSuite = {
    ...watched.suite,
    scrypt: () => Promise.reject(new Error("out of memory")),
  };
  const verifier = new RecordVerifier(failing, working);
  for (let seed = 1; seed <= 5; seed++) {
    await assert.rejects(
      verifier.verify(record(seed), TEST_UNIX_MS),
      /out of memory/,
    );
  }
});

Deno.test("RecordVerifier forgets the records used longest ago, and stays right", async () => {
  const watched = new WatchedSuite();
  const limits = { maxRecords: 2, maxWork: 1 };
  const verifier = new RecordVerifier(watched.suite, working, limits);
  for (const seed of [1, 2, 3]) {
    await verifier.verify(record(seed), TEST_UNIX_MS);
  }
  assert.deepEqual([watched.verified, watched.hashed], [3, 3]);
  await verifier.verify(record(3), TEST_UNIX_MS);
  await verifier.verify(record(2), TEST_UNIX_MS);
  assert.deepEqual([watched.verified, watched.hashed], [3, 3]);
  await verifier.verify(record(1), TEST_UNIX_MS);
  assert.deepEqual([watched.verified, watched.hashed], [4, 4]);
});

Deno.test("RecordVerifier computes no work where none is asked for", async () => {
  const watched = new WatchedSuite();
  const { encoded } = testRecord(nativeSuite(), 1);
  await new RecordVerifier(watched.suite, local).verify(encoded, TEST_UNIX_MS);
  assert.equal(watched.hashed, 0);
});
