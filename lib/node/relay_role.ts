/**
 * The relay in a node: an identity that every peer may know, a port where it
 * answers, a share of the DHT, and other people's circuits.
 *
 *     identity → endpoint → work and rent → record → links → DHT → circuits → first peer
 *
 * @see protocol §1 "Roles", §9.2 "Start and stop"
 * @module
 */
import { isContact, MAX_CONTACT_BYTES } from "../auth/contact.ts";
import type { Identity } from "../auth/identity.ts";
import type { NodeAddress } from "../auth/node_address.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import { isUnspecified, type SocketAddress } from "../auth/socket_address.ts";
import { isAllowedAddress } from "../auth/subnet.ts";
import { equalBytes } from "../base/bytes.ts";
import { sleep } from "../base/clock.ts";
import { ConfigError } from "../base/errors.ts";
import { bootstrap } from "./directory/bootstrap.ts";
import { ClockWatch } from "./directory/clock_watch.ts";
import { CircuitServer } from "./relay/circuit_server.ts";
import { DhtDriver } from "./directory/dht_driver.ts";
import { ReachWatch } from "./directory/reach_watch.ts";
import { peerOf } from "./link/link_dial.ts";
import { CircuitDht } from "./relay/dht_for_circuits.ts";
import { logLinks } from "./link/link_log.ts";
import { LoadWatch } from "./link/load_watch.ts";
import { LinkServices } from "./link/link_services.ts";
import { LinkTable } from "./link/link_table.ts";
import type { NodeBase } from "./node_base.ts";
import { loadIdentity, loadWork } from "./node_identity.ts";
import { BandwidthKeeper } from "./relay/bandwidth_keeper.ts";
import { loadFamily } from "./relay/family_key.ts";
import { RelayAllowance } from "./relay/relay_allowance.ts";
import {
  checkRelayLimits,
  circuitLimitsOf,
  type RelayLimits,
} from "./relay/relay_limits.ts";
import { RecordKeeper } from "./relay/record_keeper.ts";
import { RentKeeper } from "./relay/rent_keeper.ts";

/** What a relay is told. */
export interface RelayOptions {
  /** Where to listen. Port 0: any. */
  readonly listen: SocketAddress;
  /** Where others can dial it, best first; what `listen` and peers say if empty. */
  readonly advertise: readonly SocketAddress[];
  /** Bytes per second to declare, at most its rate. Default: what it has carried. */
  readonly bandwidth?: number | undefined;
  /** What it may use. Default: no limits but those of every relay. */
  readonly limits?: RelayLimits | undefined;
  /** How to reach its operator, for its record. */
  readonly contact?: string | undefined;
  /** Whether it is of the family whose key is `family.key` in the state directory. */
  readonly family?: boolean | undefined;
}

/** How long circuits go on when the relay has moved all that it may, ms. */
const DEFAULT_DRAIN_MS = 60_000;

/** Remembered nodes that have not answered by then may all be gone, ms. */
const SILENCE_MS = 20_000;

/**
 * Longest wait for our neighbourhood to know us, once a peer has answered, ms. A
 * relay whose peers know no other is of use all the same.
 */
const MAX_JOIN_MS = 15_000;

/** A running relay. */
export interface RelayRole {
  readonly identity: Identity;
  /** Where it listens. */
  readonly listen: SocketAddress;
  /** What it says of itself. */
  readonly record: RecordKeeper;
  readonly links: LinkTable;
  /** Where the parts of the node say what they do with what links bring. */
  readonly services: LinkServices;
  readonly dht: DhtDriver;
  /** Whether others reach it. */
  readonly reach: ReachWatch;
  /** Circuits of others. */
  readonly circuits: CircuitServer;
  /** What it may use, and change while it runs. */
  readonly allowance: RelayAllowance;
}

/**
 * Start a relay. It answers others from here on; {@linkcode joinAsRelay} finds it
 * its own peers.
 *
 * @param stack Stops its parts.
 * @throws {ConfigError} `storage.*`, `transport.*`.
 */
