/**
 * The client's side of a circuit's layers: all of them.
 *
 * **Forward**, hop i of n opens what it got and puts its filler fᵢ in front:
 * the first 16·(i−1) bytes of what hop i gets, its *head* hᵢ, are therefore not
 * the client's to choose, but the client can work them out:
 *
 *     h₁   = nothing
 *     hᵢ₊₁ = fᵢ ‖ (hᵢ ⊕ kᵢ)        kᵢ: keystream under which hop i opens
 *
 * The innermost plaintext begins with hₙ ⊕ kₙ, so that its ciphertext begins
 * with hₙ; then, from the inside out, each layer's plaintext is the cell inside
 * it without its first 16 bytes, which the hop will add:
 *
 *     (hₙ ⊕ kₙ) ‖ noise ‖ payload      sealed for hop n   → cell n
 *     cell n without 16 bytes          sealed for hop n−1 → cell n−1
 *     …                                                   → cell 1, sent
 *
 * The noise fills what is left of the head's 112 bytes: with zeros there, the
 * last hop could count the hops before it.
 *
 * **Backward**, every hop but the last drops the first 16 bytes of what it got
 * before it seals the rest. The last hop's head was zeros, so all that is
 * dropped was keystream alone, and the client puts it back:
 *
 *     wₙ = first 16·(n−1) bytes of kₙ
 *     wᵢ = (wᵢ₊₁ without its first 16 bytes) ⊕ kᵢ      i = n−1 … 2
 *     cell i begins with wᵢ
 *
 * A train of cells is sealed and opened as one cell of its size would be.
 *
 * **Counters.** A hop's two AEAD counters start at 0 when it joins and count
 * the cells and trains that pass it from then on, each way; its filler is spent on what
 * it passes on, and none on those which it is itself the end of. So
 * a hop can be added between any two cells, as long as none is under way past
 * it: from `Extend` to `Extended` the client sends nothing.
 *
 * @see protocol §5.3 "Layers", {@link https://cypherpunks.ca/~iang/pubs/Sphinx_Oakland09.pdf | Sphinx}
 * @module
 */
