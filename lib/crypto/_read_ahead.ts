/**
 * A ChaCha20 keystream that is made some blocks at a time and handed out in
 * small pieces: a relay takes 16 bytes per cell, and one call of the cipher
 * costs far more than they do.
 *
 * Both implementations use this one. The platform's stateful cipher is faster
 * on long pieces only, and holds a native resource until it is finalized, which
 * a forgotten circuit would leak.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc8439#section-2.4 | RFC 8439 §2.4}
 * @module
 */
import { chacha20 } from "@noble/ciphers/chacha.js";
import { type Bytes, wipe } from "../base/bytes.ts";
import { copyKey, wipedError } from "./_checks.ts";
import { CHACHA_BLOCK_BYTES } from "./_counter_nonce.ts";
import { type Keystream, NONCE_BYTES } from "./suite.ts";

/**
 * Bytes made at a time (tuning). Larger is faster until about 1 KiB, and a relay
 * holds one buffer for every circuit.
 */
const READ_AHEAD_BYTES = 512;

/** Blocks under one nonce: the block counter has 32 bits. */
const MAX_BLOCKS = 2 ** 32;

/** A ChaCha20 keystream under a nonce of zeros, from block 0. */
export class ReadAheadKeystream implements Keystream {
  readonly #key: Bytes;
  readonly #nonce: Bytes = new Uint8Array(NONCE_BYTES);
  /** Stream bytes made; made on first use, most circuits never send. */
  #ahead: Bytes | undefined;
  /** Bytes of `#ahead` handed out already. */
  #used = READ_AHEAD_BYTES;
  #nextBlock = 0;
  #wiped = false;

  constructor(key: Uint8Array) {
    this.#key = copyKey(key);
  }

  xor(bytes: Uint8Array): void {
    if (this.#wiped) throw wipedError("keystream");
    let done = 0;
    while (done < bytes.length) {
      const ahead = this.#used === READ_AHEAD_BYTES
        ? this.#refill()
        : this.#ahead as Bytes;
      const start = this.#used;
      const take = Math.min(bytes.length - done, READ_AHEAD_BYTES - start);
      for (let i = 0; i < take; i++) {
        bytes[done + i] = (bytes[done + i] as number) ^
          (ahead[start + i] as number);
      }
      this.#used += take;
      done += take;
    }
  }

  /** Make the next bytes in place of those handed out. */
  #refill(): Bytes {
    const ahead = this.#ahead ??= new Uint8Array(READ_AHEAD_BYTES);
    const blocks = READ_AHEAD_BYTES / CHACHA_BLOCK_BYTES;
    if (this.#nextBlock + blocks > MAX_BLOCKS) {
      throw new RangeError("Cannot read on: the keystream has ended");
    }
    ahead.fill(0);
    chacha20(this.#key, this.#nonce, ahead, ahead, this.#nextBlock);
    this.#nextBlock += blocks;
    this.#used = 0;
    return ahead;
  }

  wipe(): void {
    this.#wiped = true;
    wipe(this.#key);
    this.#ahead?.fill(0);
  }
}
