/**
 * What the roles of a node stand on, whichever they are.
 *
 * @module
 */
import type { NetworkParameters } from "../auth/network.ts";
import type { NodeAddress } from "../auth/node_address.ts";
import type { RecordVerifier } from "../auth/record_verifier.ts";
import type { LinkLimits } from "../link/link_limits.ts";
import type { StateDirectory } from "../storage/state_directory.ts";
import type { ClientKeys } from "./host/service_keys.ts";
import type { CircuitLimits } from "./relay/circuit_server.ts";
import type { Runtime } from "../machine/runtime.ts";

/** State, network, runtime: made once, before any role begins. */
export interface NodeBase {
  readonly state: StateDirectory;
  readonly network: NetworkParameters;
  readonly runtime: Runtime;
  /** Shared: what one role has verified, the others need not verify again. */
  readonly verifier: RecordVerifier;
  /** Our keys for services that let only some find them. Default: the client's own. */
  readonly clientKeys?: ClientKeys | undefined;
  /** Nodes to join the network by, as the operator named them. */
  readonly bootstrap: readonly NodeAddress[];
  /** Hosts to advertise where a relay listens on all of its addresses. Default: none. */
  readonly lanHosts?: readonly string[] | undefined;
  /** What differs from the limits of links. */
  readonly linkLimits?: Partial<LinkLimits> | undefined;
  /** What differs from the limits of circuits of others. */
  readonly circuitLimits?: Partial<CircuitLimits> | undefined;
  /** How long streams may take to end when the node stops, ms. Default `DRAIN_MS`. */
  readonly drainMs?: number | undefined;
  /** Hears that our clock seems to be wrong, and `undefined` when it does no more. */
  readonly onClock?: ((words: string | undefined) => void) | undefined;
  /** Ends the start. */
  readonly signal: AbortSignal;
}
