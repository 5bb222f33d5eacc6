/**
 * Circuits that may have died without a word. One waits in a pool for minutes
 * while a relay on it loses its power; the first to notice is whoever uses it.
 *
 *     useCircuit    take ─▶ use ─────────────────────▶ whoever answers first
 *                       1 s  └─▶ take ─▶ use ─────────┤
 *                                    2 s  └─▶ a third ┘
 *     whileAlive    ask ── answer may take long; pings must come back meanwhile
 *
 * @module
 */
import {
  type Clock,
  deadline,
  raceSignal,
  sleep,
  type Timer,
} from "../../base/clock.ts";
import { AnonNetError, UnreachableError } from "../../base/errors.ts";
import type {
  Circuits,
  CircuitWish,
  ServiceCircuit,
  WaitLimit,
} from "./circuits.ts";

/** How long one try to use a circuit may take. */
export interface Patience {
  /** Another circuit is tried beside it when it is silent for so long, ms. */
  readonly besideMs: number;
  /** It is given up then, ms. */
  readonly endMs: number;
}

/**
 * The tries: a circuit that must be built first takes some round trips, and few
 * are so slow that all tries are too short. What is slow is not given up when the
 * next one begins: most often it lives, and answers.
 */
export const TRIES: readonly Patience[] = [
  { besideMs: 1_000, endMs: 8_000 },
  { besideMs: 2_000, endMs: 12_000 },
  { besideMs: Infinity, endMs: 20_000 },
];
/**
 * Another circuit is asked for beside one that is not there after so long, ms:
 * where many wait for circuits, asking twice makes all wait longer.
 */
export const TAKE_MS = 4_000;
/** Requests that wait for circuits, from which on nobody asks for another one beside. */
export const CROWD = 8;

/** How often a circuit shows that it lives while something long is asked, ms. */
const PING_EVERY_MS = 5_000;
/** A ping that takes longer says that the circuit is dead, ms. */
const PONG_MS = 5_000;

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
  const tries = new Tries(source, wish, use);
  try {
    return await raceSignal(tries.run(), wish.signal);
  } finally {
    tries.stop();
  }
}

/** The tries of one use, which overlap. */
class Tries<T> {
  readonly #source: CircuitSource;
  readonly #wish: CircuitWish;
  readonly #use: CircuitUse<T>;
  readonly #result = Promise.withResolvers<T>();
  readonly #over = new AbortController();
  readonly #signal: AbortSignal;
  #begun = 0;
  #running = 0;
  #timer: Timer | undefined;

  constructor(source: CircuitSource, wish: CircuitWish, use: CircuitUse<T>) {
    this.#source = source;
    this.#wish = wish;
    this.#use = use;
    this.#signal = AbortSignal.any([wish.signal, this.#over.signal]);
  }

  run(): Promise<T> {
    this.#next();
    return this.#result.promise;
  }

  /** Whoever has not answered by now is not heard any more. */
  stop(): void {
    this.#timer?.cancel();
    this.#over.abort(tooSlow());
  }

  #next(): void {
    this.#timer?.cancel();
    const patience = TRIES[this.#begun];
    if (patience === undefined) return;
    const number = ++this.#begun;
    this.#running++;
    if (patience.besideMs < Infinity) this.#nextIn(TAKE_MS);
    this.#try(number, patience);
  }

  /** Begin another try after this time, and not before. */
  #nextIn(ms: number): void {
    const { circuits, clock, doubt } = this.#source;
    this.#timer?.cancel();
    this.#timer = clock.schedule(ms, () => {
      doubt?.();
      if (circuits.waiting < CROWD) this.#next();
      else this.#nextIn(ms);
    });
  }

  async #try(number: number, { besideMs, endMs }: Patience): Promise<void> {
    const { circuits, clock } = this.#source;
    using limit = deadline(clock, endMs, tooSlow, this.#signal);
    let circuit: ServiceCircuit | undefined;
    try {
      circuit = await circuits.take({ ...this.#wish, signal: limit.signal });
      const isLatest = number === this.#begun && !this.#signal.aborted;
      if (isLatest && besideMs < Infinity) this.#nextIn(besideMs);
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
    this.#running--;
    if (!(error instanceof UnreachableError)) return this.#result.reject(error);
    const isLatest = number === this.#begun;
    if (isLatest && number < TRIES.length) return this.#next();
    if (this.#running === 0 && this.#begun === TRIES.length) {
      this.#result.reject(error);
    }
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
  for (;;) {
    using limit = deadline(clock, PONG_MS, silent, signal);
    try {
      await circuit.ping({ signal: limit.signal });
    } catch (error) {
      // Whatever a ping fails of, nothing else will be answered either.
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
