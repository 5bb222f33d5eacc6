/**
 * What `anonnet status`, `peers`, `circuits` and `services` show.
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import { formatNodeAddress } from "../auth/node_address.ts";
import { describeOwnReach } from "../auth/own_reach.ts";
import {
  formatSocketAddress,
  type SocketAddress,
} from "../auth/socket_address.ts";
import { formatBase32, parseBase32 } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { ConfigError, describeError } from "../base/errors.ts";
import type { Place } from "../auth/proof_of_work.ts";
import type { ControlServer } from "../control/control_server.ts";
import type { JsonObject } from "../control/json.ts";
import { POINT_BYTES, sharedPrefixBits } from "../dht/records/distance.ts";
import type { DhtDriver } from "./directory/dht_driver.ts";
import type { RelayDirectory } from "./directory/relay_directory.ts";
import type { Log } from "../log/log.ts";
import type { ClientKeys } from "./host/service_keys.ts";
import type { Link } from "./link/link.ts";
import type { NodeParts } from "./node_parts.ts";
import type { AccountingStatus } from "./relay/accounting.ts";
import { familyStatus } from "./relay/family_key.ts";
import { relayAddress, type RelayRole } from "./relay_role.ts";

/** Register the commands that every node answers. Parts may come later. */
export function registerNodeCommands(
  server: ControlServer,
  parts: NodeParts,
  clock: Clock,
): void {
  const startedMs = clock.nowMs();
  server.register("status", () => ({
    ...statusOf(parts),
    uptimeMs: Math.round(clock.nowMs() - startedMs),
  }));
  server.register("peers", () => peersOf(parts, clock.nowMs()));
  server.register("circuits", () => circuitsOf(parts));
  server.register("guards", () => guardsOf(parts));
  server.register(
    "lookup",
    (args, { signal }) => lookUp(parts, args, signal),
  );
  server.register(
    "contacts",
    () => contactsOf(relayOf(parts).dht, clock.nowMs()),
  );
  server.register(
    "find-node",
    (args) => findNode(relayOf(parts).dht, args, clock),
  );
}

/** Register the command after which nothing new goes over what was there before. */
export function registerNewIdentity(
  server: ControlServer,
  parts: NodeParts,
  log: Log,
): void {
  server.register("new-identity", () => {
    const { client, proxies } = parts;
    if (client === undefined) throw noClient("change the identity");
    proxies?.newIdentity();
    client.visits.newIdentity();
    log.part("client").info(
      "New identity: new streams begin new sessions; those that run go on",
    );
    return { streams: client.visits.status.streams };
  });
}

/** Register the command that makes and tells our key for a service. */
export function registerClientKey(
  server: ControlServer,
  clientKeys: ClientKeys,
): void {
  server.register("client-key", async ({ host }) => ({
    key: await clientKeys.keyFor(typeof host === "string" ? host : ""),
  }));
}

/** @throws {ConfigError} `node.no_relay`. */
function relayOf({ relay }: NodeParts): RelayRole {
  if (relay !== undefined) return relay;
  throw new ConfigError(
    "node.no_relay",
    "Cannot do that: this node is no relay; ask one that is",
  );
}

/** Look for a service. @throws {ConfigError} `node.no_client`, `service.address_*`. */
async function lookUp(
  { client }: NodeParts,
  args: JsonObject,
  signal: AbortSignal,
): Promise<JsonObject> {
  if (client === undefined) throw noClient("look up");
  const host = args["host"];
  const facts = await client.lookup.find(
    typeof host === "string" ? host : "",
    signal,
  );
  return { ...facts };
}

function noClient(wish: string): ConfigError {
  return new ConfigError(
    "node.no_client",
    `Cannot ${wish}: this node builds no circuits, or not yet; ask a proxy, or a ` +
      `node that hosts services`,
  );
}

