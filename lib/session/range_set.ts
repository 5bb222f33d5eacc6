/**
 * A set of byte offsets, kept as sorted ranges that do not touch.
 *
 * @module
 */

/** Bytes `start` ≤ n < `end` of a stream. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Which bytes of a stream have been seen. */
export class RangeSet {
  #ranges: Range[] = [];

  /** How many separate ranges there are: what limits on disorder are about. */
  get size(): number {
    return this.#ranges.length;
  }

  /** The lowest range. */
  get first(): Range | undefined {
    return this.#ranges[0];
  }

  /** Add `start` ≤ n < `end`. */
  add(start: number, end: number): void {
    if (start >= end) return;
    const ranges = this.#ranges;
    const last = ranges[ranges.length - 1];
    if (last === undefined || start > last.end) {
      ranges.push({ start, end });
      return;
    }
    const from = this.#firstEndingAt(start);
    let to = from;
    let low = start;
    let high = end;
    for (
      let range = ranges[to];
      range !== undefined && range.start <= end;
      range = ranges[++to]
    ) {
      low = Math.min(low, range.start);
      high = Math.max(high, range.end);
    }
    ranges.splice(from, to - from, { start: low, end: high });
  }

  /** Index of the first range that ends at `offset` or behind it. */
  #firstEndingAt(offset: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ranges[middle] as Range).end < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Take away all bytes below `offset`. @returns How many there were. */
  removeBelow(offset: number): number {
    let drop = 0;
    let bytes = 0;
    for (const range of this.#ranges) {
      if (range.end > offset) break;
      bytes += range.end - range.start;
      drop++;
    }
    if (drop > 0) this.#ranges.splice(0, drop);
    const first = this.#ranges[0];
    if (first !== undefined && first.start < offset) {
      bytes += offset - first.start;
      this.#ranges[0] = { start: offset, end: first.end };
    }
    return bytes;
  }

  /** Take at most `length` bytes away from the low end. */
  takeFirst(length: number): Range | undefined {
    const first = this.#ranges[0];
    if (first === undefined || length <= 0) return undefined;
    if (first.end - first.start <= length) {
      this.#ranges.shift();
      return first;
    }
    const end = first.start + length;
    this.#ranges[0] = { start: end, end: first.end };
    return { start: first.start, end };
  }

  /** The parts of `start` ≤ n < `end` that are not in the set. */
  missingIn(start: number, end: number): Range[] {
    const missing: Range[] = [];
    let at = start;
    for (let i = this.#firstEndingAt(start); i < this.#ranges.length; i++) {
      const range = this.#ranges[i] as Range;
      if (range.start >= end) break;
      if (range.start > at) missing.push({ start: at, end: range.start });
      at = range.end;
    }
    if (at < end) missing.push({ start: at, end });
    return missing;
  }

  /** Forget everything. */
  clear(): void {
    this.#ranges = [];
  }
}
