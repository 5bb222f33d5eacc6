/**
 * What a node answers to the requests of others, out of its three tables.
 *
 *     FindNode, FindValue ─▶ routing table, record store
 *     Store ───────────────▶ record store
 *     ListRelays ──────────▶ relay list
 *     Announce ────────────▶ done: what is announced concerns the relay news
 *
 * Answering changes no table but the store, and takes no time to speak of: a
 * flood of requests costs the link's rate limit, not us.
 *
 * @see protocol §4.3 "Requests and responses"
 * @module
 */
import type { NodeId, PublicKey } from "../auth/identity.ts";
import type { NetworkParameters } from "../auth/network.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import type { Place } from "../auth/proof_of_work.ts";
import { type Bytes, equalBytes } from "../base/bytes.ts";
import type { Moment } from "../base/clock.ts";
import { isRelay } from "./table/contact.ts";
import { type DhtKey, pointKey } from "./records/distance.ts";
import {
  type DhtRequest,
  type DhtResponse,
  MAX_VALUE_ANSWER_BYTES,
} from "./messages.ts";
import type { RecordStore } from "./records/record_store.ts";
import type { RelayList } from "./relay_list.ts";
import type { RoutingTable } from "./table/routing_table.ts";

/** Who asks: the other end of an authenticated link. */
export interface DhtPeer {
  readonly nodeId: NodeId;
  /** Its verified record; a client has none. */
  readonly record?: NodeRecord | undefined;
}

/** What a server answers out of. */
interface DhtServerOptions {
  readonly network: NetworkParameters;
  readonly table: RoutingTable;
  readonly store: RecordStore;
  readonly relays: RelayList;
}

/** Answers requests. */
export class DhtServer {
  readonly #options: DhtServerOptions;

  constructor(options: DhtServerOptions) {
    this.#options = options;
  }

  /**
   * Answer one request.
   *
   * @throws {ProtocolError} `wire.*` for a malformed stored record.
   */
  answer(peer: DhtPeer, request: DhtRequest, at: Moment): DhtResponse {
    const { unixMs } = at;
    switch (request.type) {
      case "ping":
        return { type: "done" };
      case "find_node":
        return this.#nodes(peer, request.target, unixMs);
      case "find_value":
        return this.#value(peer, request.key, request.publisher, unixMs);
      case "list_relays": {
        const page = this.#options.relays.page(request.cursor, unixMs);
        return { type: "relays", ...page };
      }
      case "store":
        return this.#storeRecord(peer, request.record, at);
      case "announce":
        if (!isRelayPeer(peer)) return NOT_A_RELAY;
        return { type: "done" };
    }
  }

  #nodes(peer: DhtPeer, target: Place | DhtKey, unixMs: number): DhtResponse {
    const { network, table } = this.#options;
    const records = table.closest(target, network.k + 1)
      .map(({ record }) => record)
      .filter(({ nodeId, expiry }) =>
        expiry > unixMs && !equalBytes(nodeId, peer.nodeId)
      )
      .slice(0, network.k)
      .map(({ encoded }) => encoded);
    return { type: "nodes", records };
  }

  #value(
    peer: DhtPeer,
    key: DhtKey,
    publisher: PublicKey | undefined,
    unixMs: number,
  ): DhtResponse {
    const records: Bytes[] = [];
    let bytes = 0;
    for (const record of this.#options.store.get(key, unixMs, publisher)) {
      bytes += record.length;
      if (bytes > MAX_VALUE_ANSWER_BYTES) break;
      records.push(record);
    }
    return records.length > 0
      ? { type: "value", records }
      : this.#nodes(peer, key, unixMs);
  }

  /**
   * Only relays store: their identities cost work, so shares per peer mean
   * something. Clients publish through circuits, whose last hop is a relay.
   */
  #storeRecord(
    peer: DhtPeer,
    record: Bytes,
    { nowMs, unixMs }: Moment,
  ): DhtResponse {
    if (!isRelayPeer(peer)) return NOT_A_RELAY;
    const from = pointKey(peer.nodeId);
    const outcome = this.#options.store.put(record, from, nowMs, unixMs);
    return outcome.type === "stored"
      ? { type: "done" }
      : { type: "refused", code: outcome.code };
  }
}

const NOT_A_RELAY: DhtResponse = { type: "refused", code: "not_a_relay" };

function isRelayPeer({ record }: DhtPeer): boolean {
  return record !== undefined && isRelay(record);
}
