/**
 * The sessions of a service, by the names that tickets give them.
 *
 *     half-open ── a cell of the client ──▶ live ── over ──▶ (forgotten)
 *         └── 30 s without one, or too many others ──▶ (closed)
 *
 * Every client that knows the address can begin a session; the first cell shows that
 * the client is there and holds the secret. Until then it costs little and lasts
 * not long.
 *
 * @see protocol §7.5 "Rendezvous"
 * @module
 */
import type { Bytes } from "../base/bytes.ts";

/** Sessions of one service at once, about 20 KiB each when idle. */
export const MAX_SESSIONS = 8_192;
/** Sessions whose client has not been heard of yet. */
export const MAX_HALF_OPEN = 128;
/** How long a client may be silent to begin with, ms. */
export const HALF_OPEN_MS = 30_000;

interface Entry<S> {
  readonly session: S;
  readonly sinceMs: number;
}

/** Sessions that tickets may name. `S` is whatever the driver knows a session by. */
export class SessionRegistry<S> {
  readonly #isIdle: (session: S) => boolean;
  /** In order of arrival. */
  readonly #halfOpen = new Map<string, Entry<S>>();
  /** In order of use: the one that got a leg longest ago first. */
  readonly #live = new Map<string, S>();

  /** @param isIdle Whether a session has no stream open, and may go for another. */
  constructor(isIdle: (session: S) => boolean) {
    this.#isIdle = isIdle;
  }

  /** Sessions there are. */
  get size(): number {
    return this.#halfOpen.size + this.#live.size;
  }

  /** When {@linkcode expire} has something to do. */
  get deadlineMs(): number {
    for (const { sinceMs } of this.#halfOpen.values()) {
      return sinceMs + HALF_OPEN_MS;
    }
    return Infinity;
  }

  /**
   * A session begins.
   *
   * @returns Sessions to close in its favour; `"full"` when there is no room.
   */
  add(id: Bytes, session: S, nowMs: number): S[] | "full" {
    const closed: S[] = [];
    // The oldest: an honest client is heard of within a round trip.
    if (this.#halfOpen.size >= MAX_HALF_OPEN) {
      for (const [name, entry] of this.#halfOpen) {
        this.#halfOpen.delete(name);
        closed.push(entry.session);
        break;
      }
    }
    if (this.size >= MAX_SESSIONS) {
      const idle = this.#firstIdle();
      if (idle === undefined) return "full";
      this.#live.delete(idle.name);
      closed.push(idle.session);
    }
    this.#halfOpen.set(id.toHex(), { session, sinceMs: nowMs });
    return closed;
  }

  #firstIdle(): { name: string; session: S } | undefined {
    for (const [name, session] of this.#live) {
      if (this.#isIdle(session)) return { name, session };
    }
    return undefined;
  }

  /** The client of a session was heard of for the first time. */
  onHeard(id: Bytes): void {
    const name = id.toHex();
    const entry = this.#halfOpen.get(name);
    if (entry === undefined) return;
    this.#halfOpen.delete(name);
    this.#live.set(name, entry.session);
  }

  /** The session that a ticket names, which becomes the one used last. */
  get(id: Bytes): S | undefined {
    const name = id.toHex();
    const session = this.#live.get(name);
    if (session === undefined) return this.#halfOpen.get(name)?.session;
    this.#live.delete(name);
    this.#live.set(name, session);
    return session;
  }

  /** A session is over. */
  remove(id: Bytes): void {
    const name = id.toHex();
    this.#halfOpen.delete(name);
    this.#live.delete(name);
  }

  /** Sessions whose client was silent for too long; they are forgotten. */
  expire(nowMs: number): S[] {
    const expired: S[] = [];
    for (const [name, { session, sinceMs }] of this.#halfOpen) {
      if (sinceMs + HALF_OPEN_MS > nowMs) break;
      this.#halfOpen.delete(name);
      expired.push(session);
    }
    return expired;
  }
}
