/**
 * The X25519 keys that circuits are created with: a new one each week, the one
 * before kept for a day more, for clients that still hold the old record.
 *
 *     key 1  ├──── 7 days ────┤── 1 day ──┤
 *     key 2                   ├──── 7 days ────┤── 1 day ──┤
 *
 * What was recorded under a key that is gone can never be opened again, not
 * even by an attacker who takes the machine.
 *
 * @see protocol §2.3 "Node records", §9.1 "State directory"
 * @module
 */
import type { NetworkParameters } from "./network.ts";
import { type Bytes, equalBytes, wipe } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { type CryptoSuite, X25519_BYTES } from "../crypto/suite.ts";
import { encodeCbor } from "../wire/cbor.ts";
import { decodeFields, Fields } from "../wire/fields.ts";

/** One onion key. */
export interface OnionKey {
  /** What the node record carries, 32 bytes. */
  readonly publicKey: Bytes;
  /** 32 bytes. */
  readonly secret: Bytes;
  /** When it was made, unix ms. */
  readonly madeMs: number;
}

/** The key in use, and the one before while it is still accepted. */
export class OnionKeys {
  readonly #crypto: CryptoSuite;
  readonly #random: Random;
  readonly #network: NetworkParameters;
  #current: OnionKey;
  #previous: OnionKey | undefined;

  private constructor(
    crypto: CryptoSuite,
    random: Random,
    network: NetworkParameters,
    current: OnionKey,
    previous: OnionKey | undefined,
  ) {
    this.#crypto = crypto;
    this.#random = random;
    this.#network = network;
    this.#current = current;
    this.#previous = previous;
  }

  /** A first key. */
  static generate(
    crypto: CryptoSuite,
    random: Random,
    network: NetworkParameters,
    unixMs: number,
  ): OnionKeys {
    const key = makeKey(crypto, random, unixMs);
    return new OnionKeys(crypto, random, network, key, undefined);
  }

  /**
   * What {@linkcode encode} made. Call {@linkcode rotate} next: time has passed.
   *
   * @throws {ProtocolError} `wire.*` or `node.onion_keys` when it makes no sense.
   */
  static decode(
    crypto: CryptoSuite,
    random: Random,
    network: NetworkParameters,
    encoded: Uint8Array,
  ): OnionKeys {
    const fields = decodeFields(encoded, "onion keys");
    const [current, previous, ...rest] = fields.array("keys", 2)
      .map((item) => readKey(crypto, new Fields(item, "onion key")));
    fields.finish();
    if (current === undefined || rest.length > 0) {
      throw new ProtocolError(
        "node.onion_keys",
        "Cannot read onion keys: none",
      );
    }
    return new OnionKeys(crypto, random, network, current, previous);
  }

  /** For the state directory. It holds the secrets. */
  encode(): Bytes {
    const keys = [this.#current, ...this.#previous ? [this.#previous] : []];
    return encodeCbor({
      keys: keys.map(({ secret, madeMs }) => ({ secret, madeMs })),
    });
  }

  /** The key to announce. */
  get current(): OnionKey {
    return this.#current;
  }

  /** When to call {@linkcode rotate} next, unix ms. */
  get rotateAtMs(): number {
    const { onionKeyLifeMs, onionKeyGraceMs } = this.#network;
    const nextMs = this.#current.madeMs + onionKeyLifeMs;
    if (this.#previous === undefined) return nextMs;
    return Math.min(nextMs, this.#current.madeMs + onionKeyGraceMs);
  }

  /** The secret of a key that a client used; `undefined` when it is none of ours. */
  find(publicKey: Uint8Array): Bytes | undefined {
    return [this.#current, this.#previous].find((key) =>
      key !== undefined && equalBytes(key.publicKey, publicKey)
    )?.secret;
  }

  /**
   * Make a new key when it is time, and forget the old one when it is time.
   *
   * @returns Whether anything changed: then store and announce it.
   */
  rotate(unixMs: number): boolean {
    const { onionKeyLifeMs, onionKeyGraceMs } = this.#network;
    // A clock that was set back must not keep a key for years: distance counts.
    const ageMs = Math.abs(unixMs - this.#current.madeMs);
    if (ageMs >= onionKeyLifeMs) {
      this.#forgetPrevious();
      this.#previous = this.#current;
      this.#current = makeKey(this.#crypto, this.#random, unixMs);
      // Asleep for so long that the grace is over as well.
      if (ageMs >= onionKeyLifeMs + onionKeyGraceMs) this.#forgetPrevious();
      return true;
    }
    if (this.#previous === undefined || ageMs < onionKeyGraceMs) return false;
    this.#forgetPrevious();
    return true;
  }

  #forgetPrevious(): void {
    if (this.#previous !== undefined) wipe(this.#previous.secret);
    this.#previous = undefined;
  }
}

function makeKey(
  crypto: CryptoSuite,
  random: Random,
  madeMs: number,
): OnionKey {
  const secret = random.bytes(X25519_BYTES);
  return { publicKey: crypto.x25519Public(secret), secret, madeMs };
}

function readKey(crypto: CryptoSuite, fields: Fields): OnionKey {
  const secret = fields.bytes("secret", { length: X25519_BYTES });
  const madeMs = fields.uint("madeMs");
  fields.finish();
  return { publicKey: crypto.x25519Public(secret), secret, madeMs };
}
