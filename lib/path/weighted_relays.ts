/**
 * The relay list, made ready for drawing: a relay twice as fast is drawn twice
 * as often.
 *
 *     weights      3    1    4    2
 *     cumulative   3    4    8   10          uniform in 0 ≤ x < 10, binary search
 *
 * Conditions are met by drawing again: nearly every relay fits, so this takes
 * one or two draws, whatever the length of the list. Only when many draws in a
 * row do not fit is the list walked, once, which is exact.
 *
 * @see protocol §5.8 "Paths"
 * @module
 */
import type { NodeId } from "../auth/identity.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import { type Random, randomFloat } from "../base/random.ts";
import type { BandwidthWeights } from "./bandwidth_weights.ts";
import type { PathSubnets, SubnetList } from "./path_subnets.ts";
import { type RelayKey, relayKey } from "./relay_key.ts";
import type { Tenure } from "./tenure.ts";

/** Tuning: draws before the list is walked. */
const MAX_DRAWS = 32;

/** A relay as paths see it. */
export interface PathRelay {
  readonly key: RelayKey;
  readonly record: NodeRecord;
  readonly subnets: SubnetList;
  /** Whether it came so lately that others are to be guards before it. */
  readonly isNewcomer: boolean;
}

/** What a list is made of. */
export interface WeightedRelaysOptions {
  readonly subnets: PathSubnets;
  readonly weights: BandwidthWeights;
  /** Since when relays are known. Default: all have always been there. */
  readonly tenure?: Tenure | undefined;
  /** This node, if it is a relay: no path of ours leads through ourselves. */
  readonly ownNodeId?: NodeId | undefined;
  readonly unixMs: number;
}

/** Relays that may be drawn; never changes. */
export class WeightedRelays {
  /** When the first of them expires, unix ms: the list is to be made anew then. */
  readonly expiryUnixMs: number;
  readonly #relays: readonly PathRelay[];
  readonly #byKey: ReadonlyMap<RelayKey, PathRelay>;
  readonly #cumulative: Float64Array;

  /** @param records As they are; those that are no relays or have expired are left out. */
  constructor(records: readonly NodeRecord[], options: WeightedRelaysOptions) {
    const { subnets, weights, tenure, ownNodeId, unixMs } = options;
    const ownKey = ownNodeId && relayKey(ownNodeId);
    const known = new Map<RelayKey, NodeRecord>();
    for (const record of records) {
      if (!record.flags.includes("relay") || record.expiry <= unixMs) continue;
      const key = relayKey(record.nodeId);
      if (key === ownKey) continue;
      known.set(key, record);
    }
    tenure?.note([...known.keys()], unixMs);
    const byKey = new Map<RelayKey, PathRelay>();
    for (const [key, record] of known) {
      const isNewcomer = tenure?.isNewcomer(key) ?? false;
      byKey.set(key, { key, record, subnets: subnets.of(record), isNewcomer });
    }
    this.expiryUnixMs = known.values()
      .reduce((first, { expiry }) => Math.min(first, expiry), Infinity);
    this.#byKey = byKey;
    this.#relays = [...byKey.values()];
    this.#cumulative = weights.cumulative(this.#relays, tenure);
  }

  /** Relays in the list. */
  get size(): number {
    return this.#relays.length;
  }

  /** A relay by its key, if it is in the list. */
  get(key: RelayKey): PathRelay | undefined {
    return this.#byKey.get(key);
  }

  /** All of them, in the order of the list given. */
  [Symbol.iterator](): IterableIterator<PathRelay> {
    return this.#byKey.values();
  }

  /**
   * Draw a relay that fits, by weight.
   *
   * @returns `undefined` when none fits.
   */
  draw(
    random: Random,
    fits: (relay: PathRelay) => boolean,
  ): PathRelay | undefined {
    const total = this.#cumulative.at(-1) ?? 0;
    if (total === 0) return undefined;
    for (let draws = 0; draws < MAX_DRAWS; draws++) {
      const relay = this.#at(randomFloat(random) * total);
      if (relay !== undefined && fits(relay)) return relay;
    }
    return this.#drawWalking(random, fits);
  }

  /** The relay at a place in 0 ≤ place < sum of weights. */
  #at(place: number): PathRelay | undefined {
    let low = 0;
    let high = this.#cumulative.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#cumulative[middle] as number) <= place) low = middle + 1;
      else high = middle;
    }
    return this.#relays[low];
  }

  #drawWalking(
    random: Random,
    fits: (relay: PathRelay) => boolean,
  ): PathRelay | undefined {
    const fitting: PathRelay[] = [];
    const sums: number[] = [];
    let total = 0;
    let before = 0;
    for (const [index, relay] of this.#relays.entries()) {
      const upTo = this.#cumulative[index] as number;
      if (fits(relay)) {
        total += upTo - before;
        fitting.push(relay);
        sums.push(total);
      }
      before = upTo;
    }
    const place = randomFloat(random) * total;
    const index = sums.findIndex((sum) => place < sum);
    // Rounding may leave the very last sum a hair too low.
    return index < 0 ? fitting.at(-1) : fitting[index];
  }
}
