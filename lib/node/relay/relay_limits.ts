/**
 * What an operator may limit of a relay, and the least of each that works.
 *
 *     rate, burst      bytes of cells that go out, each second and at once
 *     circuits         of others, all together
 *     memory           bytes of cells that wait
 *     accounting       bytes both ways in a day, week or month
 *
 * @see protocol §9.2 "Start and stop"
 * @module
 */
import { ConfigError } from "../../base/errors.ts";
import type { TokenRate } from "../../base/token_bucket.ts";
import { RING_CELLS } from "../../circuit/cell_ring.ts";
import { CELL_BYTES } from "../../circuit/cell.ts";
import {
  LEAST_PER_DAY,
  type TrafficLimit,
} from "../../circuit/traffic_account.ts";
import { UNIT_DAYS } from "../../circuit/traffic_period.ts";
import {
  type CircuitLimits,
  DEFAULT_CIRCUIT_LIMITS,
} from "./circuit_server.ts";

/**
 * Least rate, bytes per second. With all relays of a network at less, and downloads under
 * way, circuits are built too slowly to be kept ready (decision 57).
 */
export const LEAST_RATE = 300_000;
/** Least burst, bytes: one write of a busy circuit. */
export const LEAST_BURST = 65_536;
/** Least circuits: a few clients of five circuits each, and what they keep ready. */
export const LEAST_CIRCUITS = 64;
/** Least memory, bytes: what one circuit may have waiting, both ways. */
export const LEAST_MEMORY = 2 * RING_CELLS * CELL_BYTES;

/** What an operator says; what is missing has no limit, or the default one. */
export interface RelayLimits {
  /** Bytes per second that go out. */
  readonly rate?: number | undefined;
  /** Bytes that go out at once after a quiet time. Default: those of a second. */
  readonly burst?: number | undefined;
  /** Circuits of others. */
  readonly maxCircuits?: number | undefined;
  /** Bytes of cells that wait. */
  readonly memory?: number | undefined;
  /** Bytes both ways in a period. */
  readonly accounting?: TrafficLimit | undefined;
}

/**
 * Refuse what a relay cannot work with.
 *
 * @throws {ConfigError} `node.limit`, with the least that works.
 */
export function checkRelayLimits(limits: RelayLimits): void {
  const { rate, burst, maxCircuits, memory, accounting } = limits;
  least("--rate", rate, LEAST_RATE, "bytes per second");
  least("--burst", burst, LEAST_BURST, "bytes");
  least("--max-circuits", maxCircuits, LEAST_CIRCUITS, "circuits");
  least("--memory", memory, LEAST_MEMORY, "bytes");
  if (burst !== undefined && rate === undefined) {
    throw new ConfigError(
      "node.limit",
      "Cannot use --burst without --rate: without a rate all goes out at once",
    );
  }
  if (accounting === undefined) return;
  const { unit, bytes } = accounting;
  least(
    "--accounting-max",
    bytes,
    LEAST_PER_DAY * UNIT_DAYS[unit],
    `bytes for a ${unit}`,
  );
}

/** The rate that cells go out at; `undefined` for none. */
export function rateOf({ rate, burst }: RelayLimits): TokenRate | undefined {
  if (rate === undefined) return undefined;
  return { perSecond: rate, burst: burst ?? Math.max(rate, LEAST_BURST) };
}

/** What differs from the limits of circuits. */
export function circuitLimitsOf(limits: RelayLimits): Partial<CircuitLimits> {
  const { maxCircuits, memory } = limits;
  const rate = rateOf(limits);
  return {
    ...rate && { rate },
    ...memory !== undefined && { quotaBytes: memory },
    ...maxCircuits !== undefined && {
      circuits: maxCircuits,
      circuitsPerPeer: Math.min(
        DEFAULT_CIRCUIT_LIMITS.circuitsPerPeer,
        Math.ceil(maxCircuits / 2),
      ),
    },
  };
}

function least(
  flag: string,
  value: number | undefined,
  least: number,
  unit: string,
): void {
  if (value === undefined || value >= least && Number.isSafeInteger(value)) {
    return;
  }
  throw new ConfigError(
    "node.limit",
    `Cannot use ${flag} ${value}: the least that works is ${least} ${unit}`,
  );
}
