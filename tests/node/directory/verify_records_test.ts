import assert from "node:assert/strict";
import { customNetwork, networkParameters } from "../../../lib/auth/network.ts";
import { utf8 } from "../../../lib/base/bytes.ts";
import { RecordVerifier } from "../../../lib/auth/record_verifier.ts";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import { verifyRecords } from "../../../lib/node/directory/verify_records.ts";
import { TEST_UNIX_MS, testRecord } from "../../support/nodes.ts";

const crypto = nativeSuite();
const local = networkParameters("local");
const encoded = (seed: number, changes = {}) =>
  testRecord(crypto, seed, changes).encoded;

function verify(records: readonly Uint8Array[], network = local) {
  const verifier = new RecordVerifier(crypto, network);
  return verifyRecords(verifier, records, TEST_UNIX_MS + 1000);
}

Deno.test("verifyRecords() gives the records of an honest answer, in order", async () => {
  const answer = [encoded(3), encoded(1), encoded(2), encoded(1)];
  const { records, lie } = await verify(answer);
  assert.deepEqual(records.map((record) => record.encoded), answer);
  assert.equal(lie, undefined);
  assert.deepEqual(await verify([]), { records: [] });
});

Deno.test("verifyRecords() leaves out what has expired or is from the future: clocks differ", async () => {
  const expired = encoded(1, { expiry: TEST_UNIX_MS + 500 });
  const early = encoded(2, {
    sequence: TEST_UNIX_MS + 2 * 3_600_000,
    expiry: TEST_UNIX_MS + 3 * 3_600_000,
  });
  const { records, lie } = await verify([expired, encoded(3), early]);
  assert.equal(records.length, 1);
  assert.equal(lie, undefined);
});

Deno.test("verifyRecords() stops at the first lie, and looks at nothing behind it", async () => {
  const bad = encoded(2).with(-1, 0);
  const verifier = new RecordVerifier({
    ...crypto,
    verify: (...call) => {
      verified++;
      return crypto.verify(...call);
    },
  }, local);
  let verified = 0;
  const answer = [encoded(1), bad, encoded(3), encoded(4)];
  const { records, lie } = await verifyRecords(verifier, answer, TEST_UNIX_MS);
  assert.equal(records.length, 1);
  assert.equal(lie, "auth.record_signature");
  assert.equal(verified, 2);
});

Deno.test("verifyRecords() names what is false: form, network, address", async () => {
  const strict = customNetwork({
    name: "local",
    powDifficulty: 0,
    allowPrivateAddresses: false,
  });
  const other = customNetwork({
    name: "other",
    powDifficulty: 0,
    allowPrivateAddresses: true,
  });
  const garbage = Uint8Array.of(0xff, 0, 1);
  assert.match((await verify([garbage])).lie ?? "", /^wire\./);
  assert.equal((await verify([encoded(1)], strict)).lie, "auth.record_address");
  assert.equal((await verify([encoded(1)], other)).lie, "auth.record_network");
  const large = new Uint8Array(2000);
  assert.equal((await verify([large])).lie, "auth.record_size");
});

Deno.test("verifyRecords() makes do with what it has when too much waits to be verified", async () => {
  const working = customNetwork({
    name: "local",
    powDifficulty: 8,
    allowPrivateAddresses: true,
  });
  const held = Promise.withResolvers<Uint8Array<ArrayBuffer>>();
  const verifier = new RecordVerifier(
    { ...crypto, scrypt: () => held.promise },
    working,
    { maxWaiting: 1 },
  );
  const place = crypto.sha256(utf8("anonnet v1 place"), new Uint8Array(32));
  const priced = (seed: number) =>
    testRecord(crypto, seed, { place }, working).encoded;
  const others = [1, 2, 3].map((seed) =>
    verifyRecords(verifier, [priced(seed)], TEST_UNIX_MS)
  );
  const { records, lie } = await verifyRecords(
    verifier,
    [priced(4), priced(5)],
    TEST_UNIX_MS,
  );
  assert.deepEqual([records, lie], [[], undefined]);
  held.resolve(new Uint8Array(32));
  for (const other of others) assert.equal((await other).records.length, 1);
});
