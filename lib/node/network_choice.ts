/**
 * Which network an embedding program or an operator means, and by whom to join it.
 *
 * @module
 */
import { type Invite, parseInvite } from "../auth/invite.ts";
import { isInviteLine } from "../auth/invite_line.ts";
import {
  customNetwork,
  type NetworkParameters,
  networkParameters,
  type NetworkTraits,
} from "../auth/network.ts";
import { type NodeAddress, parseNodeAddress } from "../auth/node_address.ts";
import type { CryptoSuite } from "../crypto/suite.ts";

/**
 * A built-in network by its name, or one of the program's own; `undefined` where the
 * state directory and invites decide.
 *
 * @throws {ConfigError} `auth.unknown_network`.
 * @throws {RangeError} for traits out of range.
 */
export function networkOf(
  network: string | NetworkTraits | undefined,
): NetworkParameters | undefined {
  if (network === undefined) return undefined;
  return typeof network === "string"
    ? networkParameters(network)
    : customNetwork(network);
}

/** By whom to join. */
export interface JoinSources {
  readonly bootstrap: readonly NodeAddress[];
  readonly invites: readonly Invite[];
}

/**
 * Sort what an operator or a program gave: addresses of nodes, and invites.
 *
 * @throws {ConfigError} `auth.node_address`, `auth.invite_*`.
 */
export function parseSources(
  crypto: CryptoSuite,
  texts: readonly string[],
): JoinSources {
  const isInvite = isInviteLine;
  return {
    bootstrap: texts.filter((text) => !isInvite(text)).map(parseNodeAddress),
    invites: texts.filter(isInvite).map((text) => parseInvite(crypto, text)),
  };
}
