import assert from "node:assert/strict";
import fc from "fast-check";
import { networkParameters } from "../../../lib/auth/network.ts";
import { type Bytes, equalBytes, utf8 } from "../../../lib/base/bytes.ts";
import { ProtocolError } from "../../../lib/base/errors.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import type { CryptoSuite, Signer } from "../../../lib/crypto/suite.ts";
import {
  compareDistance,
  type DhtKey,
} from "../../../lib/dht/records/distance.ts";
import {
  RECORD_STORE_LIMITS,
  RecordStore,
  type RecordStoreLimits,
  REPUBLISH_MS,
  type StoreOutcome,
  SWEEP_MS,
} from "../../../lib/dht/records/record_store.ts";
import {
  createStoredRecord,
  selfCertifyingKey,
  type StoredRecordContent,
} from "../../../lib/dht/records/stored_record.ts";
import { encodeCbor } from "../../../lib/wire/cbor.ts";
import { TEST_UNIX_MS, testBytes } from "../../support/nodes.ts";
import { point } from "./fake_records.ts";

const native = nativeSuite();
const network = networkParameters("local");
const HOUR_MS = 3_600_000;
const SELF = point(0x80);

/** Signatures are all zero, and right: for tests of anything else. */
const trusting: CryptoSuite = Object.assign(
  Object.create(native) as CryptoSuite,
  { verify: () => true },
);

function publisher(number: number): Signer {
  const publicKey = testBytes(`publisher ${number}`, 32);
  return { publicKey, sign: () => new Uint8Array(64) };
}

interface Setting {
  readonly limits?: Partial<RecordStoreLimits>;
  readonly crypto?: CryptoSuite;
  readonly isAmongClosest?: (key: DhtKey) => boolean;
}

function makeStore(setting: Setting = {}): RecordStore {
  return new RecordStore({
    crypto: setting.crypto ?? trusting,
    network,
    random: seededRandom(1),
    selfId: SELF,
    isAmongClosest: setting.isAmongClosest ?? (() => true),
    limits: { ...RECORD_STORE_LIMITS, ...setting.limits },
  });
}

function make(
  signer: Signer,
  changes: Partial<StoredRecordContent> = {},
): Bytes {
  return createStoredRecord(network, signer, {
    key: point(1),
    sequence: 1,
    expiry: TEST_UNIX_MS + HOUR_MS,
    value: utf8("value"),
    ...changes,
  }).encoded;
}

const STORED: StoreOutcome = { type: "stored" };
const refused = (code: string) => ({ type: "rejected", code });

function put(
  store: RecordStore,
  encoded: Bytes,
  from = "peer",
  unixMs = TEST_UNIX_MS,
): StoreOutcome {
  return store.put(encoded, from, 0, unixMs);
}

/** Peers enough that nobody's share is used up. */
const manyPeers = (index: number) => `peer ${index % 50}`;

Deno.test("put() keeps a record, and get() gives it back", () => {
  const store = makeStore();
  const record = make(publisher(1));
  assert.deepEqual(put(store, record), STORED);
  assert.deepEqual(store.get(point(1), TEST_UNIX_MS), [record]);
  assert.deepEqual(store.get(point(2), TEST_UNIX_MS), []);
  assert.deepEqual([store.keys, store.records, store.bytes], [
    1,
    1,
    record.length,
  ]);
});

Deno.test("put() refuses each fault with its code", () => {
  const real = native.signer(testBytes("signer", 32));
  const future = TEST_UNIX_MS + network.maxRecordLifeMs +
    network.maxClockSkewMs + 1;
  const cases: readonly (readonly [Bytes, string])[] = [
    [new Uint8Array(17_000), "too_large"],
    [largeRecord(), "too_large"],
    [make(real, { expiry: TEST_UNIX_MS }), "expired"],
    [make(real, { expiry: 0 }), "expired"],
    [make(real, { expiry: future }), "too_far_in_future"],
    [make(real, { key: point(0xff) }), "not_closest"],
    [make(publisher(1)), "bad_signature"],
  ];
  const store = makeStore({
    crypto: native,
    isAmongClosest: (key) => !equalBytes(key, point(0xff)),
  });
  for (const [record, code] of cases) {
    assert.deepEqual(put(store, record), refused(code));
  }
  assert.equal(store.records, 0);
  assert.deepEqual(put(store, make(real)), STORED);
});

