/**
 * Nodes that are asked for their relay lists, and the pages that they send.
 *
 *     address ─ dial ─▶ source ─ ListRelays{cursor} ─▶ Relays ─ verify ─▶ page
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import type { NetworkParameters } from "../../auth/network.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import type { RecordVerifier } from "../../auth/record_verifier.ts";
import { addressGroup, PATH_PREFIX } from "../../auth/subnet.ts";
import type { Bytes } from "../../base/bytes.ts";
import { type Clock, raceSignal } from "../../base/clock.ts";
import {
  decodeResponse,
  DHT_METHOD,
  encodeRequest,
} from "../../dht/messages.ts";
import { nodeKey } from "../../dht/table/node_key.ts";
import type { Link } from "../link/link.ts";
import type { PeerAddress } from "../link/link_dial.ts";
import type { LinkTable } from "../link/link_table.ts";
import type { Witness } from "../../dht/join/relay_witnesses.ts";
import { verifyRecords } from "./verify_records.ts";

/** A node that is asked for its list. */
export interface ListSource {
  readonly link: Link;
  /** Its own record. */
  readonly record: NodeRecord;
  readonly witness: Witness;
}

/** A page of a source's list. */
interface ListPage {
  /** Those that are true, up to the first lie. */
  readonly records: readonly NodeRecord[];
  /** Code of the first that no honest node would pass on. */
  readonly lie: string | undefined;
  readonly cursor: Bytes;
  readonly more: boolean;
}

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
   * The node at the other end of a link, as one to ask.
   *
   * @param voice Through whom it was found; none when we knew it ourselves.
   * @returns `undefined` when it is no relay.
   */
  sourceOf(link: Link, voice: Witness | undefined): ListSource | undefined {
    const { record } = link;
    if (record === undefined) return undefined;
    const key = nodeKey(record);
    const group = this.#options.network.allowPrivateAddresses
      ? key
      : addressGroup(link.remoteAddress, PATH_PREFIX);
    return { link, record, witness: { key, group, voice: voice?.key ?? key } };
  }

  /**
   * Ask a source for the page after `cursor`.
   *
   * @returns `undefined` when it has no list for us.
   * @throws {AnonNetError} when it does not answer, or breaks the protocol.
   */
  async readPage(
    { link }: ListSource,
    cursor: Bytes,
  ): Promise<ListPage | undefined> {
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
