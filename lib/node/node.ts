/**
 * A node: its parts, started in order, and stopped in reverse.
 *
 *     state directory → identity → record → endpoint → links → DHT → control → joined
 *
 * @see protocol §9.2
 * @module
 */
import type { Identity, NodeId, PublicKey } from "../auth/identity.ts";
import type { NetworkParameters } from "../auth/network.ts";
import type { NodeAddress } from "../auth/node_address.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import { isAllowedAddress } from "../auth/subnet.ts";
import { RecordVerifier } from "../auth/record_verifier.ts";
import { raceSignal } from "../base/clock.ts";
import { ConfigError } from "../base/errors.ts";
import type { ControlPlace } from "../control/control_note.ts";
import { StateDirectory } from "../storage/state_directory.ts";
import { bootstrap } from "./bootstrap.ts";
import { DhtDriver, peerOf } from "./dht_driver.ts";
import type { LinkLimits } from "../link/link_limits.ts";
import { LinkServices } from "./link_services.ts";
import { LinkTable } from "./link_table.ts";
import { logLinks } from "./link_log.ts";
import { openControl } from "./node_control.ts";
import { loadIdentity, loadWork } from "./node_identity.ts";
import { registerNodeCommands } from "./node_status.ts";
import type { OnionKeys } from "./onion_keys.ts";
import { RecordKeeper } from "./record_keeper.ts";
import type { RelayDirectory } from "./relay_directory.ts";
import type { Runtime } from "./runtime.ts";

/** What a node is made of, beside its runtime. */
export interface NodeOptions {
  /** Path of the state directory. */
  readonly state: string;
  readonly network: NetworkParameters;
  /** Where to listen. Port 0: any. */
  readonly listen: SocketAddress;
  /** Where others can dial it, best first; what `listen` and peers say if empty. */
  readonly advertise: readonly SocketAddress[];
  /** Nodes to join the network by; the first node of a network has none. */
  readonly bootstrap: readonly NodeAddress[];
  /** What differs from the limits of links. Default: nothing. */
  readonly linkLimits?: Partial<LinkLimits>;
  /** Whether to answer `anonnet status`, and where instead of the state directory. */
  readonly control: "off" | "state" | SocketAddress;
  /** Who holds the state directory, for the message to who wants it too. */
  readonly holder: string;
  /** Ends the start; it rejects with the signal's reason. */
  readonly signal: AbortSignal;
}

/** Bytes per second that a relay says it will carry. */
const DEFAULT_BANDWIDTH = 10_000_000;

/** A running node. */
export class Node implements AsyncDisposable {
  readonly publicKey: PublicKey;
  readonly nodeId: NodeId;
  readonly network: NetworkParameters;
  readonly links: LinkTable;
  /** Where the parts of the node say what they do with what links bring. */
  readonly services: LinkServices;
  /** Its part in the DHT. */
  readonly dht: DhtDriver;
  /** Where commands reach it, if anywhere. */
  readonly controlPlace: ControlPlace | undefined;
  /** The keys that circuits are created with. */
  readonly onionKeys: OnionKeys;
  readonly #record: RecordKeeper;
  readonly #parts: AsyncDisposableStack;

  private constructor(parts: NodeParts, stack: AsyncDisposableStack) {
    this.publicKey = parts.identity.publicKey;
    this.nodeId = parts.identity.nodeId;
    this.network = parts.network;
    this.links = parts.links;
    this.services = parts.services;
    this.dht = parts.dht;
    this.controlPlace = parts.controlPlace;
    this.onionKeys = parts.record.onionKeys;
    this.#record = parts.record;
    this.#parts = stack;
  }

  /**
   * Start a node. Resolves once it is ready: the first node of a network at once,
   * any other when it has joined the DHT.
   *
   * @throws {ConfigError} `storage.*`, `transport.*`, `control.*`,
   * `node.advertise`, `node.bootstrap`: the operator must change something.
   * @throws the signal's reason when told to stop meanwhile.
   */
  static async start(options: NodeOptions, runtime: Runtime): Promise<Node> {
    checkAdvertised(options);
    await using starting = new AsyncDisposableStack();
    const parts = await startParts(options, runtime, starting);
    return new Node(parts, starting.move());
  }

