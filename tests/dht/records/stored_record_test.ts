import assert from "node:assert/strict";
import fc from "fast-check";
import { networkParameters } from "../../../lib/auth/network.ts";
import { concat, utf8 } from "../../../lib/base/bytes.ts";
import { ProtocolError } from "../../../lib/base/errors.ts";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import {
  checkStoredRecord,
  createStoredRecord,
  decodeStoredRecord,
  isSelfCertifying,
  isSigned,
  maxStoredRecordBytes,
  selfCertifyingKey,
  type StoredRecordContent,
} from "../../../lib/dht/records/stored_record.ts";
import { encodeCbor } from "../../../lib/wire/cbor.ts";
import { TEST_UNIX_MS, testBytes } from "../../support/nodes.ts";
import { point } from "./fake_records.ts";

const crypto = nativeSuite();
const network = networkParameters("local");
const signer = crypto.signer(testBytes("publisher", 32));
const other = crypto.signer(testBytes("another publisher", 32));
const HOUR_MS = 3_600_000;

function make(changes: Partial<StoredRecordContent> = {}) {
  return createStoredRecord(network, signer, {
    key: point(1, 2, 3),
    sequence: 5,
    expiry: TEST_UNIX_MS + HOUR_MS,
    value: utf8("a value"),
    ...changes,
  });
}

function throwsCode(run: () => unknown, code: string): void {
  assert.throws(
    run,
    (error) => error instanceof ProtocolError && error.code === code,
    code,
  );
}

Deno.test("decodeStoredRecord() undoes createStoredRecord()", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.uint8Array({ maxLength: 300 }),
      fc.maxSafeNat(),
      (key, value, sequence) => {
        const record = make({ key: new Uint8Array(key), value, sequence });
        assert.deepEqual(decodeStoredRecord(record.encoded), record);
        assert.ok(isSigned(crypto, record));
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("a record with the largest value fits the limit of encoded records", () => {
  const record = make({
    value: new Uint8Array(network.maxRecordValueBytes),
    sequence: Number.MAX_SAFE_INTEGER,
  });
  assert.ok(record.encoded.length <= maxStoredRecordBytes(network));
});

Deno.test("createStoredRecord() refuses what others would", () => {
  const large = new Uint8Array(network.maxRecordValueBytes + 1);
  const bad: Partial<StoredRecordContent>[] = [
    { value: large },
    { key: new Uint8Array(31) },
    { sequence: -1 },
    { expiry: NaN },
  ];
  for (const changes of bad) assert.throws(() => make(changes), RangeError);
});

Deno.test("checkStoredRecord() takes a record up to its last millisecond", () => {
  const record = make();
  const { key, expiry, encoded } = record;
  const check = (unixMs: number) =>
    checkStoredRecord(crypto, network, encoded, key, unixMs);
  assert.deepEqual(check(expiry - 1), record);
  throwsCode(() => check(expiry), "dht.record_expired");
});

Deno.test("checkStoredRecord() says what is wrong with a record", () => {
  const check = (encoded: Uint8Array, key = point(1, 2, 3)) =>
    checkStoredRecord(crypto, network, encoded, key, TEST_UNIX_MS);
  const { encoded } = make();
  throwsCode(() => check(encoded, point(1, 2, 4)), "dht.record_key");
  const { maxRecordLifeMs, maxClockSkewMs } = network;
  const latest = TEST_UNIX_MS + maxRecordLifeMs + maxClockSkewMs;
  check(make({ expiry: latest }).encoded);
  throwsCode(
    () => check(make({ expiry: latest + 1 }).encoded),
    "dht.record_future",
  );
  const forged = encodeCbor({
    ...fieldsOf(make()),
    publisher: other.publicKey,
  });
  throwsCode(() => check(forged), "dht.record_signature");
  const large = new Uint8Array(network.maxRecordValueBytes + 1);
  throwsCode(
    () => check(encodeCbor({ ...fieldsOf(make()), value: large })),
    "dht.record_size",
  );
});

Deno.test("a record is signed for this purpose alone", () => {
  const { key, publisher, sequence, expiry, value } = make();
  const body = encodeCbor({ key, publisher, sequence, expiry, value });
  const contexts = ["anonnet v1 node record", "anonnet v1 stored recor", ""];
  for (const context of contexts) {
    const message = concat(utf8(context), Uint8Array.of(0), body);
    const signature = signer.sign(message);
    assert.ok(!isSigned(crypto, { ...make(), signature }));
  }
  const signature = signer.sign(body);
  assert.ok(!isSigned(crypto, { ...make(), signature }));
});

Deno.test("a record with any byte changed is malformed, or not signed", () => {
  const { encoded } = make();
  for (let at = 0; at < encoded.length; at++) {
    const changed = new Uint8Array(encoded);
    changed[at] = (changed[at] as number) ^ 1;
    try {
      assert.ok(!isSigned(crypto, decodeStoredRecord(changed)), `byte ${at}`);
    } catch (error) {
      assert.ok(error instanceof ProtocolError, String(error));
    }
  }
});

Deno.test("decodeStoredRecord() gives a value or a ProtocolError for any bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    try {
      decodeStoredRecord(bytes);
      assert.fail("nothing signs by chance");
    } catch (error) {
      assert.ok(error instanceof ProtocolError);
    }
  }));
  const { encoded } = make();
  for (let length = 0; length < encoded.length; length++) {
    assert.throws(
      () => decodeStoredRecord(encoded.subarray(0, length)),
      ProtocolError,
    );
  }
});

