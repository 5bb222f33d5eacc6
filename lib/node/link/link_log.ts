/**
 * What the log says of links.
 *
 * @module
 */
import { shortKey } from "../../auth/identity.ts";
import { formatSocketAddress } from "../../auth/socket_address.ts";
import type { Link } from "./link.ts";
import type { LinkListener } from "./link_services.ts";
import { type Log, sensitive, thrown } from "../../log/log.ts";

/** Writes a line when a link comes up, and when it ends. */
export function logLinks(log: Log): LinkListener {
  return {
    onLink: (link) => {
      const { peer, direction } = fieldsOf(link);
      // Relays are public; which clients use us is not for this level.
      if (link.isRelay) log.info("Peer known", { peer, direction });
      log.debug("Link up", fieldsOf(link));
    },
    onLinkClosed: (link, { by, reason }) =>
      log.debug("Link ended", { ...fieldsOf(link), by, reason }),
    onRefused: (error, from) =>
      log.debug("Handshake refused", {
        address: sensitive(formatSocketAddress(from)),
        error: thrown(error),
      }),
  };
}

function fieldsOf(link: Link) {
  return {
    peer: shortKey(link.peerKey),
    direction: link.direction,
    address: sensitive(formatSocketAddress(link.remoteAddress)),
  };
}
