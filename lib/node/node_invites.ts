/**
 * Invites by a running node: it knows which relays are there.
 *
 * @see protocol §9.3 "Control interface", §9.6 "Invites"
 * @module
 */
import { formatInvite, MAX_INVITE_RELAYS } from "../auth/invite.ts";
import { inviteRelays } from "../auth/invite_relays.ts";
import type { NodeAddress } from "../auth/node_address.ts";
import { equalBytes } from "../base/bytes.ts";
import { ConfigError } from "../base/errors.ts";
import type { ControlServer } from "../control/control_server.ts";
import type { JsonValue } from "../control/json.ts";
import type { Runtime } from "../machine/runtime.ts";
import { makeInvite } from "./directory/make_invite.ts";
import type { Membership } from "./directory/membership.ts";
import type { NodeParts } from "./node_parts.ts";
import { relayAddress } from "./relay_role.ts";

/** Register `invite`. Parts may come later. */
export function registerInvites(
  server: ControlServer,
  parts: NodeParts,
  membership: Membership,
  runtime: Runtime,
): void {
  server.register("invite", async ({ lifeMs, relays = MAX_INVITE_RELAYS }) => {
    if (typeof lifeMs !== "number" || !isCount(relays)) {
      throw new ConfigError(
        "node.invite",
        "Cannot make an invite: lifeMs is a number, and relays one from 1 to " +
          `${MAX_INVITE_RELAYS}`,
      );
    }
    const { invite, by } = await makeInvite(
      membership,
      namedRelays(parts, runtime),
      { lifeMs, mostRelays: relays },
      runtime,
    );
    return { line: formatInvite(runtime.crypto, invite), by };
  });
}

function isCount(value: JsonValue): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 &&
    value <= MAX_INVITE_RELAYS;
}

/** Relays that this node has reached lately, or that two others name, and itself. */
function namedRelays(
  { relay, client }: NodeParts,
  { random }: Runtime,
): NodeAddress[] {
  const ownKey = relay?.identity.publicKey;
  const isSilent = relay?.reach.status.state === "not_reached";
  const own = relay === undefined || isSilent ? undefined : relayAddress(relay);
  const listed = (relay?.dht.relays ?? client?.relays)?.snapshot() ?? [];
  const known = listed.flatMap(({ publicKey, addresses: [address] }) =>
    address === undefined || (ownKey && equalBytes(ownKey, publicKey))
      ? []
      : [{ publicKey, address }]
  );
  return inviteRelays(own, known, random);
}
