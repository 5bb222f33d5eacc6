import assert from "node:assert/strict";
import fc from "fast-check";
import { ProtocolError } from "../../lib/base/errors.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import { MAX_CLIENTS } from "../../lib/service/client_authorisation.ts";
import {
  decodeDescriptor,
  DESCRIPTOR_STEP_BYTES,
  type DescriptorContent,
  type DescriptorName,
  encodeDescriptor,
} from "../../lib/service/descriptor.ts";
import { IntroductionKeys } from "../../lib/service/meeting/introduction_keys.ts";
import { blindedKey } from "../../lib/service/time_period.ts";

const crypto = nobleSuite();
const random = seededRandom(1);
const publicKey = crypto.signer(new Uint8Array(32).fill(1)).publicKey;

function nameOf(
  period = 20_000,
  revision = 5,
  key = publicKey,
): DescriptorName {
  const blinded = blindedKey(crypto, key, period);
  return { publicKey: key, blinded, period, revision };
}

const points = await Promise.all([1, 2, 3].map(async (n) => {
  const keys = await IntroductionKeys.generate(crypto, random);
  return { relay: new Uint8Array(700).fill(n), keys: keys.public };
}));
const content: DescriptorContent = { points, features: ["legs"] };
const name = nameOf();
const value = encodeDescriptor(crypto, random, name, content);

function refused(run: () => unknown, code: string): void {
  assert.throws(
    run,
    (error) => error instanceof ProtocolError && error.code === code,
  );
}

Deno.test("decodeDescriptor() undoes encodeDescriptor()", () => {
  assert.deepEqual(decodeDescriptor(crypto, name, value), content);
});

Deno.test("encodeDescriptor() pads, so that one and two points look alike", () => {
  const one = { ...content, points: points.slice(0, 1) };
  const few = encodeDescriptor(crypto, random, name, one);
  assert.equal(few.length, DESCRIPTOR_STEP_BYTES);
  assert.equal(value.length % DESCRIPTOR_STEP_BYTES, 0);
});

Deno.test("encodeDescriptor() never gives the same bytes twice", () => {
  const again = encodeDescriptor(crypto, random, name, content);
  assert.notDeepEqual(again, value);
});

Deno.test("decodeDescriptor() refuses another address, period or revision", () => {
  const other = crypto.signer(new Uint8Array(32).fill(2)).publicKey;
  for (
    const wrong of [
      nameOf(20_001),
      nameOf(20_000, 4),
      nameOf(20_000, 6),
      nameOf(20_000, 5, other),
      { ...name, period: 20_001 },
      { ...name, publicKey: other },
    ]
  ) {
    refused(
      () => decodeDescriptor(crypto, wrong, value),
      "service.descriptor_sealed",
    );
  }
});

Deno.test("decodeDescriptor() refuses every flipped bit (property)", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: value.length * 8 - 1 }),
      (bit) => {
        const altered = value.slice();
        const index = bit >> 3;
        altered[index] = (altered[index] ?? 0) ^ (1 << (bit & 7));
        assert.throws(
          () => decodeDescriptor(crypto, name, altered),
          ProtocolError,
        );
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("decodeDescriptor() refuses garbage of any length (property)", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), (bytes) => {
      assert.throws(() => decodeDescriptor(crypto, name, bytes), ProtocolError);
    }),
    { numRuns: 60 },
  );
});

Deno.test("decodeDescriptor() names a wrong version and size", () => {
  const version = value.slice();
  version[0] = 2;
  refused(
    () => decodeDescriptor(crypto, name, version),
    "service.descriptor_version",
  );
  refused(
    () => decodeDescriptor(crypto, name, value.subarray(1, 4097).fill(1)),
    "service.descriptor_sealed",
  );
  refused(
    () => decodeDescriptor(crypto, name, Uint8Array.of(1, 2, 3)),
    "service.descriptor_size",
  );
});

Deno.test("encodeDescriptor() refuses what does not fit into a record", () => {
  const relay = new Uint8Array(1024);
  const many = Array.from({ length: 9 }, () => ({ ...points[0], relay }));
  const tooMuch = { features: [], points: many } as DescriptorContent;
  assert.throws(
    () => encodeDescriptor(crypto, random, name, tooMuch),
    RangeError,
  );
});

Deno.test("a descriptor for authorised clients opens for each of them, and no other client", () => {
  const secrets = [1, 2, 3].map((n) => new Uint8Array(32).fill(n));
  const publics = secrets.map((secret) => crypto.x25519Public(secret));
  const sealed = encodeDescriptor(crypto, random, name, content, publics);
  for (const secret of secrets) {
    assert.deepEqual(decodeDescriptor(crypto, name, sealed, secret), content);
  }
  for (const stranger of [undefined, new Uint8Array(32).fill(77)]) {
    refused(
      () => decodeDescriptor(crypto, name, sealed, stranger),
      "service.descriptor_unauthorised",
    );
  }
});

Deno.test("a descriptor does not show how many clients it is for", () => {
  const publics = (count: number) =>
    Array.from(
      { length: count },
      (_, n) => crypto.x25519Public(new Uint8Array(32).fill(n + 1)),
    );
  const few = encodeDescriptor(crypto, random, name, content, publics(1));
  const more = encodeDescriptor(crypto, random, name, content, publics(16));
  assert.equal(few.length, more.length);
  encodeDescriptor(crypto, random, name, content, publics(MAX_CLIENTS));
  assert.throws(
    () =>
      encodeDescriptor(
        crypto,
        random,
        name,
        content,
        publics(MAX_CLIENTS + 1),
      ),
    RangeError,
  );
});
