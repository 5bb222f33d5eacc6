/**
 * Descriptors for chosen clients. Each client has an X25519 key whose public half
 * the service knows, and a secret that it shares with the service; a random cookie is
 * encrypted to each of them under both.
 *
 *     given to the service   X25519 public(32) ‖ shared(32)
 *     kept by the client     X25519 secret(32) ‖ shared(32)
 *
 *     okm    = HKDF(X25519(ephemeral, client) ‖ shared, blinded key,
 *                   "anonnet v1 client authorisation", 40)
 *     entry  = hint(8) ‖ AEAD(key(32), 0, cookie(32))        56 bytes
 *
 * The shared secret is the post-quantum half: a descriptor that is recorded today
 * stays closed to who breaks X25519 later. An ML-KEM ciphertext for each client would
 * not fit (docs/decisions/0051-client-keys-with-a-shared-secret.md).
 *
 * Entries are sorted and filled up with random ones to a multiple of 16: a
 * client that knows the address learns neither who the clients are nor how many.
 *
 * @see protocol §7.3 "Descriptors"
 * @module
 */
import type { PublicKey } from "../auth/identity.ts";
import {
  type Bytes,
  compareBytes,
  concat,
  equalSecret,
  utf8,
  wipe,
} from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import {
  type CryptoSuite,
  KEY_BYTES,
  NONCE_BYTES,
  TAG_BYTES,
  X25519_BYTES,
} from "../crypto/suite.ts";
import type { CborValue } from "../wire/cbor.ts";
import type { Fields } from "../wire/fields.ts";

/** Most clients that fit beside the introduction points. */
export const MAX_CLIENTS = 64;
/** Entries come in multiples of this. */
const CLIENT_STEP = 16;

/** What both ends know, beside the X25519 keys. */
const SHARED_BYTES = 32;
/** Bytes of a client's key: either half of the X25519 pair, and what is shared. */
export const CLIENT_KEY_BYTES = X25519_BYTES + SHARED_BYTES;

const COOKIE_BYTES = 32;
const HINT_BYTES = 8;
const ENTRY_BYTES = HINT_BYTES + COOKIE_BYTES + TAG_BYTES;
const INFO = utf8("anonnet v1 client authorisation");
const HALF_INFO = utf8("anonnet v1 client key of one half");
const ZERO_NONCE = new Uint8Array(NONCE_BYTES);

/** The part of a descriptor that lets clients in. */
export interface Authorisation {
  /** X25519 public key, fresh for every descriptor. */
  readonly ephemeral: Bytes;
  /** {@linkcode ENTRY_BYTES} each. */
  readonly entries: readonly Bytes[];
}

/** The key that a client gives to the service, of the one that it keeps. */
export function clientPublicKey(crypto: CryptoSuite, kept: Uint8Array): Bytes {
  const { x25519, shared } = halvesOf(kept);
  return concat(crypto.x25519Public(x25519), shared);
}

/**
 * The key of a client that has an X25519 pair alone, as programs made for Tor do. What
 * is shared follows from the public half, which both ends have and no descriptor shows:
 *
 *     shared = HKDF(X25519 public, service key, "anonnet v1 client key of one half", 32)
 *
 * So it is worth as much as that half is kept private, which is as much as our own
 * keys, whose shared secret is handed over with theirs.
 *
 * @param half X25519 public key, 32 bytes.
 */
export function clientKeyOfHalf(
  crypto: CryptoSuite,
  half: Uint8Array,
  service: PublicKey,
): Bytes {
  const shared = crypto.hkdf(half, service, HALF_INFO, SHARED_BYTES);
  return concat(half, shared);
}

/** What a client of {@linkcode clientKeyOfHalf} keeps. @param secret X25519, 32 bytes. */
export function clientSecretOfHalf(
  crypto: CryptoSuite,
  secret: Uint8Array,
  service: PublicKey,
): Bytes {
  const half = crypto.x25519Public(secret);
  const shared = clientKeyOfHalf(crypto, half, service).subarray(X25519_BYTES);
  return concat(secret, shared);
}

