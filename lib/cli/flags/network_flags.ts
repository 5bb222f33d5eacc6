/**
 * Flags that say which network a node is to be in, and by whom it joins.
 *
 * @module
 */
import {
  type NetworkParameters,
  networkParameters,
} from "../../auth/network.ts";
import { nobleSuite } from "../../crypto/noble.ts";
import { type JoinSources, parseSources } from "../../node/network_choice.ts";
import { type Flag, optionalFlag } from "./flag.ts";

/** The network; the default is known once the state directory is. */
export const networkFlag: Flag<NetworkParameters | undefined> = {
  ...optionalFlag(
    "NAME",
    "the network to take part in: main, or local for one's own machines; all " +
      "of its nodes must say the same",
    networkParameters,
  ),
  defaultText: "that of the state directory, or of an invite, or main",
};

/**
 * The address of a node, or an invite, whose signature is checked here: what is wrong
 * with the words is told before anything is done.
 *
 * @throws {ConfigError} `auth.node_address`, `auth.invite_*`.
 */
export function parseJoinSource(text: string): JoinSources {
  return parseSources(nobleSuite(), [text]);
}

/** All that was given, sorted. */
export function joinSources(given: readonly JoinSources[]): JoinSources {
  return {
    bootstrap: given.flatMap(({ bootstrap }) => bootstrap),
    invites: given.flatMap(({ invites }) => invites),
  };
}
