/**
 * The circuit protocol a second time, written from protocol §5 "Circuits" with noble's
 * primitives alone and without a line of `lib/`. Slow and plain on purpose: it
 * makes the vectors, and the code must agree with it.
 *
 * @module
 */
import { chacha20, chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";

/** Bytes with a buffer of their own. */
type Bytes = Uint8Array<ArrayBuffer>;

const ID = "anonnet v1 circuit ntor x25519 ml-kem-768 sha-256";

function join(...parts: (Uint8Array | string)[]): Bytes {
  const bytes = parts.flatMap((part) =>
    typeof part === "string" ? [...new TextEncoder().encode(part)] : [...part]
  );
  return Uint8Array.from(bytes);
}

function xor(a: Uint8Array, b: Uint8Array): Bytes {
  return Uint8Array.from(a, (byte, i) => byte ^ (b[i] ?? 0));
}

// ── Create ───────────────────────────────────────────────────────────────────

/** The four keys of a hop. */
export interface ReferenceKeys {
  readonly forwardKey: Bytes;
  readonly backwardKey: Bytes;
  readonly fillerKey: Bytes;
  readonly binding: Bytes;
}

/** Everything secret and public that goes into one handshake. */
export interface ReferenceInput {
  readonly nodeId: Bytes;
  /** b */
  readonly onionSecret: Bytes;
  /** x */
  readonly clientSecret: Bytes;
  /** d ‖ z */
  readonly kemSeed: Bytes;
  /** y */
  readonly relaySecret: Bytes;
  /** m */
  readonly kemMessage: Bytes;
}

/** What the handshake makes of it. */
export interface ReferenceHandshake {
  readonly request: Bytes;
  readonly reply: Bytes;
  readonly keys: ReferenceKeys;
}

/** Both sides of one handshake; throws if they do not agree with each other. */
export function referenceHandshake(input: ReferenceInput): ReferenceHandshake {
  const B = x25519.getPublicKey(input.onionSecret);
  const X = x25519.getPublicKey(input.clientSecret);
  const kem = ml_kem768.keygen(input.kemSeed);
  const request = join(input.nodeId, B, X, kem.publicKey);

  const Y = x25519.getPublicKey(input.relaySecret);
  const sent = ml_kem768.encapsulate(kem.publicKey, input.kemMessage);
  const relay = derive(
    x25519.getSharedSecret(input.relaySecret, X),
    x25519.getSharedSecret(input.onionSecret, X),
    sent.sharedSecret,
    { nodeId: input.nodeId, B, X, Y, ek: kem.publicKey, ct: sent.cipherText },
  );
  const reply = join(Y, sent.cipherText, relay.auth);

  const client = derive(
    x25519.getSharedSecret(input.clientSecret, Y),
    x25519.getSharedSecret(input.clientSecret, B),
    ml_kem768.decapsulate(sent.cipherText, kem.secretKey),
    { nodeId: input.nodeId, B, X, Y, ek: kem.publicKey, ct: sent.cipherText },
  );
  if (join(client.okm).toHex() !== join(relay.okm).toHex()) {
    throw new Error("The reference does not agree with itself");
  }
  const keys = {
    forwardKey: relay.okm.slice(0, 32),
    backwardKey: relay.okm.slice(32, 64),
    fillerKey: relay.okm.slice(64, 96),
    binding: relay.okm.slice(96, 128),
  };
  return { request, reply, keys };
}

interface Transcript {
  readonly nodeId: Uint8Array;
  readonly B: Uint8Array;
  readonly X: Uint8Array;
  readonly Y: Uint8Array;
  readonly ek: Uint8Array;
  readonly ct: Uint8Array;
}

function derive(
  xy: Uint8Array,
  xb: Uint8Array,
  kem: Uint8Array,
  { nodeId, B, X, Y, ek, ct }: Transcript,
) {
  const mac = (tag: string, data: Uint8Array) =>
    hmac(sha256, join(ID, tag), data);
  const secret = join(xy, xb, kem, nodeId, B, X, Y, ek, ct, ID);
  const seed = mac(":key", secret);
  const verify = mac(":verify", secret);
  const auth = mac(
    ":auth",
    join(verify, nodeId, B, Y, X, ct, ek, ID, "server"),
  );
  // RFC 5869 §2.3 by hand: T(i) = HMAC(seed, T(i−1) ‖ info ‖ i).
  let okm: Bytes = new Uint8Array();
  let block: Uint8Array = new Uint8Array();
  for (let i = 1; i <= 4; i++) {
    block = hmac(sha256, seed, join(block, ID, ":expand", Uint8Array.of(i)));
    okm = join(okm, block);
  }
  return { auth, okm };
}

// ── Cells ────────────────────────────────────────────────────────────────────

/** Bytes in front of the payload at the end of a cell's way, without size and gap. */
const HEAD = 112;
/** Bytes of a cell; a train is as long as four. */
const CELL = 4096;

/** A cell or train as it travels: its size in cells, and what is sealed. */
function sized(sealed: Uint8Array): Bytes {
  return join(Uint8Array.of((1 + sealed.length) / CELL), sealed);
}

/** What is sealed in a cell or train. */
function unsized(unit: Uint8Array): Uint8Array {
  if (unit[0] !== 1 && unit[0] !== 4 || unit.length !== unit[0] * CELL) {
    throw new Error("Not a cell or a train");
  }
  return unit.subarray(1);
}

/** One hop's keys and counters, as its client or its relay keeps them. */
export class ReferenceHop {
  readonly keys: ReferenceKeys;
  forwardCells = 0;
  backwardCells = 0;
  forwardedCells = 0;

  constructor(keys: ReferenceKeys) {
    this.keys = keys;
  }

  /** kᵢ: the first bytes under which the next forward cell is encrypted. */
  forwardStream(length: number): Bytes {
    return stream(this.keys.forwardKey, this.forwardCells, length);
  }

  backwardStream(length: number): Bytes {
    return stream(this.keys.backwardKey, this.backwardCells, length);
  }

  /** fᵢ of the next cell that is forwarded. */
  nextFiller(): Bytes {
    const end = 16 * ++this.forwardedCells;
    const zeros = new Uint8Array(end);
    const bytes = chacha20(this.keys.fillerKey, new Uint8Array(12), zeros);
    return bytes.slice(end - 16);
  }

  sealForward(plaintext: Uint8Array): Bytes {
    const nonce = nonceOf(this.forwardCells++);
    return join(
      chacha20poly1305(this.keys.forwardKey, nonce).encrypt(plaintext),
    );
  }

  openForward(cell: Uint8Array): Bytes {
    const nonce = nonceOf(this.forwardCells++);
    return join(chacha20poly1305(this.keys.forwardKey, nonce).decrypt(cell));
  }

  sealBackward(plaintext: Uint8Array): Bytes {
    const nonce = nonceOf(this.backwardCells++);
    return join(
      chacha20poly1305(this.keys.backwardKey, nonce).encrypt(plaintext),
    );
  }

  openBackward(cell: Uint8Array): Bytes {
    const nonce = nonceOf(this.backwardCells++);
    return join(chacha20poly1305(this.keys.backwardKey, nonce).decrypt(cell));
  }
}

function nonceOf(count: number): Bytes {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(4, BigInt(count));
  return nonce;
}

function stream(key: Uint8Array, count: number, length: number): Bytes {
  const zeros = new Uint8Array(length);
  return join(chacha20(key, nonceOf(count), zeros, undefined, 1));
}

/**
 * Client: a cell for the last hop, or a train by the length of the payload.
 *
 * @param noise At least what the head has left.
 */
export function referenceSeal(
  hops: readonly ReferenceHop[],
  payload: Uint8Array,
  noise: Uint8Array,
): Bytes {
  let head: Bytes = new Uint8Array();
  for (const [i, hop] of hops.entries()) {
    head = xor(head, hop.forwardStream(head.length));
    if (i < hops.length - 1) head = join(hop.nextFiller(), head);
  }
  let plaintext = join(head, noise.subarray(0, HEAD - head.length), payload);
  let cell: Bytes = new Uint8Array();
  for (const hop of [...hops].reverse()) {
    cell = hop.sealForward(plaintext);
    plaintext = cell.slice(16);
  }
  return sized(cell);
}

/** Relay: the cell that the next hop gets. */
export function referenceForward(hop: ReferenceHop, cell: Uint8Array): Bytes {
  const plaintext = hop.openForward(unsized(cell));
  return sized(join(hop.nextFiller(), plaintext));
}

/** Last hop: the payload. */
export function referenceArrive(hop: ReferenceHop, cell: Uint8Array): Bytes {
  return hop.openForward(unsized(cell)).slice(HEAD);
}

/** Last hop: a cell for the client. */
export function referenceAnswer(
  hop: ReferenceHop,
  payload: Uint8Array,
): Bytes {
  return sized(hop.sealBackward(join(new Uint8Array(HEAD), payload)));
}

/** Relay: the cell that the previous hop gets. */
export function referenceBackward(hop: ReferenceHop, cell: Uint8Array): Bytes {
  return sized(hop.sealBackward(unsized(cell).subarray(16)));
}

/** Client: the payload of a cell from the last hop. */
export function referenceOpen(
  hops: readonly ReferenceHop[],
  cell: Uint8Array,
): Bytes {
  const dropped: Bytes[] = [];
  let known: Bytes = new Uint8Array(16 * (hops.length - 1));
  for (const hop of hops.slice(1).reverse()) {
    known = xor(known, hop.backwardStream(known.length));
    dropped.unshift(known.slice(0, 16));
    known = known.slice(16);
  }
  let outer = join(unsized(cell));
  let plaintext: Bytes = new Uint8Array();
  for (const [i, hop] of hops.entries()) {
    plaintext = hop.openBackward(outer);
    outer = join(dropped[i] ?? new Uint8Array(), plaintext);
  }
  if (plaintext.subarray(0, HEAD).some((byte) => byte !== 0)) {
    throw new Error("The head is not zero");
  }
  return plaintext.slice(HEAD);
}
