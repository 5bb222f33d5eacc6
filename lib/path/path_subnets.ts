/**
 * Which relays may be one party's, by their addresses: no two of them belong in
 * one path.
 *
 *     203.0.113.9, 2001:db8:7::1   →   "203.0.0.0/16", "2001:db8::/32"
 *
 * A relay with several addresses is in the subnets of all of them.
 *
 * @see protocol §5.8 "Paths"
 * @module
 */
import type { NetworkParameters } from "../auth/network.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import { addressGroup, PATH_PREFIX } from "../auth/subnet.ts";

/** The subnets of a relay; empty where subnets do not count. */
export type SubnetList = readonly string[];

/** Where private addresses are allowed, all relays may be on one machine. */
const NONE: SubnetList = [];

/** Subnets of relays, worked out once for each record. */
export class PathSubnets {
  readonly #network: NetworkParameters;
  /** A list of relays is weighed anew every few seconds, mostly the same records. */
  readonly #known = new WeakMap<NodeRecord, SubnetList>();

  constructor(network: NetworkParameters) {
    this.#network = network;
  }

  /** The subnets of a relay, each once. */
  of(record: NodeRecord): SubnetList {
    if (this.#network.allowPrivateAddresses) return NONE;
    const known = this.#known.get(record);
    if (known !== undefined) return known;
    const groups = record.addresses.map((address) =>
      addressGroup(address, PATH_PREFIX)
    );
    const subnets = [...new Set(groups)];
    this.#known.set(record, subnets);
    return subnets;
  }
}

/** Whether two relays share a subnet. */
export function shareSubnet(a: SubnetList, b: SubnetList): boolean {
  for (const subnet of a) if (b.includes(subnet)) return true;
  return false;
}
