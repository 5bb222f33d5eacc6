/**
 * Nodes that are asked for their relay lists, and the pages that they send.
 *
 *     address ─ dial ─▶ link ─ ListRelays{cursor} ─▶ Relays ─ verify ─▶ page
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import type { NetworkParameters } from "../../auth/network.ts";
import type { RecordVerifier } from "../../auth/record_verifier.ts";
import type { Bytes } from "../../base/bytes.ts";
import { type Clock, raceSignal } from "../../base/clock.ts";
import type { ListPage } from "../../dht/join/list_action.ts";
import {
  decodeResponse,
  DHT_METHOD,
  encodeRequest,
} from "../../dht/messages.ts";
import type { Link } from "../link/link.ts";
import type { PeerAddress } from "../link/link_dial.ts";
import type { LinkTable } from "../link/link_table.ts";
import { verifyRecords } from "./verify_records.ts";

/** What reading takes. */
interface ListReaderOptions {
  readonly network: NetworkParameters;
  readonly verifier: RecordVerifier;
  readonly clock: Clock;
  readonly links: LinkTable;
  /** Ends everything under way; it rejects with the signal's reason. */
  readonly signal: AbortSignal;
}

/** Dials sources, and reads their lists. */
export class ListReader {
  readonly #options: ListReaderOptions;

  constructor(options: ListReaderOptions) {
    this.#options = options;
  }

  /**
   * Dial a node, unless there is a link with it.
   *
   * @throws {AnonNetError} as {@linkcode LinkTable.getOrDial}.
   */
  dial(peer: PeerAddress): Promise<Link> {
    const { links, signal } = this.#options;
    return links.getOrDial(peer, { signal });
  }

  /**
   * Ask a source for the page after `cursor`.
   *
   * @returns `undefined` when it has no list for us.
   * @throws {AnonNetError} when it does not answer, or breaks the protocol.
   */
  async readPage(link: Link, cursor: Bytes): Promise<ListPage | undefined> {
    const { network, verifier, clock, signal } = this.#options;
    const type = "list_relays";
    const answer = await raceSignal(
      link.request(DHT_METHOD, encodeRequest({ type, cursor })),
      signal,
    );
    const response = decodeResponse(network, type, answer);
    if (response.type !== "relays") return undefined;
    const { records, lie } = await verifyRecords(
      verifier,
      response.records,
      clock.unixMs(),
    );
    return { records, lie, cursor: response.cursor, more: response.more };
  }
}
