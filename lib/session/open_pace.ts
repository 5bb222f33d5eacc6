/**
 * How fast the client of a session may have streams opened. Each is a connection
 * to the service's target: what comes faster waits here, and what is given up
 * before its turn is never dialled.
 *
 * @see protocol §6.3 "Streams"
 * @module
 */
import { ProtocolError } from "../base/errors.ts";
import { TokenBucket, type TokenRate } from "../base/token_bucket.ts";
import type { StreamId } from "./frames.ts";

/** Streams that are opened for one session: a browser with a hundred pages at once, and then two a frame. */
export const OPENS: TokenRate = { perSecond: 100, burst: 512 };
/**
 * Streams that a client may give up, or ask for when it has as many as it may:
 * all that there can be at once, and twice as many a second as are opened.
 * Opening and resetting without end costs the client next to nothing.
 */
export const GIVEN_UP: TokenRate = { perSecond: 200, burst: 4096 };

/** A stream that the client wants opened. */
export interface WantedStream {
  readonly id: StreamId;
  readonly port: number;
}

/** The streams of one session that wait to be opened. */
export class OpenPace {
  readonly #opens: TokenBucket;
  readonly #givenUp: TokenBucket;
  /** In the order in which they came. At most as many as the session has streams. */
  readonly #waiting = new Map<StreamId, WantedStream>();

  constructor(nowMs: number) {
    this.#opens = new TokenBucket(OPENS, nowMs);
    this.#givenUp = new TokenBucket(GIVEN_UP, nowMs);
  }

  /** When {@linkcode onTime} gives something; `Infinity` while nothing waits. */
  get dueMs(): number {
    return this.#waiting.size === 0 ? Infinity : this.#opens.readyMs(1);
  }

  /** Whether a stream waits for its turn. */
  isWaiting(id: StreamId): boolean {
    return this.#waiting.has(id);
  }

  /** Whether a stream may be opened now; otherwise {@linkcode onTime} gives it. */
  mayOpen({ id, port }: WantedStream, nowMs: number): boolean {
    if (this.#waiting.size === 0 && this.#opens.take(1, nowMs)) return true;
    this.#waiting.set(id, { id, port });
    return false;
  }

  /** Streams whose turn has come. */
  onTime(nowMs: number): WantedStream[] {
    const opened: WantedStream[] = [];
    for (const wanted of this.#waiting.values()) {
      if (!this.#opens.take(1, nowMs)) break;
      this.#waiting.delete(wanted.id);
      opened.push(wanted);
    }
    return opened;
  }

  /** A stream is over. */
  forget(id: StreamId): void {
    this.#waiting.delete(id);
  }

  /**
   * The client gave up a stream, or got none.
   *
   * @throws {ProtocolError} `session.reset_flood` when that goes on and on.
   */
  onGivenUp(nowMs: number): void {
    if (this.#givenUp.take(1, nowMs)) return;
    throw new ProtocolError(
      "session.reset_flood",
      "Cannot go on with session: its client opens and resets streams without end",
    );
  }
}
