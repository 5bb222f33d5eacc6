/**
 * A clock that jumps: time stands still while anything runs, and then leaps to
 * the next event. An hour of a thousand nodes passes in minutes, and the same
 * seed gives the same hour again.
 *
 *     drain ─▶ take the earliest event ─▶ now := its time ─▶ wake it ─▶ drain ─▶ …
 *
 * Events of one moment fire in the order in which they were scheduled. Between
 * two events all promises settle that can: how is the runtime's matter, so the
 * draining function comes from outside.
 *
 * @module
 */
import type { Clock, Timer } from "./clock.ts";
import { BugError } from "./errors.ts";

/** When promises are to settle: as a run starts, or after one of its events. */
export type DrainMoment = "start" | "event";

/** What a virtual clock is made of. */
interface VirtualClockOptions {
  /** Resolves once no promise is left that could settle without an event. */
  readonly drain: (moment: DrainMoment) => Promise<void>;
  /** Wall-clock time at virtual 0, unix ms. Default: the start of 2026. */
  readonly startUnixMs?: number;
  /**
   * Events fired in all before {@linkcode VirtualClock.runUntil} gives up.
   * Against loops that schedule themselves without delay. Default: no limit.
   */
  readonly maxEvents?: number;
}

const DEFAULT_START_UNIX_MS = Date.UTC(2026, 0, 1);

/**
 * Steps of time in a millisecond. With a power of two, sums and differences of
 * moments are exact: a deadline that was reached is reached however it is
 * compared, and no caller waits again and again for the last rounding error.
 */
const STEPS_PER_MS = 1024;

/** Cancelled events stay in the heap until they are this many, and half of it. */
const MIN_SWEEP = 1024;

/** One event, and its own cancellation. */
class ScheduledEvent implements Timer {
  readonly atMs: number;
  /** Breaks ties: the number of events scheduled before. */
  readonly order: number;
  wake: (() => void) | undefined;
  readonly #onCancel: () => void;

  constructor(
    atMs: number,
    order: number,
    wake: () => void,
    onCancel: () => void,
  ) {
    this.atMs = atMs;
    this.order = order;
    this.wake = wake;
    this.#onCancel = onCancel;
  }

  cancel(): void {
    if (this.wake === undefined) return;
    this.wake = undefined;
    this.#onCancel();
  }
}

/** Time for simulations and tests. */
export class VirtualClock implements Clock {
  readonly #drain: (moment: DrainMoment) => Promise<void>;
  readonly #maxEvents: number;
  #nowMs = 0;
  #unixOffsetMs: number;
  /** A binary heap: the earliest event first. */
  #heap: ScheduledEvent[] = [];
  #cancelled = 0;
  #scheduled = 0;
  #fired = 0;
  #running = false;
  readonly #onCancel = () => this.#noteCancelled();

