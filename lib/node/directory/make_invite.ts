/**
 * Making an invite, or passing one on, as far as this node may.
 *
 *     holds the network's key   ─▶ signs one of relays that it knows
 *     was the network's first   ─▶ makes the key, and signs
 *     joined by an invite       ─▶ passes that on, while it is valid
 *
 * @see protocol §9.6 "Invites"
 * @module
 */
import type { Identity } from "../../auth/identity.ts";
import { type Invite, signInvite } from "../../auth/invite.ts";
import type { NodeAddress } from "../../auth/node_address.ts";
import { ConfigError } from "../../base/errors.ts";
import type { Runtime } from "../../machine/runtime.ts";
import type { Membership } from "./membership.ts";

/** Protocol: shortest life of an invite, ms. */
export const MIN_INVITE_LIFE_MS = 60_000;
/** Protocol: longest life of an invite, a year: relays move, and keys get lost. */
export const MAX_INVITE_LIFE_MS = 365 * 86_400_000;

/** What the operator wants. */
export interface InviteWish {
  /** How long it shall be valid, ms. */
  readonly lifeMs: number;
  /** Most relays in it. */
  readonly mostRelays: number;
}

/** An invite, and how it came about. */
export interface MadeInvite {
  readonly invite: Invite;
  /** `new_key`: signed by a key that was made for it. */
  readonly by: "key" | "new_key" | "passed_on";
}

/**
 * Make an invite, or pass one on.
 *
 * @param relays Relays to name, the best first.
 * @throws {ConfigError} `node.invite_life`; `node.invite_relays`: there is no relay
 * to name; `node.no_network_key`: this node can neither sign one nor pass one on;
 * `storage.*`.
 */
export async function makeInvite(
  membership: Membership,
  relays: readonly NodeAddress[],
  { lifeMs, mostRelays }: InviteWish,
  runtime: Pick<Runtime, "crypto" | "clock" | "random">,
): Promise<MadeInvite> {
  checkLife(lifeMs);
  const unixMs = runtime.clock.unixMs();
  const sign = (key: Identity, by: "key" | "new_key"): MadeInvite => {
    const { network } = membership;
    const content = {
      network,
      relays: relays.slice(0, mostRelays),
      expiryMs: unixMs + lifeMs,
    };
    return { invite: signInvite(runtime.crypto, key, content), by };
  };
  using key = await membership.identity();
  const mayMakeKey = membership.isFirst && membership.networkKey === undefined;
  if (key === undefined && !mayMakeKey) return passOn(membership, unixMs);
  if (relays.length === 0) throw noRelays();
  if (key !== undefined) return sign(key, "key");
  using made = await membership.makeIdentity(runtime);
  return sign(made, "new_key");
}

function passOn(
  { invites, network, networkKey, keyPath }: Membership,
  unixMs: number,
): MadeInvite {
  const valid = invites.filter(({ expiryMs }) => expiryMs > unixMs)
    .toSorted((a, b) => b.expiryMs - a.expiryMs);
  const [invite] = valid;
  if (invite !== undefined) return { invite, by: "passed_on" };
  const why = invites.length > 0
    ? "and the invites that it joined by have lapsed"
    : networkKey === undefined
    ? "and it joined by no invite"
    : "and it has no invite to pass on";
  throw new ConfigError(
    "node.no_network_key",
    `Cannot make an invite: this node does not hold the key of network ` +
      `"${network.name}", ${why}; ask the operator of the first node for one, or for ` +
      `a copy of its key, to be put at "${keyPath}"`,
  );
}

function checkLife(lifeMs: number): void {
  if (lifeMs >= MIN_INVITE_LIFE_MS && lifeMs <= MAX_INVITE_LIFE_MS) return;
  throw new ConfigError(
    "node.invite_life",
    "Cannot make an invite: it can be valid for a minute at least, and for 365 days " +
      "at most",
  );
}

function noRelays(): ConfigError {
  return new ConfigError(
    "node.invite_relays",
    "Cannot make an invite: this node knows no relay that others could join by, nor " +
      "its own address; start a relay that others reach, and ask it",
  );
}