function halvesOf(key: Uint8Array): { x25519: Uint8Array; shared: Uint8Array } {
  return {
    x25519: key.subarray(0, X25519_BYTES),
    shared: key.subarray(X25519_BYTES),
  };
}

/**
 * Make a cookie and encrypt it to `clients`.
 *
 * @param clients {@linkcode CLIENT_KEY_BYTES} each, as {@linkcode clientPublicKey} gives them.
 * @throws {ConfigError} never; {@link RangeError} beyond {@linkcode MAX_CLIENTS}
 * or for a key of low order.
 */
export function authoriseClients(
  crypto: CryptoSuite,
  random: Random,
  blinded: PublicKey,
  clients: readonly Bytes[],
): { public: Authorisation; cookie: Bytes } {
  if (clients.length > MAX_CLIENTS) {
    throw new RangeError(`Cannot authorise ${clients.length} clients`);
  }
  const cookie = random.bytes(COOKIE_BYTES);
  const secret = random.bytes(X25519_BYTES);
  const entries = clients.map((client) => {
    const { x25519, shared } = halvesOf(client);
    const keys = entryKeys(crypto, blinded, secret, x25519, shared);
    if (keys === undefined) {
      throw new RangeError("Cannot authorise client: its key is of low order");
    }
    return concat(keys.hint, crypto.seal(keys.key, ZERO_NONCE, cookie));
  });
  while (entries.length % CLIENT_STEP !== 0) {
    entries.push(random.bytes(ENTRY_BYTES));
  }
  entries.sort(compareBytes);
  const ephemeral = crypto.x25519Public(secret);
  wipe(secret);
  return { public: { ephemeral, entries }, cookie };
}

/** The cookie, if `clientSecret` is what one of the clients keeps. */
export function recoverCookie(
  crypto: CryptoSuite,
  blinded: PublicKey,
  authorisation: Authorisation,
  clientSecret: Bytes,
): Bytes | undefined {
  const { ephemeral, entries } = authorisation;
  const { x25519, shared } = halvesOf(clientSecret);
  const keys = entryKeys(crypto, blinded, x25519, ephemeral, shared);
  if (keys === undefined) return undefined;
  for (const entry of entries) {
    if (!equalSecret(entry.subarray(0, HINT_BYTES), keys.hint)) continue;
    const sealed = entry.subarray(HINT_BYTES);
    const cookie = crypto.open(keys.key, ZERO_NONCE, sealed);
    if (cookie !== undefined) return cookie;
  }
  return undefined;
}

/** As it stands in a descriptor. */
export function writeAuthorisation(authorisation: Authorisation): CborValue {
  return {
    entries: authorisation.entries,
    ephemeral: authorisation.ephemeral,
  };
}

/** @throws {ProtocolError} `wire.field`, or `service.descriptor_content` for a wrong count. */
export function readAuthorisation(fields: Fields): Authorisation {
  const ephemeral = fields.bytes("ephemeral", { length: X25519_BYTES });
  const entries = fields.bytesArray("entries", MAX_CLIENTS, {
    length: ENTRY_BYTES,
  });
  fields.finish();
  if (entries.length === 0 || entries.length % CLIENT_STEP !== 0) {
    throw new ProtocolError(
      "service.descriptor_content",
      `Cannot read descriptor: ${entries.length} entries for clients`,
    );
  }
  return { ephemeral, entries };
}

function entryKeys(
  crypto: CryptoSuite,
  blinded: PublicKey,
  secret: Uint8Array,
  publicKey: Uint8Array,
  shared: Uint8Array,
): { hint: Bytes; key: Bytes } | undefined {
  if (shared.length !== SHARED_BYTES) {
    throw new RangeError(`Cannot use a client key of ${shared.length} bytes`);
  }
  const exchanged = crypto.x25519(secret, publicKey);
  if (exchanged === undefined) return undefined;
  const both = concat(exchanged, shared);
  const okm = crypto.hkdf(both, blinded, INFO, HINT_BYTES + KEY_BYTES);
  wipe(exchanged, both);
  return { hint: okm.slice(0, HINT_BYTES), key: okm.slice(HINT_BYTES) };
}
