/**
 * Listed relays in the order in which they last changed, for readers who ask what is
 * new to them:
 *
 *     log     … │ relay 7 │ (gone) │ relay 2 │ relay 9 │ ← changed last
 *     version …    41        42       43        44
 *
 *     cursor = epoch(8) ‖ version(8)     "what has changed since?"
 *
 * A record that changes moves to the end of the log, so a reader with a cursor
 * gets what is new and no more. The epoch is drawn at start: a cursor of an
 * earlier run begins anew.
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import type { NodeRecord } from "../auth/node_record.ts";
import { type Bytes, equalBytes } from "../base/bytes.ts";
import type { Random } from "../base/random.ts";
import { MAX_PAGE_RECORDS } from "./messages.ts";

const EPOCH_BYTES = 8;
const CURSOR_BYTES = EPOCH_BYTES + 8;

/** Part of the list, as a `ListRelays` answer has it. */
export interface RelayPage {
  readonly records: readonly Bytes[];
  readonly cursor: Bytes;
  readonly more: boolean;
}

/** What can be in a log. */
export interface LogEntry {
  readonly record: NodeRecord;
  /** Of its place in the log; ascending, never used twice; 0 while it has none. */
  version: number;
}

/** Entries by their last change. Each is in no other log. */
export class RelayLog {
  readonly #epoch: Bytes;
  /** In order of the last change; entries that moved on or left are gaps. */
  #log: (LogEntry | undefined)[] = [];
  /** The version of each place in the log, ascending. */
  #versions: number[] = [];
  #nextVersion = 1;
  #size = 0;

  constructor(random: Random) {
    this.#epoch = random.bytes(EPOCH_BYTES);
  }

  /** Entries in the log. */
  get size(): number {
    return this.#size;
  }

  /** An entry comes, or has changed: it is the last now. */
  toEnd(entry: LogEntry): void {
    this.remove(entry);
    this.#size++;
    entry.version = this.#nextVersion++;
    this.#log.push(entry);
    this.#versions.push(entry.version);
    if (this.#log.length > 2 * this.#size + MAX_PAGE_RECORDS) this.compact();
  }

  /** An entry leaves, if it is there. */
  remove(entry: LogEntry): void {
    if (entry.version === 0) return;
    this.#log[this.#placeAfter(entry.version - 1)] = undefined;
    entry.version = 0;
    this.#size--;
  }

  /** Close the gaps; versions, and so cursors, keep their meaning. */
  compact(): void {
    this.#log = this.#log.filter((entry) => entry !== undefined);
    this.#versions = this.#log.map((entry) => entry?.version ?? 0);
  }

  /**
   * What has changed since `cursor`, at most {@linkcode MAX_PAGE_RECORDS}.
   *
   * @param cursor The last page's, or empty. One that is not ours begins anew.
   */
  page(cursor: Uint8Array, unixMs: number): RelayPage {
    const records: Bytes[] = [];
    let at = this.#placeAfter(this.#readCursor(cursor));
    for (; at < this.#log.length && records.length < MAX_PAGE_RECORDS; at++) {
      const record = this.#log[at]?.record;
      if (record !== undefined && record.expiry > unixMs) {
        records.push(record.encoded);
      }
    }
    return {
      records,
      cursor: this.#writeCursor(this.#versions[at - 1] ?? 0),
      more: at < this.#log.length,
    };
  }

  /** The first place in the log with a version above this one. */
  #placeAfter(version: number): number {
    let low = 0;
    let high = this.#versions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#versions[middle] as number) <= version) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #readCursor(cursor: Uint8Array): number {
    if (cursor.length !== CURSOR_BYTES) return 0;
    if (!equalBytes(cursor.subarray(0, EPOCH_BYTES), this.#epoch)) return 0;
    const view = new DataView(cursor.buffer, cursor.byteOffset + EPOCH_BYTES);
    return Number(view.getBigUint64(0));
  }

  #writeCursor(version: number): Bytes {
    const cursor = new Uint8Array(CURSOR_BYTES);
    cursor.set(this.#epoch);
    new DataView(cursor.buffer).setBigUint64(EPOCH_BYTES, BigInt(version));
    return cursor;
  }
}
