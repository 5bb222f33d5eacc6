/**
 * Relays that do harm. All of them hold links, answer pings and show true
 * records: no node keeps them out for a flaw of form.
 *
 *     dropper    drops look-ups; says it stores what it throws away
 *     liar       names its fellows alone, as if the network were theirs; finds nothing
 *     eclipser   lies about one region, and is a model relay everywhere else
 *     flooder    is honest, but for the records that it floods the others with
 *
 * @module
 */
import type { Place } from "../auth/proof_of_work.ts";
import type { NetworkParameters } from "../auth/network.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import type { Bytes } from "../base/bytes.ts";
import {
  closestTo,
  type DhtKey,
  sharedPrefixBits,
} from "../dht/records/distance.ts";
import {
  decodeRequest,
  encodeResponse,
  MAX_PAGE_RECORDS,
} from "../dht/messages.ts";

/** How a relay behaves. */
export type Behaviour = "honest" | HostileKind;

/** The ways of doing harm. */
export type HostileKind = typeof HOSTILE_KINDS[number];

/** All of {@linkcode HostileKind}. */
export const HOSTILE_KINDS = [
  "dropper",
  "liar",
  "eclipser",
  "flooder",
] as const;

/** What a hostile relay does with a request. */
export type HostileAnswer =
  | { readonly type: "answer"; readonly response: Bytes }
  | { readonly type: "silence" }
  /** What an honest relay would do. */
  | { readonly type: "honest" };

/** Leading bits that a point shares with the region's centre to be in the region. */
const REGION_BITS = 6;

const SILENCE: HostileAnswer = { type: "silence" };
const HONEST: HostileAnswer = { type: "honest" };

/** Hostile relays who know each other. */
export class Conspiracy {
  /** The point around which eclipsers gather. */
  readonly region: DhtKey | undefined;
  readonly #network: NetworkParameters;
  readonly #members = new Map<number, NodeRecord>();

  constructor(network: NetworkParameters, region?: DhtKey) {
    this.#network = network;
    this.region = region;
  }

  /** A relay, by its index, joins in; or is there with a new record. */
  enter(index: number, record: NodeRecord): void {
    this.#members.set(index, record);
  }

  /** It is gone. */
  leave(index: number): void {
    this.#members.delete(index);
  }

  /** Records of its members. */
  get members(): readonly NodeRecord[] {
    return [...this.#members.values()];
  }

  /** What a member does with a request. */
  answer(kind: HostileKind, request: Uint8Array): HostileAnswer {
    const asked = decodeRequest(this.#network, request);
    switch (asked.type) {
      case "ping":
      case "announce":
        return HONEST;
      case "store":
        return kind === "flooder" ? HONEST : DONE;
      case "list_relays":
        return kind === "liar" ? this.#relays() : HONEST;
      case "find_node":
        return this.#find(kind, asked.target);
      case "find_value":
        return this.#find(kind, asked.key);
    }
  }

  #find(kind: HostileKind, target: Place | DhtKey): HostileAnswer {
    switch (kind) {
      case "dropper":
        return SILENCE;
      case "flooder":
        return HONEST;
      case "eclipser":
        return this.#isInRegion(target) ? this.#fellows(target) : HONEST;
      case "liar":
        return this.#fellows(target);
    }
  }

  #isInRegion(target: Place | DhtKey): boolean {
    return this.region !== undefined &&
      sharedPrefixBits(this.region, target) >= REGION_BITS;
  }

  #fellows(target: Place | DhtKey): HostileAnswer {
    const { k } = this.#network;
    const named = closestTo(target, this.members, k, ({ place }) => place);
    return answer({
      type: "nodes",
      records: named.map(({ encoded }) => encoded),
    });
  }

  #relays(): HostileAnswer {
    const records = this.members.slice(0, MAX_PAGE_RECORDS)
      .map(({ encoded }) => encoded);
    const cursor = new Uint8Array(16);
    return answer({ type: "relays", records, cursor, more: false });
  }
}

function answer(
  response: Parameters<typeof encodeResponse>[0],
): HostileAnswer {
  return { type: "answer", response: encodeResponse(response) };
}

const DONE = answer({ type: "done" });
