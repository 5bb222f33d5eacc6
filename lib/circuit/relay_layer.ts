/**
 * A relay's one layer of a circuit's cells. Constant size, authenticated at
 * every hop, blind to its position:
 *
 *     forward     size   ciphertext                 tag     in
 *                 1      N − 17                     16
 *                 size   filler     plaintext               out, to the next hop
 *                 1      16         N − 17
 *
 *     backward    size   dropped    plaintext               in, from the next hop
 *                 1      16         N − 17
 *                 size   ciphertext                 tag     out
 *                 1      N − 17                     16
 *
 * N is the size of a cell, or of a train: whatever the client seals at once each hop
 * opens at once.
 *
 * What comes in front of an opened cell is the next 16 bytes of the relay's
 * filler keystream, so that it is a whole cell again; the sealed next layer's
 * tag is the end of the plaintext already. The nonce counts the cells and trains of one
 * direction: one that is lost, doubled, swapped or changed fails here or at the
 * next honest hop, for good.
 *
 * Everything happens in place. For each a relay spends one AEAD call and 16
 * bytes of keystream; the views it takes measured as free beside them.
 *
 * @see protocol §5.3 "Layers"
 * @module
 */
import type { CounterAead, CryptoSuite, Keystream } from "../crypto/suite.ts";
import {
  FILLER_BYTES,
  HEAD_OFFSET,
  isSized,
  PAYLOAD_OFFSET,
  SIZE_BYTES,
  unitBytes,
  writeSize,
} from "./cell.ts";
import type { HopKeys } from "./handshake.ts";

/** One hop's keys at work, at the relay. */
export class RelayLayer {
  readonly #forward: CounterAead;
  readonly #backward: CounterAead;
  readonly #filler: Keystream;

  /**
   * The layer of one new circuit.
   *
   * @param keys From the handshake; copied, wipe yours.
   */
  constructor(crypto: CryptoSuite, keys: HopKeys) {
    this.#forward = crypto.counterAead(keys.forwardKey);
    this.#backward = crypto.counterAead(keys.backwardKey);
    this.#filler = crypto.keystream(keys.fillerKey);
  }

  /**
   * Peel this layer off whole cells and trains that go on to the next hop.
   *
   * @param cells One after the other; turned in place.
   * @returns Whether every one was the client's next. If not, nothing of
   * `cells` may go anywhere, and the circuit is dead.
   */
  peelForward(cells: Uint8Array): boolean {
    for (let start = 0; start < cells.length;) {
      const end = start + unitBytes(cells, start);
      if (!this.openForward(cells.subarray(start, end))) return false;
      const filler = cells.subarray(
        start + SIZE_BYTES,
        start + SIZE_BYTES + FILLER_BYTES,
      );
      filler.fill(0);
      this.#filler.xor(filler);
      start = end;
    }
    return true;
  }

  /**
   * Wrap whole cells and trains from the next hop in this layer. Only the client
   * can tell what they hold.
   *
   * @param cells One after the other; turned in place.
   * @returns Whether each says its size. If not, nothing of `cells` may go anywhere,
   * and the circuit is dead.
   */
  wrapBackward(cells: Uint8Array): boolean {
    for (let start = 0; start < cells.length;) {
      const end = start + unitBytes(cells, start);
      const cell = cells.subarray(start, end);
      if (!isSized(cell)) return false;
      this.#seal(cell);
      start = end;
    }
    return true;
  }

  /**
   * As the last hop: open one cell or train for ourselves, in place. Takes no filler.
   *
   * @returns Whether it was the client's next; then the payload stands at
   * {@linkcode PAYLOAD_OFFSET}.
   */
  openForward(cell: Uint8Array): boolean {
    return isSized(cell) &&
      this.#forward.open(
        cell.subarray(SIZE_BYTES),
        cell.subarray(HEAD_OFFSET),
      );
  }

  /**
   * As the last hop: seal one cell or train of our own, in place.
   *
   * @param cell Holds a payload at {@linkcode PAYLOAD_OFFSET}; what is in front
   * of it is overwritten.
   */
  sealBackward(cell: Uint8Array): void {
    writeSize(cell);
    cell.fill(0, HEAD_OFFSET, PAYLOAD_OFFSET);
    this.#seal(cell);
  }

  #seal(cell: Uint8Array): void {
    this.#backward.seal(
      cell.subarray(HEAD_OFFSET),
      cell.subarray(SIZE_BYTES),
    );
  }

  /** Forget the keys. */
  wipe(): void {
    this.#forward.wipe();
    this.#backward.wipe();
    this.#filler.wipe();
  }
}
