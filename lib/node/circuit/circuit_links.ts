/**
 * What circuits need of links, at relays and at clients.
 *
 * @module
 */
import { AnonNetError } from "../../base/errors.ts";
import type { ExtendFailure } from "../../circuit/control_messages.ts";
import type { ByteStream } from "../../transport/transport.ts";
import type { PeerAddress } from "../link/link_dial.ts";
import type { DialOptions } from "../link/link_table.ts";

/** All links of a node, as circuits see them; the table of links is one. */
export interface CircuitLinks {
  /** See to a link to a peer, dialled if need be. @throws {AnonNetError} as the table does. */
  getOrDial(peer: PeerAddress, options?: DialOptions): Promise<unknown>;
  /**
   * Open a stream for a new circuit to a peer. The caller ends it, both ways.
   *
   * @throws {AnonNetError} as the table does; `link.streams` when the peer bears no
   * more circuits.
   */
  openCircuit(peer: PeerAddress, options?: DialOptions): Promise<ByteStream>;
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

/** Whether an error says that there is too much to do, and nothing of who is there. */
export function isOverload(error: unknown): boolean {
  return error instanceof AnonNetError && OVERLOADED.has(error.code);
}

/** What a client is told when a link or stream to the next relay failed. */
export function extendFailureOf(error: unknown): ExtendFailure {
  return isOverload(error) ? "overloaded" : "unreachable";
}