export async function startRelay(
  base: NodeBase,
  options: RelayOptions,
  stack: AsyncDisposableStack,
): Promise<RelayRole> {
  const { state, network, runtime, verifier, linkLimits, signal } = base;
  const { clock, random, crypto, log } = runtime;
  const identity = stack.use(await loadIdentity(state, runtime));
  // The port first: one that is taken is told before the work, and held from then on.
  let mayNewcomerTry = () => false;
  const endpoint = await runtime.openEndpoint({
    address: options.listen,
    alpn: network.alpn,
    identity,
    crypto,
    admit: () => mayNewcomerTry(),
  });
  // Owned by the links from the moment that there are any.
  stack.defer(() => endpoint.close());
  const work = await loadWork(state, network, identity, runtime, {
    signal,
  });
  const rent = stack.use(
    await RentKeeper.start({
      blobs: state.blobs,
      runtime,
      network,
      publicKey: identity.publicKey,
      signal,
    }),
  );
  const allowance = stack.use(
    await RelayAllowance.load({
      blobs: state.blobs,
      runtime,
      limits: options.limits ?? {},
      drainMs: base.drainMs ?? DEFAULT_DRAIN_MS,
    }),
  );
  const bandwidth = stack.use(
    await BandwidthKeeper.load({
      blobs: state.blobs,
      runtime,
      told: options.bandwidth,
      most: () => allowance.mostBandwidth,
    }),
  );
  let onRecord: (record: NodeRecord) => void = () => {};
  const record = stack.use(
    await RecordKeeper.start({
      crypto,
      identity,
      network,
      work,
      rentOf: (period) => rent.of(period),
      bandwidth: () => bandwidth.declared,
      contact: options.contact,
      family: options.family
        ? await loadFamily(state, runtime, identity.publicKey)
        : undefined,
      blobs: state.blobs,
      runtime,
      advertise: advertisedOf(base, options, endpoint.localAddress),
      listen: endpoint.localAddress,
      onRecord: (record) => onRecord(record),
    }),
  );
  rent.watch(() => record.renew());
  const services = new LinkServices(log.part("links"));
  services.listen(logLinks(log.part("links")));
  services.listen({
    onLink({ nodeId, observedAddress }) {
      if (observedAddress) record.onObserved(nodeId, observedAddress);
    },
  });
  const links = stack.use(
    new LinkTable({
      endpoint,
      crypto,
      network,
      clock,
      random,
      verifier,
      identity,
      // Without one no dial is answered: a relay that sleeps is as if off.
      record: () => allowance.isAsleep ? undefined : record.current.encoded,
      handlers: services,
      ...linkLimits && { linkLimits },
    }),
  );
  const dht = stack.use(
    await DhtDriver.start({
      network,
      runtime,
      verifier,
      blobs: state.blobs,
      links,
      services,
      selfId: identity.nodeId,
      selfPlace: work.place,
      record: () => record.current,
      bootstrap: base.bootstrap.map(peerOf),
    }),
  );
  const reach = stack.use(
    new ReachWatch({
      runtime,
      links,
      relays: dht.relays,
      record: () => record.current,
      joined: dht.joined,
    }),
  );
  stack.use(
    new ClockWatch({
      runtime,
      links,
      relays: dht.relays,
      selfId: identity.nodeId,
      onSet: () => record.onClockSet(),
      onClock: (words) => base.onClock?.(words),
    }),
  );
  onRecord = (renewed) => {
    dht.renewSelf(renewed);
    reach.onRecord(renewed);
  };
  const circuitDht = new CircuitDht({
    crypto,
    network,
    dht,
    unixMs: () => clock.unixMs(),
  });
  const circuits = stack.use(
    new CircuitServer({
      crypto,
      clock,
      random,
      network,
      ownId: identity.nodeId,
      onionKeys: record.onionKeys,
      links,
      verifier,
      limits: {
        ...circuitLimitsOf(options.limits ?? {}),
        ...base.circuitLimits,
      },
      answerDht: (_circuit, request, signal) =>
        circuitDht.answer(request, signal),
      onError: (error) => services.onError(error),
    }),
  );
  bandwidth.watch(() => circuits.carriedBytes);
  allowance.watch({ circuits, links, record });
  const load = stack.use(
    new LoadWatch({
      clock,
      log: log.part("load"),
      links,
      quotaShare: () => circuits.quotaShare,
    }),
  );
  mayNewcomerTry = () => {
    load.onNewcomer();
    return links.load === "normal" && !allowance.isAsleep;
  };
  services.takeCircuits((link, stream) => {
    load.onNewcomer();
    circuits.accept(link, stream);
  });
  links.start();
  if (base.bootstrap.length === 0) stack.use(tellOfSilence(base, dht));
  return {
    identity,
    listen: endpoint.localAddress,
    record,
    links,
    services,
    dht,
    reach,
    circuits,
    allowance,
  };
}

/** Who listens everywhere and is looked for on its LAN knows its address without peers. */
function advertisedOf(
  { network, lanHosts = [] }: NodeBase,
  { advertise }: RelayOptions,
  listen: SocketAddress,
): readonly SocketAddress[] {
  if (advertise.length > 0 || !isUnspecified(listen)) return advertise;
  return lanHosts.slice(0, network.maxAddresses)
    .map((host) => ({ host, port: listen.port }));
}

/**
 * Find a relay its peers. Resolves when its neighbourhood knows it, or when it is
 * the first of its network.
 *
 * @throws {ConfigError} `node.bootstrap`.
 * @throws the signal's reason.
 */
