/**
 * From an address to a joined circuit: find the descriptor, and meet the service
 * by one of its introduction points.
 *
 *     find a host ────┐
 *                     ├─▶ Approach ─▶ meet, and meet again ─▶ joined circuit
 *     first circuit ──┤
 *     waits meanwhile │
 *     find another ───┘
 *     where there is one
 *
 * @see protocol §7.4 "Introduction", §7.8 "Several hosts"
 * @module
 */
import type { PathAvoid } from "../../path/path_avoid.ts";
import type { PublicKey } from "../../auth/identity.ts";
import { raceSignal } from "../../base/clock.ts";
import { equalBytes } from "../../base/bytes.ts";
import { AnonNetError, UnreachableError } from "../../base/errors.ts";
import {
  Approach,
  type ApproachAction,
  type ApproachFailure,
} from "../../service/approach.ts";
import type { IntroductionPoint } from "../../service/descriptor.ts";
import type { FoundHosts, HostDescriptor, HostFinder } from "./host_finder.ts";
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
  readonly finder: HostFinder;
  readonly service: PublicKey;
  /** The host that has the session. Default: any. */
  readonly slot?: number;
  /** Isolation key of the caller. */
  readonly isolation: string;
  readonly purpose: Purpose;
  /** Relays that other legs lead over, and that may be dead. */
  readonly avoid: PathAvoid;
  readonly signal: AbortSignal;
}

/** A joined circuit, and which host is at its other end. */
export interface MetHost extends Met {
  readonly slot: number;
}

/**
 * Approach a service.
 *
 * @throws {AnonNetError} what the finder throws; `service.introduction`,
 * `service.introduction_timeout`, `service.rendezvous`, `service.session_lost`,
 * `service.unreachable`.
 * @throws the signal's reason.
 */
export async function approachService(
  options: ApproachOptions,
): Promise<MetHost> {
  const { context, finder, service, slot, isolation, avoid, signal } = options;
  signal.throwIfAborted();
  // The first circuit takes its place while the descriptor is still looked for.
  const spare = new AbortController();
  const within = AbortSignal.any([signal, spare.signal]);
  const waiting = waitAtRendezvous(context, avoid, { signal: within });
  waiting.catch(() => {});
  const over = new AbortController();
  try {
    const searching = AbortSignal.any([signal, over.signal]);
    const limit = { signal: searching, avoid, slot };
    const hosts = await raceSignal(
      finder.find(service, isolation, "known", limit),
      signal,
    );
    return await new Approaching(options, hosts, waiting, searching).run();
  } catch (error) {
    spare.abort();
    waiting.then(({ circuit }) => circuit.close(), () => {});
    throw error;
  } finally {
    over.abort(); // what still looks for another host
  }
}

/** One way to be introduced. */
interface Way {
  readonly host: HostDescriptor;
  readonly point: IntroductionPoint;
}

/** Runs one approach. */
class Approaching {
  readonly #options: ApproachOptions;
  readonly #machine: Approach;
  readonly #timer: MachineTimer;
  readonly #attempts = new Map<number, AbortController>();
  readonly #budget = new WorkBudget();
  readonly #result = Promise.withResolvers<MetHost>();
  /** Ends when no host is looked for any more. */
  readonly #searching: AbortSignal;
  /** Those whose points are tried. */
  #hosts: HostDescriptor[];
  /** Their points, as the machine numbers them. */
  #ways: Way[];
  /** The circuit that waits already, until the first attempt takes it. */
  #waiting: Promise<WaitingCircuit> | undefined;
  #isOver = false;

  constructor(
    options: ApproachOptions,
    hosts: FoundHosts,
    waiting: Promise<WaitingCircuit>,
    searching: AbortSignal,
  ) {
    const { context: { clock, random }, purpose } = options;
    this.#options = options;
    this.#searching = searching;
    this.#waiting = waiting;
    this.#hosts = [hosts.first];
    this.#ways = waysTo(hosts.first);
    this.#machine = new Approach(random, this.#ways.length, purpose.type);
    this.#timer = new MachineTimer(
      clock,
      () => this.#onTime(),
    );
    hosts.other.then((other) => this.#onOther(hosts.first, other));
  }

