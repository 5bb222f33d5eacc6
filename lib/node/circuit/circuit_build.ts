/**
 * How a circuit of our own begins and ends: a stream to its first hop, and the
 * words for what can go wrong.
 *
 * @module
 */
import type { NodeRecord } from "../../auth/node_record.ts";
import { type Clock, deadline } from "../../base/clock.ts";
import { AnonNetError, UnreachableError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import type { CircuitFailure } from "../../circuit/client_circuit.ts";
import type { ExtendFailure } from "../../circuit/control_messages.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import type { ByteStream } from "../../transport/transport.ts";
import type { CellBuffers } from "./cell_buffers.ts";
import type { CircuitLinks } from "./circuit_links.ts";

/** What circuits of our own need of their node. */
export interface OwnCircuitHost {
  readonly crypto: CryptoSuite;
  readonly clock: Clock;
  readonly random: Random;
  readonly links: CircuitLinks;
  readonly buffers: CellBuffers;
  /** Something of ours failed; for the log. */
  readonly onError: (error: unknown) => void;
}

/**
 * Why a hop could not be added. `hop` counts from 1 and is the one that was to be
 * added; the one before it may be to blame as well.
 */
export type BuildFailure =
  /** No link to the first hop, or no stream on it. */
  | {
    readonly code: "unlinked";
    readonly hop: 1;
    readonly error: AnonNetError;
  }
  /** The hop before says that it could not; an open circuit stays as it was. */
  | {
    readonly code: "not_extended";
    readonly hop: number;
    readonly reason: ExtendFailure;
  }
  /** The circuit has ended meanwhile. */
  | {
    readonly code: "ended";
    readonly hop: number;
    readonly end: CircuitEnd;
  };

/** How a circuit ended; `done` when we closed it. */
export type CircuitEnd = CircuitFailure | { readonly code: "done" };

/** A stream to the first hop, or why there is none. */
export async function openFirst(
  { links, clock }: OwnCircuitHost,
  first: NodeRecord,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<ByteStream | AnonNetError> {
  using limit = deadline(
    clock,
    timeoutMs,
    () =>
      new UnreachableError(
        "circuit.link_timeout",
        "Cannot build circuit: no stream to its first hop in time",
      ),
    signal,
  );
  try {
    return await links.openCircuit(first, { signal: limit.signal });
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof AnonNetError) return error;
    throw error;
  }
}
