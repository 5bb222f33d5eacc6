/**
 * The receiving half of a stream: puts bytes in order, drops what came twice,
 * and grants the peer a window that grows with the reader's speed.
 *
 * @see protocol §6.3 "Streams"
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import { MAX_OFFSET } from "./frames.ts";

/** Window that every stream begins with, bytes. */
export const INITIAL_WINDOW_BYTES = 256 * 1024;
/** Largest window, bytes: one that fills 12 MiB/s over 600 ms. */
export const MAX_WINDOW_BYTES = 8 * 1024 * 1024;
/**
 * Gaps that a stream may have at once. Three legs make a handful; a peer that
 * sends every second byte would make millions.
 */
export const MAX_GAPS = 4096;

interface Piece {
  readonly offset: number;
  readonly bytes: Bytes;
}

/** Bytes of one stream on their way from the peer. */
export class ReceiveStream {
  /** In order, ready to be read. */
  #ready: Bytes[] = [];
  #readyBytes = 0;
  /** Beyond a gap, sorted by offset, without overlaps. */
  #early: Piece[] = [];
  #earlyBytes = 0;
  /** Next byte that is missing. */
  #next = 0;
  #consumed = 0;
  #window = INITIAL_WINDOW_BYTES;
  #granted = INITIAL_WINDOW_BYTES;
  #grantedAtMs: number;
  #final: number | undefined;
  #highest = 0;

  constructor(nowMs: number) {
    this.#grantedAtMs = nowMs;
  }

  /** Bytes held: in order or not, not yet read. */
  get bufferedBytes(): number {
    return this.#readyBytes + this.#earlyBytes;
  }

  /** Whether `read` has something, be it the end. */
  get isReadable(): boolean {
    return this.#readyBytes > 0 || this.isAtEnd;
  }

  /** Everything has arrived and been read. */
  get isAtEnd(): boolean {
    return this.#final !== undefined && this.#consumed === this.#final;
  }

  /** Everything has arrived, read or not. */
  get isComplete(): boolean {
    return this.#final !== undefined && this.#next === this.#final;
  }

  /**
   * Take bytes of the stream; copies them.
   *
   * @returns How many bytes were new.
   * @throws {ProtocolError} `session.window` for bytes beyond the granted window,
   * `session.final_offset` beyond the end, `session.gaps` for too much disorder.
   */
  onData(offset: number, bytes: Uint8Array): number {
    const end = offset + bytes.length;
    if (end > this.#granted || end > MAX_OFFSET) {
      throw new ProtocolError(
        "session.window",
        "Cannot take stream data: beyond the window",
      );
    }
    if (this.#final !== undefined && end > this.#final) {
      throw new ProtocolError(
        "session.final_offset",
        "Cannot take stream data: beyond its end",
      );
    }
    this.#highest = Math.max(this.#highest, end);
    if (end <= this.#next) return 0;
    const before = this.bufferedBytes;
    if (offset <= this.#next) {
      this.#append(new Uint8Array(bytes.subarray(this.#next - offset)));
      if (this.#early.length > 0) this.#drainEarly();
    } else this.#insertEarly(offset, bytes);
    return this.bufferedBytes - before;
  }

  #append(bytes: Bytes): void {
    this.#ready.push(bytes);
    this.#readyBytes += bytes.length;
    this.#next += bytes.length;
  }

  #drainEarly(): void {
    let drop = 0;
    for (const piece of this.#early) {
      if (piece.offset > this.#next) break;
      drop++;
      this.#earlyBytes -= piece.bytes.length;
      const skip = this.#next - piece.offset;
      if (skip < piece.bytes.length) this.#append(piece.bytes.subarray(skip));
    }
    this.#early.splice(0, drop);
  }

  #insertEarly(offset: number, bytes: Uint8Array): void {
    let at = this.#early.length;
    while (at > 0 && (this.#early[at - 1] as Piece).offset > offset) at--;
    const before = this.#early[at - 1];
    let start = offset;
    if (before !== undefined) {
      start = Math.max(start, before.offset + before.bytes.length);
    }
    const end = offset + bytes.length;
    const pieces: Piece[] = [];
    let drop = 0;
    let added = 0;
    const take = (from: number, to: number) => {
      if (from >= to) return;
      pieces.push({
        offset: from,
        bytes: new Uint8Array(bytes.subarray(from - offset, to - offset)),
      });
      added += to - from;
    };
    for (let i = at; i < this.#early.length; i++) {
      const piece = this.#early[i] as Piece;
      if (piece.offset >= end) break;
      take(start, piece.offset);
      pieces.push(piece);
      drop++;
      start = Math.max(start, piece.offset + piece.bytes.length);
    }
    take(start, end);
    if (added === 0) return;
    if (this.#early.length + pieces.length - drop > MAX_GAPS) {
      throw new ProtocolError(
        "session.gaps",
        "Cannot take stream data: too many gaps",
      );
    }
    this.#early.splice(at, drop, ...pieces);
    this.#earlyBytes += added;
  }

  /**
   * The peer has ended its direction at `offset`.
   *
   * @throws {ProtocolError} `session.final_offset` when that contradicts what came before.
   */
  onFin(offset: number): void {
    if (
      offset < this.#highest ||
      (this.#final !== undefined && this.#final !== offset)
    ) {
      throw new ProtocolError(
        "session.final_offset",
        "Cannot end stream: its end has moved",
      );
    }
    if (offset > this.#granted) {
      throw new ProtocolError(
        "session.window",
        "Cannot end stream: beyond the window",
      );
    }
    this.#final = offset;
  }

  /** Take the next bytes in order, as they arrived; `undefined` when none are there. */
  read(): Bytes | undefined {
    const bytes = this.#ready.shift();
    if (bytes === undefined) return undefined;
    this.#readyBytes -= bytes.length;
    this.#consumed += bytes.length;
    return bytes;
  }

  /** Take all bytes in order that are there. */
  readAll(): Bytes[] {
    const all = this.#ready;
    this.#ready = [];
    this.#consumed += this.#readyBytes;
    this.#readyBytes = 0;
    return all;
  }

  /**
   * The new limit to grant to the peer, once half of the window has been read.
   * The window grows fourfold when the reader takes half of it within two round
   * trips: the congestion window, which doubles, shall be what limits a young stream.
   *
   * @param roundTripMs Smoothed round trip of the session.
   * @param mayGrow Whether the process has memory left for larger windows.
   */
  takeGrant(
    nowMs: number,
    roundTripMs: number,
    mayGrow: (bytes: number) => boolean,
  ): number | undefined {
    if (this.#final !== undefined) return undefined;
    if (this.#granted - this.#consumed > this.#window / 2) return undefined;
    const isFast = nowMs - this.#grantedAtMs < 2 * roundTripMs;
    if (isFast && this.#window < MAX_WINDOW_BYTES && mayGrow(this.#window)) {
      this.#window = Math.min(MAX_WINDOW_BYTES, 4 * this.#window);
    }
    this.#granted = this.#consumed + this.#window;
    this.#grantedAtMs = nowMs;
    return this.#granted;
  }

  /** The limit granted last, for saying it again after a leg died. */
  get granted(): number {
    return this.#granted;
  }

  /** Forget all bytes: the stream was reset. */
  drop(): void {
    this.#ready = [];
    this.#readyBytes = 0;
    this.#early = [];
    this.#earlyBytes = 0;
  }
}
