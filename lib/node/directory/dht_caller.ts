/**
 * The calls of a relay's DHT over its links: each is answered, fails, or is
 * cancelled, and its machine hears of the first two once.
 *
 *     send ─▶ link there? ─ no ─▶ dial ─▶ request ─┬─▶ onResponse
 *                                                  └─▶ onFailure
 *
 * @see protocol §4.3 "Requests and responses"
 * @module
 */
import type { NodeRecord } from "../../auth/node_record.ts";
import type { SocketAddress } from "../../auth/socket_address.ts";
import { type Bytes, equalBytes } from "../../base/bytes.ts";
import { AnonNetError } from "../../base/errors.ts";
import { CALL_MS } from "../../dht/calls.ts";
import type { SendAction } from "../../dht/dht_action.ts";
import { DHT_METHOD } from "../../dht/messages.ts";
import type { Link } from "../link/link.ts";
import type { PeerAddress } from "../link/link_dial.ts";
import type { LinkTable } from "../link/link_table.ts";

/** What a caller is made of. */
interface DhtCallerOptions {
  readonly links: LinkTable;
  /** Nodes that the operator named: believed to be where we reached them. */
  readonly bootstrap: readonly PeerAddress[];
  /** A node answered, over a link to `address`. */
  readonly onResponse: (
    rpcId: number,
    response: Bytes,
    address: SocketAddress,
  ) => void;
  /** There was no link, or no answer. */
  readonly onFailure: (rpcId: number) => void;
}

/** Carries calls out. */
export class DhtCaller {
  readonly #options: DhtCallerOptions;
  /** Calls that the machine still waits for. */
  readonly #waiting = new Set<number>();
  #sent = 0;

  constructor(options: DhtCallerOptions) {
    this.#options = options;
  }

  /** Calls since the start. */
  get sent(): number {
    return this.#sent;
  }

  /**
   * Make a call. It need not be waited for when we stop: it ends with its link.
   *
   * @throws What is no failure of the network, once the machine has heard.
   */
  async send(action: SendAction): Promise<void> {
    const { rpcId, to, request } = action;
    const { links, onResponse, onFailure } = this.#options;
    this.#sent++;
    this.#waiting.add(rpcId);
    let link: Link;
    let address: SocketAddress;
    let response: Bytes;
    try {
      link = links.get(to.publicKey) ?? await links.getOrDial(to);
      address = this.#addressOf(link);
      if (action.isAtAddress && !claims(to, address)) {
        // Behind a router that forwards a port, packets leave from another one.
        address = (await links.dialAnew(to)).remoteAddress;
        link = links.get(to.publicKey) ?? link;
      }
      if (!this.#waiting.has(rpcId)) return;
      const timeoutMs = CALL_MS;
      response = await link.request(DHT_METHOD, request, { timeoutMs });
    } catch (error) {
      if (!this.#waiting.delete(rpcId)) return;
      onFailure(rpcId);
      if (!(error instanceof AnonNetError)) throw error;
      return;
    }
    if (!this.#waiting.delete(rpcId)) return;
    onResponse(rpcId, response, address);
  }

  /** Forget a call. The link's own deadline ends it soon after. */
  cancel(rpcId: number): void {
    this.#waiting.delete(rpcId);
  }

  /** Forget all calls. */
  cancelAll(): void {
    this.#waiting.clear();
  }

  /**
   * Where a node answered. One that the operator named is taken for being where it
   * says: on the operator's own network it may well be dialled elsewhere.
   */
  #addressOf({ peerKey, record, remoteAddress }: Link): SocketAddress {
    const isNamed = this.#options.bootstrap.some(({ publicKey }) =>
      equalBytes(publicKey, peerKey)
    );
    return isNamed ? record?.addresses[0] ?? remoteAddress : remoteAddress;
  }
}

function claims({ addresses }: NodeRecord, { host, port }: SocketAddress) {
  return addresses.some((claimed) =>
    claimed.host === host && claimed.port === port
  );
}