  /** All relays that are known. */
  get relays(): RelayDirectory {
    return this.dht.relays;
  }

  /** What the node says of itself now, signed. */
  get record(): NodeRecord {
    return this.#record.current;
  }

  /** Where others can dial the node, once that is known. */
  get address(): NodeAddress | undefined {
    const [address] = this.#record.current.addresses;
    return address && { publicKey: this.publicKey, address };
  }

  /** Stop all parts, the last one started first. Idempotent. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.disposeAsync();
  }
}

/** What {@linkcode Node.start} has started. */
interface NodeParts {
  readonly identity: Identity;
  readonly network: NetworkParameters;
  readonly record: RecordKeeper;
  readonly services: LinkServices;
  readonly links: LinkTable;
  readonly dht: DhtDriver;
  readonly relays: RelayDirectory;
  readonly controlPlace: ControlPlace | undefined;
}

async function startParts(
  options: NodeOptions,
  runtime: Runtime,
  stack: AsyncDisposableStack,
): Promise<NodeParts> {
  const { network, signal } = options;
  const { clock, random, crypto, files, log } = runtime;
  const state = stack.use(
    await StateDirectory.open(options.state, {
      files,
      crypto,
      holder: options.holder,
      onSetAside: ({ path, movedTo }) =>
        log.part("state").error(
          "A damaged file was set aside; going on without it",
          { path, movedTo },
        ),
    }),
  );
  const identity = stack.use(await loadIdentity(state, runtime));
  const workNonce = await loadWork(state, network, identity, runtime, {
    signal,
  });
  const endpoint = await runtime.openEndpoint({
    address: options.listen,
    alpn: network.alpn,
    identity,
    crypto,
  });
  // Owned by the links from the moment that there are any.
  stack.defer(() => endpoint.close());
  let onRecord: (record: NodeRecord) => void = () => {};
  const record = stack.use(
    await RecordKeeper.start({
      crypto,
      identity,
      network,
      workNonce,
      bandwidth: DEFAULT_BANDWIDTH,
      blobs: state.blobs,
      runtime,
      advertise: options.advertise,
      listen: endpoint.localAddress,
      onRecord: (record) => onRecord(record),
    }),
  );
  const verifier = runtime.verifier ?? new RecordVerifier(crypto, network);
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
      record: () => record.current.encoded,
      handlers: services,
      ...options.linkLimits && { linkLimits: options.linkLimits },
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
      record: () => record.current,
      bootstrap: options.bootstrap.map(peerOf),
    }),
  );
  onRecord = (renewed) => dht.renewSelf(renewed);
  links.start();
  const control = options.control === "off" ? undefined : stack.use(
    await openControl(
      state,
      options.control === "state" ? undefined : options.control,
      runtime,
    ),
  );
  const parts = {
    identity,
    network,
    record,
    services,
    links,
    dht,
    relays: dht.relays,
    controlPlace: control?.server.place,
  };
  if (control) registerNodeCommands(control.server, parts, clock);
  await joinNetwork(options, dht, runtime);
  return parts;
}

/** Join by the given nodes, or by those of the last run, whoever answers first. */
async function joinNetwork(
  { bootstrap: addresses, signal }: NodeOptions,
  dht: DhtDriver,
  { clock, random, log }: Runtime,
): Promise<void> {
  if (addresses.length === 0) {
    log.info("No bootstrap nodes: others can join the network by this one");
    return;
  }
  await bootstrap({
    addresses: [...addresses, ...dht.formerContacts],
    dial: (node, { signal }) => dht.introduce(peerOf(node), { signal }),
    clock,
    random,
    log: log.part("bootstrap"),
    signal,
  });
  await raceSignal(dht.joined, signal);
}

/** @throws {ConfigError} `node.advertise`. */
function checkAdvertised({ advertise, network }: NodeOptions): void {
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
      `Cannot advertise "${address.host}" port ${address.port}: nobody could ` +
        `dial it in network ${network.name}; write a public address and a ` +
        `port that is not 0`,
    );
  }
}
