/**
 * Handshakes towards us that are under way: few enough that a flood of first
 * packets with invented senders costs little, and none for so long that it shuts
 * others out.
 *
 * @module
 */
import { TimedPlaces } from "../base/timed_places.ts";
import { CLOSE_BUSY } from "./transport.ts";

/**
 * Age, ms, from which a handshake gives way to a newer one when all places are
 * taken. Honest ones are done by then.
 */
export const HANDSHAKE_GRACE_MS = 500;

/** What of a connection is needed while it comes to be. */
export type YoungConn = Pick<Deno.QuicConn, "handshake" | "closed" | "close">;

/** The handshakes under way. */
export class QuicHandshakes {
  readonly #places: TimedPlaces<YoungConn>;
  readonly #nowMs: () => number;

  /**
   * @param max Most at once.
   * @param nowMs Monotonic time.
   */
  constructor(max: number, nowMs: () => number) {
    this.#places = new TimedPlaces(max, HANDSHAKE_GRACE_MS);
    this.#nowMs = nowMs;
  }

  /** Whether there is a place for one more, made at the cost of an old one if need be. */
  makeRoom(): boolean {
    return this.#places.makeRoom(
      (oldest) => oldest.close({ closeCode: CLOSE_BUSY, reason: "" }),
      this.#nowMs(),
    );
  }

  /** Wait for a handshake; whether it succeeded. Never rejects. */
  async complete(conn: YoungConn): Promise<boolean> {
    this.#places.take(conn, this.#nowMs());
    let isOpen = true;
    const onClosed = () => {
      isOpen = false;
    };
    conn.closed.then(onClosed, onClosed);
    try {
      await conn.handshake;
      // That resolves for a handshake which failed, too; `closed` follows it
      // with the next microtask.
      await Promise.resolve();
    } catch {
      onClosed();
    }
    this.#places.give(conn);
    return isOpen;
  }
}
