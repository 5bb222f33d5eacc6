/**
 * Records of the relays of a {@linkcode MachineWorld}, those included that are not
 * there: which relay, if any, a record is of.
 *
 * @module
 */
import type { NodeId } from "../../auth/identity.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import { type Bytes, equalBytes } from "../../base/bytes.ts";
import type { Random } from "../../base/random.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import { POINT_BYTES } from "../../dht/records/distance.ts";
import type { Behaviour } from "./behaviour.ts";
import { UnsignedRecords } from "./unsigned_record.ts";

/** Numbers from here on are those of relays that are not there. */
const FIRST_INVENTED = 1 << 20;

/** What records are made of. */
export interface MachineRecordsOptions {
  readonly crypto: CryptoSuite;
  readonly network: NetworkParameters;
  readonly random: Random;
  /** Wall-clock time at the start, unix ms. */
  readonly startUnixMs: number;
  /** Whether a relay may have this place in the DHT. Default: any. */
  readonly isWanted?: (nodeId: NodeId, behaviour: Behaviour) => boolean;
  /** What a relay declares, bytes per second. Default: all alike. */
  readonly bandwidthOf?: (behaviour: Behaviour) => number;
}

/** All records of one world. */
export class MachineRecords {
  readonly #options: MachineRecordsOptions;
  readonly #unsigned: UnsignedRecords;
  /** Of relays that are there, by their indexes. */
  readonly #made: NodeRecord[] = [];
  readonly #invented: NodeRecord[] = [];

  constructor(options: MachineRecordsOptions) {
    const { crypto, network, startUnixMs } = options;
    this.#options = options;
    this.#unsigned = new UnsignedRecords(crypto, network, startUnixMs);
  }

  /** The record of the next relay, which has the next index. */
  make(behaviour: Behaviour): NodeRecord {
    const record = this.#unsigned.make(
      this.#made.length,
      this.#chooseId(behaviour),
      this.#options.bandwidthOf?.(behaviour),
    );
    this.#made.push(record);
    return record;
  }

  /** Records of relays that are not there, each with an address at which none answers. */
  invent(count: number): NodeRecord[] {
    const { random, bandwidthOf } = this.#options;
    return Array.from({ length: count }, () => {
      const record = this.#unsigned.make(
        FIRST_INVENTED + this.#invented.length,
        random.bytes(POINT_BYTES),
        bandwidthOf?.("inventor"),
      );
      this.#invented.push(record);
      return record;
    });
  }

  /** The index of the relay that this is a record of; none has it where that is not there. */
  indexOf({ encoded }: NodeRecord): number {
    return this.#unsigned.indexOf(encoded);
  }

  /** The record that these bytes are; `undefined` for what the owner of its key did not sign. */
  verified(encoded: Bytes): NodeRecord | undefined {
    const index = this.#unsigned.indexOf(encoded);
    const record = index < FIRST_INVENTED
      ? this.#made[index]
      : this.#invented[index - FIRST_INVENTED];
    const isRight = record !== undefined &&
      equalBytes(record.encoded, encoded);
    return isRight ? record : undefined;
  }

  /** All of these records, up to the first that is not true. */
  verifyAll(
    encoded: readonly Bytes[],
  ): { readonly records: NodeRecord[]; readonly lie: string | undefined } {
    const records: NodeRecord[] = [];
    for (const bytes of encoded) {
      const record = this.verified(bytes);
      if (record === undefined) {
        return { records, lie: "auth.record_signature" };
      }
      records.push(record);
    }
    return { records, lie: undefined };
  }

  /** As a relay that makes keys until one of them is where it wants to be. */
  #chooseId(behaviour: Behaviour): NodeId {
    const { random, isWanted } = this.#options;
    for (;;) {
      const nodeId = random.bytes(POINT_BYTES);
      if (isWanted?.(nodeId, behaviour) ?? true) return nodeId;
    }
  }
}
