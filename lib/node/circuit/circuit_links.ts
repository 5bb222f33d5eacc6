/**
 * What circuits need of links, at relays and at clients.
 *
 * @module
 */
import { AnonNetError } from "../../base/errors.ts";
import type { ExtendFailure } from "../../circuit/control_messages.ts";
import type { ByteStream, OpenOptions } from "../../transport/transport.ts";
import type { PeerAddress } from "../link/link_dial.ts";

/** A link, as a circuit sees it. */
export interface CircuitLink {
  /**
   * Open a stream for a new circuit. The caller ends it, both ways.
   *
   * @throws {UnreachableError} `link.lost`, or the signal's reason.
   */
  openCircuit(options?: OpenOptions): Promise<ByteStream>;
}

/** All links of a node, as circuits see them; the table of links is one. */
export interface CircuitLinks {
  /** The link to a peer, dialled if need be. @throws {AnonNetError} as the table does. */
  getOrDial(peer: PeerAddress, options?: OpenOptions): Promise<CircuitLink>;
}

/** Errors that say: too much to do, here or there. */
const OVERLOADED = new Set([
  "link.busy",
  "link.full",
  "link.streams",
  "transport.busy",
  "auth.verifier_busy",
  "circuit.checks_busy",
]);

/** What a client is told when a link or stream to the next relay failed. */
export function extendFailureOf(error: unknown): ExtendFailure {
  const isOverload = error instanceof AnonNetError &&
    OVERLOADED.has(error.code);
  return isOverload ? "overloaded" : "unreachable";
}
