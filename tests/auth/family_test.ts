import assert from "node:assert/strict";
import { concat } from "../../lib/base/bytes.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { isContact, MAX_CONTACT_BYTES } from "../../lib/auth/contact.ts";
import { checkFamily, type Family, signFamily } from "../../lib/auth/family.ts";
import { networkParameters } from "../../lib/auth/network.ts";
import {
  createNodeRecord,
  decodeNodeRecord,
} from "../../lib/auth/node_record.ts";
import { TEST_UNIX_MS, testContent, testIdentity } from "../support/nodes.ts";

const crypto = nativeSuite();
const local = networkParameters("local");
const relay = testIdentity(crypto, 1);
const family = testIdentity(crypto, 2);

/** What a reader makes of a record with these words; the code where it is refused. */
function read(words: { family?: Family; contact?: string }) {
  const content = testContent(words);
  const { encoded } = createNodeRecord(crypto, relay, local, content);
  try {
    return decodeNodeRecord(crypto, local, encoded, TEST_UNIX_MS);
  } catch (error) {
    assert.ok(error instanceof ProtocolError, String(error));
    return error.code;
  }
}

Deno.test("decodeNodeRecord() takes a record whose family signed its key", () => {
  const signed = signFamily(family, relay.publicKey);
  const record = read({ family: signed, contact: "relays at example dot org" });
  assert.ok(typeof record !== "string");
  assert.deepEqual(record.family, signed);
  assert.equal(record.contact, "relays at example dot org");
});

Deno.test("decodeNodeRecord() refuses a relay that puts itself into the family of others", () => {
  const others = signFamily(family, testIdentity(crypto, 3).publicKey);
  assert.equal(read({ family: others }), "auth.record_family");
  const forged = signFamily(relay, relay.publicKey);
  assert.equal(
    read({ family: { ...forged, key: family.publicKey } }),
    "auth.record_family",
  );
  assert.ok(!checkFamily(crypto, others, relay.publicKey));
});

Deno.test("createNodeRecord() writes no family or contact of another form", () => {
  const signed = signFamily(family, relay.publicKey);
  const bad: { family?: Family; contact?: string }[] = [
    { family: { ...signed, signature: signed.signature.subarray(1) } },
    { family: { ...signed, key: concat(family.publicKey, family.publicKey) } },
    { contact: "" },
    { contact: " padded" },
    { contact: "bell\u0007" },
    { contact: "two\nlines" },
    { contact: "caf\u00e9" },
    { contact: "x".repeat(MAX_CONTACT_BYTES + 1) },
  ];
  for (const words of bad) {
    assert.throws(() => read(words), RangeError, JSON.stringify(words.contact));
  }
});

Deno.test("a record with all that a relay can say fits", () => {
  const addresses = [1, 2, 3, 4].map((port) => ({ host: "2a00::1", port }));
  const record = createNodeRecord(crypto, relay, local, {
    ...testContent({ addresses }),
    contact: "x".repeat(MAX_CONTACT_BYTES),
    family: signFamily(family, relay.publicKey),
    bandwidth: Number.MAX_SAFE_INTEGER,
  });
  assert.ok(record.encoded.length < 800, `${record.encoded.length} bytes`);
});

Deno.test("isContact() takes one line of printable ASCII", () => {
  for (const text of ["a", "ops@example.org", "call +1 (555) 0100"]) {
    assert.ok(isContact(text), text);
  }
  for (const text of ["", " a", "a ", "\u202ea", "a\tb"]) {
    assert.ok(!isContact(text), JSON.stringify(text));
  }
});
