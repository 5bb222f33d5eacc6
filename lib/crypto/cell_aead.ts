/**
 * ChaCha20-Poly1305 for cells, in WebAssembly. The platform's makes an object and
 * two arrays for each message, and the collector's work on them costs as much as
 * the encryption; this one works in a memory of its own.
 *
 *     0       first state: constants, key, counter, nonce
 *     64      four blocks of keystream: the one-time key, before opening
 *     320     tag
 *     448     four blocks of keystream, for `xor`
 *     1024    one-time key ‖ message, padded ‖ lengths
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc8439#section-2.8 | RFC 8439 §2.8}
 * @module
 */
import { type Bytes, equalSecret } from "../base/bytes.ts";
import { assemble } from "./_assembler.ts";
import { BATCH_BYTES, CHACHA20_XOR, STATE } from "./_chacha20_kernel.ts";
import { POLY1305_MAC } from "./_poly1305_kernel.ts";
import { TAG_BYTES } from "./suite.ts";

/** Longest message. Cells are shorter; what is longer is rare. */
export const MAX_MESSAGE_BYTES = 4096;

const SIGMA = new TextEncoder().encode("expand 32-byte k");
const KEY = STATE + 16;
const NONCE = STATE + 52;
const ONE_TIME_KEY = 64;
const TAG = 320;
const STREAM = 448;
const MESSAGE = 1024 + 64;
const PAGES = 1;
const BLOCK_BYTES = 64;

/** What the module exports. */
interface Kernels {
  readonly memory: WebAssembly.Memory;
  xor(counter: number, at: number, batches: number): void;
  mac(key: number, at: number, blocks: number, tag: number): void;
}

/** One memory with its code. Calls do not overlap, so one serves all keys. */
export class CellAead {
  readonly #kernels: Kernels;
  readonly #memory: Bytes;
  readonly #view: DataView;

  /** @throws {WebAssembly.CompileError} where the platform knows no vectors. */
  constructor() {
    const code = assemble([CHACHA20_XOR, POLY1305_MAC], PAGES);
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code));
    this.#kernels = exports as unknown as Kernels;
    const { buffer } = this.#kernels.memory;
    this.#memory = new Uint8Array(buffer as ArrayBuffer);
    this.#view = new DataView(this.#memory.buffer);
    this.#memory.set(SIGMA, STATE);
  }

  /** Encrypt into `out`, 16 bytes longer than `plaintext`; they may overlap. */
  seal(
    key: Uint8Array,
    nonce: Uint8Array,
    plaintext: Uint8Array,
    out: Uint8Array,
  ): void {
    const { length } = plaintext;
    const memory = this.#memory;
    this.#setKey(key, nonce);
    memory.fill(0, MESSAGE - BLOCK_BYTES, MESSAGE);
    memory.set(plaintext, MESSAGE);
    this.#xorMessage(length);
    this.#authenticate(MESSAGE - BLOCK_BYTES, length);
    out.set(memory.subarray(MESSAGE, MESSAGE + length));
    out.set(memory.subarray(TAG, TAG + TAG_BYTES), length);
    this.#forget();
  }

  /**
   * Decrypt into `out`, 16 bytes shorter than `sealed`; they may overlap.
   *
   * @returns Whether the tag was right; `out` is as it was when it was not.
   */
  open(
    key: Uint8Array,
    nonce: Uint8Array,
    sealed: Uint8Array,
    out: Uint8Array,
  ): boolean {
    const length = sealed.length - TAG_BYTES;
    const memory = this.#memory;
    this.#setKey(key, nonce);
    memory.fill(0, ONE_TIME_KEY, ONE_TIME_KEY + BLOCK_BYTES);
    this.#kernels.xor(0, ONE_TIME_KEY, 1);
    memory.set(sealed.subarray(0, length), MESSAGE);
    this.#authenticate(ONE_TIME_KEY, length);
    const tag = memory.subarray(TAG, TAG + TAG_BYTES);
    const isTrue = equalSecret(tag, sealed.subarray(length));
    if (isTrue) {
      this.#xorMessage(length);
      out.set(memory.subarray(MESSAGE, MESSAGE + length));
    }
    this.#forget();
    return isTrue;
  }

  /** XOR into `bytes` the keystream of a message from byte `offset` on. */
  xor(
    key: Uint8Array,
    nonce: Uint8Array,
    offset: number,
    bytes: Uint8Array,
  ): void {
    const memory = this.#memory;
    const skipped = offset % BLOCK_BYTES;
    // Block 0 makes the one-time key.
    let block = 1 + (offset - skipped) / BLOCK_BYTES;
    let at = STREAM + skipped;
    this.#setKey(key, nonce);
    for (let done = 0; done < bytes.length;) {
      const count = Math.min(STREAM + BATCH_BYTES - at, bytes.length - done);
      memory.set(bytes.subarray(done, done + count), at);
      this.#kernels.xor(block, STREAM, 1);
      bytes.set(memory.subarray(at, at + count), done);
      done += count;
      block += BATCH_BYTES / BLOCK_BYTES;
      at = STREAM;
    }
    this.#forget();
  }

  #setKey(key: Uint8Array, nonce: Uint8Array): void {
    this.#memory.set(key, KEY);
    this.#memory.set(nonce, NONCE);
  }

  /** The message, and the block before it, which becomes the one-time key. */
  #xorMessage(length: number): void {
    const batches = Math.ceil((BLOCK_BYTES + length) / BATCH_BYTES);
    this.#kernels.xor(0, MESSAGE - BLOCK_BYTES, batches);
  }

  /** Write the tag of the ciphertext. What is behind it is overwritten. */
  #authenticate(oneTimeKey: number, length: number): void {
    const end = MESSAGE + length;
    const paddedEnd = MESSAGE + Math.ceil(length / 16) * 16;
    this.#memory.fill(0, end, paddedEnd + 16);
    this.#view.setUint32(paddedEnd + 8, length, true);
    const blocks = (paddedEnd - MESSAGE) / 16 + 1;
    this.#kernels.mac(oneTimeKey, MESSAGE, blocks, TAG);
  }

  /** Keys do not stay; plaintext does, as it does where the caller has it. */
  #forget(): void {
    this.#memory.fill(0, KEY, STREAM + BATCH_BYTES);
    this.#memory.fill(0, MESSAGE - BLOCK_BYTES, MESSAGE);
  }
}
