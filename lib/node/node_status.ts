/**
 * What `anonnet status` and `anonnet peers` show.
 *
 * @see protocol §9.3
 * @module
 */
import { formatNodeAddress } from "../auth/node_address.ts";
import { formatSocketAddress } from "../auth/socket_address.ts";
import { formatBase32 } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import type { Identity } from "../auth/identity.ts";
import type { NetworkParameters } from "../auth/network.ts";
import type { ControlServer } from "../control/control_server.ts";
import type { JsonObject } from "../control/json.ts";
import type { Link } from "./link.ts";
import type { LinkTable } from "./link_table.ts";
import type { RecordKeeper } from "./record_keeper.ts";

/** The parts of a node that its status tells of. */
export interface StatusSources {
  readonly identity: Identity;
  readonly network: NetworkParameters;
  readonly record: RecordKeeper;
  readonly links: LinkTable;
}

/** Register the commands that every node answers. */
export function registerNodeCommands(
  server: ControlServer,
  sources: StatusSources,
  clock: Clock,
): void {
  const startedMs = clock.nowMs();
  server.register("status", () => ({
    ...statusOf(sources),
    uptimeMs: Math.round(clock.nowMs() - startedMs),
  }));
  server.register(
    "peers",
    () => sources.links.links.map((link) => peerOf(link, clock.nowMs())),
  );
}

function statusOf({ identity, network, record, links }: StatusSources) {
  const { publicKey } = identity;
  const [address] = record.current.addresses;
  return {
    network: network.name,
    publicKey: formatBase32(publicKey),
    address: address === undefined
      ? null
      : formatNodeAddress({ publicKey, address }),
    load: links.load,
    links: { ...links.stats },
  };
}

function peerOf(link: Link, nowMs: number): JsonObject {
  return {
    publicKey: formatBase32(link.peerKey),
    relay: link.isRelay,
    direction: link.direction,
    address: formatSocketAddress(link.remoteAddress),
    ageMs: Math.round(nowMs - link.openedMs),
    ...link.stats,
  };
}
