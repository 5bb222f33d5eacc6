/**
 * What is encrypted to a service: who wants to meet it, and where.
 *
 *     sealed  = X(32) ‖ ct(1088) ‖ AEAD(key, 0, CBOR ‖ zeros (3072); aad)
 *     key     = HKDF(X25519(x, static) ‖ kem, blinded key, context ‖ H(aad), 32)
 *     aad     = authentication ‖ static ‖ X ‖ ct
 *     CBOR    { cookie 20, handshake? 1280, port?, rendezvous ≤ 1024, ticket? }
 *     unknown = as the key, with a context of its own
 *
 * @see protocol §7.4 "Introduction"
 * @module
 */
import type { PublicKey } from "../../auth/identity.ts";
import { type Bytes, concat, utf8, wipe } from "../../base/bytes.ts";
import { ProtocolError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { REQUEST_BYTES } from "../../circuit/handshake.ts";
import {
  type CryptoSuite,
  KEM_CIPHERTEXT_BYTES,
  KEY_BYTES,
  NONCE_BYTES,
  TAG_BYTES,
  X25519_BYTES,
} from "../../crypto/suite.ts";
import { encodeCbor } from "../../wire/cbor.ts";
import { decodeFields } from "../../wire/fields.ts";
import type {
  IntroductionKeys,
  IntroductionPublicKeys,
} from "./introduction_keys.ts";
import { readTicket, type Ticket, writeTicket } from "./ticket.ts";

/** Bytes of a rendezvous cookie. */
export const COOKIE_BYTES = 20;
/** Plaintexts are padded to this: new sessions and further legs look alike. */
const PLAINTEXT_BYTES = 3072;
/** Bytes of a sealed introduction. */
export const SEALED_BYTES = X25519_BYTES + KEM_CIPHERTEXT_BYTES +
  PLAINTEXT_BYTES +
  TAG_BYTES;
/** Bytes of the length in front of the content. */
const LENGTH_BYTES = 2;
const MAX_RECORD_BYTES = 1024;
const MAX_PORT = 65_535;
const SEAL_CONTEXT = utf8("anonnet v1 introduction");
const UNKNOWN_CONTEXT = utf8("anonnet v1 unknown session");
/** Each key encrypts one message. */
const ZERO_NONCE = new Uint8Array(NONCE_BYTES);

/** What a client asks of a service. */
export interface Introduction {
  /** Signed node record of the rendezvous point, not yet verified. */
  readonly rendezvous: Bytes;
  /** Names the client's circuit there, {@linkcode COOKIE_BYTES}. */
  readonly cookie: Bytes;
  /** Request of the rendezvous handshake, for a new session. */
  readonly handshake?: Bytes;
  /** Virtual port of the session's first stream, 1 to 65535: it is open from the beginning. */
  readonly port?: number;
  /** Proof of a session, for a further leg of it. */
  readonly ticket?: Ticket;
}

/** An introduction on its way, as its client knows it. */
export interface SentIntroduction {
  /** {@linkcode SEALED_BYTES}. */
  readonly sealed: Bytes;
  /** What the service answers to a ticket of a session that it does not know. */
  readonly unknown: Bytes;
}

/** An introduction that has arrived. */
export interface OpenedIntroduction extends Introduction {
  /**
   * Says to the client alone that its ticket is of no session here. Only those who
   * hold the keys that the introduction was encrypted to can work it out.
   */
  readonly unknown: Bytes;
}

/**
 * Encrypt an introduction to a service.
 *
 * @param blinded The service's blinded key of the descriptor that named `keys`.
 * @throws {ProtocolError} `service.introduction_keys` when the descriptor's keys
 * are of low order or malformed.
 */
export async function sealIntroduction(
  crypto: CryptoSuite,
  random: Random,
  keys: IntroductionPublicKeys,
  blinded: PublicKey,
  introduction: Introduction,
): Promise<SentIntroduction> {
  const secret = random.bytes(X25519_BYTES);
  const shared = crypto.x25519(secret, keys.staticKey);
  const x = crypto.x25519Public(secret);
  wipe(secret);
  if (shared === undefined) throw keysError();
  const kem = await crypto.encapsulate(keys.kemKey, random).catch((cause) => {
    throw keysError(cause);
  });
  const aad = additionalData(keys, x, kem.ciphertext);
  const agreed = concat(shared, kem.secret);
  const key = deriveKey(crypto, SEAL_CONTEXT, agreed, blinded, aad);
  const unknown = deriveKey(crypto, UNKNOWN_CONTEXT, agreed, blinded, aad);
  wipe(shared, kem.secret, agreed);
  const content = encodeCbor({
    cookie: introduction.cookie,
    handshake: introduction.handshake,
    port: introduction.port,
    rendezvous: introduction.rendezvous,
    ticket: introduction.ticket === undefined
      ? undefined
      : writeTicket(introduction.ticket),
  });
  const plaintext = new Uint8Array(PLAINTEXT_BYTES);
  plaintext[0] = content.length >> 8;
  plaintext[1] = content.length & 0xff;
  plaintext.set(content, LENGTH_BYTES);
  const sealed = crypto.seal(key, ZERO_NONCE, plaintext, aad);
  wipe(key);
  return { sealed: concat(x, kem.ciphertext, sealed), unknown };
}

/**
 * Decrypt an introduction at the service.
 *
 * @param blinded The blinded keys that the service has descriptors under now.
 * @throws {ProtocolError} `service.introduction_sealed`,
 * `service.introduction_content`, `wire.*`.
 */
export async function openIntroduction(
  crypto: CryptoSuite,
  keys: IntroductionKeys,
  blinded: readonly PublicKey[],
  sealed: Uint8Array,
): Promise<OpenedIntroduction> {
  if (sealed.length !== SEALED_BYTES) throw sealedError();
  const x = sealed.subarray(0, X25519_BYTES);
  const ct = sealed.subarray(x.length, x.length + KEM_CIPHERTEXT_BYTES);
  const box = sealed.subarray(x.length + ct.length);
  const shared = crypto.x25519(keys.staticSecret, x);
  if (shared === undefined) throw sealedError();
  const kem = await keys.kem.decapsulate(ct);
  const aad = additionalData(keys.public, x, ct);
  const secret = concat(shared, kem);
  try {
    for (const name of blinded) {
      const key = deriveKey(crypto, SEAL_CONTEXT, secret, name, aad);
      const plaintext = crypto.open(key, ZERO_NONCE, box, aad);
      wipe(key);
      if (plaintext === undefined) continue;
      const unknown = deriveKey(crypto, UNKNOWN_CONTEXT, secret, name, aad);
      return { ...readIntroduction(plaintext), unknown };
    }
  } finally {
    wipe(shared, kem, secret);
  }
  throw sealedError();
}

function readIntroduction(plaintext: Bytes): Introduction {
  const length = ((plaintext[0] ?? 0) << 8) | (plaintext[1] ?? 0);
  const end = LENGTH_BYTES + length;
  // Anything else behind it would be a channel that no check ever sees.
  if (end > plaintext.length || plaintext.subarray(end).some(Boolean)) {
    throw new ProtocolError(
      "service.introduction_content",
      "Cannot take introduction: it is cut short, or its padding is not zero",
    );
  }
  const fields = decodeFields(
    plaintext.subarray(LENGTH_BYTES, end),
    "introduction",
  );
  const cookie = fields.bytes("cookie", { length: COOKIE_BYTES });
  const rendezvous = fields.bytes("rendezvous", { max: MAX_RECORD_BYTES });
  const handshake = fields.has("handshake")
    ? fields.bytes("handshake", { length: REQUEST_BYTES })
    : undefined;
  const port = fields.has("port") ? fields.uint("port", MAX_PORT) : undefined;
  const ticket = fields.has("ticket")
    ? readTicket(fields.map("ticket"))
    : undefined;
  fields.finish();
  if ((handshake === undefined) === (ticket === undefined)) {
    throw new ProtocolError(
      "service.introduction_content",
      "Cannot take introduction: it wants either a session or a leg",
    );
  }
  if (port === 0 || (port !== undefined && ticket !== undefined)) {
    throw new ProtocolError(
      "service.introduction_content",
      "Cannot take introduction: a leg has no port, and port 0 is none",
    );
  }
  return {
    cookie,
    rendezvous,
    ...(port === undefined ? {} : { port }),
    ...(handshake === undefined ? {} : { handshake }),
    ...(ticket === undefined ? {} : { ticket }),
  };
}

function additionalData(
  keys: IntroductionPublicKeys,
  x: Uint8Array,
  ct: Uint8Array,
): Bytes {
  return concat(keys.authentication, keys.staticKey, x, ct);
}

function deriveKey(
  crypto: CryptoSuite,
  context: Bytes,
  secret: Bytes,
  blinded: PublicKey,
  aad: Bytes,
): Bytes {
  // Hashed: the platform's HKDF takes no more than 1 KiB there.
  const info = concat(context, crypto.sha256(aad));
  return crypto.hkdf(secret, blinded, info, KEY_BYTES);
}

function keysError(cause?: unknown): ProtocolError {
  return new ProtocolError(
    "service.introduction_keys",
    "Cannot introduce: the descriptor's keys are malformed",
    { cause },
  );
}

function sealedError(): ProtocolError {
  return new ProtocolError(
    "service.introduction_sealed",
    "Cannot take introduction: it is not encrypted to us",
  );
}
