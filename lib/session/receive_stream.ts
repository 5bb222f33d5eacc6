/**
 * The receiving half of a stream: puts bytes in order, drops what came twice,
 * and grants the peer a window that grows with the reader's speed.
 *
 * @see protocol §6.3 "Streams"
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import { ChunkList } from "./chunk_list.ts";
import { EarlyBytes } from "./early_bytes.ts";
import { MAX_OFFSET } from "./frames.ts";

/** Window that every stream begins with, bytes. */
export const INITIAL_WINDOW_BYTES = 256 * 1024;
/** Largest window, bytes: one that fills 12 MiB/s over 600 ms. */
export const MAX_WINDOW_BYTES = 8 * 1024 * 1024;
/** Tuning: part of the window that is left when more is granted. With a half, a young stream waited for grants. */
const GRANT_PART = 3 / 4;
/** Bytes of one stream on their way from the peer. */
export class ReceiveStream {
  /** In order, ready to be read. */
  readonly #ready = new ChunkList();
  /** Beyond a gap. */
  readonly #early = new EarlyBytes();
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

  /** Bytes that have come, in order or not, and are not yet read. */
  get bufferedBytes(): number {
    return this.#ready.bytes + this.#early.bytes;
  }

  /** Memory that they take. */
  get heldBytes(): number {
    return this.#ready.heldBytes + this.#early.heldBytes;
  }

  /** Whether `read` has something, be it the end. */
  get isReadable(): boolean {
    return this.#ready.bytes > 0 || this.isAtEnd;
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
    if (offset > this.#next) this.#early.add(offset, bytes);
    else {
      const from = this.#next;
      this.#ready.copy(bytes.subarray(from - offset));
      this.#next = this.#early.isEmpty
        ? end
        : this.#early.drain(from, end, this.#ready);
    }
    return this.bufferedBytes - before;
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

  /**
   * Take bytes in order: what is there, at most `maxBytes` unless the first piece
   * alone is longer.
   */
  read(maxBytes: number): Bytes[] {
    const before = this.#ready.bytes;
    const chunks = this.#ready.take(maxBytes);
    this.#consumed += before - this.#ready.bytes;
    return chunks;
  }

  /** Take all bytes in order that are there. */
  readAll(): Bytes[] {
    return this.read(Infinity);
  }

  /**
   * The new limit to grant to the peer, once half of the window has been read.
   * The window grows fourfold when the reader takes a quarter of it within two round
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
    if (this.#granted - this.#consumed > GRANT_PART * this.#window) {
      return undefined;
    }
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
    this.#ready.clear();
    this.#early.clear();
  }
}
