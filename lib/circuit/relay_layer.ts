/**
 * A relay's one layer of a circuit's cells. Constant size, authenticated at
 * every hop, blind to its position:
 *
 *     forward     ciphertext                 tag     in
 *                 N − 16                     16
 *                 filler     plaintext               out, to the next hop
 *                 16         N − 16
 *
 *     backward    dropped    plaintext               in, from the next hop
 *                 16         N − 16
 *                 ciphertext                 tag     out
 *                 N − 16                     16
 *
 * What comes in front of an opened cell is the next 16 bytes of the relay's
 * filler keystream, so that it is a whole cell again; the sealed next layer's
 * tag is the end of the plaintext already. The nonce counts the cells of one
 * direction: one that is lost, doubled, swapped or changed fails here or at the
 * next honest hop, for good.
 *
 * Everything happens in place. Per cell a relay spends one AEAD call and 16
 * bytes of keystream; the views it takes measured as free beside them.
 *
 * @see protocol §5.3 "Layers"
 * @module
 */
import type { CounterAead, CryptoSuite, Keystream } from "../crypto/suite.ts";
import {
  CELL_BYTES,
  FILLER_BYTES,
  HEAD_OFFSET,
  PAYLOAD_OFFSET,
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
   * Peel this layer off whole cells that go on to the next hop.
   *
   * @param cells A multiple of the cell size; turned in place.
   * @returns Whether every one was the client's next. If not, nothing of
   * `cells` may go anywhere, and the circuit is dead.
   */
  peelForward(cells: Uint8Array): boolean {
    for (let start = 0; start < cells.length; start += CELL_BYTES) {
      if (!this.openForward(cells.subarray(start, start + CELL_BYTES))) {
        return false;
      }
      const filler = cells.subarray(start, start + FILLER_BYTES);
      filler.fill(0);
      this.#filler.xor(filler);
    }
    return true;
  }

  /**
   * Wrap whole cells from the next hop in this layer. Cannot fail: only the
   * client can tell what they hold.
   *
   * @param cells A multiple of the cell size; turned in place.
   */
  wrapBackward(cells: Uint8Array): void {
    for (let start = 0; start < cells.length; start += CELL_BYTES) {
      const cell = cells.subarray(start, start + CELL_BYTES);
      this.#backward.seal(cell.subarray(HEAD_OFFSET), cell);
    }
  }

  /**
   * As the last hop: open one cell for ourselves, in place. Takes no filler.
   *
   * @returns Whether it was the client's next; then the payload stands at
   * {@linkcode PAYLOAD_OFFSET}.
   */
  openForward(cell: Uint8Array): boolean {
    return this.#forward.open(cell, cell.subarray(HEAD_OFFSET));
  }

  /**
   * As the last hop: seal one cell of our own, in place.
   *
   * @param cell Holds a payload at {@linkcode PAYLOAD_OFFSET}; what is in front
   * of it is overwritten.
   */
  sealBackward(cell: Uint8Array): void {
    cell.fill(0, HEAD_OFFSET, PAYLOAD_OFFSET);
    this.#backward.seal(cell.subarray(HEAD_OFFSET), cell);
  }

  /** Forget the keys. */
  wipe(): void {
    this.#forward.wipe();
    this.#backward.wipe();
    this.#filler.wipe();
  }
}
