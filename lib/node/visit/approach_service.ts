/**
 * From an address to a joined circuit: find the descriptor, and meet the service
 * by one of its introduction points.
 *
 *     find descriptor ─┐
 *                      ├─▶ Approach ─▶ meet, and meet again ─▶ joined circuit
 *     first circuit ───┘
 *     waits meanwhile
 *
 * @see protocol §7.4 "Introduction"
 * @module
 */
import type { PathAvoid } from "../../path/path_avoid.ts";
import type { PublicKey } from "../../auth/identity.ts";
import { raceSignal } from "../../base/clock.ts";
import { AnonNetError, UnreachableError } from "../../base/errors.ts";
import {
  Approach,
  type ApproachAction,
  type ApproachFailure,
} from "../../service/approach.ts";
import type { KnownDescriptor } from "../../service/known_descriptors.ts";
import type { DescriptorFinder } from "./descriptor_finder.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import {
  meet,
  type Met,
  type Purpose,
  waitAtRendezvous,
  type WaitingCircuit,
} from "./meeting.ts";
import { WorkBudget } from "./meeting_introduction.ts";
import type { ServiceContext } from "../session/service_context.ts";

/** Whom to approach, and what for. */
export interface ApproachOptions {
  readonly context: ServiceContext;
  readonly finder: DescriptorFinder;
  readonly service: PublicKey;
  /** Isolation key of the caller. */
  readonly isolation: string;
  readonly purpose: Purpose;
  /** Relays that other legs lead over, and that may be dead. */
  readonly avoid: PathAvoid;
  readonly signal: AbortSignal;
}

/**
 * Approach a service.
 *
 * @throws {AnonNetError} what the finder throws; `service.introduction`,
 * `service.introduction_timeout`, `service.rendezvous`, `service.session_lost`,
 * `service.unreachable`.
 * @throws the signal's reason.
 */
export async function approachService(options: ApproachOptions): Promise<Met> {
  const { context, finder, service, isolation, avoid, signal } = options;
  signal.throwIfAborted();
  // The first circuit takes its place while the descriptor is still looked for.
  const spare = new AbortController();
  const within = AbortSignal.any([signal, spare.signal]);
  const waiting = waitAtRendezvous(context, avoid, { signal: within });
  waiting.catch(() => {});
  try {
    const descriptor = await raceSignal(
      finder.find(service, isolation, "known", { signal, avoid }),
      signal,
    );
    return await new Approaching(options, descriptor, waiting).run();
  } catch (error) {
    spare.abort();
    waiting.then(({ circuit }) => circuit.close(), () => {});
    throw error;
  }
}

/** Runs one approach. */
class Approaching {
  readonly #options: ApproachOptions;
  readonly #machine: Approach;
  readonly #timer: MachineTimer;
  readonly #attempts = new Map<number, AbortController>();
  readonly #budget = new WorkBudget();
  readonly #result = Promise.withResolvers<Met>();
  #descriptor: KnownDescriptor;
  /** The circuit that waits already, until the first attempt takes it. */
  #waiting: Promise<WaitingCircuit> | undefined;
  #isOver = false;

  constructor(
    options: ApproachOptions,
    descriptor: KnownDescriptor,
    waiting: Promise<WaitingCircuit>,
  ) {
    const { context: { clock, random }, purpose } = options;
    this.#options = options;
    this.#descriptor = descriptor;
    this.#waiting = waiting;
    const { points } = descriptor.content;
    this.#machine = new Approach(random, points.length, purpose.type);
    this.#timer = new MachineTimer(
      clock,
      () => this.#onTime(),
    );
  }

  async run(): Promise<Met> {
    const { signal, context } = this.#options;
    this.#carryOut(this.#machine.start(context.clock.nowMs()));
    try {
      return await raceSignal(this.#result.promise, signal);
    } finally {
      this.#isOver = true;
      this.#timer.stop();
      for (const attempt of this.#attempts.values()) attempt.abort();
    }
  }

  #onTime(): void {
    const { clock, circuits } = this.#options.context;
    const { pressure } = circuits;
    this.#carryOut(this.#machine.onTime(clock.nowMs(), pressure));
  }

  #carryOut(actions: readonly ApproachAction[]): void {
    if (this.#isOver) return;
    for (const action of actions) {
      switch (action.type) {
        case "introduce":
          this.#introduce(action.attempt, action.point);
          break;
        case "abandon":
          this.#attempts.get(action.attempt)?.abort();
          this.#attempts.delete(action.attempt);
          break;
        case "search":
          this.#search();
          break;
        case "failed":
          this.#fail(action.code);
          break;
      }
    }
    this.#timer.set(this.#machine.deadlineMs);
  }

  async #introduce(attempt: number, index: number): Promise<void> {
    const { context, purpose, signal, avoid } = this.#options;
    const { clock } = context;
    const { name, content } = this.#descriptor;
    const point = content.points[index];
    if (point === undefined) throw new RangeError("No such point");
    const control = new AbortController();
    this.#attempts.set(attempt, control);
    const limit = { signal: AbortSignal.any([signal, control.signal]) };
    const waiting = this.#waiting ?? waitAtRendezvous(context, avoid, limit);
    this.#waiting = undefined;
    waiting.catch(() => {});
    try {
      const met = await meet({
        context,
        point,
        blinded: name.blinded,
        purpose,
        avoid,
        waiting,
        budget: this.#budget,
        onTaken: () => this.#onTaken(attempt),
        signal: limit.signal,
      });
      if (typeof met === "object") return this.#onMet(attempt, met);
      this.#attempts.delete(attempt);
      const { pressure } = context.circuits;
      this.#carryOut(
        this.#machine.onFailed(attempt, met, clock.nowMs(), pressure),
      );
    } catch (error) {
      if (!limit.signal.aborted) this.#result.reject(error);
    }
  }

  #onTaken(attempt: number): void {
    if (this.#isOver) return;
    this.#machine.onTaken(attempt, this.#options.context.clock.nowMs());
    this.#timer.set(this.#machine.deadlineMs);
  }

  #onMet(attempt: number, met: Met): void {
    this.#attempts.delete(attempt);
    if (this.#isOver) return met.circuit.close(); // another one was faster
    this.#isOver = true;
    this.#result.resolve(met);
  }

  async #search(): Promise<void> {
    const { context, finder, service, isolation, avoid, signal } =
      this.#options;
    const before = this.#descriptor;
    try {
      const limit = { signal, avoid };
      this.#descriptor = await finder.find(
        service,
        isolation,
        "newest",
        limit,
      );
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof AnonNetError)) return this.#result.reject(error);
    }
    const { name, content: { points } } = this.#descriptor;
    const isNewer = name.revision > before.name.revision ||
      name.period !== before.name.period;
    const nowMs = context.clock.nowMs();
    this.#carryOut(
      this.#machine.onDescriptor(
        points.length,
        isNewer ? "newer" : "same",
        nowMs,
      ),
    );
  }

  #fail(code: ApproachFailure): void {
    const { finder, service, isolation, purpose } = this.#options;
    // A leg had better try the same again at once, and search beside it.
    if (purpose.type === "session") finder.forget(service, isolation);
    this.#result.reject(
      new UnreachableError(code, `Cannot reach service: ${REASONS[code]}`),
    );
  }
}

const REASONS: Readonly<Record<ApproachFailure, string>> = {
  "service.session_lost": "it does not know the session any more",
  "service.rendezvous": "another peer answered in its name",
  "service.introduction_timeout": "it was asked and did not answer",
  "service.introduction": "none of its introduction points could ask it",
  "service.unreachable": "the network does not answer",
};