Deno.test("put() breaks with whoever sends what is no record at all", () => {
  const store = makeStore();
  for (const bytes of [new Uint8Array(), new Uint8Array(10), utf8("{}")]) {
    assert.throws(() => put(store, bytes), ProtocolError);
  }
});

Deno.test("put() checks the cheap before the dear, in this order", () => {
  // Each record has every fault but those of the lines above it.
  const late = TEST_UNIX_MS + 100 * HOUR_MS;
  const real = native.signer(testBytes("signer", 32));
  const far = point(0xff);
  const store = makeStore({
    crypto: native,
    limits: { maxRecordsPerPeer: 1 },
    isAmongClosest: (key) => !equalBytes(key, far),
  });
  assert.deepEqual(put(store, make(real, { sequence: 9 })), STORED);
  const unsigned = publisher(1);
  const old = { publicKey: real.publicKey, sign: unsigned.sign };
  const order: readonly (readonly [Bytes, string])[] = [
    [make(unsigned, { expiry: 0, key: far }), "expired"],
    [make(unsigned, { expiry: late, key: far }), "too_far_in_future"],
    [make(unsigned, { key: far }), "not_closest"],
    [make(old, { sequence: 8 }), "older_sequence"],
    [make(unsigned, { key: point(2) }), "quota"],
  ];
  for (const [record, code] of order) {
    assert.deepEqual(put(store, record), refused(code));
  }
  assert.deepEqual(
    put(store, make(unsigned, { key: point(2) }), "another"),
    refused("bad_signature"),
  );
});

Deno.test("put() gives nothing up for a record that is not signed", () => {
  const real = native.signer(testBytes("signer", 32));
  const store = makeStore({ crypto: native, limits: { maxKeys: 1 } });
  const kept = make(real, { key: point(1) });
  put(store, kept);
  const closer = make(publisher(1), { key: SELF });
  assert.deepEqual(put(store, closer), refused("bad_signature"));
  assert.deepEqual(store.get(point(1), TEST_UNIX_MS), [kept]);
});

