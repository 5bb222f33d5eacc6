/**
 * How often a file has been downloaded. Visitors have no names, so bytes are counted:
 * a download more is there when each byte of the file has arrived once more.
 *
 *     arrived twice   ████░░░░░░░░
 *     arrived once    ████████████   1 download, and a part of another
 *
 * A transfer that broke off is remembered: who goes on in it, had all before.
 *
 * @module
 */
import type { ByteRange } from "./byte_range.ts";

/** Unfinished transfers of a file that are remembered; the oldest goes. */
const MAX_UNFINISHED = 256;
/** Separate pieces that are kept apart; a delivery that would make more is not counted. */
const MAX_PIECES = 1024;
/**
 * Pieces and unfinished transfers of all files of a share: they are written down each
 * time, and must be read again. What goes beyond is not counted or remembered; a
 * download of a whole file never does.
 */
export const MAX_ALL_PIECES = 65_536;
/** Downloads that are begun and not whole; what goes beyond is not counted. */
const MAX_BEGUN = 64;

/** What is kept of the deliveries of a file. */
export interface DeliveryRecord {
  /** Whole downloads. */
  readonly count: number;
  /** What arrived once more than the whole has, twice more, and so on. */
  readonly begun: readonly (readonly ByteRange[])[];
  /** Transfers that run or broke off. */
  readonly unfinished: readonly ByteRange[];
}

/** A transfer that broke off, and when. */
interface Unfinished extends ByteRange {
  readonly sinceMs: number;
}

/** A transfer that runs. */
export interface Delivery {
  /** All of it has arrived. */
  confirm(): void;
  /** It broke off, before more than so many bytes of it can have arrived. */
  breakOff(sent: number, nowMs: number): void;
}

/** How much may be remembered of the deliveries of all files of a share. */
export class PieceQuota {
  #left = MAX_ALL_PIECES;

  /** There are so many in place of as many. @returns Whether there is room. */
  change(before: number, after: number): boolean {
    const more = after - before;
    if (more > 0 && more > this.#left) return false;
    this.#left -= more;
    return true;
  }
}

/** The deliveries of one file. */
export class Deliveries {
  readonly #bytes: number;
  readonly #onDownload: (count: number) => void;
  readonly #quota: PieceQuota;
  readonly #running = new Set<ByteRange>();
  #count: number;
  #begun: ByteRange[][];
  #unfinished: Unfinished[];

  /**
   * @param bytes Length of the file.
   * @param before What was kept of a former run.
   * @param onDownload Hears how many there are when one more is whole.
   * @param quota Of all files of the share. Default: of this one alone.
   */
  constructor(
    bytes: number,
    nowMs: number,
    before: DeliveryRecord | undefined,
    onDownload: (count: number) => void,
    quota: PieceQuota = new PieceQuota(),
  ) {
    this.#bytes = bytes;
    this.#onDownload = onDownload;
    this.#quota = quota;
    this.#count = before?.count ?? 0;
    const { begun = [], unfinished = [] } = before ?? {};
    const isRoom = quota.change(0, piecesOf(begun) + unfinished.length);
    this.#begun = isRoom ? begun.map((layer) => [...layer]) : [];
    this.#unfinished = isRoom
      ? unfinished.map((range) => ({ ...range, sinceMs: nowMs }))
      : [];
  }

  /** Whole downloads. */
  get count(): number {
    return this.#count;
  }

  /** Transfers that run. */
  get running(): number {
    return this.#running.size;
  }

  /** When the transfer that broke off last did; `undefined` if none waits to go on. */
  get brokeOffMs(): number | undefined {
    return this.#unfinished.at(-1)?.sinceMs;
  }

  /** What is to be kept. */
  get record(): DeliveryRecord {
    return {
      count: this.#count,
      begun: this.#begun,
      unfinished: [...this.#running, ...this.#unfinished].slice(
        -MAX_UNFINISHED,
      ).map(({ from, to }) => ({ from, to })),
    };
  }

  /** Whether a transfer from there goes on in one that broke off. */
  mayGoOn(from: number): boolean {
    return this.#before(from) !== undefined;
  }

  /** A transfer begins. */
  begin(range: ByteRange): Delivery {
    const before = this.#before(range.from);
    if (before !== undefined) {
      this.#unfinished = this.#unfinished.filter((other) => other !== before);
      this.#quota.change(1, 0);
      this.#add({ from: before.from, to: range.from });
    }
    const running = { ...range };
    this.#running.add(running);
    return {
      confirm: () => {
        if (this.#running.delete(running)) this.#add(running);
      },
      breakOff: (sent, nowMs) => {
        if (!this.#running.delete(running) || sent === 0) return;
        const { from } = running;
        const all = [
          ...this.#unfinished,
          { from, to: from + sent, sinceMs: nowMs },
        ].slice(-MAX_UNFINISHED);
        if (!this.#quota.change(this.#unfinished.length, all.length)) return;
        this.#unfinished = all;
      },
    };
  }

  /** The one that broke off last, of those that had come so far. */
  #before(from: number): Unfinished | undefined {
    return this.#unfinished.findLast((other) =>
      other.from < from && from <= other.to
    );
  }

  #add(range: ByteRange): void {
    if (this.#bytes === 0) return this.#onDownload(++this.#count);
    const begun = [...this.#begun];
    let more: readonly ByteRange[] = range.from < range.to ? [range] : [];
    for (let index = 0; more.length > 0 && index < MAX_BEGUN; index++) {
      const layer = begun[index] ?? [];
      const again = overlap(layer, more);
      const both = union(layer, more);
      if (both.length > MAX_PIECES) return;
      begun[index] = both;
      more = again;
    }
    let whole = 0;
    while (this.#isWhole(begun[whole])) whole++;
    const left = begun.slice(whole);
    if (!this.#quota.change(piecesOf(this.#begun), piecesOf(left))) return;
    this.#begun = left;
    for (; whole > 0; whole--) this.#onDownload(++this.#count);
  }

  #isWhole(layer: readonly ByteRange[] | undefined): boolean {
    const [first] = layer ?? [];
    return first !== undefined && first.from === 0 && first.to === this.#bytes;
  }
}

function piecesOf(layers: readonly (readonly ByteRange[])[]): number {
  return layers.reduce((sum, layer) => sum + layer.length, 0);
}

/** What is in one of two sorted lists, or in both. */
function union(
  one: readonly ByteRange[],
  other: readonly ByteRange[],
): ByteRange[] {
  const sorted = [...one, ...other].sort((a, b) => a.from - b.from);
  const joined: ByteRange[] = [];
  for (const { from, to } of sorted) {
    const last = joined.at(-1);
    if (last !== undefined && from <= last.to) {
      joined[joined.length - 1] = {
        from: last.from,
        to: Math.max(last.to, to),
      };
    } else joined.push({ from, to });
  }
  return joined;
}

/** What is in both of two sorted lists. */
function overlap(
  one: readonly ByteRange[],
  other: readonly ByteRange[],
): ByteRange[] {
  const both: ByteRange[] = [];
  for (let i = 0, j = 0;;) {
    const [a, b] = [one[i], other[j]];
    if (a === undefined || b === undefined) return both;
    const from = Math.max(a.from, b.from);
    const to = Math.min(a.to, b.to);
    if (from < to) both.push({ from, to });
    if (a.to < b.to) i++;
    else j++;
  }
}