export async function joinAsRelay(
  base: NodeBase,
  relay: RelayRole,
): Promise<void> {
  const { runtime, signal } = base;
  const { dht, identity } = relay;
  // An invite may name this very relay.
  const named = base.bootstrap.filter(({ publicKey }) =>
    !equalBytes(publicKey, identity.publicKey)
  );
  const { clock, random, log } = runtime;
  if (named.length === 0) {
    const { address, knowsOthers } = readyRelay(base, relay);
    if (address === undefined && !knowsOthers) {
      log.warning(
        "The relay does not know its address, and knows no other relay that could " +
          "tell it: no node can join the network by it yet; start it again with " +
          "--advertise IP:PORT, or with --listen on that address",
      );
      return;
    }
    log.info("No bootstrap nodes: others can join the network by this one", {
      remembered: dht.formerContacts.length,
    });
    return;
  }
  // Others may find us before we find any: where all that we know have moved.
  const found = new AbortController();
  dht.joined.then(() => found.abort());
  try {
    await bootstrap({
      addresses: [...named, ...dht.formerContacts],
      dial: (node, { signal }) => dht.introduce(peerOf(node), { signal }),
      clock,
      random,
      onClock: base.onClock,
      log: log.part("bootstrap"),
      signal: AbortSignal.any([signal, found.signal]),
    });
  } catch (error) {
    signal.throwIfAborted();
    if (!found.signal.aborted) throw error;
  }
  const over = new AbortController();
  const late = sleep(clock, MAX_JOIN_MS, {
    signal: AbortSignal.any([signal, over.signal]),
  });
  late.catch(() => {});
  await Promise.race([dht.joined, late]);
  over.abort();
}

/**
 * A relay that is given no address and remembers only dead ones cannot find the
 * others: the operator must know.
 */
function tellOfSilence(
  { runtime: { clock, log } }: NodeBase,
  { formerContacts: { length: remembered }, joined }: DhtDriver,
): Disposable {
  const over = new AbortController();
  if (remembered > 0) {
    joined.then(() => over.abort());
    const tell = () =>
      log.warning(
        "No node that this one remembers answers: all may have moved. It goes on " +
          "trying, and takes every relay that comes to it; if this is not the first " +
          "node of the network, start it again with --bootstrap and the address of " +
          "any one that is there",
        { remembered },
      );
    sleep(clock, SILENCE_MS, { signal: over.signal }).then(tell, () => {});
  }
  return { [Symbol.dispose]: () => over.abort() };
}

/** What a relay knows of its place when it is ready. */
export interface ReadyRelay {
  /** Where others can dial it, if that is known. */
  readonly address: NodeAddress | undefined;
  /** Whether it has relays to ask, which tell it where they see it. */
  readonly knowsOthers: boolean;
}

/** What a relay knows of its place, as of now. */
export function readyRelay(
  { bootstrap }: Pick<NodeBase, "bootstrap">,
  relay: RelayRole,
): ReadyRelay {
  const known = bootstrap.length + relay.dht.formerContacts.length;
  return { address: relayAddress(relay), knowsOthers: known > 0 };
}

/** Where others can dial a relay, once that is known. */
export function relayAddress(
  { identity, record }: Pick<RelayRole, "identity" | "record">,
): NodeAddress | undefined {
  const [address] = record.current.addresses;
  return address && { publicKey: identity.publicKey, address };
}

/**
 * Refuse addresses that no peer could dial, and a bandwidth that no record can hold,
 * before anything is begun.
 *
 * @throws {ConfigError} `node.advertise`, `node.bandwidth`, `node.limit`,
 * `node.contact`.
 */
export function checkRelayOptions(
  { network }: Pick<NodeBase, "network">,
  { advertise, bandwidth = 1, limits = {}, contact }: RelayOptions,
): void {
  checkRelayLimits(limits);
  if (contact !== undefined && !isContact(contact)) {
    throw new ConfigError(
      "node.contact",
      `Cannot use this contact: write one line of printable ASCII, at most ` +
        `${MAX_CONTACT_BYTES} characters`,
    );
  }
  if (!Number.isSafeInteger(bandwidth) || bandwidth < 1) {
    throw new ConfigError(
      "node.bandwidth",
      `Cannot declare a bandwidth of ${bandwidth}: write whole bytes per ` +
        `second, at least 1`,
    );
  }
  if (advertise.length > network.maxAddresses) {
    throw new ConfigError(
      "node.advertise",
      `Cannot advertise ${advertise.length} addresses: at most ` +
        `${network.maxAddresses} fit in a record`,
    );
  }
  for (const address of advertise) {
    if (isAllowedAddress(network, address)) continue;
    throw new ConfigError(
      "node.advertise",
      `Cannot advertise "${address.host}" port ${address.port}: no peer could ` +
        `dial it in network ${network.name}; write a public address and a ` +
        `port that is not 0`,
    );
  }
}
