/**
 * What the last hop of a circuit does in the DHT for the circuit's client, who
 * must not be seen to ask for it.
 *
 *     dht_get {key} ─▶ look-up ─▶ the record of the key's owner, or else the newest
 *     dht_put {record} ─▶ checked ─▶ stored on the k closest
 *
 * @see protocol §4 "DHT", §5.4 "The control stream"
 * @module
 */
import type { NetworkParameters } from "../../auth/network.ts";
import type { Bytes } from "../../base/bytes.ts";
import { ProtocolError, UnreachableError } from "../../base/errors.ts";
import type {
  DhtReply,
  DhtRequest,
  RejectReason,
} from "../../circuit/control_messages.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import type { DhtKey } from "../../dht/records/distance.ts";
import {
  checkStoredRecord,
  decodeStoredRecord,
  isSelfCertifying,
  maxStoredRecordBytes,
  type StoredRecord,
} from "../../dht/records/stored_record.ts";
import type { DhtDriver } from "../directory/dht_driver.ts";
import type { RecordStored, TaskOptions } from "../directory/dht_tasks.ts";

/** What answering takes. */
export interface CircuitDhtOptions {
  readonly crypto: CryptoSuite;
  readonly network: NetworkParameters;
  readonly dht: Pick<DhtDriver, "get" | "put">;
  /** Wall-clock time, unix ms. */
  readonly unixMs: () => number;
}

/** What became of a record: how many nodes hold it, or why none does. */
export type PutOutcome =
  | { readonly type: "stored"; readonly copies: number }
  | { readonly type: "rejected"; readonly code: RejectReason };

/** Answers the DHT requests of circuits that end here. */
export class CircuitDht {
  readonly #options: CircuitDhtOptions;

  constructor(options: CircuitDhtOptions) {
    this.#options = options;
  }

  /**
   * The record under a key, encoded: that of the publisher who owns the key, if
   * it is self-certifying, else the one with the highest sequence.
   *
   * @throws {UnreachableError} `dht.busy`, `dht.stopped`.
   */
  async get(
    key: DhtKey,
    options: TaskOptions = {},
  ): Promise<Bytes | undefined> {
    const { crypto, network, dht } = this.#options;
    const { records } = await dht.get(key, undefined, options);
    const owned = records.find(({ publisher }) =>
      isSelfCertifying(crypto, network, key, publisher)
    );
    return (owned ?? newestOf(records))?.encoded;
  }

  /**
   * Store an encoded record. It is checked first: what no node would store is not
   * worth a look-up of ours.
   *
   * @throws {UnreachableError} `dht.busy`, `dht.stopped`.
   */
  async put(encoded: Bytes, options: TaskOptions = {}): Promise<PutOutcome> {
    const record = this.#check(encoded);
    if (record === undefined) return { type: "rejected", code: "invalid" };
    const stored = await this.#options.dht.put(record, options);
    return stored.copies > 0
      ? { type: "stored", copies: stored.copies }
      : { type: "rejected", code: reasonOf(stored) };
  }

  /** Answer a request of a circuit's client. Never throws for what the network does. */
  async answer(request: DhtRequest, signal?: AbortSignal): Promise<DhtReply> {
    const { id } = request;
    try {
      if (request.type === "dht_get") {
        const record = await this.get(request.key, { signal });
        return record === undefined
          ? { type: "dht_missing", id }
          : { type: "dht_found", id, record };
      }
      const outcome = await this.put(request.record, { signal });
      return outcome.type === "stored"
        ? { type: "dht_stored", id, copies: outcome.copies }
        : { type: "dht_rejected", id, code: outcome.code };
    } catch (error) {
      if (!(error instanceof UnreachableError) && !signal?.aborted) throw error;
      return request.type === "dht_get"
        ? { type: "dht_missing", id }
        : { type: "dht_rejected", id, code: "overloaded" };
    }
  }

  #check(encoded: Bytes): StoredRecord | undefined {
    const { crypto, network, unixMs } = this.#options;
    if (encoded.length > maxStoredRecordBytes(network)) return undefined;
    try {
      const { key } = decodeStoredRecord(encoded);
      return checkStoredRecord(crypto, network, encoded, key, unixMs());
    } catch (error) {
      if (error instanceof ProtocolError) return undefined;
      throw error;
    }
  }
}

function newestOf(records: readonly StoredRecord[]): StoredRecord | undefined {
  return records.reduce<StoredRecord | undefined>(
    (newest, record) =>
      newest === undefined || record.sequence > newest.sequence
        ? record
        : newest,
    undefined,
  );
}

/** The reason that most of the nodes gave. */
function reasonOf({ refused }: RecordStored): RejectReason {
  const [most] = [...refused].sort(([, a], [, b]) => b - a);
  switch (most?.[0]) {
    case undefined:
      return "unreachable";
    case "older_sequence":
      return "older";
    case "too_large":
    case "expired":
    case "too_far_in_future":
    case "bad_signature":
      return "invalid";
    default:
      return "overloaded";
  }
}
