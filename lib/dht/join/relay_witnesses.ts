/**
 * Which relays a node that reaches none itself may list: those that two nodes
 * name which have nothing to do with each other.
 *
 *     A names 1 2 3     B names 2 3 9     ─▶ 2 and 3 are listed, 1 and 9 wait
 *
 * A node that was found through another one's list speaks with that one's voice:
 * who invents relays can have them asked. Two voices count only from different
 * subnets, unless all nodes that are asked are in one.
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import type { NodeRecord } from "../../auth/node_record.ts";
import { nodeKey } from "../table/node_key.ts";
import { MAX_RELAYS } from "../relay_list.ts";

/** Protocol: voices that list a relay. */
const VOICES = 2;
/**
 * Tuning: relays that one witness alone may have waiting. Stops one that invents
 * relays from filling memory.
 */
export const MAX_WAITING_OF_ONE = MAX_RELAYS;
/** Tuning: relays that wait, in all. */
const MAX_WAITING = 2 * MAX_RELAYS;

/** A node that is asked for its list. */
export interface Witness {
  /** Who it is. */
  readonly key: string;
  /** Its subnet; its key where subnets do not count. */
  readonly group: string;
  /** Key of the node through which it was found: its own, if we knew it ourselves. */
  readonly voice: string;
}

interface Waiting {
  record: NodeRecord;
  readonly witnesses: Map<string, Witness>;
}

/** Relays that too few witnesses have named so far. */
export class RelayWitnesses {
  readonly #waiting = new Map<string, Waiting>();
  /** Relays that wait, by each witness that named them. */
  readonly #named = new Map<string, number>();
  #asked: readonly Witness[] = [];
  #isAlone = false;

  /** Relays that wait for a second voice. */
  get size(): number {
    return this.#waiting.size;
  }

  /**
   * A round of questions begins.
   *
   * @param isAlone Whether there is only one voice to ask: then two witnesses
   * have to do, though they speak with one voice.
   */
  begin(asked: readonly Witness[], isAlone: boolean): void {
    this.#asked = asked;
    this.#isAlone = isAlone;
  }

  /** A witness names a relay. @returns Whether it may be listed. */
  hear(record: NodeRecord, witness: Witness): boolean {
    const key = nodeKey(record);
    const waiting = this.#waiting.get(key) ?? this.#wait(key, record, witness);
    if (waiting === undefined) return false;
    if (record.sequence > waiting.record.sequence) waiting.record = record;
    if (!waiting.witnesses.has(witness.key)) {
      waiting.witnesses.set(witness.key, witness);
      this.#count(witness.key, 1);
    }
    if (!this.#isEnough([...waiting.witnesses.values()])) return false;
    this.#forget(key, waiting);
    return true;
  }

  /** Relays that wait, of all witnesses alike. */
  *records(): Generator<NodeRecord> {
    for (const { record } of this.#waiting.values()) yield record;
  }

  /** Drop what has expired. */
  sweep(unixMs: number): void {
    for (const [key, waiting] of this.#waiting) {
      if (waiting.record.expiry <= unixMs) this.#forget(key, waiting);
    }
  }

  #wait(
    key: string,
    record: NodeRecord,
    witness: Witness,
  ): Waiting | undefined {
    const named = this.#named.get(witness.key) ?? 0;
    if (named >= MAX_WAITING_OF_ONE || this.#waiting.size >= MAX_WAITING) {
      return undefined;
    }
    const waiting: Waiting = { record, witnesses: new Map() };
    this.#waiting.set(key, waiting);
    return waiting;
  }

  #isEnough(witnesses: readonly Witness[]): boolean {
    const all = this.#asked;
    const voiceOf = ({ key, voice }: Witness) => this.#isAlone ? key : voice;
    if (distinct(witnesses.map(voiceOf)) < VOICES) return false;
    const groupOf = ({ group }: Witness) => group;
    return distinct(witnesses.map(groupOf)) >= VOICES ||
      distinct(all.map(groupOf)) < VOICES;
  }

  #forget(key: string, { witnesses }: Waiting): void {
    this.#waiting.delete(key);
    for (const witness of witnesses.keys()) this.#count(witness, -1);
  }

  #count(witness: string, change: number): void {
    const count = (this.#named.get(witness) ?? 0) + change;
    if (count > 0) this.#named.set(witness, count);
    else this.#named.delete(witness);
  }
}

function distinct(values: readonly string[]): number {
  return new Set(values).size;
}