  /** A clock at virtual 0. */
  constructor(options: VirtualClockOptions) {
    this.#drain = options.drain;
    this.#maxEvents = options.maxEvents ?? Infinity;
    this.#unixOffsetMs = options.startUnixMs ?? DEFAULT_START_UNIX_MS;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  unixMs(): number {
    // Whole, as the machine's calendar: records carry it.
    return Math.floor(this.#nowMs + this.#unixOffsetMs);
  }

  /** Events that will still fire. */
  get pending(): number {
    return this.#heap.length - this.#cancelled;
  }

  /** Events that have fired. */
  get fired(): number {
    return this.#fired;
  }

  /**
   * Move wall-clock time alone, as a suspended machine or a corrected clock
   * would; records age, deadlines do not.
   */
  jumpUnix(byMs: number): void {
    this.#unixOffsetMs += byMs;
  }

  /**
   * Call `wake` once, at `delayMs` from now or up to a microsecond later.
   *
   * @param delayMs Below 0 counts as 0.
   * @throws {RangeError} when it is not a number. `Infinity` never fires.
   */
  schedule(delayMs: number, wake: () => void): Timer {
    if (Number.isNaN(delayMs)) {
      throw new RangeError("Cannot schedule after NaN ms");
    }
    const dueMs = this.#nowMs + Math.max(0, delayMs);
    if (dueMs === Infinity) return { cancel() {} };
    const atMs = Math.ceil(dueMs * STEPS_PER_MS) / STEPS_PER_MS;
    const order = this.#scheduled++;
    const event = new ScheduledEvent(atMs, order, wake, this.#onCancel);
    this.#heap.push(event);
    this.#siftUp(this.#heap.length - 1);
    return event;
  }

  /** Let `ms` of virtual time pass, with all that happens in it. */
  async advance(ms: number): Promise<void> {
    await this.runUntil(this.#nowMs + ms);
  }

  /**
   * Run to a moment, or until a condition holds; it is asked after each event.
   *
   * @param until Virtual ms, or a condition.
   * @returns `true` when the moment came or the condition held, `false` when
   * events ran out first: nothing would ever have happened any more.
   * @throws {BugError} `base.clock_busy` when already running, `base.clock_events`
   * after `maxEvents`. What an event throws comes out here.
   */
  async runUntil(until: number | (() => boolean)): Promise<boolean> {
    if (this.#running) {
      throw new BugError("base.clock_busy", "Cannot run a running clock");
    }
    this.#running = true;
    try {
      await this.#drain("start");
      return typeof until === "number"
        ? await this.#runToMoment(until)
        : await this.#runToCondition(until);
    } finally {
      this.#running = false;
    }
  }

  async #runToMoment(untilMs: number): Promise<boolean> {
    while ((this.#peek()?.atMs ?? Infinity) <= untilMs) await this.#fireNext();
    if (untilMs !== Infinity) this.#nowMs = Math.max(this.#nowMs, untilMs);
    return true;
  }

  async #runToCondition(condition: () => boolean): Promise<boolean> {
    while (!condition()) {
      if (this.#peek() === undefined) return false;
      await this.#fireNext();
    }
    return true;
  }

  async #fireNext(): Promise<void> {
    const event = this.#pop();
    if (event === undefined) return;
    const { wake } = event;
    // From here on, cancelling it is harmless and counts for nothing.
    event.wake = undefined;
    this.#nowMs = event.atMs;
    if (++this.#fired > this.#maxEvents) {
      throw new BugError(
        "base.clock_events",
        `Cannot go on: ${this.#maxEvents} events by ${this.#nowMs} ms`,
      );
    }
    wake?.();
    await this.#drain("event");
  }

  /** The earliest event that was not cancelled. */
  #peek(): ScheduledEvent | undefined {
    while (this.#heap[0] !== undefined && this.#heap[0].wake === undefined) {
      this.#takeFirst();
      this.#cancelled--;
    }
    return this.#heap[0];
  }

  #pop(): ScheduledEvent | undefined {
    return this.#peek() === undefined ? undefined : this.#takeFirst();
  }

  #takeFirst(): ScheduledEvent | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (last !== undefined && this.#heap.length > 0) {
      this.#heap[0] = last;
      this.#siftDown(0);
    }
    return first;
  }

  #siftUp(index: number): void {
    const heap = this.#heap;
    const event = heap[index] as ScheduledEvent;
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = heap[above] as ScheduledEvent;
      if (!isBefore(event, parent)) break;
      heap[index] = parent;
      index = above;
    }
    heap[index] = event;
  }

  #siftDown(index: number): void {
    const heap = this.#heap;
    const event = heap[index] as ScheduledEvent;
    for (;;) {
      let below = 2 * index + 1;
      let child = heap[below];
      if (child === undefined) break;
      const right = heap[below + 1];
      if (right !== undefined && isBefore(right, child)) {
        child = right;
        below++;
      }
      if (!isBefore(child, event)) break;
      heap[index] = child;
      index = below;
    }
    heap[index] = event;
  }

  /**
   * Most deadlines are cancelled long before they come: sweep them out once they
   * are half of the heap, which costs each of them a constant share.
   */
  #noteCancelled(): void {
    this.#cancelled++;
    if (this.#cancelled < MIN_SWEEP) return;
    if (2 * this.#cancelled < this.#heap.length) return;
    this.#heap = this.#heap.filter((event) => event.wake !== undefined);
    this.#cancelled = 0;
    for (let i = (this.#heap.length >> 1) - 1; i >= 0; i--) this.#siftDown(i);
  }
}

function isBefore(a: ScheduledEvent, b: ScheduledEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
