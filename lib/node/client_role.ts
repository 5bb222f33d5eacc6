/**
 * The client in a node: circuits of its own, for proxies, services and the
 * embedding program.
 *
 *     endpoint → links to guards alone → relay list → guards → pool
 *
 * It has a port and links of its own, also where the node is a relay, and each
 * link is made under an identity that is thrown away after the handshake: nothing
 * in what it sends says which relay, or which client of yesterday, it is. The
 * address that its packets come from is the same, of course: a guard can see that
 * a program at the address of a relay is a client as well.
 *
 * @see protocol §1 "Roles", §3.2 "Handshake", §5.8 "Paths"
 * @module
 */
import { thrown } from "../log/log.ts";
import { Identity } from "../auth/identity.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import { equalBytes } from "../base/bytes.ts";
import { raceSignal, sleep } from "../base/clock.ts";
import { ConfigError } from "../base/errors.ts";
import type { Gateway } from "../http/gateway.ts";
import { SessionQuota } from "../session/quota.ts";
import { bootstrap } from "./directory/bootstrap.ts";
import { type CircuitFacts, factsOfWaiting } from "./circuit/circuit_facts.ts";
import { patienceMs } from "./circuit/circuits.ts";
import { CircuitPoolDriver } from "./circuit/circuit_pool_driver.ts";
import { peerOf } from "./link/link_dial.ts";
import { GuardMemory } from "./circuit/guard_memory.ts";
import { VisitGateway } from "./visit/visit_gateway.ts";
import { logLinks } from "./link/link_log.ts";
import { LinkServices } from "./link/link_services.ts";
import { LinkTable } from "./link/link_table.ts";
import { type NetworkChange, NetworkWatch } from "../machine/network_watch.ts";
import type { NodeBase } from "./node_base.ts";
import { NodeServices } from "./host/node_services.ts";
import type { RelayDirectory } from "./directory/relay_directory.ts";
import { RelayListClient } from "./directory/relay_list_client.ts";
import type { RelayRole } from "./relay_role.ts";
import { Visits } from "./visit/visits.ts";
import type { ServiceContext } from "./session/service_context.ts";
import { ClientKeys } from "./host/service_keys.ts";
import type { ClientSecrets } from "./visit/descriptor_finder.ts";
import { ServiceLookup } from "./visit/service_lookup.ts";

/** Time for the last cells to reach our guards before links are closed, ms. */
const LINGER_MS = 300;
/**
 * Tuning: time that a guard has to answer after the machine slept or moved, or
 * when something behind it is silent, ms; longer where circuits are slow to build.
 */
const PROBE_MS = 2_000;
/** Tuning: guards are retried at a pace of their own, and sources of lists too. */
export const LONGEST_DIAL_WAIT_MS = 1_000;
/**
 * Tuning: a guard that falls silent is given up within 5 s. A client has two links,
 * and can afford to ask them often; a relay has thousands.
 */
export const GUARD_SILENCE = {
  idleTimeoutMs: 5_000,
  keepAliveMs: 1_500,
} as const;

/** What a client is told. */
export interface ClientOptions {
  /** The address to dial from; port 0 for any. */
  readonly dialFrom: SocketAddress;
  /** Relays of a circuit, 1 to 7. */
  readonly hops: number;
}

/** Hears how many relays there are while there are too few, and `undefined` after that. */
export type AwaitedListener = (facts: (() => CircuitFacts) | undefined) => void;

/** A running client. */
export interface ClientRole {
  readonly links: LinkTable;
  readonly relays: RelayDirectory;
  readonly circuits: CircuitPoolDriver;
  /** Sessions with services of others. */
  readonly visits: Visits;
  /** The same, for proxies. */
  readonly gateway: Gateway;
  /** Looking for services without visiting them. */
  readonly lookup: ServiceLookup;
  /** Services of our own. */
  readonly services: NodeServices;
}

/**
 * See whether a client that is to start later, after the relay in its node, could dial
 * from where it is told to.
 *
 * @throws {ConfigError} `transport.*`.
 */
