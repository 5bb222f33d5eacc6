/**
 * What is fuzzed: a decoder or a machine, the honest runs that inputs are made of,
 * and what counts as a finding.
 *
 *     input of a decoder     one message
 *     input of a machine     messages of a run, in order, each behind three bytes:
 *                            whom it goes to or what it is (1), and how long after
 *                            the one before it comes (2)
 *
 * @module
 */
import type { Bytes } from "../../lib/base/bytes.ts";

/** Messages, in the order in which they come. */
export type FuzzInput = readonly Bytes[];

/** Bytes in front of each message of a machine's run. */
export const STEP_HEADER_BYTES = 3;
/** Delays from here on are whole minutes: machines wait for seconds, and for hours. */
const MINUTES_FROM = 0xf000;
/** … below this many. */
const MAX_MINUTES = 70;

/** Processor time that an input may take. */
export interface CpuLimit {
  /** Whatever comes, ms. */
  readonly baseMs: number;
  /** And for each KiB of input, ms. */
  readonly perKibMs: number;
}

/** One decoder, or one machine. */
export interface FuzzTarget {
  /** Folder and noun: `link/handshake`. Names its corpus file too. */
  readonly name: string;
  /** What is fed with what. */
  readonly about: string;
  /** Whether messages have a header of {@linkcode STEP_HEADER_BYTES}. */
  readonly hasSteps: boolean;
  /** Dotted codes, or their beginnings up to a dot, of the errors that input may cause. */
  readonly allowed: readonly string[];
  readonly cpu: CpuLimit;
  /** Honest runs, the same ones each time. */
  seeds(): readonly FuzzInput[] | Promise<readonly FuzzInput[]>;
  /**
   * Feed one input, close the peer, and look at what is left.
   *
   * @returns A word for what came of it: inputs with a new one are kept.
   * @throws {FuzzFinding} when a promise is broken. An error with an allowed code is a
   * word as well; any other one is a finding.
   */
  run(input: FuzzInput): string | Promise<string>;
}

/** A promise that an input has broken. */
export class FuzzFinding extends Error {
  override readonly name = "FuzzFinding";
}

/** Insist on a promise. @throws {FuzzFinding} */
export function promise(isKept: boolean, what: string): asserts isKept {
  if (!isKept) throw new FuzzFinding(what);
}

/** One message of a machine's run. */
export interface FuzzStep {
  /** Whom it goes to, or what it is: the target knows. */
  readonly kind: number;
  /** How long after the one before it. */
  readonly delayMs: number;
  readonly body: Bytes;
}

/** A message of a machine's run, with its header. */
export function encodeStep(
  kind: number,
  body: Uint8Array,
  delayMs = 0,
): Bytes {
  const step = new Uint8Array(STEP_HEADER_BYTES + body.length);
  const delay = Math.min(delayMs, MINUTES_FROM - 1);
  step.set([kind, delay >> 8, delay & 0xff]);
  step.set(body, STEP_HEADER_BYTES);
  return step;
}

/** Read what may have been mutated: any bytes are a step of one of `kinds` kinds. */
export function decodeStep(step: Uint8Array, kinds: number): FuzzStep {
  const [kind = 0, high = 0, low = 0] = step;
  const delay = high * 256 + low;
  return {
    kind: kind % kinds,
    delayMs: delay < MINUTES_FROM
      ? delay
      : (delay - MINUTES_FROM) % MAX_MINUTES * 60_000,
    body: step.slice(STEP_HEADER_BYTES),
  };
}

/** Bytes of an input. */
export function inputBytes(input: FuzzInput): number {
  return input.reduce((sum, { length }) => sum + length, 0);
}
