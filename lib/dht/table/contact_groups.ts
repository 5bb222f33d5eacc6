/**
 * How many contacts each subnet has, where subnets count: one machine with many
 * addresses gets no large part of the table.
 *
 * @see protocol §4.2 "The routing table"
 * @module
 */
import type { NetworkParameters } from "../../auth/network.ts";
import type { SocketAddress } from "../../auth/socket_address.ts";
import { addressGroup, DHT_PREFIX } from "../../auth/subnet.ts";
import type { Bucket } from "./bucket.ts";

/** Protocol: contacts of one subnet in a bucket, where subnets count. */
export const MAX_PER_GROUP_AND_BUCKET = 2;
/** Protocol: contacts of one subnet in the table, where subnets count. */
export const MAX_PER_GROUP = 10;

/** Contacts per subnet. */
export class ContactGroups {
  readonly #network: NetworkParameters;
  /** Empty where subnets do not count. */
  readonly #counts = new Map<string, number>();

  constructor(network: NetworkParameters) {
    this.#network = network;
  }

  /** The subnet of an address; `""` where subnets do not count. */
  of(address: SocketAddress): string {
    return this.#network.allowPrivateAddresses
      ? ""
      : addressGroup(address, DHT_PREFIX);
  }

  /** Whether a bucket, and the table, may have one more contact of a subnet. */
  hasRoom(group: string, { contacts }: Bucket): boolean {
    if (group === "") return true;
    if ((this.#counts.get(group) ?? 0) >= MAX_PER_GROUP) return false;
    const here = contacts.filter((contact) => contact.group === group);
    return here.length < MAX_PER_GROUP_AND_BUCKET;
  }

  /** A contact of this subnet has come. */
  add(group: string): void {
    if (group === "") return;
    this.#counts.set(group, (this.#counts.get(group) ?? 0) + 1);
  }

  /** One has gone. */
  remove(group: string): void {
    const left = (this.#counts.get(group) ?? 0) - 1;
    if (left > 0) this.#counts.set(group, left);
    else this.#counts.delete(group);
  }
}
