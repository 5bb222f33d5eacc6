import assert from "node:assert/strict";
import fc from "fast-check";
import { concat } from "../../lib/base/bytes.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import type { CryptoSuite } from "../../lib/crypto/suite.ts";
import {
  type CborValue,
  decodeCbor,
  type DecodedCbor,
  encodeCbor,
} from "../../lib/wire/cbor.ts";
import { Identity } from "../../lib/auth/identity.ts";
import { customNetwork, networkParameters } from "../../lib/auth/network.ts";
import {
  checkRecordDates,
  createNodeRecord,
  decodeNodeRecord,
  type NodeRecordContent,
} from "../../lib/auth/node_record.ts";
import { placeWithoutWork } from "../../lib/auth/proof_of_work.ts";
import {
  formatIp,
  formatSocketAddress,
} from "../../lib/auth/socket_address.ts";
import {
  TEST_UNIX_MS,
  testBytes,
  testContent,
  testIdentity,
  testRecord,
} from "../support/nodes.ts";
import vector from "../vectors/node_record.json" with { type: "json" };

const HOUR_MS = 3_600_000;
const crypto = nativeSuite();
const main = networkParameters("main");
const local = networkParameters("local");

/** The fields of a good record of network `local`, by their names on the wire. */
function goodFields(): Map<string, DecodedCbor> {
  const map = decodeCbor(testRecord(crypto, 1).encoded);
  assert.ok(map instanceof Map);
  map.delete("signature");
  return map;
}

/** A record with changed fields (`undefined` removes one), properly signed. */
function signedRecord(changes: Record<string, CborValue | undefined>) {
  using identity = testIdentity(crypto, 1);
  const fields: Record<string, CborValue | undefined> = {
    ...Object.fromEntries(goodFields()),
    ...changes,
  };
  const signature = identity.sign("anonnet v1 node record", encodeCbor(fields));
  return encodeCbor({ ...fields, signature });
}

function codeOf(
  encoded: Uint8Array,
  network = local,
  unixMs = TEST_UNIX_MS,
): string {
  try {
    decodeNodeRecord(crypto, network, encoded, unixMs);
  } catch (error) {
    assert.ok(error instanceof ProtocolError, String(error));
    return error.code;
  }
  return "accepted";
}

Deno.test("decodeNodeRecord() reads a record that another implementation wrote", () => {
  for (const suite of [nativeSuite(), nobleSuite()]) {
    const encoded = Uint8Array.fromHex(vector.encoded);
    const record = decodeNodeRecord(suite, main, encoded, vector.sequence);
    assert.equal(record.publicKey.toHex(), vector.publicKey);
    assert.equal(record.nodeId.toHex(), vector.nodeId);
    assert.equal(record.onionKey.toHex(), vector.onionKey);
    assert.equal(record.workNonce.toHex(), vector.work);
    assert.equal(record.place.toHex(), vector.place);
    assert.equal(record.rent?.toHex(), vector.rent);
    assert.equal(record.signature.toHex(), vector.signature);
    assert.deepEqual(
      record.addresses.map(formatSocketAddress),
      vector.addresses,
    );
    assert.deepEqual(record.flags, ["relay"]);
    assert.equal(record.network, "main");
    assert.equal(record.bandwidth, vector.bandwidth);
    assert.equal(record.sequence, vector.sequence);
    assert.equal(record.expiry, vector.expiry);
    assert.equal(record.encoded.toHex(), vector.encoded);
  }
});

Deno.test("createNodeRecord() writes what another implementation would", () => {
  using identity = new Identity(crypto, Uint8Array.fromHex(vector.seed));
  const record = createNodeRecord(crypto, identity, main, {
    onionKey: Uint8Array.fromHex(vector.onionKey),
    addresses: [
      { host: "11.22.33.44", port: 4001 },
      { host: "2A00:1234:5678:0::1", port: 65535 },
    ],
    // The type knows no flag of the future; the encoding must.
    flags: ["relay", "future-flag"] as unknown as NodeRecordContent["flags"],
    bandwidth: vector.bandwidth,
    sequence: vector.sequence,
    expiry: vector.expiry,
    workNonce: Uint8Array.fromHex(vector.work),
    place: Uint8Array.fromHex(vector.place),
    rent: Uint8Array.fromHex(vector.rent),
  });
  assert.equal(record.encoded.toHex(), vector.encoded);
});

