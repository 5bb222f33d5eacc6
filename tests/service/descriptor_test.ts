import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { ProtocolError } from "../../lib/base/errors.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import { createDecipheriv, createHmac } from "node:crypto";
import {
  authoriseClients,
  clientPublicKey,
  MAX_CLIENTS,
} from "../../lib/service/client_authorisation.ts";
import {
  decodeDescriptor,
  type DescriptorContent,
  encodeDescriptor,
} from "../../lib/service/descriptor.ts";
import {
  DESCRIPTOR_STEP_BYTES,
  type DescriptorName,
} from "../../lib/service/descriptor_box.ts";
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

/** What a client keeps: its X25519 secret, and what it shares with the service. */
function keptKey(x25519: number, shared: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(64).fill(x25519, 0, 32).fill(shared, 32);
}

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
  const secrets = [1, 2, 3].map((n) => keptKey(n, n + 100));
  const publics = secrets.map((secret) => clientPublicKey(crypto, secret));
  const sealed = encodeDescriptor(crypto, random, name, content, publics);
  for (const secret of secrets) {
    assert.deepEqual(decodeDescriptor(crypto, name, sealed, secret), content);
  }
  // One half alone makes a stranger: X25519 broken, or what is shared told.
  const strangers = [
    undefined,
    keptKey(77, 78),
    keptKey(1, 78),
    keptKey(77, 101),
  ];
  for (const stranger of strangers) {
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
      (_, n) => clientPublicKey(crypto, keptKey(n + 1, n + 1)),
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

Deno.test("authoriseClients() makes entries that another implementation opens", () => {
  const kept = keptKey(5, 6);
  const { public: { ephemeral, entries }, cookie } = authoriseClients(
    crypto,
    random,
    name.blinded,
    [clientPublicKey(crypto, kept)],
  );
  const hmac = (key: Uint8Array, ...parts: Uint8Array[]) => {
    const hash = createHmac("sha256", key);
    for (const part of parts) hash.update(part);
    return hash.digest();
  };
  const exchanged = crypto.x25519(kept.subarray(0, 32), ephemeral);
  assert.ok(exchanged !== undefined);
  const info = new TextEncoder().encode("anonnet v1 client authorisation");
  const prk = hmac(name.blinded, exchanged, kept.subarray(32));
  const one = hmac(prk, info, Uint8Array.of(1));
  const okm = Buffer.concat([one, hmac(prk, one, info, Uint8Array.of(2))]);
  const entry = entries.find((entry) =>
    okm.subarray(0, 8).equals(entry.subarray(0, 8))
  );
  assert.ok(entry !== undefined);
  const cipher = createDecipheriv(
    "chacha20-poly1305",
    okm.subarray(8, 40),
    new Uint8Array(12),
    { authTagLength: 16 },
  );
  cipher.setAuthTag(entry.subarray(40));
  const opened = Buffer.concat([
    cipher.update(entry.subarray(8, 40)),
    cipher.final(),
  ]);
  assert.deepEqual(new Uint8Array(opened), cookie);
});
