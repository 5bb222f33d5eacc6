/**
 * The nonce of a {@linkcode CounterAead}, and the keystream under it.
 *
 *     zeros  number of the message
 *     4      8                          bytes, big-endian
 *
 * Nothing guards the end of the counter: 2⁶⁴ cells of 4 KiB take longer than
 * anything lives.
 *
 * @module
 */
import { chacha20 } from "@noble/ciphers/chacha.js";
import type { Bytes } from "../base/bytes.ts";
import { NONCE_BYTES } from "./suite.ts";

/** Bytes of a ChaCha20 block (RFC 8439 §2.3). */
export const CHACHA_BLOCK_BYTES = 64;

/** Where the counter begins in the nonce. */
const COUNTER_START = 4;

/** The AEAD spends block 0 on its one-time key (RFC 8439 §2.8). */
const FIRST_DATA_BLOCK = 1;

/** A nonce that counts. */
export class CounterNonce {
  /** The nonce of the next message. Borrowed: do not write, do not keep. */
  readonly bytes: Bytes = new Uint8Array(NONCE_BYTES);

  /** Go on to the next message. */
  advance(): void {
    const { bytes } = this;
    for (let i = NONCE_BYTES - 1; i >= COUNTER_START; i--) {
      const next = ((bytes[i] as number) + 1) & 0xff;
      bytes[i] = next;
      if (next !== 0) return;
    }
  }
}

/**
 * XOR into `bytes` what ChaCha20-Poly1305 under `key` and `nonce` XORs into a
 * message from byte `offset` on.
 *
 * @throws {RangeError} for an offset that is not a natural number.
 */
export function xorAeadStream(
  key: Uint8Array,
  nonce: Uint8Array,
  offset: number,
  bytes: Uint8Array,
): void {
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new RangeError(`Cannot seek to byte ${offset} of a keystream`);
  }
  const skip = offset % CHACHA_BLOCK_BYTES;
  const block = FIRST_DATA_BLOCK + (offset - skip) / CHACHA_BLOCK_BYTES;
  const stream = new Uint8Array(skip + bytes.length);
  chacha20(key, nonce, stream, stream, block);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = (bytes[i] as number) ^ (stream[skip + i] as number);
  }
}