export async function checkDialFrom(
  { network, runtime }: NodeBase,
  { dialFrom }: ClientOptions,
): Promise<void> {
  if (dialFrom.port === 0) return;
  const { crypto, random } = runtime;
  using identity = Identity.generate(crypto, random);
  const endpoint = await runtime.openEndpoint({
    address: dialFrom,
    alpn: network.alpn,
    identity,
    crypto,
    admit: () => false,
  });
  await endpoint.close();
}

/**
 * Start a client. Resolves once there are relays enough to draw guards from.
 *
 * @param relay The relay in the same process, if there is one: its list is used.
 * @param stack Stops its parts.
 * @param onAwaited For who tells the operator what the start waits for.
 * @throws {ConfigError} `storage.*`, `transport.*`, `node.bootstrap`.
 * @throws the signal's reason.
 */
export async function startClient(
  base: NodeBase,
  options: ClientOptions,
  relay: RelayRole | undefined,
  stack: AsyncDisposableStack,
  onAwaited: AwaitedListener = () => {},
): Promise<ClientRole> {
  const { state, network, runtime } = base;
  const { links, linkServices } = await openLinks(base, options, stack);
  const memory = await loadGuards(base);
  const list = relay === undefined
    ? await fetchRelayList(base, options, links, memory, stack)
    : undefined;
  const relays = list?.relays ?? relay?.dht.relays;
  if (relays === undefined) throw new TypeError("No relay list");
  await enoughRelays(base, options, relays, relay, onAwaited);
  // Closing a connection drops what is on its way: the last cells of sessions say
  // to the other side that they are over.
  stack.defer(() => sleep(runtime.clock, LINGER_MS));
  const circuits = stack.use(
    new CircuitPoolDriver({
      network,
      runtime,
      memory,
      links,
      relays,
      hops: options.hops,
      ownNodeId: relay?.identity.nodeId,
      onKept: (ids) => relay?.dht.keep(ids),
    }),
  );
  list?.useGuards(() => circuits.guards);
  // Also those that are made to ask for the relay list.
  stack.use(
    linkServices.listen({ onLink: ({ nodeId }) => circuits.onLink(nodeId) }),
  );
  keepToGuards(links, circuits);
  const context: ServiceContext = {
    circuits,
    relays,
    crypto: runtime.crypto,
    random: runtime.random,
    clock: runtime.clock,
    network,
    verifier: base.verifier,
    quota: new SessionQuota(),
    log: runtime.log,
    doubt: () => {
      // It tells all the others, where the machine slept.
      watch.look();
      links.probe(patienceMs(circuits, PROBE_MS));
    },
  };
  const clientKeys = base.clientKeys ?? new ClientKeys(state, runtime);
  await clientKeys.load();
  const clientSecrets: ClientSecrets = (service) => clientKeys.secret(service);
  const visits = stack.use(new Visits({ context, clientSecrets }));
  const gateway = new VisitGateway(runtime.crypto, visits);
  const lookup = new ServiceLookup(context, clientSecrets);
  const services = stack.use(
    new NodeServices(context, visits, state, base.drainMs),
  );
  const onChange = (change: NetworkChange, stillMs: number) => {
    runtime.log.part("links").info(
      change === "woke" ? "The machine was asleep" : "The network has changed",
    );
    links.onNetworkChange(PROBE_MS);
    list?.onNetworkChange();
    circuits.onNetworkChange();
    visits.onStoodStill(stillMs);
    services.onNetworkChange(stillMs);
  };
  const watch = stack.use(new NetworkWatch(runtime, onChange));
  return { links, relays, circuits, visits, gateway, lookup, services };
}

async function openLinks(
  { network, runtime, verifier, linkLimits }: NodeBase,
  { dialFrom }: ClientOptions,
  stack: AsyncDisposableStack,
): Promise<{ links: LinkTable; linkServices: LinkServices }> {
  const { clock, random, crypto, log } = runtime;
  // For the certificate that no peer ever sees.
  const identity = stack.use(Identity.generate(crypto, random));
  const endpoint = await runtime.openEndpoint({
    address: dialFrom,
    alpn: network.alpn,
    identity,
    crypto,
    // No dial is answered: as if there were no such port.
    admit: () => false,
    limits: GUARD_SILENCE,
  });
  const linkServices = new LinkServices(log.part("links"));
  linkServices.listen(logLinks(log.part("links")));
  const links = stack.use(
    new LinkTable({
      endpoint,
      crypto,
      network,
      clock,
      random,
      verifier,
      identity,
      identityFor: () => Identity.generate(crypto, random),
      handlers: linkServices,
      longestDialWaitMs: LONGEST_DIAL_WAIT_MS,
      ...linkLimits && { linkLimits },
    }),
  );
  return { links, linkServices };
}