function statusOf(parts: NodeParts): JsonObject {
  const { network, state, relay, client, proxies } = parts;
  const address = relay && relayAddress(relay);
  const relays = relay?.dht.relays ?? client?.relays;
  const roles = [
    ...relay ? ["relay"] : [],
    ...client ? ["client"] : [],
    ...proxies ? ["proxy"] : [],
    ...client && client.services.status.length > 0 ? ["service"] : [],
  ];
  return {
    network: network.name,
    state: state.trouble === undefined ? "fine" : describeError(state.trouble),
    clock: parts.clockDoubt === undefined ? null : { words: parts.clockDoubt },
    roles,
    publicKey: relay ? formatBase32(relay.identity.publicKey) : null,
    address: address === undefined ? null : formatNodeAddress(address),
    listen: relay ? formatSocketAddress(relay.listen) : null,
    reach: relay ? reachOf(relay) : null,
    limits: relay ? asJson(relay.allowance.limits) : null,
    accounting: relay?.allowance.accounting
      ? accountingOf(relay.allowance.accounting)
      : null,
    family: relay ? familyOf(relay, relays) : null,
    load: relay?.links.load ?? null,
    links: { ...(relay ?? client)?.links.stats },
    relays: relays?.snapshot().length ?? parts.awaited?.().known ?? 0,
    circuits: factsOf(parts),
    memory: relay ? memoryOf(relay) : null,
    dht: relay ? { ...relay.dht.status } : null,
    socks: placeOf(proxies?.socks),
    http: placeOf(proxies?.http),
    visits: client ? { ...client.visits.status } : null,
  };
}

/** Whether our own circuits can be built; `null` for a node that builds none. */
function factsOf({ client, awaited }: NodeParts): JsonObject | null {
  const facts = client?.circuits.facts ?? awaited?.();
  return facts === undefined ? null : { ...facts };
}

function accountingOf(status: AccountingStatus): JsonObject {
  const { state, bytes, limitBytes, unit, untilMs } = status;
  const until = new Date(untilMs).toISOString().slice(0, 10);
  const percent = Math.floor(100 * bytes / limitBytes);
  const words = state === "awake"
    ? `${percent} % of this ${unit}'s bytes moved`
    : `${state} until ${until}: all of this ${unit}'s bytes are moved`;
  return { ...status, words };
}

function familyOf(
  { record }: RelayRole,
  relays: RelayDirectory | undefined,
): JsonObject | null {
  const status = familyStatus(record.current, relays?.snapshot() ?? []);
  return status === undefined ? null : { ...status };
}

/** What a relay counts of its memory, by kind, and how much the first two may take. */
function memoryOf({ circuits, dht }: RelayRole): JsonObject {
  const { waitingBytes, messageBytes, quotaBytes } = circuits.stats;
  return {
    cellBytes: waitingBytes - messageBytes,
    messageBytes,
    quotaBytes,
    recordBytes: dht.status.recordBytes,
  };
}

function reachOf({ reach: { status } }: RelayRole): JsonObject {
  return { ...status, words: describeOwnReach(status) };
}

function placeOf(address: SocketAddress | undefined): string | null {
  return address === undefined ? null : formatSocketAddress(address);
}

function peersOf({ relay, client }: NodeParts, nowMs: number): JsonObject[] {
  const links = [
    ...relay?.links.links ?? [],
    ...client?.links.links ?? [],
  ];
  return links.map((link) => peerOf(link, relay?.dht, nowMs));
}

/** Ours as the pool tells them, without a word of where they lead; others' in numbers. */
function circuitsOf({ relay, client }: NodeParts): JsonObject {
  return {
    own: client ? asJson(client.circuits.status) : null,
    relayed: relay ? asJson(relay.circuits.stats) : null,
  };
}

/** Guards by name: who reads that knows where our circuits begin. */
function guardsOf({ client }: NodeParts): JsonObject[] {
  return (client?.circuits.namedGuards ?? []).map(
    ({ isInUse, publicKey, addresses }) => ({
      isInUse,
      publicKey: formatBase32(publicKey),
      addresses: addresses.map(formatSocketAddress),
    }),
  );
}

/** Plain data as JSON takes it: what is `undefined` is left out. */
function asJson<T extends object>(value: T): JsonObject {
  return JSON.parse(JSON.stringify(value));
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
  { selfPlace, machine }: DhtDriver,
  nowMs: number,
): JsonObject[] {
  return Array.from(
    machine.table.contacts(),
    ({ record, address, seenMs, failures }) => ({
      publicKey: formatBase32(record.publicKey),
      bucket: sharedPrefixBits(selfPlace, record.place),
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
function targetOf(text: unknown): Place | undefined {
  if (text === undefined) return undefined;
  const point = typeof text === "string" ? parseBase32(text) : undefined;
  if (point?.length === POINT_BYTES) return point;
  throw new ConfigError(
    "node.target",
    "Cannot look up: the target is not 32 bytes in base32",
  );
}
