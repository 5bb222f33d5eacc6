/**
 * Node records for worlds that verify none: of true form and length, with the
 * number of the relay at the start of a signature that is not its own. Signing a thousand takes longer than many an experiment.
 *
 * @module
 */
import { Identity, type NodeId } from "../auth/identity.ts";
import type { NetworkParameters } from "../auth/network.ts";
import { createNodeRecord, type NodeRecord } from "../auth/node_record.ts";
import { seededRandom } from "../base/random.ts";
import type { CryptoSuite } from "../crypto/suite.ts";

/** Makes records after one that is signed. */
export class UnsignedRecords {
  readonly #model: NodeRecord;
  /** Where public key, place and signature stand in an encoding. */
  readonly #keyOffset: number;
  readonly #placeOffset: number;
  readonly #signatureOffset: number;

  constructor(
    crypto: CryptoSuite,
    network: NetworkParameters,
    unixMs: number,
  ) {
    using identity = Identity.generate(crypto, seededRandom(1));
    this.#model = createNodeRecord(crypto, identity, network, {
      onionKey: new Uint8Array(32),
      addresses: [{ host: hostOf(0), port: PORT }],
      flags: ["relay"],
      bandwidth: 10_000_000,
      sequence: unixMs,
      expiry: unixMs + network.maxNodeRecordLifeMs,
      workNonce: new Uint8Array(16),
    });
    const { encoded, signature, place } = this.#model;
    this.#keyOffset = offsetOf(encoded, identity.publicKey);
    this.#placeOffset = offsetOf(encoded, place);
    this.#signatureOffset = offsetOf(encoded, signature);
  }

  /**
   * The record of relay number `index`.
   *
   * @param nodeId Its name and its place, which its key does not hash to.
   */
  make(index: number, nodeId: NodeId): NodeRecord {
    const encoded = new Uint8Array(this.#model.encoded);
    encoded.set(nodeId, this.#keyOffset);
    encoded.set(nodeId, this.#placeOffset);
    new DataView(encoded.buffer).setUint32(this.#signatureOffset, index);
    const addresses = [{ host: hostOf(index), port: PORT }];
    const publicKey = new Uint8Array(nodeId);
    const place = publicKey;
    return { ...this.#model, publicKey, nodeId, place, addresses, encoded };
  }

  /** The number of the relay whose record this may be; −1 for what can be none. */
  indexOf(encoded: Uint8Array): number {
    if (encoded.length !== this.#model.encoded.length) return -1;
    const at = encoded.byteOffset + this.#signatureOffset;
    return new DataView(encoded.buffer, at).getUint32(0);
  }
}

/** Port of every simulated relay. */
export const PORT = 4001;

/** The address of relay number `index`, below 16 million. */
export function hostOf(index: number): string {
  return `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;
}

function offsetOf(bytes: Uint8Array, part: Uint8Array): number {
  for (let at = 0; at + part.length <= bytes.length; at++) {
    if (part.every((byte, index) => bytes[at + index] === byte)) return at;
  }
  throw new RangeError("Cannot find the key in the record");
}
