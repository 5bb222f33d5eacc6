/**
 * The sending half of a stream: keeps bytes until they are acknowledged, says
 * which go next, and sends again what a dead leg took with it.
 *
 *     base            next                   end            limit
 *      | acknowledged? | written, not sent    | not written  | peer's window
 *
 * @see protocol §6.3 "Streams"
 * @module
 */
import { BugError } from "../base/errors.ts";
import { ChunkList } from "./chunk_list.ts";
import { RangeSet } from "./range_set.ts";

/** Tuning: bytes of a burst that have precedence. A page and its requests, not a file. */
export const YOUNG_BYTES = 64 * 1024;

/** Bytes of one stream on their way to the peer. */
export class SendStream {
  readonly #chunks = new ChunkList();
  /** Offset of the first byte of `#chunks`. */
  #base = 0;
  #end = 0;
  #next = 0;
  #limit: number;
  /** Offset at which there was nothing on its way, and nothing waited. */
  #burstStart = 0;
  readonly #acknowledged = new RangeSet();
  readonly #again = new RangeSet();
  #finAt: number | undefined;
  #finState: "none" | "due" | "sent" | "acknowledged" = "none";
  /** Where the last `copy` found its chunk: bytes are mostly read in order. */
  #cursor = { index: 0, offset: 0 };

  /** @param limit How far the peer lets us send, as an offset. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Bytes kept: written, not yet acknowledged. */
  get bufferedBytes(): number {
    return this.#end - this.#base;
  }

  /** Memory that they take. */
  get heldBytes(): number {
    return this.#chunks.heldBytes;
  }

  /** Bytes written and never sent so far. */
  get unsentBytes(): number {
    return this.#end - this.#next;
  }

  /** Whether little has been sent since all that was written before had arrived. */
  get isYoung(): boolean {
    return this.#next - this.#burstStart < YOUNG_BYTES;
  }

  /** Everything, the end included, has arrived. */
  get isDone(): boolean {
    return this.#finState === "acknowledged";
  }

  /** Whether the end is still on its way. */
  get isFinishing(): boolean {
    return this.#finAt !== undefined && !this.isDone;
  }

  /** Append bytes, which must not change from now on. */
  write(bytes: Uint8Array): void {
    if (this.#finAt !== undefined) {
      throw new BugError(
        "session.write_after_end",
        "Cannot write to stream: it has been ended",
      );
    }
    if (bytes.length === 0) return;
    if (this.#base === this.#end) this.#burstStart = this.#end;
    this.#chunks.adopt(bytes);
    this.#end += bytes.length;
  }

  /** No more bytes will be written. */
  finish(): void {
    if (this.#finAt !== undefined) return;
    this.#finAt = this.#end;
    this.#finState = "due";
  }

  /** The peer lets us send up to `limit`; lower ones are old news. */
  raiseLimit(limit: number): void {
    this.#limit = Math.max(this.#limit, limit);
  }

  /** Whether there are bytes that may go out now. */
  get hasData(): boolean {
    return this.#again.size > 0 ||
      this.#next < Math.min(this.#end, this.#limit);
  }

  /** Bytes that may go out now, without those that go out again. */
  get sendableBytes(): number {
    return Math.max(0, Math.min(this.#end, this.#limit) - this.#next);
  }

  /** The offset to announce as the end, once all bytes are on their way. */
  get finToSend(): number | undefined {
    return this.#finState === "due" && this.#next === this.#end &&
        this.#again.size === 0
      ? this.#finAt
      : undefined;
  }

  /** The end is on its way. */
  onFinSent(): void {
    if (this.#finState === "due") this.#finState = "sent";
  }

  /** The end was on a leg that died. */
  onFinLost(): void {
    if (this.#finState === "sent") this.#finState = "due";
  }

  /** The end has arrived. It is sent last but legs differ in speed: bytes may still be missing. */
  onFinAcknowledged(): void {
    if (this.#base === this.#end) this.#finState = "acknowledged";
    else this.#finArrived = true;
  }
  #finArrived = false;

  /**
   * Take the next bytes to send: first what was lost, then what is new.
   *
   * @returns Offset and length, at most `maxBytes`; `undefined` if none may go.
   */
  take(maxBytes: number): { offset: number; length: number } | undefined {
    const again = this.#again.takeFirst(maxBytes);
    if (again !== undefined) {
      return { offset: again.start, length: again.end - again.start };
    }
    const length = Math.min(
      maxBytes,
      Math.min(this.#end, this.#limit) - this.#next,
    );
    if (length <= 0) return undefined;
    const offset = this.#next;
    this.#next += length;
    return { offset, length };
  }

  /** Copy bytes that {@linkcode take} named into `out` at `at`. */
  copy(offset: number, length: number, out: Uint8Array, at: number): void {
    let { index, offset: start } = this.#cursor;
    if (offset < start || index >= this.#chunks.length) {
      index = 0;
      start = this.#base;
    }
    let from = offset;
    let to = at;
    let left = length;
    while (left > 0) {
      const chunk = this.#chunks.at(index);
      if (chunk === undefined) {
        throw new BugError("session.copy", "Cannot copy what is not kept");
      }
      const inChunk = from - start;
      if (inChunk >= chunk.length) {
        start += chunk.length;
        index++;
        continue;
      }
      const n = Math.min(left, chunk.length - inChunk);
      out.set(chunk.subarray(inChunk, inChunk + n), to);
      from += n;
      to += n;
      left -= n;
    }
    this.#cursor = { index, offset: start };
  }

  /** The peer has these bytes. */
  onAcknowledged(offset: number, length: number): void {
    const end = offset + length;
    if (offset === this.#base && this.#acknowledged.size === 0) {
      this.#release(end);
    } else {
      this.#acknowledged.add(Math.max(offset, this.#base), end);
      const first = this.#acknowledged.first;
      if (first !== undefined && first.start <= this.#base) {
        this.#release(first.end);
        this.#acknowledged.removeBelow(first.end);
      }
    }
    if (this.#finArrived && this.#base === this.#end) {
      this.#finState = "acknowledged";
    }
  }

  #release(offset: number): void {
    const base = Math.max(this.#base, offset);
    const gone = this.#chunks.release(base - this.#base);
    // The chunk that the cursor is in may have lost its beginning.
    this.#cursor = this.#cursor.index > gone
      ? { index: this.#cursor.index - gone, offset: this.#cursor.offset }
      : { index: 0, offset: base };
    this.#base = base;
    this.#again.removeBelow(base);
  }

  /** The leg that carried these bytes died: send again what is not known to have arrived. */
  onLost(offset: number, length: number): void {
    const start = Math.max(offset, this.#base);
    for (const range of this.#acknowledged.missingIn(start, offset + length)) {
      this.#again.add(range.start, range.end);
    }
  }

  /** Forget all bytes: the stream was reset. */
  drop(): void {
    this.#chunks.clear();
    this.#base = this.#next = this.#end;
    this.#again.clear();
    this.#acknowledged.clear();
    this.#cursor = { index: 0, offset: this.#base };
  }
}