import { type Bytes, wipe } from "../base/bytes.ts";
import { BugError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import {
  type CounterAead,
  type CryptoSuite,
  KEY_BYTES,
  type Keystream,
} from "../crypto/suite.ts";
import {
  CELL_BYTES,
  FILLER_BYTES,
  HEAD_BYTES,
  HEAD_OFFSET,
  isSized,
  isZero,
  MAX_HOPS,
  PAYLOAD_OFFSET,
  SIZE_BYTES,
  TRAIN_BYTES,
  writeSize,
} from "./cell.ts";
import type { HopKeys } from "./handshake.ts";

/** One hop's keys at work, at the client. */
interface Hop {
  readonly forward: CounterAead;
  readonly backward: CounterAead;
  readonly filler: Keystream;
}

/** All layers of one circuit, at the client. */
export class OnionClient {
  readonly #crypto: CryptoSuite;
  readonly #hops: Hop[] = [];
  readonly #noise: Keystream;
  /** The head at work; what it held before does not matter. */
  readonly #head: Bytes = new Uint8Array(HEAD_BYTES);
  #failedHop: number | undefined;

  /**
   * No layers yet.
   *
   * @param random Gives 32 bytes, for the noise in heads.
   */
  constructor(crypto: CryptoSuite, random: Random) {
    this.#crypto = crypto;
    const key = random.bytes(KEY_BYTES);
    this.#noise = crypto.keystream(key);
    wipe(key);
  }

  /** Hops so far. */
  get hops(): number {
    return this.#hops.length;
  }

  /**
   * Add a hop at the far end. Cells sealed from now on end there.
   *
   * @param keys From the handshake; copied, wipe yours.
   * @throws {RangeError} beyond {@linkcode MAX_HOPS}.
   */
  addHop(keys: HopKeys): void {
    if (this.#hops.length >= MAX_HOPS) {
      throw new RangeError(`Cannot add hop ${MAX_HOPS + 1} to a circuit`);
    }
    this.#hops.push({
      forward: this.#crypto.counterAead(keys.forwardKey),
      backward: this.#crypto.counterAead(keys.backwardKey),
      filler: this.#crypto.keystream(keys.fillerKey),
    });
  }

  /**
   * Seal one cell or train for the last hop, in place.
   *
   * @param cell Holds a payload at {@linkcode PAYLOAD_OFFSET}; what is in front
   * of it is overwritten.
   * @throws {BugError} `circuit.no_layers` before the first hop is added, or
   * after a cell could not be opened.
   */
  seal(cell: Uint8Array): void {
    this.#check(cell);
    writeSize(cell);
    this.#writeHead(cell);
    const plaintext = cell.subarray(HEAD_OFFSET);
    const sealed = cell.subarray(SIZE_BYTES);
    for (let i = this.#hops.length - 1; i >= 0; i--) {
      this.#hop(i).forward.seal(plaintext, sealed);
    }
  }

  /**
   * Open one cell or train from the last hop, in place.
   *
   * @returns `undefined` once the payload stands at {@linkcode PAYLOAD_OFFSET};
   * otherwise the first hop, from 1, whose layer was not what it had to be. Who
   * meddled is the hop before it or one behind that; more cannot be
   * said, because what is put back rests on all layers inside. The circuit is
   * dead then.
   */
  open(cell: Uint8Array): number | undefined {
    this.#check(cell);
    if (!isSized(cell)) return this.#fail(1);
    this.#rebuildHeads();
    const last = this.#hops.length - 1;
    const plaintext = cell.subarray(HEAD_OFFSET);
    const sealed = cell.subarray(SIZE_BYTES);
    for (let i = 0; i <= last; i++) {
      if (i > 0) this.#restoreHead(sealed, last - i);
      if (!this.#hop(i).backward.open(sealed, plaintext)) {
        return this.#fail(i + 1);
      }
    }
    return isZero(cell, HEAD_OFFSET, PAYLOAD_OFFSET)
      ? undefined
      : this.#fail(last + 1);
  }

  /** Forget the keys. */
  wipe(): void {
    for (const { forward, backward, filler } of this.#hops) {
      forward.wipe();
      backward.wipe();
      filler.wipe();
    }
    this.#noise.wipe();
    wipe(this.#head);
  }

  /** The innermost plaintext's head: hₙ ⊕ kₙ, then noise. */
  #writeHead(cell: Uint8Array): void {
    const head = this.#head;
    // hᵢ stands at the end of `head` and grows towards its start.
    let start = HEAD_BYTES;
    for (const [index, hop] of this.#hops.entries()) {
      if (start < HEAD_BYTES) hop.forward.xorNext(0, head.subarray(start));
      if (index === this.#hops.length - 1) break;
      start -= FILLER_BYTES;
      const filler = head.subarray(start, start + FILLER_BYTES);
      filler.fill(0);
      hop.filler.xor(filler);
    }
    cell.set(head.subarray(start), HEAD_OFFSET);
    const noise = cell.subarray(
      HEAD_OFFSET + HEAD_BYTES - start,
      PAYLOAD_OFFSET,
    );
    noise.fill(0);
    this.#noise.xor(noise);
  }

  /** wₙ, with wₙ₋₁ over all of it but its first 16 bytes, and so on. */
  #rebuildHeads(): void {
    const last = this.#hops.length - 1;
    const heads = this.#head.subarray(0, last * FILLER_BYTES);
    heads.fill(0);
    for (let i = last; i > 0; i--) {
      const start = (last - i) * FILLER_BYTES;
      this.#hop(i).backward.xorNext(0, heads.subarray(start));
    }
  }

  /** Put back what the hop before dropped: 16 bytes of {@linkcode #rebuildHeads}. */
  #restoreHead(sealed: Uint8Array, slot: number): void {
    const start = slot * FILLER_BYTES;
    sealed.set(this.#head.subarray(start, start + FILLER_BYTES));
  }

  #hop(index: number): Hop {
    return this.#hops[index] as Hop;
  }

  #fail(hop: number): number {
    this.#failedHop = hop;
    return hop;
  }

  #check(cell: Uint8Array): void {
    if (cell.length !== CELL_BYTES && cell.length !== TRAIN_BYTES) {
      throw new RangeError(`Cannot take a cell of ${cell.length} bytes`);
    }
    if (this.#hops.length === 0 || this.#failedHop !== undefined) {
      throw new BugError(
        "circuit.no_layers",
        "Cannot take a cell: no hop yet, or the circuit is dead",
      );
    }
  }
}
