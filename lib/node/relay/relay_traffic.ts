/**
 * What a relay counts of the circuits that lead through it.
 *
 * @module
 */

/** Why a relay ended a circuit; for the relay's own status, never sent. */
export type RelayedEnd =
  /** A side of it ended: the client is done, or a relay or a link is gone. */
  | "hung_up"
  /** The client said so. */
  | "closed"
  /** No whole first cell in time. */
  | "silent"
  /** The first cell was none, or not for us. */
  | "handshake"
  /** A cell was not the client's next. */
  | "bad_cell"
  /** The client said what it must not, or not now. */
  | "protocol"
  /** More cells waited than an honest circuit has under way. */
  | "overflow"
  /** Cells waited, longest of all, when the quota was used up. */
  | "quota"
  /** No room for what the client asked for. */
  | "overloaded"
  /** Unused, longest of its account, when another circuit needed the place. */
  | "evicted"
  /** No peer came in time, or another circuit took its place. */
  | "expired"
  /** The circuit that it was joined to has ended. */
  | "partner"
  /** The node stops. */
  | "stopping"
  /** Our own failure. */
  | "failed";

/** Why a relay took no circuit; for the relay's own status, never sent. */
export type RelayedRefusal =
  /** The node stops. */
  | "stopping"
  /** The relay rests: all bytes of its accounting are moved. */
  | "resting"
  /** The neighbour creates circuits faster than it may. */
  | "pace"
  /** There is no place, and none that gives way. */
  | "full";

/** Counts since the start. */
export class RelayTraffic {
  /** Cells passed on, away from clients. */
  forwardCells = 0;
  /** Cells passed on, towards clients. */
  backwardCells = 0;
  #created = 0;
  readonly #refusals = { stopping: 0, resting: 0, pace: 0, full: 0 };
  readonly #ends: Partial<Record<RelayedEnd, number>> = {};

  /** Circuits whose handshake was answered. */
  get created(): number {
    return this.#created;
  }

  /** Circuits that were not taken. */
  get turnedAway(): number {
    const { stopping, resting, pace, full } = this.#refusals;
    return stopping + resting + pace + full;
  }

  /** Circuits that were not taken, by reason; a copy. */
  get refusals(): Readonly<Record<RelayedRefusal, number>> {
    return { ...this.#refusals };
  }

  /** How circuits ended; a copy. */
  get ends(): Readonly<Partial<Record<RelayedEnd, number>>> {
    return { ...this.#ends };
  }

  onCreated(): void {
    this.#created++;
  }

  onTurnedAway(why: RelayedRefusal): void {
    this.#refusals[why]++;
  }

  onEnded(end: RelayedEnd): void {
    this.#ends[end] = (this.#ends[end] ?? 0) + 1;
  }
}
