/**
 * The create handshake: ntor with X25519, and ML-KEM-768 beside it. The relay
 * proves that it is the one the client meant; the client stays anonymous. The
 * keys are secret as long as either of the two exchanges is.
 *
 *     request     nodeId   B    X    ek             client → relay
 *                 32       32   32   1184           1280 bytes
 *     reply       Y    ct     auth                  relay → client
 *                 32   1088   32                    1152 bytes
 *
 *     secret   = X25519(X,y) ‖ X25519(X,b) ‖ kem
 *                ‖ nodeId ‖ B ‖ X ‖ Y ‖ ek ‖ ct ‖ ID
 *     seed     = HMAC(ID ":key", secret)
 *     verify   = HMAC(ID ":verify", secret)
 *     auth     = HMAC(ID ":auth", verify ‖ nodeId ‖ B ‖ Y ‖ X ‖ ct ‖ ek ‖ ID ‖ "server")
 *     keys     = HKDF-Expand(seed, ID ":expand", 128)
 *              = forward ‖ backward ‖ filler ‖ binding          32 bytes each
 *
 * HMAC's first argument is its key. No names of suites are exchanged: there is
 * one. Nothing here throws for what the other side sent: a bad handshake ends
 * one circuit and not the link, which may carry the circuits of others.
 *
 * @see protocol §5.2 "Create", {@link https://spec.torproject.org/tor-spec/create-created-cells.html | ntor}
 * @module
 */
import {
  type Bytes,
  concat,
  equalBytes,
  equalSecret,
  utf8,
  wipe,
} from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { NODE_ID_BYTES, type NodeId } from "../auth/identity.ts";
import {
  type CryptoSuite,
  KEM_CIPHERTEXT_BYTES,
  KEM_PUBLIC_BYTES,
  KEM_SEED_BYTES,
  type KemPair,
  KEY_BYTES,
  X25519_BYTES,
} from "../crypto/suite.ts";

/** Protocol: bytes of a create request. */
export const REQUEST_BYTES: number = NODE_ID_BYTES + 2 * X25519_BYTES +
  KEM_PUBLIC_BYTES;
/** Protocol: bytes of a create reply. */
export const REPLY_BYTES: number = X25519_BYTES + KEM_CIPHERTEXT_BYTES +
  KEY_BYTES;

const PROTOCOL_ID = utf8("anonnet v1 circuit ntor x25519 ml-kem-768 sha-256");
const SEED_TAG = concat(PROTOCOL_ID, utf8(":key"));
const VERIFY_TAG = concat(PROTOCOL_ID, utf8(":verify"));
const AUTH_TAG = concat(PROTOCOL_ID, utf8(":auth"));
const EXPAND_INFO = concat(PROTOCOL_ID, utf8(":expand"));
const SERVER = utf8("server");

/** What a hop needs to know of a circuit, once, from the handshake with it. */
export interface HopKeys {
  /** AEAD key of cells away from the client. */
  readonly forwardKey: Bytes;
  /** AEAD key of cells towards the client. */
  readonly backwardKey: Bytes;
  /** ChaCha20 key of the filler that the hop puts in front of forwarded cells. */
  readonly fillerKey: Bytes;
  /** Names this circuit to both ends, secret from all others. */
  readonly binding: Bytes;
}

/** Bytes of all {@linkcode HopKeys} together. */
const HOP_KEYS_BYTES = 4 * KEY_BYTES;

/** Whom a client wants to share a hop with: from the relay's signed record. */
export interface HandshakePeer {
  /** Its node id. */
  readonly nodeId: NodeId;
  /** B, the relay's X25519 onion key. */
  readonly onionKey: Bytes;
}

/** One of a relay's own onion keys. */
export interface OnionKey {
  /** b, 32 bytes. */
  readonly secret: Bytes;
  /** B = X25519(b, 9). */
  readonly publicKey: Bytes;
}

