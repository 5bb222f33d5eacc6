/**
 * What an invite says, in words, for who is about to trust it.
 *
 * @module
 */
import {
  formatDate,
  type Invite,
  networkFingerprint,
} from "../../auth/invite.ts";
import type { NetworkTraits } from "../../auth/network.ts";
import { formatNodeAddress } from "../../auth/node_address.ts";
import { formatSocketAddress } from "../../auth/socket_address.ts";
import { shortKey } from "../../auth/identity.ts";
import type { JsonObject } from "../../control/json.ts";
import { formatDuration } from "../ask/status.ts";

/** Lines for a person. */
export function explainInvite(invite: Invite, unixMs: number): string[] {
  const { network, networkKey, relays, expiryMs } = invite;
  return [
    `network     ${network.name}: ${describeTraits(network)}`,
    `signed by   ${networkFingerprint(networkKey)}`,
    `valid       until ${formatDate(expiryMs)}, ${
      formatDuration(Math.max(0, expiryMs - unixMs))
    } from now`,
    ...relays.map(({ publicKey, address }, at) =>
      `${at === 0 ? "relays" : ""}`.padEnd(12) +
      `${formatSocketAddress(address)}, key ${shortKey(publicKey)}…`
    ),
  ];
}

/** The same for programs. */
export function inviteFacts(invite: Invite): JsonObject {
  const { network, networkKey, relays, expiryMs } = invite;
  return {
    network: network.name,
    powDifficulty: network.powDifficulty,
    allowPrivateAddresses: network.allowPrivateAddresses,
    key: networkFingerprint(networkKey),
    expiryMs,
    relays: relays.map(formatNodeAddress),
  };
}

/** What is particular about a network. */
export function describeTraits(
  { powDifficulty, allowPrivateAddresses }: NetworkTraits,
): string {
  const addresses = allowPrivateAddresses
    ? "home and company addresses are allowed"
    : "only addresses that the Internet routes";
  const work = powDifficulty === 0
    ? "a relay costs no proof of work"
    : `a relay costs a proof of work of difficulty ${powDifficulty}`;
  return `${addresses}, and ${work}`;
}
