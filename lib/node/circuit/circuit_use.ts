/**
 * Circuits that may have died without a word. One waits in a pool for minutes
 * while a relay on it loses its power; its user is the first to notice.
 *
 *     useCircuit    take ─▶ use ─────────────────────▶ the first that answers
 *                       1 s  └─▶ take ─▶ use ─────────┤
 *                                    2 s  └─▶ a third ┘
 *     whileAlive    ask ── answer may take long; pings must come back meanwhile
 *
 * @module
 */
import { type Clock, deadline, raceSignal, sleep } from "../../base/clock.ts";
import { AnonNetError, UnreachableError } from "../../base/errors.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import { CircuitTries, type TryAction } from "../../pool/circuit_tries.ts";
import type {
  Circuits,
  CircuitWish,
  ServiceCircuit,
  WaitLimit,
} from "./circuits.ts";

/** How often a circuit shows that it lives while something long is asked, ms. */
const PING_EVERY_MS = 5_000;
/** A ping that takes longer says that the circuit is dead, ms. */
const PONG_MS = 5_000;
/** Most answers come sooner, and show as well that the circuit lives, ms. */
const FIRST_PING_MS = 500;

/** Where circuits and time come from. */
export interface CircuitSource {
  readonly circuits: Circuits;
  readonly clock: Clock;
  /** Hears when a circuit is slow to answer. */
  readonly doubt?: () => void;
}

/**
 * What to do with a circuit, as long as the limit allows. It is closed when this
 * fails, or when another try was faster; otherwise it is the caller's.
 */
export type CircuitUse<T> = (
  circuit: ServiceCircuit,
  limit: WaitLimit,
) => Promise<T>;

/**
 * Take a circuit and use it, and when it does not answer soon another beside it.
 *
 * @param use May be called again while the first call goes on: what it asks for
 * must do no harm when it is asked twice.
 * @throws what the last `use` threw; errors that are not the network's at once.
 * @throws the signal's reason.
 */
export async function useCircuit<T>(
  source: CircuitSource,
  wish: CircuitWish,
  use: CircuitUse<T>,
): Promise<T> {
  const tries = new TriesDriver(source, wish, use);
  try {
    return await raceSignal(tries.run(), wish.signal);
  } finally {
    tries.stop();
  }
}

/** Carries out what {@linkcode CircuitTries} decides. */
class TriesDriver<T> {
  readonly #source: CircuitSource;
  readonly #wish: CircuitWish;
  readonly #use: CircuitUse<T>;
  readonly #machine = new CircuitTries();
  readonly #result = Promise.withResolvers<T>();
  readonly #over = new AbortController();
  readonly #signal: AbortSignal;
  readonly #timer: MachineTimer;

  constructor(source: CircuitSource, wish: CircuitWish, use: CircuitUse<T>) {
    this.#source = source;
    this.#wish = wish;
    this.#use = use;
    this.#signal = AbortSignal.any([wish.signal, this.#over.signal]);
    this.#timer = new MachineTimer(source.clock, () => this.#onTime());
  }

  get #nowMs(): number {
    return this.#source.clock.nowMs();
  }

  run(): Promise<T> {
    this.#obey(this.#machine.start(this.#nowMs));
    return this.#result.promise;
  }

  /** A circuit that has not answered by now is not heard any more. */
  stop(): void {
    this.#timer.stop();
    this.#over.abort(tooSlow());
  }

  #onTime(): void {
    const { pressure } = this.#source.circuits;
    this.#obey(this.#machine.onTime(pressure, this.#nowMs));
  }

  /** @param error What came before them, if something failed. */
  #obey(actions: readonly TryAction[], error?: unknown): void {
    this.#timer.set(this.#machine.deadlineMs);
    for (const action of actions) {
      switch (action.type) {
        case "try":
          this.#try(action.number, action.endMs);
          break;
        case "doubt":
          this.#source.doubt?.();
          break;
        case "give_up":
          this.#result.reject(error);
          break;
      }
    }
  }

  async #try(number: number, endMs: number): Promise<void> {
    const { circuits, clock } = this.#source;
    let circuit: ServiceCircuit | undefined;
    try {
      circuit = await circuits.take({ ...this.#wish, signal: this.#signal });
      // From now on: a circuit that came late has as much time as any other.
      using limit = deadline(clock, endMs, tooSlow, this.#signal);
      if (!this.#signal.aborted) {
        this.#machine.onTaken(number, this.#nowMs);
        this.#obey([]);
      }
      const result = await this.#use(circuit, limit);
      if (this.#over.signal.aborted) return circuit.close();
      this.#result.resolve(result);
      this.stop();
    } catch (error) {
      circuit?.close();
      this.#onFailed(number, error);
    }
  }

  #onFailed(number: number, error: unknown): void {
    if (this.#signal.aborted) return;
    if (!(error instanceof UnreachableError)) return this.#result.reject(error);
    this.#obey(this.#machine.onFailed(number, this.#nowMs), error);
  }
}

/**
 * Wait for an answer that may take long, as long as the circuit lives.
 *
 * @throws {UnreachableError} `circuit.silent` when it does not.
 */
export async function whileAlive<T>(
  clock: Clock,
  circuit: ServiceCircuit,
  { signal }: WaitLimit,
  ask: (limit: WaitLimit) => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const within = AbortSignal.any([signal, over.signal]);
  const watching = watch(clock, circuit, within);
  watching.catch((error) => over.abort(error));
  try {
    return await raceSignal(ask({ signal: within }), within);
  } finally {
    over.abort();
  }
}

async function watch(
  clock: Clock,
  circuit: ServiceCircuit,
  signal: AbortSignal,
): Promise<never> {
  await sleep(clock, FIRST_PING_MS, { signal, keepAlive: false });
  for (let pongMs = PONG_MS - FIRST_PING_MS;; pongMs = PONG_MS) {
    using limit = deadline(clock, pongMs, silent, signal);
    try {
      await circuit.ping({ signal: limit.signal });
    } catch (error) {
      // Where a ping fails, no other question will be answered either.
      if (error instanceof AnonNetError) throw error;
      throw signal.reason;
    }
    await sleep(clock, PING_EVERY_MS, { signal, keepAlive: false });
  }
}

function tooSlow(): UnreachableError {
  return new UnreachableError(
    "circuit.slow",
    "Cannot use circuit: it does not answer in time",
  );
}

function silent(): UnreachableError {
  return new UnreachableError(
    "circuit.silent",
    "Cannot use circuit: it does not answer any more",
  );
}
