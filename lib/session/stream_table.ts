/**
 * The streams of a session: their ids, their limit, and the bytes they hold.
 *
 *     id ≤ highest, known       open or expected
 *     id ≤ highest, skipped     its StreamOpen is on its way by another leg
 *     id ≤ highest, neither     over: whatever comes for it is ignored
 *     id > highest              new, when the client says so
 *
 * @see protocol §6.3 "Streams"
 * @module
 */
import { ProtocolError } from "../base/errors.ts";
import type { StreamId } from "./frames.ts";
import type { SessionRole } from "./leg.ts";
import type { SessionShare } from "./quota.ts";
import {
  CROWDED_AHEAD_BYTES,
  SessionStream,
  STREAM_BYTES,
  WRITE_AHEAD_BYTES,
} from "./stream.ts";

/**
 * Streams that may be open at once in a session, and how far ids may leap: each
 * costs about 1 KiB before it carries a byte.
 */
export const MAX_STREAMS = 4096;
/**
 * What streams may hold together whose StreamOpen has not come. It travels on
 * another leg, and is late by a round trip at the most: four windows of uploads.
 */
export const MAX_UNOPENED_BYTES = 1024 * 1024;

/** The streams of one end of a session. */
export class StreamTable {
  readonly #role: SessionRole;
  readonly #share: SessionShare;
  readonly #streams = new Map<StreamId, SessionStream>();
  /** Ids below the highest seen that are still to come. */
  readonly #skipped = new Set<StreamId>();
  #highest = 0;
  /** Of those whose StreamOpen has not come. */
  #unopenedBytes = 0;

  constructor(role: SessionRole, share: SessionShare) {
    this.#role = role;
    this.#share = share;
  }

  /** Streams there are. */
  get size(): number {
    return this.#streams.size;
  }

  /** Whether as many are there as may be. */
  get isFull(): boolean {
    return this.#streams.size >= MAX_STREAMS;
  }

  get(id: StreamId): SessionStream | undefined {
    return this.#streams.get(id);
  }

  has(id: StreamId): boolean {
    return this.#streams.has(id);
  }

  /** All of them, at this moment. */
  all(): SessionStream[] {
    return [...this.#streams.values()];
  }

  /** A new stream of ours, with the next id. */
  open(nowMs: number): SessionStream {
    return this.#add(new SessionStream(++this.#highest, nowMs, "open"));
  }

  /**
   * What the peer means by `id`.
   *
   * @returns The stream, made where the peer may speak of it first; `"over"` for
   * one that is no more; `"full"` when there is no room for another.
   * @throws {ProtocolError} `session.stream_id` for what the peer cannot know, or
   * must not use.
   */
  named(id: StreamId, nowMs: number): SessionStream | "over" | "full" {
    const known = this.#streams.get(id);
    if (known !== undefined) return known;
    if (id === 0) throw idError("stream 0");
    if (this.#role === "client") {
      if (id > this.#highest) throw idError("stream never opened");
      return "over";
    }
    if (id > this.#highest) this.#leapTo(id);
    else if (!this.#skipped.delete(id)) return "over";
    return this.isFull
      ? "full"
      : this.#add(new SessionStream(id, nowMs, "expected"));
  }

  #leapTo(id: StreamId): void {
    if (id - this.#highest > MAX_STREAMS) {
      throw idError("stream id leaps ahead");
    }
    for (let skip = this.#highest + 1; skip < id; skip++) {
      this.#skipped.add(skip);
    }
    if (this.#skipped.size > MAX_STREAMS) {
      throw idError("too many ids left out");
    }
    this.#highest = id;
  }

  #add(stream: SessionStream): SessionStream {
    this.#streams.set(stream.id, stream);
    this.#count(stream, STREAM_BYTES);
    return stream;
  }

  /** A stream is over: forget it and what it holds. */
  forget(stream: SessionStream): void {
    this.#streams.delete(stream.id);
    this.#count(stream, -stream.heldBytes);
    stream.send.drop();
    stream.receive.drop();
  }

  /** Its StreamOpen has come. */
  onOpened(stream: SessionStream): void {
    this.#unopenedBytes -= stream.heldBytes;
    stream.isOpen = true;
  }

  /** Do something to a stream, and count what it holds more or less afterwards. */
  counted<T>(stream: SessionStream, run: () => T): T {
    const before = stream.heldBytes;
    try {
      return run();
    } finally {
      this.#count(stream, stream.heldBytes - before);
    }
  }

  #count({ isOpen }: SessionStream, bytes: number): void {
    this.#share.add(bytes);
    if (!isOpen) this.#unopenedBytes += bytes;
  }

  /** Whether streams that were never opened hold too much. */
  get isUnopenedFull(): boolean {
    return this.#unopenedBytes > MAX_UNOPENED_BYTES;
  }

  /** Whether there is memory for windows larger by `bytes`. */
  mayGrow(bytes: number): boolean {
    return this.#share.mayGrow(bytes);
  }

  /** Whether another write to a stream is welcome. */
  hasRoom({ send }: SessionStream): boolean {
    const aheadBytes = this.#share.isCrowded
      ? CROWDED_AHEAD_BYTES
      : WRITE_AHEAD_BYTES;
    return send.unsentBytes < aheadBytes;
  }

  /** If this session, or all of the process together, hold too much: see to it that streams go. */
  relieve(): void {
    this.#share.relieve();
  }

  /** The streams that hold most: as many as hold `bytes` together. */
  largest(bytes: number): SessionStream[] {
    const streams = this.all().sort((a, b) => b.heldBytes - a.heldBytes);
    let held = 0;
    const count = streams.findIndex((stream) =>
      (held += stream.heldBytes) >= bytes
    );
    return count < 0 ? streams : streams.slice(0, count + 1);
  }

  /** Forget everything. */
  clear(): void {
    this.#share.close();
    this.#unopenedBytes = 0;
    this.#streams.clear();
  }
}

function idError(what: string): ProtocolError {
  return new ProtocolError(
    "session.stream_id",
    `Cannot take frame: ${what}`,
  );
}
