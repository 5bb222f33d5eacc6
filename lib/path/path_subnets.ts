/**
 * Which relays may be one party's, by their addresses, or are by their own word: no
 * two of them belong in one path.
 *
 *     203.0.113.9, 2001:db8:7::1   →   "203.0.0.0/16", "2001:db8::/32"
 *     of a family                  →   "family 0123…"
 *
 * A relay with several addresses is in the subnets of all of them. A family counts in
 * every network.
 *
 * @see protocol §5.8 "Paths"
 * @module
 */
import type { NetworkParameters } from "../auth/network.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import { addressGroup, PATH_PREFIX } from "../auth/subnet.ts";

/** The subnets of a relay and its family; empty where neither counts. */
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
    const { allowPrivateAddresses } = this.#network;
    if (allowPrivateAddresses && record.family === undefined) return NONE;
    const known = this.#known.get(record);
    if (known !== undefined) return known;
    const groups = allowPrivateAddresses
      ? []
      : record.addresses.map((address) => addressGroup(address, PATH_PREFIX));
    const family = familyOf(record);
    if (family !== undefined) groups.push(family);
    const subnets = [...new Set(groups)];
    this.#known.set(record, subnets);
    return subnets;
  }
}

/** Names the family that a relay is of; no subnet is called so. */
export function familyOf({ family }: NodeRecord): string | undefined {
  return family && `family ${family.key.toHex()}`;
}

/** Whether two relays share a subnet, or are of one family. */
export function shareSubnet(a: SubnetList, b: SubnetList): boolean {
  for (const subnet of a) if (b.includes(subnet)) return true;
  return false;
}
