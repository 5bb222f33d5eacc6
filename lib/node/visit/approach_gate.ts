/**
 * How many services a node approaches at once while it is pressed, and who waits for
 * that: an approach takes three circuits, and where more are begun than can be built,
 * all of them take too long and none comes to an end.
 *
 *     circuits are built as fast as wished for ─▶ at once
 *     there is a crowd:
 *       leg of a session ─────▶ ▪▪▪ ─┐ first
 *                                    ├─▶ so many under way ─▶ one has ended: the next
 *       visitor that comes ─▶ ▪▪▪▪▪ ─┘ fewer of these
 *           └─ 15 s ─▶ "busy"
 *
 * Those who wait hold no circuit and ask for none. What runs comes before what would
 * begin. Approaches to services that do not answer build nothing, so that they make no
 * crowd: they hold no other visitor up.
 *
 * @see protocol §7.6 "Legs, and staying reachable"
 * @module
 */
import { type Clock, deadline, raceSignal } from "../../base/clock.ts";
import { UnreachableError } from "../../base/errors.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import type { Circuits, WaitLimit } from "../circuit/circuits.ts";

/** How many are under way in a crowd. */
export interface ApproachPlaces {
  readonly all: number;
  /** Of these, such as begin a session. */
  readonly newcomers: number;
}

/**
 * Tuning: for each circuit that may be built at once, so many as keep all builds busy,
 * where these are quick, and where they are slow.
 */
export const PLACES_OF_BUILD = {
  crowded: { all: 2, newcomers: 1.5 },
  slow: { all: 2, newcomers: 1 },
} as const satisfies Record<
  Exclude<Circuits["pressure"], "free">,
  ApproachPlaces
>;

/** How many are under way in a crowd, where so many circuits may be built at once. */
function approachPlaces(
  pressure: Exclude<Circuits["pressure"], "free">,
  builds: number,
): ApproachPlaces {
  const { all, newcomers } = PLACES_OF_BUILD[pressure];
  return { all: builds * all, newcomers: Math.floor(builds * newcomers) };
}

/** Tuning: a visitor that could not begin by then is told so, ms. */
export const NEWCOMER_WAIT_MS = 15_000;
/** Tuning: visitors that wait to begin. Stops a local program from filling memory. */
export const MAX_WAITING = 1_024;
/** Tuning: how often it is seen whether the crowd is gone, ms, and how many then go at once. */
export const LOOK_MS = 250;
export const AT_ONCE = 4;

/** What an approach is for: a session that is there, or one that begins. */
export type ApproachKind = "leg" | "newcomer";

/** One that waits. */
interface Waiter {
  readonly grant: () => void;
}

/** The approaches of one node. */
export class ApproachGate implements Disposable {
  readonly #clock: Clock;
  readonly #circuits: Pick<Circuits, "pressure" | "mostBuilds">;
  readonly #timer: MachineTimer;
  readonly #used = { leg: 0, newcomer: 0 };
  readonly #waiting = { leg: new Set<Waiter>(), newcomer: new Set<Waiter>() };

  /** @param circuits Says whether there is a crowd, and how many circuits are built at once. */
  constructor(
    clock: Clock,
    circuits: Pick<Circuits, "pressure" | "mostBuilds">,
  ) {
    this.#clock = clock;
    this.#circuits = circuits;
    this.#timer = new MachineTimer(clock, () => this.#look());
  }

  /** Approaches under way. */
  get underWay(): number {
    return this.#used.leg + this.#used.newcomer;
  }

  /** Approaches that wait. */
  get waiting(): number {
    return this.#waiting.leg.size + this.#waiting.newcomer.size;
  }

  /**
   * Wait until an approach may begin.
   *
   * @returns Its place: dispose of it when the approach is over.
   * @throws {UnreachableError} `service.busy`, for newcomers.
   * @throws the signal's reason.
   */
  async enter(kind: ApproachKind, { signal }: WaitLimit): Promise<Disposable> {
    signal.throwIfAborted();
    const waiting = this.#waiting[kind];
    if (waiting.size === 0 && this.#isFree(kind)) return this.#take(kind);
    if (kind === "newcomer" && waiting.size >= MAX_WAITING) throw busy();
    const granted = Promise.withResolvers<Disposable>();
    const waiter = { grant: () => granted.resolve(this.#take(kind)) };
    waiting.add(waiter);
    this.#arm();
    try {
      if (kind === "leg") return await raceSignal(granted.promise, signal);
      using limit = deadline(this.#clock, NEWCOMER_WAIT_MS, busy, signal);
      return await raceSignal(granted.promise, limit.signal);
    } catch (error) {
      // Granted in the very turn in which it gave up: for another one, then.
      if (!waiting.delete(waiter)) {
        granted.promise.then((place) => place[Symbol.dispose]());
      }
      throw error;
    }
  }

  /** Look no more: signals have ended all that waited. */
  [Symbol.dispose](): void {
    this.#timer.stop();
  }

  #isFree(kind: ApproachKind): boolean {
    const { pressure, mostBuilds } = this.#circuits;
    if (pressure === "free") return true;
    const { all, newcomers } = approachPlaces(pressure, mostBuilds);
    if (this.underWay >= all) return false;
    return kind === "leg" || this.#used.newcomer < newcomers;
  }

  #take(kind: ApproachKind): Disposable {
    this.#used[kind]++;
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#used[kind]--;
        this.#admit(1);
      },
    };
  }

  #arm(): void {
    const isNeeded = this.waiting > 0;
    this.#timer.set(isNeeded ? this.#clock.nowMs() + LOOK_MS : Infinity);
  }

  #look(): void {
    this.#admit(AT_ONCE);
    this.#arm();
  }

  /** Let some go: only when they have asked for circuits is it seen whether there is a crowd. */
  #admit(most: number): void {
    let left = most;
    for (const kind of ["leg", "newcomer"] as const) {
      const waiting = this.#waiting[kind];
      for (const waiter of waiting) {
        if (left === 0 || !this.#isFree(kind)) break;
        waiting.delete(waiter);
        waiter.grant();
        left--;
      }
    }
  }
}

function busy(): UnreachableError {
  return new UnreachableError(
    "service.busy",
    "Cannot reach service: this node begins as many sessions as it can",
  );
}