Deno.test("put() lets the newest sequence win, whatever comes in which order", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(20), { minLength: 1, maxLength: 12 }),
      (sequences) => {
        const store = makeStore();
        let best = -1;
        for (const sequence of sequences) {
          const outcome = put(store, make(publisher(1), { sequence }));
          const isNewer = sequence >= best;
          assert.deepEqual(
            outcome,
            isNewer ? STORED : refused("older_sequence"),
          );
          best = Math.max(best, sequence);
        }
        const expected = make(publisher(1), { sequence: best });
        assert.deepEqual(store.get(point(1), TEST_UNIX_MS), [expected]);
        assert.equal(store.bytes, expected.length);
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("put() keeps the first of two records with one sequence", () => {
  const store = makeStore();
  const first = make(publisher(1), { value: utf8("one") });
  const second = make(publisher(1), { value: utf8("two") });
  assert.deepEqual(put(store, first), STORED);
  assert.deepEqual(put(store, second), refused("older_sequence"));
  assert.deepEqual(put(store, first), STORED);
  assert.deepEqual(store.get(point(1), TEST_UNIX_MS), [first]);
});

Deno.test("put() keeps records of many publishers under one key, up to the limit", () => {
  const store = makeStore();
  for (let number = 0; number < network.maxPublishers; number++) {
    assert.deepEqual(put(store, make(publisher(number))), STORED);
  }
  assert.deepEqual(put(store, make(publisher(99))), refused("quota"));
  assert.deepEqual(put(store, make(publisher(3), { sequence: 2 })), STORED);
  assert.equal(store.records, network.maxPublishers);
  assert.equal(store.keys, 1);
});

Deno.test("put() makes place for a self-certifying record among squatters, and they cannot take it back", () => {
  const owner = publisher(1000);
  const key = selfCertifyingKey(native, owner.publicKey, 2);
  const store = makeStore();
  for (let number = 0; number < 30; number++) {
    const expiry = TEST_UNIX_MS + HOUR_MS + number;
    put(store, make(publisher(number), { key, expiry }), manyPeers(number));
  }
  assert.equal(store.records, network.maxPublishers);
  const own = make(owner, { key });
  assert.deepEqual(put(store, own), STORED);
  assert.equal(store.records, network.maxPublishers);
  // The squatter that would have expired first has left.
  assert.deepEqual(
    store.get(key, TEST_UNIX_MS, publisher(0).publicKey),
    [],
  );
  for (let number = 30; number < 80; number++) {
    const squatter = make(publisher(number), { key, sequence: 1e12 });
    assert.deepEqual(
      put(store, squatter, manyPeers(number)),
      refused("quota"),
    );
  }
  assert.deepEqual(store.get(key, TEST_UNIX_MS)[0], own);
  assert.deepEqual(store.get(key, TEST_UNIX_MS, owner.publicKey), [own]);
});

Deno.test("get() shuffles open records, so that an answer cut short favours nobody", () => {
  const store = makeStore();
  for (let number = 0; number < 5; number++) {
    put(store, make(publisher(number)));
  }
  const firsts = new Set<string>();
  for (let draw = 0; draw < 60; draw++) {
    const found = store.get(point(1), TEST_UNIX_MS);
    assert.equal(found.length, 5);
    firsts.add(String(found[0]));
  }
  assert.equal(firsts.size, 5);
});

Deno.test("get() never shows a record at or after its expiry, swept or not", () => {
  const store = makeStore();
  const expiry = TEST_UNIX_MS + 5000;
  const record = make(publisher(1), { expiry });
  put(store, record);
  assert.deepEqual(store.get(point(1), expiry - 1), [record]);
  assert.deepEqual(store.get(point(1), expiry), []);
  assert.equal(store.records, 1);
  assert.deepEqual(store.export(expiry), []);
});

Deno.test("onTime() sweeps what has expired, and then has no deadline", () => {
  const store = makeStore();
  assert.equal(store.deadlineMs, Infinity);
  put(store, make(publisher(1), { expiry: TEST_UNIX_MS + 1 }));
  assert.equal(store.deadlineMs, SWEEP_MS);
  assert.deepEqual(store.onTime(SWEEP_MS - 1, TEST_UNIX_MS + 10), []);
  assert.equal(store.records, 1);
  store.onTime(SWEEP_MS, TEST_UNIX_MS + 10);
  assert.deepEqual([store.keys, store.records, store.bytes], [0, 0, 0]);
  assert.equal(store.deadlineMs, Infinity);
});

Deno.test("put() treats an expired record as if it were gone", () => {
  const store = makeStore();
  const expiry = TEST_UNIX_MS + 1000;
  put(store, make(publisher(1), { sequence: 9, expiry }));
  const next = make(publisher(1), { sequence: 3 });
  assert.deepEqual(
    put(store, next, "peer", expiry - 1),
    refused("older_sequence"),
  );
  assert.deepEqual(put(store, next, "peer", expiry), STORED);
});

Deno.test("the 10,001st key evicts the farthest, and a farther one is turned away", () => {
  const store = makeStore();
  const random = seededRandom(3);
  const keys: Bytes[] = [];
  for (let index = 0; index < RECORD_STORE_LIMITS.maxKeys; index++) {
    const key = random.bytes(32);
    keys.push(key);
    const record = make(publisher(1), { key });
    assert.deepEqual(put(store, record, manyPeers(index)), STORED);
  }
  assert.equal(store.keys, 10_000);
  keys.sort((a, b) => compareDistance(SELF, a, b));
  const farthest = keys.at(-1) as Bytes;
  const nextFarthest = keys.at(-2) as Bytes;

  const beyond = new Uint8Array(farthest);
  beyond[31] = (beyond[31] as number) ^ 1;
  const isBeyond = compareDistance(SELF, beyond, farthest) > 0;
  const outcome = put(store, make(publisher(1), { key: beyond }), "new");
  if (isBeyond) assert.deepEqual(outcome, refused("quota"));
  else assert.deepEqual(outcome, STORED);

  assert.deepEqual(
    put(store, make(publisher(2), { key: SELF }), "new"),
    STORED,
  );
  assert.equal(store.keys, 10_000);
  const gone = isBeyond ? farthest : beyond;
  assert.deepEqual(store.get(gone, TEST_UNIX_MS), []);
  assert.equal(store.get(nextFarthest, TEST_UNIX_MS).length, 1);
  assert.equal(store.get(SELF, TEST_UNIX_MS).length, 1);
});

Deno.test("a full store gives up what has expired before what is far", () => {
  const store = makeStore({ limits: { maxKeys: 3 } });
  const soon = TEST_UNIX_MS + 1000;
  put(store, make(publisher(1), { key: point(0x80, 1), expiry: soon }));
  put(store, make(publisher(1), { key: point(0x7f) }));
  put(store, make(publisher(1), { key: point(0x7e) }));
  const next = make(publisher(1), { key: point(0x7d) });
  assert.deepEqual(put(store, next, "peer", soon), STORED);
  assert.equal(store.get(point(0x7f), soon).length, 1);
  assert.equal(store.get(point(0x80, 1), soon).length, 0);
});

Deno.test("eviction keeps the closest keys, whatever comes in which order", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat(255), { minLength: 1, maxLength: 24 }),
      (bytes) => {
        const store = makeStore({ limits: { maxKeys: 8 } });
        const keys = bytes.map((byte) => point(byte, 1));
        for (const key of keys) put(store, make(publisher(1), { key }));
        const expected = [...keys]
          .sort((a, b) => compareDistance(SELF, a, b)).slice(0, 8);
        assert.equal(store.keys, expected.length);
        for (const key of expected) {
          assert.equal(store.get(key, TEST_UNIX_MS).length, 1);
        }
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("a store stays under its bytes, and gives up the farthest for them", () => {
  const value = new Uint8Array(1000);
  const size = make(publisher(1), { value }).length;
  const store = makeStore({ limits: { maxBytes: 3 * size } });
  for (const byte of [0x10, 0x70, 0x81]) {
    put(store, make(publisher(1), { key: point(byte), value }));
  }
  assert.equal(store.bytes, 3 * size);
  const close = make(publisher(1), { key: point(0x82), value });
  assert.deepEqual(put(store, close), STORED);
  assert.equal(store.bytes, 3 * size);
  assert.deepEqual(store.get(point(0x70), TEST_UNIX_MS), []);
  const far = make(publisher(1), { key: point(0x71), value });
  assert.deepEqual(put(store, far), refused("quota"));
  const grown = make(publisher(1), {
    key: point(0x10),
    sequence: 2,
    value: new Uint8Array(2000),
  });
  // It would have to evict closer keys than itself.
  assert.deepEqual(put(store, grown), refused("quota"));
  assert.equal(store.get(point(0x10), TEST_UNIX_MS).length, 1);
});

Deno.test("one peer fills no more than its share, in records and in bytes", () => {
  const store = makeStore({
    limits: { maxRecordsPerPeer: 5, maxBytesPerPeer: 3000 },
  });
  const record = (index: number, value = utf8("v")) =>
    make(publisher(1), { key: point(index), value });
  for (let index = 0; index < 5; index++) {
    assert.deepEqual(put(store, record(index), "flood"), STORED);
  }
  assert.deepEqual(put(store, record(5), "flood"), refused("quota"));
  assert.deepEqual(put(store, record(5), "honest"), STORED);
  // A newer sequence of what it has given costs it nothing more.
  const newer = make(publisher(1), { key: point(0), sequence: 2 });
  assert.deepEqual(put(store, newer, "flood"), STORED);
  const large = new Uint8Array(2000);
  assert.deepEqual(put(store, record(6, large), "bytes"), STORED);
  assert.deepEqual(put(store, record(7, large), "bytes"), refused("quota"));
});

Deno.test("a peer's share is free again once its records have gone", () => {
  const store = makeStore({ limits: { maxRecordsPerPeer: 1 } });
  const expiry = TEST_UNIX_MS + 1000;
  put(store, make(publisher(1), { key: point(1), expiry }), "peer");
  const next = make(publisher(1), { key: point(2) });
  assert.deepEqual(put(store, next, "peer"), refused("quota"));
  store.sweep(expiry);
  assert.deepEqual(put(store, next, "peer"), STORED);
});

Deno.test("a node's own records need no share, and no place among the closest", () => {
  const store = makeStore({
    limits: { maxRecordsPerPeer: 1 },
    isAmongClosest: () => false,
  });
  for (let index = 0; index < 4; index++) {
    const record = make(publisher(1), { key: point(index) });
    assert.deepEqual(put(store, record, ""), STORED);
  }
});

Deno.test("onTime() has a key republished about every hour", () => {
  const store = makeStore();
  const expiry = TEST_UNIX_MS + 24 * HOUR_MS;
  put(store, make(publisher(1), { expiry }));
  const times: number[] = [];
  for (let nowMs = 0; nowMs < 10 * REPUBLISH_MS; nowMs += SWEEP_MS) {
    for (const key of store.onTime(nowMs, TEST_UNIX_MS + nowMs)) {
      assert.deepEqual(key, point(1));
      times.push(nowMs);
    }
  }
  assert.ok(times.length >= 8 && times.length <= 11, String(times));
  for (const [index, nowMs] of times.entries()) {
    const gap = nowMs - (times[index - 1] ?? 0);
    assert.ok(
      gap >= 0.9 * REPUBLISH_MS && gap <= 1.1 * REPUBLISH_MS + SWEEP_MS,
    );
  }
});

Deno.test("a record handed over again mostly, but not always, spares its holder a turn", () => {
  const store = makeStore();
  const expiry = TEST_UNIX_MS + 24 * HOUR_MS;
  const keys = Array.from({ length: 200 }, (_, index) => point(index));
  const records = keys.map((key) => make(publisher(1), { key, expiry }));
  for (const record of records) put(store, record);
  const halfMs = REPUBLISH_MS / 2;
  for (const record of records) {
    store.put(record, "peer", halfMs, TEST_UNIX_MS + halfMs);
  }
  const nowMs = Math.ceil(1.2 * REPUBLISH_MS);
  const due = store.onTime(nowMs, TEST_UNIX_MS + nowMs).length;
  assert.ok(due > 5 && due < 50, `${due} of 200 are due`);
});

Deno.test("import() takes back what export() gave, and nothing that is wrong", () => {
  const real = native.signer(testBytes("signer", 32));
  const before = makeStore({ crypto: native });
  const records = [1, 2, 3].map((byte) => make(real, { key: point(byte) }));
  for (const record of records) put(before, record);
  const exported = before.export(TEST_UNIX_MS);
  assert.equal(exported.length, 3);

  const torn = records[0]?.subarray(0, 50) as Bytes;
  const forged = make(publisher(1), { key: point(9) });
  const after = makeStore({ crypto: native, isAmongClosest: () => false });
  const mixed = [...exported, torn, forged, new Uint8Array()];
  assert.equal(after.import(mixed, 0, TEST_UNIX_MS), 3);
  assert.deepEqual(new Set(after.export(TEST_UNIX_MS)), new Set(exported));
  const later = makeStore({ crypto: native });
  assert.equal(later.import(exported, 0, TEST_UNIX_MS + HOUR_MS), 0);
});

Deno.test("counts never drift from what is held", () => {
  const action = fc.record({
    key: fc.nat(5),
    publisher: fc.nat(4),
    sequence: fc.nat(3),
    lifeMs: fc.integer({ min: 1, max: 50 }),
    from: fc.constantFrom("a", "b", ""),
    size: fc.nat(60),
  });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const store = makeStore({
        limits: { maxKeys: 4, maxBytes: 1500, maxRecordsPerPeer: 6 },
      });
      let unixMs = TEST_UNIX_MS;
      for (
        const { key, publisher: who, sequence, lifeMs, from, size } of actions
      ) {
        const record = make(publisher(who), {
          key: point(key * 40),
          sequence,
          expiry: unixMs + lifeMs,
          value: new Uint8Array(size),
        });
        put(store, record, from, unixMs);
        unixMs += 5;
        assert.ok(store.keys <= 4 && store.bytes <= 1500);
      }
      const held = store.export(0);
      assert.equal(held.length, store.records);
      assert.equal(
        held.reduce((sum, { length }) => sum + length, 0),
        store.bytes,
      );
      store.sweep(Infinity);
      assert.deepEqual([store.keys, store.records, store.bytes], [0, 0, 0]);
    }),
    { numRuns: 60 },
  );
});

function largeRecord(): Bytes {
  const value = new Uint8Array(network.maxRecordValueBytes + 1);
  const { publicKey } = publisher(1);
  return encodeCbor({
    key: point(1),
    publisher: publicKey,
    sequence: 1,
    expiry: TEST_UNIX_MS + HOUR_MS,
    value,
    signature: new Uint8Array(64),
  });
}
