/**
 * Circuits that may have died without a word. One waits in a pool for minutes
 * while a relay on it loses its power; the first to notice is whoever uses it.
 *
 *     useCircuit    take ─▶ use ── no answer in 4 s ──▶ another, 8 s ──▶ another, 15 s
 *     whileAlive    ask ── answer may take long; pings must come back meanwhile
 *
 * @module
 */
import { type Clock, deadline, raceSignal, sleep } from "../base/clock.ts";
import { AnonNetError, UnreachableError } from "../base/errors.ts";
import type {
  Circuits,
  CircuitWish,
  ServiceCircuit,
  WaitLimit,
} from "./circuits.ts";

/**
 * Time for each try, ms: a circuit that must be built first takes some round
 * trips, and few are so slow that all tries are too short.
 */
export const TRY_MS: readonly number[] = [4_000, 8_000, 15_000];
/** How often a circuit shows that it lives while something long is asked, ms. */
const PING_EVERY_MS = 5_000;
/** A ping that takes longer says that the circuit is dead, ms. */
const PONG_MS = 5_000;

/** Where circuits and time come from. */
export interface CircuitSource {
  readonly circuits: Circuits;
  readonly clock: Clock;
}

/**
 * Take a circuit and use it, and when it does not answer soon take another.
 *
 * @param use What to do with it. On failure the circuit is closed; otherwise it
 * is the caller's. It may be called again with another circuit.
 * @throws what the last `use` threw; errors that are not the network's at once.
 * @throws the signal's reason.
 */
export async function useCircuit<T>(
  { circuits, clock }: CircuitSource,
  wish: CircuitWish,
  use: (circuit: ServiceCircuit, limit: WaitLimit) => Promise<T>,
): Promise<T> {
  let failure: unknown;
  for (const ms of TRY_MS) {
    using limit = deadline(clock, ms, tooSlow, wish.signal);
    const { signal } = limit;
    let circuit: ServiceCircuit | undefined;
    try {
      circuit = await circuits.take({ ...wish, signal });
      return await use(circuit, limit);
    } catch (error) {
      circuit?.close();
      wish.signal.throwIfAborted();
      if (!(error instanceof UnreachableError)) throw error;
      failure = error;
    }
  }
  throw failure;
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
