/**
 * Onion layers without machines around them: a client and its relays, and
 * an adversary on each link who may meddle.
 *
 * @module
 */
import type { Bytes } from "../../lib/base/bytes.ts";
import { type Random, seededRandom } from "../../lib/base/random.ts";
import {
  CELL_BYTES,
  PAYLOAD_OFFSET,
  TRAIN_BYTES,
} from "../../lib/circuit/cell.ts";
import type { HopKeys } from "../../lib/circuit/handshake.ts";
import { OnionClient } from "../../lib/circuit/onion_client.ts";
import { RelayLayer } from "../../lib/circuit/relay_layer.ts";
import type { CryptoSuite } from "../../lib/crypto/suite.ts";

/** Bytes of a payload, with its command and length. */
export const PAYLOAD_BYTES: number = CELL_BYTES - PAYLOAD_OFFSET;

/** Bytes of the payload of a train. */
export const TRAIN_PAYLOAD_BYTES: number = TRAIN_BYTES - PAYLOAD_OFFSET;

/** Keys as a handshake would give them. */
export function randomKeys(random: Random): HopKeys {
  return {
    forwardKey: random.bytes(32),
    backwardKey: random.bytes(32),
    fillerKey: random.bytes(32),
    binding: random.bytes(32),
  };
}

/** A client and the relays of its circuit. */
export class Chain {
  readonly client: OnionClient;
  readonly relays: RelayLayer[] = [];
  readonly #crypto: CryptoSuite;
  readonly #random: Random;

  constructor(
    crypto: CryptoSuite,
    hops: number,
    seed: number,
  ) {
    this.#crypto = crypto;
    this.#random = seededRandom(seed);
    this.client = new OnionClient(crypto, this.#random);
    for (let i = 0; i < hops; i++) this.grow();
  }

  /** One hop more. */
  grow(): void {
    const keys = randomKeys(this.#random);
    this.client.addHop(keys);
    this.relays.push(new RelayLayer(this.#crypto, keys));
  }

  /** The relay at the far end. */
  get last(): RelayLayer {
    return this.relays.at(-1) as RelayLayer;
  }

  /**
   * A cell with this payload, filled with zeros to its length, or a train where it
   * is too long for a cell.
   */
  cell(payload: Uint8Array): Bytes {
    const isLong = payload.length > PAYLOAD_BYTES;
    const cell = new Uint8Array(isLong ? TRAIN_BYTES : CELL_BYTES);
    cell.set(payload, PAYLOAD_OFFSET);
    return cell;
  }

  /** What the client sends for it. */
  seal(payload: Uint8Array): Bytes {
    const cell = this.cell(payload);
    this.client.seal(cell);
    return cell;
  }

  /**
   * Carry a cell over hops `from`…`to` − 1 (counted from 0), in place.
   *
   * @returns Whether all of them let it pass.
   */
  carryForward(cell: Uint8Array, from: number, to: number): boolean {
    return this.relays.slice(from, to).every((relay) =>
      relay === this.last ? relay.openForward(cell) : relay.peelForward(cell)
    );
  }

  /** What the last hop sends for a payload. */
  answer(payload: Uint8Array): Bytes {
    const cell = this.cell(payload);
    this.last.sealBackward(cell);
    return cell;
  }

  /**
   * Carry a cell back over hops `from` − 1…`to`, in place.
   *
   * @returns Whether all of them let it pass.
   */
  carryBackward(cell: Uint8Array, from: number, to: number): boolean {
    return this.relays.slice(to, from).reverse().every((relay) =>
      relay.wrapBackward(cell)
    );
  }

  /** A payload all the way to the last hop; `undefined` when it was not let pass. */
  forward(payload: Uint8Array): Uint8Array | undefined {
    const cell = this.seal(payload);
    const arrived = this.carryForward(cell, 0, this.relays.length);
    return arrived ? cell.subarray(PAYLOAD_OFFSET) : undefined;
  }

  /** A payload all the way back; `undefined` when the client cannot open it. */
  backward(payload: Uint8Array): Uint8Array | undefined {
    const cell = this.answer(payload);
    this.carryBackward(cell, this.relays.length - 1, 0);
    return this.client.open(cell) === undefined
      ? cell.subarray(PAYLOAD_OFFSET)
      : undefined;
  }
}