/** @throws {ConfigError} `storage.*` when the disk fails. */
async function loadGuards({ state, runtime }: NodeBase): Promise<GuardMemory> {
  const { crypto, random, log } = runtime;
  return await GuardMemory.load({
    crypto,
    random,
    blobs: state.blobs,
    onError: (error) =>
      log.part("circuits").error(
        "Cannot store who our guards are; no circuit is built over others than " +
          "those that are stored. It is tried again",
        { error: thrown(error) },
      ),
    onTenureError: (error) =>
      log.part("circuits").warning(
        "Cannot store since when relays are known; those that are new now are " +
          "new again after a restart",
        { error: thrown(error) },
      ),
  });
}

/** The list of a client that is no relay: from the nodes to join by, then from guards. */
async function fetchRelayList(
  base: NodeBase,
  options: ClientOptions,
  links: LinkTable,
  { guards }: GuardMemory,
  stack: AsyncDisposableStack,
): Promise<RelayListClient> {
  const { state, network, runtime, verifier, signal } = base;
  const { clock, random, log } = runtime;
  const list = stack.use(
    await RelayListClient.start({
      network,
      runtime,
      verifier,
      blobs: state.blobs,
      links,
      bootstrap: base.bootstrap.map(peerOf),
      formerGuards: guards.contacts(),
      leastRelays: leastRelays(options),
      onClock: base.onClock,
    }, { signal }),
  );
  if (list.relays.snapshot().length > 0) return list;
  if (!list.hasSources) throw noRelayToAsk(base);
  log.info("Fetching the list of relays");
  if (base.bootstrap.length > 0 && guards.contacts().length === 0) {
    // Says what is wrong, and ends the start where it can never become right.
    await bootstrap({
      addresses: base.bootstrap,
      dial: (node, { signal }) => links.getOrDial(peerOf(node), { signal }),
      clock,
      random,
      onClock: base.onClock,
      log: log.part("bootstrap"),
      signal,
    });
  }
  await raceSignal(list.ready, signal);
  return list;
}

/** From now on guards alone learn where we are: leave the relays that we joined by. */
function keepToGuards(links: LinkTable, { guards }: CircuitPoolDriver): void {
  for (const link of links.links) {
    const isGuard = guards.some(({ publicKey }) =>
      equalBytes(publicKey, link.peerKey)
    );
    if (!isGuard) link.close();
  }
}

/** One relay more than a circuit has: else the far side could not choose any. */
function leastRelays({ hops }: ClientOptions): number {
  return hops + 1;
}

/** Guards are drawn once, for months: not before there is a choice. */
async function enoughRelays(
  { runtime, signal }: NodeBase,
  options: ClientOptions,
  relays: RelayDirectory,
  relay: RelayRole | undefined,
  onAwaited: AwaitedListener,
): Promise<void> {
  const log = runtime.log.part("relays");
  const own = relay === undefined ? 0 : 1;
  const needed = leastRelays(options);
  const known = () => relays.snapshot().length - own;
  const { promise, resolve } = Promise.withResolvers<void>();
  using _listener = relays.onChange(() => {
    if (known() >= needed) resolve();
  });
  if (known() < needed) {
    log.warning(
      "Too few relays are known to build circuits over; waiting for more " +
        "(--hops sets how many a circuit takes)",
      { known: known(), needed },
    );
    onAwaited(() => factsOfWaiting(known(), needed));
    await raceSignal(promise, signal);
    onAwaited(undefined);
  }
  log.info("Relays known", { count: known() });
}

function noRelayToAsk({ network }: NodeBase): ConfigError {
  return new ConfigError(
    "node.no_bootstrap",
    `Cannot join network ${network.name}: no node of it is known yet; give ` +
      `the address of one with --bootstrap anon://KEY@IP:PORT, or take an invite with ` +
      `anonnet join LINE. The operator of a relay has both: the relay prints the one ` +
      `when it is ready, and anonnet invite the other`,
  );
}
