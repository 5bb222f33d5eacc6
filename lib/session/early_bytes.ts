/**
 * Bytes of a stream that came before others which are still missing: pages of
 * 4 KiB by their place in the stream, each with the ranges that have come.
 *
 *     page      0          1          2          3
 *     ranges    |  --   -- |----------|          | -        |
 *
 * Whatever a peer leaves out and sends again, a frame costs one page or two, and
 * the logarithm of the ranges in it.
 *
 * @see protocol §6.3 "Streams"
 * @module
 */
import { ProtocolError } from "../base/errors.ts";
import { ARRAY_OVERHEAD_BYTES, type ChunkList } from "./chunk_list.ts";
import { type Range, RangeSet } from "./range_set.ts";

/** Tuning: bytes of a page. */
const PAGE_BYTES = 4096;
/** Tuning: what a range takes. */
const RANGE_BYTES = 64;
/**
 * Ranges that a stream may have at once, and so gaps. Three legs make a handful; a
 * peer that sends every second byte would make millions.
 */
export const MAX_GAPS = 4096;

interface Page {
  readonly bytes: Uint8Array;
  /** By offset in the page. */
  readonly ranges: RangeSet;
}

/** What came early of one stream. */
export class EarlyBytes {
  readonly #pages = new Map<number, Page>();
  #ranges = 0;
  #bytes = 0;

  /** Whether there is nothing. */
  get isEmpty(): boolean {
    return this.#pages.size === 0;
  }

  /** Bytes there are. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Memory that they take. */
  get heldBytes(): number {
    return this.#pages.size * (PAGE_BYTES + ARRAY_OVERHEAD_BYTES) +
      this.#ranges * RANGE_BYTES;
  }

  /**
   * Keep what is new of `bytes`; copied.
   *
   * @throws {ProtocolError} `session.gaps` for too much disorder.
   */
  add(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length;
    for (let from = offset; from < end;) {
      const number = Math.floor(from / PAGE_BYTES);
      const base = number * PAGE_BYTES;
      const to = Math.min(end, base + PAGE_BYTES);
      const range = { start: from - base, end: to - base };
      this.#addTo(number, range, bytes.subarray(from - offset, to - offset));
      from = to;
    }
  }

  #addTo(number: number, range: Range, bytes: Uint8Array): void {
    const page = this.#pages.get(number) ??
      { bytes: new Uint8Array(PAGE_BYTES), ranges: new RangeSet() };
    this.#pages.set(number, page);
    const { ranges } = page;
    for (const { start, end } of ranges.missingIn(range.start, range.end)) {
      page.bytes.set(
        bytes.subarray(start - range.start, end - range.start),
        start,
      );
      this.#bytes += end - start;
    }
    this.#ranges -= ranges.size;
    ranges.add(range.start, range.end);
    this.#ranges += ranges.size;
    if (this.#ranges > MAX_GAPS) {
      throw new ProtocolError(
        "session.gaps",
        "Cannot take stream data: too many gaps",
      );
    }
  }

  /**
   * All bytes from `from` to `next` have come in order: forget those, and move
   * what follows without a gap to `out`.
   *
   * @returns The next byte that is missing.
   */
  drain(from: number, next: number, out: ChunkList): number {
    let at = next;
    for (
      let number = Math.floor(from / PAGE_BYTES);
      number * PAGE_BYTES <= at && !this.isEmpty;
      number++
    ) {
      const page = this.#pages.get(number);
      if (page === undefined) continue;
      const base = number * PAGE_BYTES;
      this.#forget(page, Math.min(at - base, PAGE_BYTES));
      const first = page.ranges.first;
      if (first !== undefined && first.start === at - base) {
        out.copy(page.bytes.subarray(first.start, first.end));
        at = base + first.end;
        this.#forget(page, first.end);
      }
      if (page.ranges.size === 0) this.#pages.delete(number);
    }
    return at;
  }

  #forget({ ranges }: Page, below: number): void {
    this.#ranges -= ranges.size;
    this.#bytes -= ranges.removeBelow(below);
    this.#ranges += ranges.size;
  }

  /** Forget all. */
  clear(): void {
    this.#pages.clear();
    this.#ranges = this.#bytes = 0;
  }
}