/** Who a relay is to those who create circuits with it. */
export interface HandshakeKeys {
  /** Our own node id. */
  readonly nodeId: NodeId;
  /** The onion keys in use: the current one, and for a day the one before. */
  readonly onionKeys: readonly OnionKey[];
}

/** Why a handshake gave no keys. For our own eyes: the wire says nothing. */
export type HandshakeFailure =
  /** Not as many bytes as the protocol has. */
  | "length"
  /** Meant for another relay. */
  | "node_id"
  /** Meant for an onion key that we have not, or no longer. */
  | "onion_key"
  /** An X25519 key of low order. */
  | "low_order"
  /** A malformed ML-KEM key. */
  | "kem_key"
  /** The other side does not hold the keys it should. */
  | "auth";

/** What a relay makes of a request. */
export type HandshakeResponse =
  | { readonly ok: true; readonly reply: Bytes; readonly keys: HopKeys }
  | { readonly ok: false; readonly failure: HandshakeFailure };

/** What a client makes of a reply. */
export type HandshakeResult =
  | { readonly ok: true; readonly keys: HopKeys }
  | { readonly ok: false; readonly failure: HandshakeFailure };

/** The client's half, between request and reply. For one reply. */
export class ClientHandshake {
  /** What to send: {@linkcode REQUEST_BYTES}. */
  readonly request: Bytes;
  readonly #crypto: CryptoSuite;
  readonly #peer: HandshakePeer;
  readonly #secret: Bytes;
  readonly #kem: KemPair;

  private constructor(
    crypto: CryptoSuite,
    peer: HandshakePeer,
    secret: Bytes,
    kem: KemPair,
  ) {
    this.#crypto = crypto;
    this.#peer = peer;
    this.#secret = secret;
    this.#kem = kem;
    this.request = concat(
      peer.nodeId,
      peer.onionKey,
      crypto.x25519Public(secret),
      kem.publicKey,
    );
  }

  /**
   * Make fresh keys and the request.
   *
   * @param random Gives 32 bytes for X25519, then 64 for ML-KEM.
   */
  static async start(
    crypto: CryptoSuite,
    peer: HandshakePeer,
    random: Random,
  ): Promise<ClientHandshake> {
    const secret = random.bytes(X25519_BYTES);
    const seed = random.bytes(KEM_SEED_BYTES);
    const kem = await crypto.kemPair(seed);
    wipe(seed);
    return new ClientHandshake(crypto, peer, secret, kem);
  }

  /** Check the relay's reply. Forgets the client's keys, whatever comes of it. */
  async finish(reply: Uint8Array): Promise<HandshakeResult> {
    try {
      return await this.#finish(reply);
    } finally {
      this.abandon();
    }
  }