Deno.test("decodeNodeRecord() undoes createNodeRecord()", () => {
  const ip = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  ).filter((bytes) => (bytes[0] ?? 0) > 0 && (bytes[0] ?? 0) < 224);
  const content = fc.record({
    onionKey: fc.uint8Array({ minLength: 32, maxLength: 32 })
      .map((bytes) => new Uint8Array(bytes)),
    addresses: fc.uniqueArray(
      fc.record({
        host: ip.map(formatIp),
        port: fc.integer({ min: 1, max: 65535 }),
      }, { noNullPrototype: true }),
      { minLength: 1, maxLength: 4, selector: formatSocketAddress },
    ),
    flags: fc.constantFrom<("relay")[]>([], ["relay"]),
    bandwidth: fc.maxSafeNat(),
    sequence: fc.integer({ min: 0, max: 2 ** 31 }).map((s) => s * 1000),
    lifeMs: fc.integer({ min: 1, max: 24 * HOUR_MS }),
    workNonce: fc.constant(testBytes("nonce", 16)),
  }).map(({ lifeMs, ...rest }) => ({
    ...rest,
    expiry: rest.sequence + lifeMs,
  }));
  fc.assert(
    fc.property(content, (content) => {
      using identity = testIdentity(crypto, 5);
      const record = createNodeRecord(crypto, identity, local, content);
      const decoded = decodeNodeRecord(
        crypto,
        local,
        record.encoded,
        content.sequence,
      );
      assert.deepEqual(decoded, record);
      assert.deepEqual({ ...decoded, ...content }, decoded);
      assert.deepEqual(decoded.publicKey, identity.publicKey);
      assert.deepEqual(decoded.nodeId, identity.nodeId);
    }),
    { numRuns: 50 },
  );
});

Deno.test("decodeNodeRecord() refuses every bit flip, cut and extension", () => {
  const { encoded } = testRecord(crypto, 1);
  for (let bit = 0; bit < 8 * encoded.length; bit++) {
    const bent = encoded.slice();
    bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.match(codeOf(bent), /^(wire|auth)\./, `bit ${bit}`);
  }
  for (let length = 0; length < encoded.length; length++) {
    assert.equal(codeOf(encoded.subarray(0, length)), "wire.cbor");
  }
  assert.equal(
    codeOf(concat(encoded, Uint8Array.of(0))),
    "wire.cbor_trailing",
  );
});

Deno.test("decodeNodeRecord() takes arbitrary bytes or throws a ProtocolError", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1100 }), (bytes) => {
      assert.notEqual(codeOf(bytes), "accepted");
    }),
    { numRuns: 500 },
  );
});

