/**
 * What `anonnet status` and `anonnet peers` show.
 *
 * @see protocol §9.3
 * @module
 */
import { formatNodeAddress } from "../auth/node_address.ts";
import { formatSocketAddress } from "../auth/socket_address.ts";
import { formatBase32, parseBase32 } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { ConfigError } from "../base/errors.ts";
import type { Identity, NodeId } from "../auth/identity.ts";
import type { NetworkParameters } from "../auth/network.ts";
import type { ControlServer } from "../control/control_server.ts";
import type { JsonObject } from "../control/json.ts";
import { POINT_BYTES, sharedPrefixBits } from "../dht/distance.ts";
import type { DhtDriver } from "./dht_driver.ts";
import type { Link } from "./link.ts";
import type { LinkTable } from "./link_table.ts";
import type { RecordKeeper } from "./record_keeper.ts";
import type { RelayDirectory } from "./relay_directory.ts";

/** The parts of a node that its status tells of. */
export interface StatusSources {
  readonly identity: Identity;
  readonly network: NetworkParameters;
  readonly record: RecordKeeper | undefined;
  readonly links: LinkTable;
  readonly relays: RelayDirectory;
  readonly dht: DhtDriver | undefined;
}

/** Register the commands that every node answers. */
export function registerNodeCommands(
  server: ControlServer,
  sources: StatusSources,
  clock: Clock,
): void {
  const startedMs = clock.nowMs();
  const { links, dht } = sources;
  server.register("status", () => ({
    ...statusOf(sources),
    uptimeMs: Math.round(clock.nowMs() - startedMs),
  }));
  server.register(
    "peers",
    () => links.links.map((link) => peerOf(link, dht, clock.nowMs())),
  );
  if (dht === undefined) return;
  server.register("contacts", () => contactsOf(dht, clock.nowMs()));
  server.register("find-node", (args) => findNode(dht, args, clock));
}

function statusOf(
  { identity, network, record, links, relays, dht }: StatusSources,
) {
  const { publicKey } = identity;
  const [address] = record?.current.addresses ?? [];
  return {
    network: network.name,
    role: record === undefined ? "client" : "relay",
    publicKey: record === undefined ? null : formatBase32(publicKey),
    address: address === undefined
      ? null
      : formatNodeAddress({ publicKey, address }),
    load: links.load,
    links: { ...links.stats },
    relays: relays.snapshot().length,
    dht: dht === undefined ? null : { ...dht.status },
  };
}

function peerOf(
  link: Link,
  dht: DhtDriver | undefined,
  nowMs: number,
): JsonObject {
  const contact = dht?.machine.table.get(link.nodeId);
  return {
    publicKey: formatBase32(link.peerKey),
    relay: link.isRelay,
    contact: contact !== undefined,
    direction: link.direction,
    address: formatSocketAddress(link.remoteAddress),
    ageMs: Math.round(nowMs - link.openedMs),
    ...link.stats,
  };
}

/** The routing table, the far buckets first. */
function contactsOf(
  { selfId, machine }: DhtDriver,
  nowMs: number,
): JsonObject[] {
  return Array.from(
    machine.table.contacts(),
    ({ record, address, seenMs, failures }) => ({
      publicKey: formatBase32(record.publicKey),
      bucket: sharedPrefixBits(selfId, record.nodeId),
      address: formatSocketAddress(address),
      seenAgoMs: Math.round(nowMs - seenMs),
      failures,
    }),
  );
}

/** One look-up, to see whether the DHT works. Without a target, a random one. */
async function findNode(
  dht: DhtDriver,
  args: JsonObject,
  clock: Clock,
): Promise<JsonObject> {
  const target = targetOf(args["target"]) ?? dht.randomPoint();
  const startedMs = clock.nowMs();
  const { closest, hops, asked } = await dht.findNode(target);
  return {
    target: formatBase32(target),
    closest: closest.map(({ publicKey }) => formatBase32(publicKey)),
    hops,
    asked,
    tookMs: Math.round(clock.nowMs() - startedMs),
  };
}

/** @throws {ConfigError} `node.target` for what is no point. */
function targetOf(text: unknown): NodeId | undefined {
  if (text === undefined) return undefined;
  const point = typeof text === "string" ? parseBase32(text) : undefined;
  if (point?.length === POINT_BYTES) return point;
  throw new ConfigError(
    "node.target",
    "Cannot look up: the target is not 32 bytes in base32",
  );
}
