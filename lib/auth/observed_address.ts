/**
 * Where others see us: each peer that we dialled says so in its Welcome. One
 * peer can lie, and one NAT can give each peer another port, so an address
 * counts when more than half of several peers agree on it.
 *
 * @see protocol §9.2 "Start and stop"
 * @module
 */
import type { NodeId } from "./identity.ts";
import type { NetworkParameters } from "./network.ts";
import { formatSocketAddress, type SocketAddress } from "./socket_address.ts";
import { isAllowedAddress } from "./subnet.ts";
import { formatBase32 } from "../base/bytes.ts";

/** Peers whose last word counts. The oldest gives way: we may have moved. */
const MAX_OBSERVERS = 16;
/** Fewer than these prove nothing: the first peer alone must not choose for us. */
const MIN_OBSERVERS = 2;

/** What peers said of where we are. */
export class ObservedAddress {
  readonly #network: NetworkParameters;
  readonly #said = new Map<string, SocketAddress>();

  constructor(network: NetworkParameters) {
    this.#network = network;
  }

  /**
   * A peer sees us at `address`. What no peer could dial in this network is not
   * counted.
   */
  add(peer: NodeId, address: SocketAddress): void {
    if (!isAllowedAddress(this.#network, address)) return;
    const name = formatBase32(peer);
    this.#said.delete(name);
    const [oldest] = this.#said.keys();
    if (oldest !== undefined && this.#said.size >= MAX_OBSERVERS) {
      this.#said.delete(oldest);
    }
    this.#said.set(name, address);
  }

  /** The address that more than half of the peers agree on, if there is one. */
  get agreed(): SocketAddress | undefined {
    const votes = new Map<string, { address: SocketAddress; count: number }>();
    for (const address of this.#said.values()) {
      const text = formatSocketAddress(address);
      const vote = votes.get(text) ?? { address, count: 0 };
      vote.count++;
      votes.set(text, vote);
    }
    if (this.#said.size < MIN_OBSERVERS) return undefined;
    for (const { address, count } of votes.values()) {
      if (2 * count > this.#said.size) return address;
    }
    return undefined;
  }
}