Deno.test("decodeNodeRecord() names what is wrong, though it be properly signed", () => {
  const v4 = (...bytes: number[]) => [Uint8Array.from(bytes), 4001];
  const v6 = (hex: string) => [Uint8Array.fromHex(hex), 4001];
  const good = v4(127, 0, 0, 1);
  const t = TEST_UNIX_MS;
  const cases: [
    changes: Record<string, CborValue | undefined>,
    code: string,
  ][] = [
    [{}, "accepted"],
    [{ version: 2 }, "auth.record_version"],
    [{ version: 0 }, "auth.record_version"],
    [{ version: "1" }, "wire.field"],
    [{ version: undefined }, "wire.field"],
    // Another version is not blamed for fields that only it knows.
    [{ version: 2, later: 1, work: undefined }, "auth.record_version"],
    [{ network: "main" }, "auth.record_network"],
    [{ network: "" }, "auth.record_network"],
    [{ network: "x".repeat(33) }, "wire.field"],
    [{ publicKey: new Uint8Array(31) }, "wire.field"],
    [{ publicKey: new Uint8Array(33) }, "wire.field"],
    [{ publicKey: new Uint8Array(32) }, "auth.record_place"],
    [
      {
        publicKey: new Uint8Array(32),
        place: placeWithoutWork(crypto, new Uint8Array(32)),
      },
      "auth.record_signature",
    ],
    [{ place: new Uint8Array(32) }, "auth.record_place"],
    [{ place: new Uint8Array(31) }, "wire.field"],
    [{ place: undefined }, "wire.field"],
    [{ publicKey: undefined }, "wire.field"],
    [{ onionKey: new Uint8Array(31) }, "wire.field"],
    [{ onionKey: "x".repeat(32) }, "wire.field"],
    [{ work: new Uint8Array(15) }, "wire.field"],
    [{ work: new Uint8Array(0) }, "wire.field"],
    [{ bandwidth: -1 }, "wire.field"],
    [{ bandwidth: "1" }, "wire.field"],
    [{ extra: null }, "wire.unknown_field"],
    [{ nodeId: new Uint8Array(32) }, "wire.unknown_field"],
    [{ Version: 1 }, "wire.unknown_field"],
    [{ flags: "relay" }, "wire.field"],
    [{ flags: [1] }, "wire.field"],
    [{ flags: ["relay", "relay"] }, "auth.record_flags"],
    [{ flags: ["relay", "other"] }, "auth.record_flags"],
    [{ flags: ["Relay"] }, "auth.record_flags"],
    [{ flags: [""] }, "auth.record_flags"],
    [{ flags: ["relay\n"] }, "auth.record_flags"],
    [{ flags: ["a".repeat(17)] }, "wire.field"],
    [{ flags: "abcdefghi".split("") }, "wire.field"],
    [{ flags: "abcdefgh".split("") }, "accepted"],
    [{ addresses: {} }, "wire.field"],
    [{ addresses: [] }, "auth.record_address"], // of a relay
    [{ addresses: [], flags: [] }, "accepted"],
    [{ addresses: [1, 2, 3, 4, 5].map((n) => v4(10, 0, 0, n)) }, "wire.field"],
    [{ addresses: [1, 2, 3, 4].map((n) => v4(10, 0, 0, n)) }, "accepted"],
    [{ addresses: [good, good] }, "auth.record_address"],
    [{ addresses: [null] }, "auth.record_address"],
    [{ addresses: [[]] }, "auth.record_address"],
    [{ addresses: [[...good, 1]] }, "auth.record_address"],
    [{ addresses: [["127.0.0.1", 1]] }, "auth.record_address"],
    [{ addresses: [[new Uint8Array(5), 1]] }, "auth.record_address"],
    [{ addresses: [[Uint8Array.of(10, 0, 0, 1), "1"]] }, "auth.record_address"],
    [{ addresses: [[Uint8Array.of(10, 0, 0, 1), 0]] }, "auth.record_address"],
    [{ addresses: [[Uint8Array.of(10, 0, 0, 1), -1]] }, "auth.record_address"],
    [
      { addresses: [[Uint8Array.of(10, 0, 0, 1), 65536]] },
      "auth.record_address",
    ],
    [{ addresses: [v4(0, 0, 0, 0)] }, "auth.record_address"],
    [{ addresses: [v4(224, 0, 0, 1)] }, "auth.record_address"],
    [{ addresses: [v4(255, 255, 255, 255)] }, "auth.record_address"],
    [{ addresses: [v6("00".repeat(16))] }, "auth.record_address"],
    [{ addresses: [v6("ff02" + "00".repeat(14))] }, "auth.record_address"],
    [
      { addresses: [v6("00".repeat(10) + "ffff7f000001")] },
      "auth.record_address",
    ],
    [{ addresses: [v6("00".repeat(15) + "01")] }, "accepted"],
    [{ sequence: t + HOUR_MS, expiry: t + 2 * HOUR_MS }, "accepted"],
    [
      { sequence: t + HOUR_MS + 1, expiry: t + 2 * HOUR_MS },
      "auth.record_date",
    ],
    [{ sequence: t - 24 * HOUR_MS, expiry: t + 1 }, "auth.record_date"],
    [{ sequence: t - 24 * HOUR_MS + 1, expiry: t + 1 }, "accepted"],
    [{ sequence: t - 10, expiry: t }, "auth.record_date"],
    [{ sequence: t, expiry: t - 10 }, "auth.record_date"],
    [{ sequence: t, expiry: t + 24 * HOUR_MS }, "accepted"],
    [{ sequence: t, expiry: t + 24 * HOUR_MS + 1 }, "auth.record_date"],
    [{ sequence: -1 }, "wire.field"],
    [{ sequence: "now" }, "wire.field"],
    [{ expiry: undefined }, "wire.field"],
  ];
  for (const [changes, code] of cases) {
    assert.equal(codeOf(signedRecord(changes)), code, Deno.inspect(changes));
  }
});

Deno.test("decodeNodeRecord() refuses private addresses where the network does", () => {
  const strict = customNetwork({
    name: "local",
    powDifficulty: 0,
    allowPrivateAddresses: false,
  });
  const hosts = [
    [10, 0, 0, 1],
    [127, 0, 0, 1],
    [169, 254, 169, 254],
    [192, 168, 1, 1],
    [192, 0, 2, 1],
    [100, 64, 0, 1],
  ];
  for (const host of hosts) {
    const bytes = Uint8Array.from(host);
    const publicToo = [[Uint8Array.of(1, 1, 1, 1), 1], [bytes, 1]];
    const encoded = signedRecord({ addresses: publicToo });
    assert.equal(codeOf(encoded), "accepted");
    assert.equal(codeOf(encoded, strict), "auth.record_address");
  }
});

Deno.test("decodeNodeRecord() refuses a signature under another context or key", () => {
  using owner = testIdentity(crypto, 1);
  using other = testIdentity(crypto, 2);
  const unsigned = encodeCbor(goodFields());
  const withSignature = (signature: Uint8Array) =>
    encodeCbor(
      new Map<string, CborValue>([...goodFields(), ["signature", signature]]),
    );
  const context = "anonnet v1 node record";
  assert.equal(
    codeOf(withSignature(owner.sign(context, unsigned))),
    "accepted",
  );
  for (
    const signature of [
      owner.sign("anonnet v1 stored record", unsigned),
      owner.sign("", unsigned),
      other.sign(context, unsigned),
      new Uint8Array(64),
    ]
  ) {
    assert.equal(codeOf(withSignature(signature)), "auth.record_signature");
  }
  assert.equal(codeOf(withSignature(new Uint8Array(63))), "wire.field");
  assert.equal(codeOf(unsigned), "wire.field");
});