Deno.test("decodeStoredRecord() refuses fields that are missing, extra, or of another form", () => {
  const fields = fieldsOf(make());
  const bad: Record<string, unknown>[] = [
    { ...fields, key: new Uint8Array(31) },
    { ...fields, publisher: new Uint8Array(33) },
    { ...fields, signature: new Uint8Array(63) },
    { ...fields, sequence: -1 },
    { ...fields, sequence: "5" },
    { ...fields, expiry: null },
    { ...fields, value: "text" },
    { ...fields, extra: 1 },
    { ...fields, value: undefined },
    { ...fields, value: [new Uint8Array(1)] },
  ];
  for (const value of bad) {
    assert.throws(
      () =>
        decodeStoredRecord(
          encodeCbor(value as Parameters<typeof encodeCbor>[0]),
        ),
      ProtocolError,
    );
  }
});

Deno.test("selfCertifyingKey() gives eight places that are the publisher's alone", () => {
  const keys = Array.from(
    { length: network.recordReplicas },
    (_, replica) => selfCertifyingKey(crypto, signer.publicKey, replica),
  );
  assert.equal(new Set(keys.map(String)).size, 8);
  for (const key of keys) {
    assert.ok(isSelfCertifying(crypto, network, key, signer.publicKey));
    assert.ok(!isSelfCertifying(crypto, network, key, other.publicKey));
  }
  const ninth = selfCertifyingKey(crypto, signer.publicKey, 8);
  assert.ok(!isSelfCertifying(crypto, network, ninth, signer.publicKey));
  assert.ok(!isSelfCertifying(crypto, network, point(1), signer.publicKey));
});

Deno.test("selfCertifyingKey() is the hash that the protocol names", () => {
  const expected = crypto.sha256(
    utf8("anonnet v1 record key"),
    signer.publicKey,
    Uint8Array.of(3),
  );
  assert.deepEqual(selfCertifyingKey(crypto, signer.publicKey, 3), expected);
  for (const replica of [-1, 256, 0.5, NaN]) {
    assert.throws(
      () => selfCertifyingKey(crypto, signer.publicKey, replica),
      RangeError,
    );
  }
});

function fieldsOf(record: ReturnType<typeof make>) {
  const { encoded: _, ...fields } = record;
  return fields;
}
