/**
 * Node records for worlds that verify none: of true form and length, with the
 * number of the relay at the start of a signature that is not its own. Signing a thousand takes longer than many an experiment.
 * They never expire, as none is renewed: an experiment may run for days.
 *
 * @module
 */
import { Identity, type NodeId } from "../../auth/identity.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import { createNodeRecord, type NodeRecord } from "../../auth/node_record.ts";
import { seededRandom } from "../../base/random.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";

/** Makes records after one that is signed. */
export class UnsignedRecords {
  readonly #model: NodeRecord;
  readonly #hostOf: (index: number) => string;
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
    this.#hostOf = network.allowPrivateAddresses ? hostOf : publicHostOf;
    const model = createNodeRecord(crypto, identity, network, {
      onionKey: new Uint8Array(32),
      addresses: [{ host: this.#hostOf(0), port: PORT }],
      flags: ["relay"],
      bandwidth: BANDWIDTH,
      sequence: unixMs,
      expiry: unixMs + network.maxNodeRecordLifeMs,
      workNonce: new Uint8Array(16),
    });
    this.#model = { ...model, expiry: Number.MAX_SAFE_INTEGER };
    const { encoded, signature, place } = model;
    this.#keyOffset = offsetOf(encoded, identity.publicKey);
    this.#placeOffset = offsetOf(encoded, place);
    this.#signatureOffset = offsetOf(encoded, signature);
  }

  /**
   * The record of relay number `index`.
   *
   * @param nodeId Its name and its place, which its key does not hash to.
   * @param bandwidth What it declares, bytes per second; its encoding says {@linkcode BANDWIDTH}.
   */
  make(index: number, nodeId: NodeId, bandwidth = BANDWIDTH): NodeRecord {
    const encoded = new Uint8Array(this.#model.encoded);
    encoded.set(nodeId, this.#keyOffset);
    encoded.set(nodeId, this.#placeOffset);
    new DataView(encoded.buffer).setUint32(this.#signatureOffset, index);
    const addresses = [{ host: this.#hostOf(index), port: PORT }];
    const publicKey = new Uint8Array(nodeId);
    const place = publicKey;
    return {
      ...this.#model,
      publicKey,
      nodeId,
      place,
      addresses,
      bandwidth,
      encoded,
    };
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

/** What relays declare unless told otherwise, bytes per second. */
const BANDWIDTH = 10_000_000;

/** The first byte of addresses that the Internet routes, all of them or nearly. */
const PUBLIC_FIRST = [
  ...range(11, 99),
  ...range(101, 126),
  ...range(128, 168),
  ...range(173, 191),
  ...range(199, 202),
  ...range(204, 223),
];

/**
 * The address of relay number `index` where subnets count: each in a /16 of its
 * own, up to 50,000; then the next one in each.
 */
function publicHostOf(index: number): string {
  const subnets = 256 * PUBLIC_FIRST.length;
  const subnet = index % subnets;
  const first = PUBLIC_FIRST[subnet >> 8];
  const beyond = Math.floor(index / subnets);
  return `${first}.${subnet & 255}.${1 + (beyond >> 8)}.${1 + (beyond & 255)}`;
}

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

function range(first: number, last: number): number[] {
  return Array.from({ length: 1 + last - first }, (_, at) => first + at);
}