Deno.test("decodeNodeRecord() refuses 1,025 bytes before reading any", () => {
  const blank = signedRecord({ extra: new Uint8Array(0) }).length;
  const atLimit = signedRecord({ extra: new Uint8Array(1024 - blank - 2) });
  assert.equal(atLimit.length, 1024);
  assert.equal(codeOf(atLimit), "wire.unknown_field");
  const above = signedRecord({ extra: new Uint8Array(1025 - blank - 2) });
  assert.equal(codeOf(above), "auth.record_size");
  assert.equal(codeOf(new Uint8Array(1025).fill(0x81)), "auth.record_size");
});

Deno.test("decodeNodeRecord() verifies the signature last, when all else is right", () => {
  let verified = 0;
  const counting: CryptoSuite = {
    ...crypto,
    verify: (...args) => {
      verified++;
      return crypto.verify(...args);
    },
  };
  const decode = (encoded: Uint8Array) =>
    decodeNodeRecord(counting, local, encoded, TEST_UNIX_MS);
  const bad = [
    { version: 2 },
    { network: "main" },
    { extra: 1 },
    { addresses: [] },
    { flags: ["b", "a"] },
    { expiry: TEST_UNIX_MS },
  ];
  for (const changes of bad) {
    assert.throws(() => decode(signedRecord(changes)), ProtocolError);
  }
  assert.equal(verified, 0);
  decode(signedRecord({}));
  assert.equal(verified, 1);
});

Deno.test("decodeNodeRecord() keeps unknown flags in the encoding alone", () => {
  const encoded = signedRecord({ flags: ["exit", "relay", "storage"] });
  const record = decodeNodeRecord(crypto, local, encoded, TEST_UNIX_MS);
  assert.deepEqual(record.flags, ["relay"]);
  assert.deepEqual(record.encoded, encoded);
});

Deno.test("decodeNodeRecord() gives a record that shares no memory with its input", () => {
  const encoded = signedRecord({});
  const record = decodeNodeRecord(crypto, local, encoded, TEST_UNIX_MS);
  const before = structuredClone(record);
  encoded.fill(0);
  assert.deepEqual(record, before);
});

Deno.test("createNodeRecord() refuses what others would refuse", () => {
  using identity = testIdentity(crypto, 1);
  const bad: Partial<NodeRecordContent>[] = [
    { addresses: [] },
    { addresses: [{ host: "localhost", port: 1 }] },
    { addresses: [{ host: "127.0.0.1", port: 0 }] },
    { addresses: [{ host: "::", port: 1 }] },
    {
      addresses: [
        { host: "127.0.0.1", port: 1 },
        { host: "::ffff:127.0.0.1", port: 1 },
      ],
    },
    { onionKey: new Uint8Array(31) },
    { workNonce: new Uint8Array(8) },
    // This network has none.
    { rent: new Uint8Array(16) },
    { bandwidth: -1 },
    { expiry: TEST_UNIX_MS },
    { expiry: TEST_UNIX_MS + 25 * HOUR_MS },
  ];
  for (const changes of bad) {
    const create = () =>
      createNodeRecord(crypto, identity, local, testContent(changes));
    assert.throws(create, RangeError, Deno.inspect(changes));
  }
  const fraction = testContent({ bandwidth: 1.5 });
  assert.throws(
    () => createNodeRecord(crypto, identity, local, fraction),
    TypeError,
  );
  assert.throws(
    () => createNodeRecord(crypto, identity, main, testContent()),
    RangeError,
  );
});

Deno.test("createNodeRecord() makes addresses canonical and flags a set", () => {
  const record = testRecord(crypto, 1, {
    addresses: [
      { host: "::FFFF:10.0.0.1", port: 1 },
      { host: "2001:DB8:0::1", port: 2 },
    ],
    flags: ["relay", "relay"],
  });
  assert.deepEqual(record.addresses, [
    { host: "10.0.0.1", port: 1 },
    { host: "2001:db8::1", port: 2 },
  ]);
  assert.deepEqual(record.flags, ["relay"]);
});

Deno.test("checkRecordDates() lets a record age", () => {
  const record = testRecord(crypto, 1);
  checkRecordDates(local, record, TEST_UNIX_MS - HOUR_MS);
  checkRecordDates(local, record, record.expiry - 1);
  for (const unixMs of [TEST_UNIX_MS - HOUR_MS - 1, record.expiry]) {
    assert.throws(() => checkRecordDates(local, record, unixMs), {
      code: "auth.record_date",
    });
  }
});