  /** No reply will come: forget the keys. */
  abandon(): void {
    wipe(this.#secret);
    this.#kem.wipe();
  }

  async #finish(reply: Uint8Array): Promise<HandshakeResult> {
    if (reply.length !== REPLY_BYTES) return { ok: false, failure: "length" };
    const y = reply.subarray(0, X25519_BYTES);
    const ct = reply.subarray(y.length, y.length + KEM_CIPHERTEXT_BYTES);
    const auth = reply.subarray(y.length + ct.length);
    const ephemeral = this.#crypto.x25519(this.#secret, y);
    const long = this.#crypto.x25519(this.#secret, this.#peer.onionKey);
    if (ephemeral === undefined || long === undefined) {
      return { ok: false, failure: "low_order" };
    }
    const kem = await this.#kem.decapsulate(ct);
    const shared = concat(ephemeral, long, kem);
    const derived = derive(this.#crypto, shared, this.request, y, ct);
    wipe(ephemeral, long, kem);
    if (!equalSecret(derived.auth, auth)) {
      wipeKeys(derived.keys);
      return { ok: false, failure: "auth" };
    }
    return { ok: true, keys: derived.keys };
  }
}

/**
 * The relay's half: answer a request.
 *
 * @param random Gives 32 bytes for X25519, then what ML-KEM needs.
 */
export async function respondToHandshake(
  crypto: CryptoSuite,
  own: HandshakeKeys,
  request: Uint8Array,
  random: Random,
): Promise<HandshakeResponse> {
  if (request.length !== REQUEST_BYTES) return { ok: false, failure: "length" };
  const parts = splitRequest(request);
  // From the cheapest check to the dearest: a flood of misdirected requests
  // must not reach the exchanges.
  if (!equalBytes(parts.nodeId, own.nodeId)) {
    return { ok: false, failure: "node_id" };
  }
  const onionKey = own.onionKeys.find(({ publicKey }) =>
    equalBytes(publicKey, parts.onionKey)
  );
  if (onionKey === undefined) return { ok: false, failure: "onion_key" };
  const secret = random.bytes(X25519_BYTES);
  const ephemeral = crypto.x25519(secret, parts.x);
  // Refuse low-order points before the onion key touches them.
  if (ephemeral === undefined) return { ok: false, failure: "low_order" };
  const long = crypto.x25519(onionKey.secret, parts.x);
  if (long === undefined) return { ok: false, failure: "low_order" };
  const kem = await encapsulate(crypto, parts.ek, random);
  if (kem === undefined) return { ok: false, failure: "kem_key" };
  const y = crypto.x25519Public(secret);
  const shared = concat(ephemeral, long, kem.secret);
  const { keys, auth } = derive(crypto, shared, request, y, kem.ciphertext);
  wipe(secret, ephemeral, long, kem.secret);
  return { ok: true, reply: concat(y, kem.ciphertext, auth), keys };
}

/** Overwrite a hop's keys. */
export function wipeKeys(keys: HopKeys): void {
  wipe(keys.forwardKey, keys.backwardKey, keys.fillerKey, keys.binding);
}

/** Views of a request's parts. */
function splitRequest(request: Uint8Array) {
  const x = NODE_ID_BYTES + X25519_BYTES;
  return {
    nodeId: request.subarray(0, NODE_ID_BYTES),
    onionKey: request.subarray(NODE_ID_BYTES, x),
    x: request.subarray(x, x + X25519_BYTES),
    ek: request.subarray(x + X25519_BYTES),
  };
}

async function encapsulate(
  crypto: CryptoSuite,
  ek: Uint8Array,
  random: Random,
): Promise<{ ciphertext: Bytes; secret: Bytes } | undefined> {
  try {
    return await crypto.encapsulate(ek, random);
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

/**
 * What both sides know once they share `shared`, which is overwritten.
 *
 * @param shared The three shared secrets, 96 bytes.
 */
function derive(
  crypto: CryptoSuite,
  shared: Bytes,
  request: Uint8Array,
  y: Uint8Array,
  ct: Uint8Array,
): { keys: HopKeys; auth: Bytes } {
  const { nodeId, onionKey, x, ek } = splitRequest(request);
  const secret = [shared, nodeId, onionKey, x, y, ek, ct, PROTOCOL_ID];
  const seed = crypto.hmac(SEED_TAG, ...secret);
  const verify = crypto.hmac(VERIFY_TAG, ...secret);
  const said = [nodeId, onionKey, y, x, ct, ek, PROTOCOL_ID, SERVER];
  const auth = crypto.hmac(AUTH_TAG, verify, ...said);
  const okm = crypto.hkdfExpand(seed, EXPAND_INFO, HOP_KEYS_BYTES);
  const key = (index: number) =>
    okm.slice(index * KEY_BYTES, (index + 1) * KEY_BYTES);
  const keys = {
    forwardKey: key(0),
    backwardKey: key(1),
    fillerKey: key(2),
    binding: key(3),
  };
  wipe(shared, seed, verify, okm);
  return { keys, auth };
}
