/**
 * One round of asking for the relay list.
 *
 *     dial sources ─▶ read their lists ─▶ enough? ─ yes ──────────────────────▶ over
 *                                          └─ no ─▶ dial some of those named ─▶ read theirs
 *
 * Sources with whom there is a link are relays that are there, whatever others say.
 * What they name is listed when the witnesses suffice. Until there are guards, a few
 * of the relays that were named are asked too: where one source is all there is, with
 * its voice; else where the list is too short.
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import type { NodeRecord } from "../../auth/node_record.ts";
import type { Bytes } from "../../base/bytes.ts";
import type { Moment } from "../../base/clock.ts";
import { BugError } from "../../base/errors.ts";
import { type Random, sampled } from "../../base/random.ts";
import type { RelayList } from "../relay_list.ts";
import { MAX_PAGES, type RelaySync, type SyncAction } from "../relay_sync.ts";
import { nodeKey } from "../table/node_key.ts";
import type { LinkedPeer, ListPage, RoundAction } from "./list_action.ts";
import type { ListPeer } from "./list_sources.ts";
import type { RelayWitnesses, Witness } from "./relay_witnesses.ts";

/** Protocol: relays that were named and are asked as well, while there are no guards. */
const MAX_FURTHER = 3;
/**
 * Protocol: rounds in a row in which one source of several answered: then it is believed
 * together with those that it names. Longer than a restart takes.
 */
const LONELY_ROUNDS = 3;

/** The cursor of the first page. */
const EMPTY: Bytes = new Uint8Array(0);

/** What rounds work on. */
export interface RoundParts {
  readonly random: Random;
  readonly list: RelayList;
  readonly sync: RelaySync;
  readonly witnesses: RelayWitnesses;
  /** Whether a relay is known by a record that may lead nowhere. */
  readonly isDoubtful: (record: NodeRecord) => boolean;
  /** Relays without which the node can do nothing. */
  readonly leastRelays: number;
}

/** What a round begins with. */
export interface RoundStart {
  /** To be dialled. */
  readonly peers: readonly ListPeer[];
  /** Whether there is no other that could be. */
  readonly isOnly: boolean;
  readonly hasGuards: boolean;
  /** Rounds in a row before this one in which no more than one source answered. */
  readonly lonelyRounds: number;
}

interface Source {
  readonly dialId: number;
  readonly record: NodeRecord;
  readonly witness: Witness;
  /** Pages read of it, where it is one of the further ones. */
  pages: number;
}

/** Sources by the records that their links came with. */
type Sources = Map<NodeRecord, Source>;

/** Asks each of some sources once. */
export class ListRound {
  readonly #parts: RoundParts;
  readonly #start: RoundStart;
  #phase: "dial" | "read" | "dial_further" | "read_further" | "over" = "dial";
  /** Nodes that the driver is about to link with, or to read a page of. */
  readonly #pending = new Set<number>();
  #dials = 0;
  /** Through whom those that are dialled were found, where that counts. */
  #voice: Witness | undefined;
  /** Nodes that answered the dials of this phase, in the order of the dials. */
  #linked: (Source | undefined)[] = [];
  readonly #byDial = new Map<number, Source>();
  #asked: Sources = new Map();
  #further: Sources = new Map();
  /** Sources that were read to the end. */
  readonly #read: Witness[] = [];
  #lonelyRounds = 0;

  constructor(parts: RoundParts, start: RoundStart) {
    this.#parts = parts;
    this.#start = start;
    this.#lonelyRounds = start.lonelyRounds;
  }

  get isOver(): boolean {
    return this.#phase === "over";
  }

  /** Whether a source was read to its end. */
  get hasRead(): boolean {
    return this.#read.length > 0;
  }

  /** Rounds in a row, with this one, in which no more than one source answered. */
  get lonelyRounds(): number {
    return this.#lonelyRounds;
  }

  /** Begin. */
  start(at: Moment): RoundAction[] {
    return this.#proceed(this.#dial(this.#start.peers), at);
  }

