/**
 * Relays that do harm. All of them hold links, answer pings and show true
 * records: no node keeps them out for a flaw of form.
 *
 *     dropper    drops look-ups; says it stores what it throws away
 *     liar       names its fellows alone, as if the network were theirs; finds nothing
 *     eclipser   lies about one region, and is a model relay everywhere else
 *     flooder    is honest, but for the records that it floods the others with
 *
 * and, where a network is besieged (siege.ts),
 *
 *     boaster    declares more bandwidth than there is
 *     bot        one of a crowd that comes within a day
 *     inventor   tells of relays that are not there, and names them in its answers
 *
 * Boasters and bots are model relays but for the list of relays, in which they
 * name each other alone: a client that took it as it is would meet no other relay.
 *
 * @module
 */
import type { Place } from "../../auth/proof_of_work.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import { type Bytes, compareBytes } from "../../base/bytes.ts";
import {
  closestTo,
  type DhtKey,
  sharedPrefixBits,
} from "../../dht/records/distance.ts";
import {
  decodeRequest,
  encodeResponse,
  MAX_PAGE_RECORDS,
} from "../../dht/messages.ts";

/** How a relay behaves. */
export type Behaviour = "honest" | HostileKind | SiegeKind;

/** The ways of doing harm that a siege brings, see siege.ts. */
export type SiegeKind = "boaster" | "bot" | "inventor";

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
/** Bytes of a cursor of invented pages: how many came before. */
const CURSOR_BYTES = 4;

/** Those who keep what they are given, since nothing is to be gained by losing it. */
const STORES: ReadonlySet<Behaviour> = new Set(["flooder", "boaster", "bot"]);

const SILENCE: HostileAnswer = { type: "silence" };
const HONEST: HostileAnswer = { type: "honest" };

/** Records of relays that are not there. */
export class Inventions {
  /** In order of their places. */
  #records: readonly NodeRecord[] = [];

  /** How many they are. */
  get size(): number {
    return this.#records.length;
  }

  /** All of them. */
  get records(): readonly NodeRecord[] {
    return this.#records;
  }

  /** From now on these are told of. */
  set records(records: readonly NodeRecord[]) {
    this.#records = records.toSorted((a, b) => compareBytes(a.place, b.place));
  }

  /** Some whose places are close to a target: those before and behind it in order. */
  near(target: Place | DhtKey, count: number): NodeRecord[] {
    let low = 0;
    let high = this.#records.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const record = this.#records[middle] as NodeRecord;
      if (compareBytes(record.place, target) < 0) low = middle + 1;
      else high = middle;
    }
    const around = this.#records.slice(Math.max(0, low - count), low + count);
    return closestTo(target, around, count, ({ place }) => place);
  }

  /** A page of a relay list that holds nothing else. */
  page(cursor: Bytes) {
    const at = cursor.length === CURSOR_BYTES
      ? new DataView(cursor.buffer, cursor.byteOffset).getUint32(0)
      : 0;
    const next = Math.min(at + MAX_PAGE_RECORDS, this.size);
    const after = new Uint8Array(CURSOR_BYTES);
    new DataView(after.buffer).setUint32(0, next);
    const records = this.#records.slice(at, next)
      .map(({ encoded }) => encoded);
    return { records, cursor: after, more: next < this.size };
  }
}

/** Hostile relays who know each other. */
export class Conspiracy {
  /** The point around which eclipsers gather. */
  readonly region: DhtKey | undefined;
  /** Relays that its inventors have made up. */
  readonly inventions = new Inventions();
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
  answer(kind: HostileKind | SiegeKind, request: Uint8Array): HostileAnswer {
    const asked = decodeRequest(this.#network, request);
    switch (asked.type) {
      case "ping":
      case "announce":
        return HONEST;
      case "store":
        return STORES.has(kind) ? HONEST : DONE;
      case "list_relays":
        return this.#list(kind, asked.cursor);
      case "find_node":
        return this.#find(kind, asked.target);
      case "find_value":
        return this.#find(kind, asked.key);
    }
  }

  #list(kind: HostileKind | SiegeKind, cursor: Bytes): HostileAnswer {
    switch (kind) {
      case "dropper":
      case "eclipser":
      case "flooder":
        return HONEST;
      case "liar":
      case "boaster":
      case "bot":
        return this.#relays();
      case "inventor":
        return answer({ type: "relays", ...this.inventions.page(cursor) });
    }
  }

  #find(kind: HostileKind | SiegeKind, target: Place | DhtKey): HostileAnswer {
    switch (kind) {
      case "dropper":
        return SILENCE;
      case "flooder":
      case "boaster":
      case "bot":
        return HONEST;
      case "inventor":
        return this.#invented(target);
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

  #invented(target: Place | DhtKey): HostileAnswer {
    const named = this.inventions.near(target, this.#network.k);
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
