import assert from "node:assert/strict";
import fc from "fast-check";
import { seededRandom } from "../../../lib/base/random.ts";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import { encodeCbor } from "../../../lib/wire/cbor.ts";
import {
  decodeDescriptor,
  encodeDescriptor,
} from "../../../lib/service/descriptor.ts";
import {
  type DescriptorName,
  SALT_BYTES,
  sealDescriptor,
} from "../../../lib/service/descriptor_box.ts";
import { formatIssue, issueOf } from "../../../lib/service/delegation/issue.ts";
import {
  decodeServiceRecord,
  encodeRoster,
  MAX_HOSTS,
  type RosterHost,
} from "../../../lib/service/delegation/roster.ts";
import { IntroductionKeys } from "../../../lib/service/meeting/introduction_keys.ts";
import { blindedKey } from "../../../lib/service/time_period.ts";

const crypto = nativeSuite();
const random = seededRandom(1);
const { publicKey } = crypto.signer(random.bytes(32));
const period = 20_000;
const blinded = blindedKey(crypto, publicKey, period);
const name: DescriptorName = { publicKey, blinded, period, revision: 7 };
const salt = random.bytes(SALT_BYTES);

const hostsOf = (slots: readonly number[]): RosterHost[] =>
  slots.map((slot) => ({
    slot,
    key: crypto.signer(new Uint8Array(32).fill(slot)).publicKey,
  }));

Deno.test("a roster survives encoding, and says the same in the same bytes (property)", () => {
  const slots = fc.uniqueArray(fc.integer({ min: 1, max: MAX_HOSTS }), {
    minLength: 1,
    maxLength: MAX_HOSTS,
  });
  fc.assert(
    fc.property(slots, fc.nat(), (slots, issue) => {
      const roster = { issue, hosts: hostsOf(slots.sort()) };
      const value = encodeRoster(crypto, name, roster, salt);
      assert.deepEqual(value, encodeRoster(crypto, name, roster, salt));
      const read = decodeServiceRecord(crypto, name, value);
      assert.deepEqual(read, { type: "roster", ...roster });
    }),
    { numRuns: 50 },
  );
});

Deno.test("to who stores them, rosters of any size are as long as a descriptor of three points", async () => {
  const { public: keys } = await IntroductionKeys.generate(crypto, random);
  const point = { relay: random.bytes(450), keys };
  const content = { points: [point, point, point], features: [] };
  const { length } = encodeDescriptor(crypto, random, name, content);
  for (const slots of [[1], [1, 2, 3, 4, 5, 6, 7, 8]]) {
    const roster = { issue: 500_000, hosts: hostsOf(slots) };
    const value = encodeRoster(crypto, name, roster, salt);
    assert.equal(value.length, length);
    assert.equal(value[0], 1);
  }
});

Deno.test("a roster opens under its own name alone", () => {
  const roster = { issue: 1, hosts: hostsOf([1, 2]) };
  const value = encodeRoster(crypto, name, roster, salt);
  const other = crypto.signer(random.bytes(32)).publicKey;
  const names: Record<string, DescriptorName> = {
    "of another service": { ...name, publicKey: other },
    "under another key": { ...name, blinded: other },
    "of yesterday": { ...name, period: period - 1 },
    "of tomorrow": { ...name, period: period + 1 },
    "of another revision": { ...name, revision: 8 },
  };
  for (const [what, wrong] of Object.entries(names)) {
    assert.throws(
      () => decodeServiceRecord(crypto, wrong, value),
      { code: "service.descriptor_sealed" },
      what,
    );
  }
  for (let at = 0; at < value.length; at += 97) {
    const edited = new Uint8Array(value);
    edited[at] = (edited[at] ?? 0) ^ 1;
    assert.throws(
      () => decodeServiceRecord(crypto, name, edited),
      { name: "ProtocolError" },
    );
  }
});

Deno.test("a roster is no descriptor: a host that signs one names no hosts", () => {
  const value = encodeRoster(
    crypto,
    name,
    { issue: 1, hosts: hostsOf([1]) },
    salt,
  );
  assert.throws(
    () => decodeDescriptor(crypto, name, value),
    { name: "ProtocolError" },
  );
});

Deno.test("rosters whose hosts are not told apart are refused", () => {
  const [one, two] = hostsOf([1, 2]);
  assert.ok(one !== undefined && two !== undefined);
  const wrong: Record<string, unknown[]> = {
    "none": [],
    "a slot twice": [one, { ...two, slot: 1 }],
    "out of order": [two, one],
    "a key twice": [one, { ...two, key: one.key }],
    "the roster's own key": [{ ...one, key: blinded }],
    "slot 0": [{ ...one, slot: 0 }],
    "slot 9": [{ ...one, slot: 9 }],
    "nine hosts": Array.from({ length: 9 }, () => one),
    "a field more": [{ ...one, weight: 1 }],
    "a short key": [{ ...one, key: one.key.slice(1) }],
  };
  for (const [what, hosts] of Object.entries(wrong)) {
    const inner = encodeCbor({
      hosts: hosts as never[],
      issue: 1,
      period,
      revision: 7,
    });
    const value = sealDescriptor(crypto, name, inner, { salt });
    assert.throws(
      () => decodeServiceRecord(crypto, name, value),
      { name: "ProtocolError" },
      what,
    );
  }
  const dates = { hosts: [{ ...one }], issue: 1, period: 1, revision: 7 };
  const inner = encodeCbor(dates);
  assert.throws(
    () =>
      decodeServiceRecord(
        crypto,
        name,
        sealDescriptor(crypto, name, inner, { salt }),
      ),
    { code: "service.descriptor_content" },
  );
});

Deno.test("a descriptor tells its issue by a word that others ignore", () => {
  assert.equal(issueOf([]), 0);
  assert.equal(issueOf(["legs", formatIssue(497_000)]), 497_000);
  for (
    const word of [
      "issue=",
      "issue=0",
      "issue=-1",
      "issue=1e9",
      "issue=99999999999",
      "issue=9999999999",
    ]
  ) {
    assert.equal(issueOf([word]), 0, word);
  }
});
