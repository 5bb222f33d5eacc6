/**
 * The roles that a node has, as far as they have been started.
 *
 * @module
 */
import type { NetworkParameters } from "../auth/network.ts";
import type { CircuitFacts } from "./circuit/circuit_facts.ts";
import type { StateDirectory } from "../storage/state_directory.ts";
import type { ClientRole } from "./client_role.ts";
import type { NodeProxies } from "./node_proxies.ts";
import type { NodeTorControl } from "./node_tor_control.ts";
import type { RelayRole } from "./relay_role.ts";
import type { HostedServices } from "./services/hosted_services.ts";

/** What of a node there is; filled in while it starts. */
export interface NodeParts {
  /** Which network it is in. */
  readonly network: NetworkParameters;
  /** What it keeps. */
  readonly state: Pick<StateDirectory, "trouble">;
  /** What it is for others. */
  relay?: RelayRole;
  /** While there are too few relays for its circuits to begin: how many there are. */
  awaited?: (() => CircuitFacts) | undefined;
  /** Why its clock seems to be wrong, by what a peer has signed. */
  clockDoubt?: string | undefined;
  /** What it does for its own user. */
  client?: ClientRole;
  /** Services of its own that come and go. */
  hosted?: HostedServices;
  /** A control port for programs made for Tor. */
  torControl?: NodeTorControl;
  /** Doors for programs that know nothing of it. */
  proxies?: NodeProxies;
}
