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
import type { QuotaHolder, SessionQuota } from "./quota.ts";
import { SessionStream } from "./stream.ts";

/**
 * Streams that may be open at once in a session, and how far ids may leap: each
 * costs about 1 KiB before it carries a byte.
 */
export const MAX_STREAMS = 4096;

/** The streams of one end of a session. */
export class StreamTable implements QuotaHolder {
  readonly #role: SessionRole;
  readonly #quota: SessionQuota;
  readonly #onShed: () => void;
  readonly #streams = new Map<StreamId, SessionStream>();
  /** Ids below the highest seen that are still to come. */
  readonly #skipped = new Set<StreamId>();
  #highest = 0;
  #heldBytes = 0;

  /** @param onShed The process holds too much, and this session most of it. */
  constructor(role: SessionRole, quota: SessionQuota, onShed: () => void) {
    this.#role = role;
    this.#quota = quota;
    this.#onShed = onShed;
  }

  /** Bytes that all of them hold. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** The process holds too much, and these streams most of it. */
  shed(): void {
    this.#onShed();
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
    return this.#add(++this.#highest, "open", nowMs);
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
    return this.isFull ? "full" : this.#add(id, "expected", nowMs);
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

  #add(
    id: StreamId,
    state: "open" | "expected",
    nowMs: number,
  ): SessionStream {
    const stream = new SessionStream(id, nowMs, state);
    this.#streams.set(id, stream);
    return stream;
  }

  /** A stream is over: forget it and what it holds. */
  forget(stream: SessionStream): void {
    this.#streams.delete(stream.id);
    this.hold(-stream.heldBytes);
    stream.send.drop();
    stream.receive.drop();
  }

  /** Count bytes that streams hold more than before, or fewer when negative. */
  hold(bytes: number): void {
    this.#heldBytes += bytes;
    this.#quota.add(bytes, this);
  }

  /** If all sessions of the process hold too much, the one with most lets go. */
  relieveQuota(): void {
    this.#quota.relieve();
  }

  /** Whether the process has memory for windows larger by `bytes`. */
  mayGrow(bytes: number): boolean {
    return this.#quota.mayGrow(bytes);
  }

  /** The stream that holds most. */
  get largest(): SessionStream | undefined {
    let largest: SessionStream | undefined;
    for (const stream of this.#streams.values()) {
      if (largest === undefined || stream.heldBytes > largest.heldBytes) {
        largest = stream;
      }
    }
    return largest;
  }

  /** Forget everything. */
  clear(): void {
    this.hold(-this.#heldBytes);
    this.#streams.clear();
  }
}

function idError(what: string): ProtocolError {
  return new ProtocolError(
    "session.stream_id",
    `Cannot take frame: ${what}`,
  );
}