  async run(): Promise<MetHost> {
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
          this.#attempts.get(action.attempt)?.abort("silent");
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
    const way = this.#ways[index];
    if (way === undefined) throw new RangeError("No such point");
    const { host, point } = way;
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
        blinded: host.name.blinded,
        purpose,
        avoid,
        waiting,
        budget: this.#budget,
        onTaken: () => this.#onTaken(attempt),
        signal: limit.signal,
      });
      if (typeof met === "object") return this.#onMet(attempt, met, host);
      this.#attempts.delete(attempt);
      if (met === "unknown") this.#doubt(host);
      const { pressure } = context.circuits;
      this.#carryOut(
        this.#machine.onFailed(attempt, met, clock.nowMs(), pressure),
      );
    } catch (error) {
      if (control.signal.reason === "silent") this.#doubt(host);
      if (!limit.signal.aborted) this.#result.reject(error);
    }
  }

  /** The next session is with another host, if there is one that answers. */
  #doubt({ slot }: HostDescriptor): void {
    const { finder, service, isolation } = this.#options;
    finder.doubt(service, isolation, slot);
  }

  /** @param beside The host that was found before it. */
  #onOther(beside: HostDescriptor, other: HostDescriptor | undefined): void {
    const [first] = this.#hosts;
    if (other === undefined || this.#isOver || first !== beside) return;
    const ways = waysTo(other);
    this.#hosts.push(other);
    this.#ways.push(...ways);
    const { clock } = this.#options.context;
    this.#carryOut(this.#machine.onMore(ways.length, clock.nowMs()));
  }

  #onTaken(attempt: number): void {
    if (this.#isOver) return;
    this.#machine.onTaken(attempt, this.#options.context.clock.nowMs());
    this.#timer.set(this.#machine.deadlineMs);
  }

  #onMet(attempt: number, met: Met, { slot }: HostDescriptor): void {
    this.#attempts.delete(attempt);
    if (this.#isOver) return met.circuit.close(); // another one was faster
    this.#isOver = true;
    this.#result.resolve({ ...met, slot });
  }

  async #search(): Promise<void> {
    const { context, finder, service, slot, isolation, avoid, signal } =
      this.#options;
    let found: FoundHosts | undefined;
    try {
      const limit = { signal: this.#searching, avoid, slot };
      found = await finder.find(service, isolation, "newest", limit);
    } catch (error) {
      if (signal.aborted || this.#isOver) return;
      if (!(error instanceof AnonNetError)) return this.#result.reject(error);
    }
    const nowMs = context.clock.nowMs();
    const isNewer = found !== undefined && this.#isNews(found.first);
    if (found !== undefined && isNewer) {
      this.#hosts = [found.first];
      this.#ways = waysTo(found.first);
    }
    const points = this.#ways.length;
    const news = isNewer ? "newer" : "same";
    this.#carryOut(this.#machine.onDescriptor(points, news, nowMs));
    const other = await found?.other;
    if (other === undefined || !this.#isNews(other)) return;
    const [first] = this.#hosts;
    if (first !== undefined) this.#onOther(first, other);
  }

  /** Whether a descriptor names points that are not among those we try. */
  #isNews({ name: { blinded, revision } }: HostDescriptor): boolean {
    return !this.#hosts.some(({ name }) =>
      equalBytes(name.blinded, blinded) && name.revision >= revision
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

function waysTo(host: HostDescriptor): Way[] {
  return host.content.points.map((point) => ({ host, point }));
}

const REASONS: Readonly<Record<ApproachFailure, string>> = {
  "service.session_lost": "it does not know the session any more",
  "service.rendezvous": "another peer answered in its name",
  "service.introduction_timeout": "it was asked and did not answer",
  "service.introduction": "none of its introduction points could ask it",
  "service.unreachable": "the network does not answer",
};