  /** There is a link with a node that was dialled, a relay. */
  onLinked(
    dialId: number,
    { record, group }: LinkedPeer,
    at: Moment,
  ): RoundAction[] {
    if (!this.#pending.delete(dialId)) return [];
    const key = nodeKey(record);
    const voice = this.#voice?.key ?? key;
    const source = { dialId, record, witness: { key, group, voice }, pages: 0 };
    this.#linked[dialId] = source;
    this.#byDial.set(dialId, source);
    return this.#proceed([], at);
  }

  /** A node that was dialled does not answer, or is no relay. */
  onNoLink(dialId: number, at: Moment): RoundAction[] {
    return this.#pending.delete(dialId) ? this.#proceed([], at) : [];
  }

  /** A source has sent a page. */
  onPage(dialId: number, page: ListPage, at: Moment): RoundAction[] {
    const source = this.#byDial.get(dialId);
    if (source === undefined || !this.#pending.has(dialId)) return [];
    for (const record of page.records) {
      this.#hear(record, source.witness, at);
    }
    const { lie: code } = page;
    if (code !== undefined) {
      return [{ type: "cut_off", dialId, code }, ...this.onNoPage(dialId, at)];
    }
    this.#pending.delete(dialId);
    return this.#proceed(this.#goOn(source, page), at);
  }

  /** A source has no list for us, does not answer, or breaks the protocol. */
  onNoPage(dialId: number, at: Moment): RoundAction[] {
    const source = this.#byDial.get(dialId);
    if (source === undefined || !this.#pending.delete(dialId)) return [];
    const next = this.#phase === "read"
      ? this.#obey(this.#parts.sync.onFailure(source.record))
      : [];
    return this.#proceed(next, at);
  }

  /** A witness names a relay. */
  #hear(record: NodeRecord, witness: Witness, { nowMs }: Moment): void {
    const { list, witnesses } = this.#parts;
    const isKnown = list.isListed(record.nodeId);
    if (isKnown || witnesses.hear(record, witness)) {
      takeRelay(list, record, nowMs);
    }
  }

  #goOn(source: Source, { cursor, more }: ListPage): RoundAction[] {
    const { dialId, record } = source;
    if (this.#phase === "read_further") {
      const isLast = !more || ++source.pages >= MAX_PAGES;
      return isLast ? [] : this.#ask(dialId, cursor);
    }
    const next = this.#parts.sync.onPage(record, cursor, more);
    const goesOn = next.some((action) => action.record === record);
    if (!goesOn) this.#read.push(source.witness);
    return this.#obey(next);
  }

  /** What comes next as well, once nothing is awaited any more. */
  #proceed(actions: RoundAction[], at: Moment): RoundAction[] {
    while (this.#pending.size === 0 && this.#phase !== "over") {
      actions.push(...this.#next(at));
    }
    return actions;
  }

  #next(at: Moment): RoundAction[] {
    switch (this.#phase) {
      case "dial":
        this.#asked = this.#take(at);
        return this.#asked.size > 0 ? this.#beginReading(at) : this.#end();
      case "read":
        return this.#lookFurther(at);
      case "dial_further":
        this.#further = this.#take(at);
        return this.#readFurther();
      default:
        return this.#end();
    }
  }

  #end(): [] {
    this.#phase = "over";
    return [];
  }

  #dial(peers: readonly ListPeer[]): RoundAction[] {
    return peers.map((peer) => {
      const dialId = this.#dials++;
      this.#pending.add(dialId);
      return { type: "dial", dialId, peer };
    });
  }

  /** Those with whom there is a link are there, whatever others say. */
  #take({ nowMs }: Moment): Sources {
    const sources: Sources = new Map();
    for (const source of this.#linked) {
      if (source === undefined) continue;
      takeRelay(this.#parts.list, source.record, nowMs);
      sources.set(source.record, source);
    }
    this.#linked = [];
    return sources;
  }

  #beginReading({ nowMs }: Moment): RoundAction[] {
    const { witnesses, sync } = this.#parts;
    this.#phase = "read";
    witnesses.begin(witnessesOf(this.#asked), false);
    return this.#obey(sync.start(this.#asked.keys(), nowMs));
  }

  #lookFurther(at: Moment): RoundAction[] {
    const { isOnly, hasGuards } = this.#start;
    const [voice, ...others] = this.#read;
    const isOne = voice !== undefined && others.length === 0;
    this.#lonelyRounds = isOne ? this.#lonelyRounds + 1 : 0;
    const isAlone = isOne && (isOnly || this.#lonelyRounds >= LONELY_ROUNDS);
    const { list, leastRelays } = this.#parts;
    const isScarce = list.size < leastRelays;
    if (hasGuards || !(isAlone || isScarce)) return this.#end();
    this.#voice = isAlone ? voice : undefined;
    this.#phase = "dial_further";
    return this.#dial(
      sampled(this.#parts.random, this.#named(at), MAX_FURTHER),
    );
  }

  /**
   * Relays that were named and were not asked yet. Where there is one voice, those
   * that it alone named too; else only relays that two of the sources named.
   */
  #named({ unixMs }: Moment): NodeRecord[] {
    const { list, witnesses, isDoubtful } = this.#parts;
    const asked = new Set([...this.#asked.keys()].map(nodeKey));
    return [
      ...list.records(unixMs),
      ...this.#voice === undefined ? [] : witnesses.records(),
    ].filter((record) => !asked.has(nodeKey(record)) && !isDoubtful(record));
  }

  #readFurther(): RoundAction[] {
    this.#phase = "read_further";
    const all = [...witnessesOf(this.#asked), ...witnessesOf(this.#further)];
    this.#parts.witnesses.begin(all, this.#voice !== undefined);
    return [...this.#further.values()].flatMap(({ dialId }) =>
      this.#ask(dialId, EMPTY)
    );
  }

  #obey(actions: readonly SyncAction[]): RoundAction[] {
    return actions.flatMap(({ record, cursor }) => {
      const source = this.#asked.get(record);
      if (source === undefined) throw new BugError("dht.source", "No source");
      return this.#ask(source.dialId, cursor);
    });
  }

  #ask(dialId: number, cursor: Bytes): RoundAction[] {
    this.#pending.add(dialId);
    return [{ type: "read", dialId, cursor }];
  }
}

function witnessesOf(sources: Sources): Witness[] {
  return Array.from(sources.values(), ({ witness }) => witness);
}

/** A relay is there for us: because of a link, of what others say, or of the last run. */
export function takeRelay(
  list: RelayList,
  record: NodeRecord,
  nowMs: number,
): void {
  list.merge(record, nowMs);
  list.prove(list.get(record.nodeId) ?? record, nowMs);
}
