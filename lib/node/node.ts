/**
 * A node: what it is for others, what it does for its own user, started in order
 * and stopped in reverse.
 *
 *     state directory → control ─┬─▶ relay     endpoint → links → DHT → circuits of others
 *                                ├─▶ client    endpoint → links → relay list → guards → pool
 *                                ├─▶ services  on the client
 *                                └─▶ proxies   on the client
 *
 * Any mixture runs in one process. Only the relay has an identity that lasts.
 *
 * @see protocol §1 "Roles", §9.2 "Start and stop"
 * @module
 */
import type { NodeId } from "../auth/identity.ts";
import type { Invite } from "../auth/invite.ts";
import type { NetworkParameters } from "../auth/network.ts";
import type { NodeAddress } from "../auth/node_address.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import { RecordVerifier } from "../auth/record_verifier.ts";
import { raceSignal, sleep } from "../base/clock.ts";
import { errorCode } from "../base/errors.ts";
import type { ControlPlace } from "../control/control_note.ts";
import type { LinkLimits } from "../link/link_limits.ts";
import type { BlobStore } from "../storage/blob_store.ts";
import { StateDirectory } from "../storage/state_directory.ts";
import type { CircuitLimits } from "./relay/circuit_server.ts";
import {
  checkDialFrom,
  type ClientOptions,
  type ClientRole,
  startClient,
} from "./client_role.ts";
import type { NodeBase } from "./node_base.ts";
import { type DashboardPlan, NodeDashboard } from "./node_dashboard.ts";
import { openControl } from "./node_control.ts";
import { NodeMetrics } from "./node_metrics.ts";
import { NodeTorControl, type TorControlPlan } from "./node_tor_control.ts";
import type { NodeParts } from "./node_parts.ts";
import { checkProxies, NodeProxies, type ProxyPlaces } from "./node_proxies.ts";
import {
  checkAudiences,
  checkServices,
  type ServiceDefinition,
} from "./host/node_services.ts";
import { ClientKeys } from "./host/service_keys.ts";
import {
  registerClientKey,
  registerNewIdentity,
  registerNodeCommands,
} from "./node_status.ts";
import { registerServiceCommands } from "./services/service_commands.ts";
import { HostedServices } from "./services/hosted_services.ts";
import { KeptServices } from "./services/kept_services.ts";
import { registerSessionCommands } from "./session_commands.ts";
import type { RelayDirectory } from "./directory/relay_directory.ts";
import {
  checkRelayOptions,
  joinAsRelay,
  type ReadyRelay,
  readyRelay,
  relayAddress,
  type RelayOptions,
  type RelayRole,
  startRelay,
} from "./relay_role.ts";
import type { Runtime } from "../machine/runtime.ts";
import { LanDiscovery } from "./directory/lan_discovery.ts";
import { Membership } from "./directory/membership.ts";
import { registerInvites } from "./node_invites.ts";
import { StateWatch } from "./state_watch.ts";
import type { HostedService } from "./host/hosted_service.ts";
import { DRAIN_MS } from "./host/session_drain.ts";

/** What a node is made of, beside its runtime. */
export interface NodeOptions {
  /** Path of the state directory. */
  readonly state: string;
  /** Default: that of the state directory, or of the invites, or `main`. */
  readonly network?: NetworkParameters | undefined;
  /** Nodes to join the network by; the first node of a network has none. */
  readonly bootstrap: readonly NodeAddress[];
  /** Invites to the network: they are remembered, and their relays are asked too. */
  readonly invites?: readonly Invite[] | undefined;
  /** Look for relays on the LAN, and tell of the own one. Default: no. */
  readonly lan?: boolean | undefined;
  /** Relay for others. Default: no. */
  readonly relay?: RelayOptions | undefined;
  /** Build circuits of its own, for services, proxies and programs. Default: no. */
  readonly client?: ClientOptions | undefined;
  /** Services to run; they need `client`. Default: none. */
  readonly services?: readonly ServiceDefinition[] | undefined;
  /** Proxies to open; they need `client`. Default: none. */
  readonly proxies?: ProxyPlaces | undefined;
  /** What differs from the limits of links. Default: nothing. */
  readonly linkLimits?: Partial<LinkLimits> | undefined;
  /** What differs from the limits of circuits of others. Default: nothing. */
  readonly circuitLimits?: Partial<CircuitLimits> | undefined;
  /** Whether to answer `anonnet status`, and where instead of the state directory. */
  readonly control: "off" | "state" | SocketAddress;
  /** A page for the operator's browser; it needs `control`. Default: none. */
  readonly dashboard?: DashboardPlan | undefined;
  /** A control port for programs made for Tor; it needs `client`. Default: none. */
  readonly torControl?: TorControlPlan | undefined;
  /** Where to serve metrics beside the control interface. Default: nowhere. */
  readonly metrics?: SocketAddress | undefined;
  /** Version of the program, for its metrics. Default: unknown. */
  readonly version?: string | undefined;
  /** Who holds the state directory, for the message to who wants it too. */
  readonly holder: string;
  /**
   * Told when the relay is ready, which is before all the rest: the first node of a
   * network waits for others before it can do anything for its own user.
   */
  readonly onRelay?: ((relay: ReadyRelay) => void) | undefined;
  /**
   * How long streams that carry something may take to end when the node stops, ms.
   * Default `DRAIN_MS`.
   */
  readonly drainMs?: number | undefined;
  /** Ends the start; it rejects with the signal's reason. */
  readonly signal: AbortSignal;
}

/** How often to look whether a process that stops has let the state directory go, ms. */
const LOCK_LOOK_MS = 200;

/** A running node. */
export class Node implements AsyncDisposable {
  readonly network: NetworkParameters;
  /** What it is for others, if anything. */
  readonly relay: RelayRole | undefined;
  /** What it does for its own user, if anything. */
  readonly client: ClientRole | undefined;
  /** The proxies that are open, if any. */
  readonly proxies: NodeProxies | undefined;
  /** The control port for programs made for Tor, if any. */
  readonly torControl: NodeTorControl | undefined;
  /** Services that were given at the start. */
  readonly services: readonly HostedService[];
  /** Services that come and go, where it builds circuits. */
  readonly hosted: HostedServices | undefined;
  /** Where commands reach it, if anywhere. */
  readonly controlPlace: ControlPlace | undefined;
  /** Where metrics are served beside that, if anywhere. */
  readonly metricsAddress: SocketAddress | undefined;
  readonly #state: StateDirectory;
  readonly #drainMs: number;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    parts: NodeParts,
    state: StateDirectory,
    drainMs: number,
    services: readonly HostedService[],
    controlPlace: ControlPlace | undefined,
    metricsAddress: SocketAddress | undefined,
    stack: AsyncDisposableStack,
  ) {
    this.network = parts.network;
    this.relay = parts.relay;
    this.client = parts.client;
    this.proxies = parts.proxies;
    this.torControl = parts.torControl;
    this.hosted = parts.hosted;
    this.services = services;
    this.controlPlace = controlPlace;
    this.metricsAddress = metricsAddress;
    this.#state = state;
    this.#drainMs = drainMs;
    this.#stack = stack;
  }

  /**
   * Start a node. Resolves once all of it works: a relay is known to its
   * neighbourhood, or the first of its network; circuits can be built; services
   * can be reached; proxies take connections.
   *
   * @throws {ConfigError} `storage.*`, `transport.*`, `control.*`, `proxy.*`,
   * `service.*`, `node.*`: the operator must change something.
   * @throws the signal's reason when told to stop meanwhile.
   */
  static async start(options: NodeOptions, runtime: Runtime): Promise<Node> {
    checkOptions(options);
    const { signal, drainMs = DRAIN_MS } = options;
    const { log, crypto } = runtime;
    if (options.proxies) await checkProxies(options.proxies, runtime);
    await using stack = new AsyncDisposableStack();
    const state = stack.use(await waitForState(options, runtime));
    const membership = await Membership.open(state, options, runtime);
    const { network } = membership;
    if (options.relay) checkRelayOptions(membership, options.relay);
    const lan = options.lan
      ? stack.use(await LanDiscovery.open(network, runtime))
      : undefined;
    const named = [...options.bootstrap, ...membership.relays];
    const heard = await lan?.gather({ hasOthers: named.length > 0, signal });
    const bootstrap = [...named, ...heard ?? []];
    // A client that was told of no relay may be told of another network next.
    if (options.relay || bootstrap.length > 0) {
      await membership.claim({ isFirst: bootstrap.length === 0 });
    }
    const unixMs = runtime.clock.unixMs();
    await checkAudiences(state, options.services ?? [], unixMs);
    const kept = await KeptServices.load(state, log);
    if (options.client === undefined && kept.all.length > 0) {
      log.part("service").warning(
        "Services that were added earlier do not run: this node builds no circuits of " +
          "its own",
        { count: kept.all.length },
      );
    }
    stack.use(new StateWatch(state, runtime.clock));
    const parts: NodeParts = { network, state };
    const metrics = await openMetrics(options, state, parts, runtime, stack);
    const control = metrics === undefined || options.control === "off"
      ? undefined
      : stack.use(
        await openControl(
          state,
          options.control === "state" ? undefined : options.control,
          metrics.door,
          runtime,
        ),
      );
    const clientKeys = new ClientKeys(state, runtime);
    if (options.torControl) {
      parts.torControl = stack.use(
        await NodeTorControl.open(options.torControl, {
          state,
          parts,
          runtime,
          clientKeys,
          hasAlias: options.proxies?.onionAlias ?? false,
          isAutomapping: options.proxies?.automap ?? false,
        }),
      );
    }
    if (control) {
      registerNodeCommands(control.server, parts, runtime.clock);
      registerSessionCommands(control.server, parts, runtime.log);
      registerNewIdentity(control.server, parts, log);
      registerClientKey(control.server, clientKeys);
      registerServiceCommands(control.server, parts);
      registerInvites(control.server, parts, membership, runtime);
      if (options.dashboard) {
        stack.use(
          NodeDashboard.plan(options.dashboard, {
            control: control.server,
            parts,
            state: options.state,
            runtime,
          }),
        );
      }
    }
    const base: NodeBase = {
      state,
      network,
      runtime,
      verifier: runtime.verifier ?? new RecordVerifier(crypto, network),
      clientKeys,
      bootstrap,
      lanHosts: lan && runtime.lan?.places().map(({ host }) => host),
      linkLimits: options.linkLimits,
      circuitLimits: options.circuitLimits,
      drainMs,
      onClock: (words) => parts.clockDoubt = words,
      signal,
    };
    if (options.relay) {
      if (options.client) await checkDialFrom(base, options.client);
      parts.relay = await startRelay(base, options.relay, stack);
      const { identity, listen: { port }, dht } = parts.relay;
      lan?.announce({
        identity,
        port,
        meet: ({ publicKey, address }) =>
          dht.introduce({ publicKey, addresses: [address] }),
      });
      await joinAsRelay(base, parts.relay);
      // Also where others found us before any that we asked had answered.
      parts.clockDoubt = undefined;
      options.onRelay?.(readyRelay(base, parts.relay));
    } else await lan?.[Symbol.asyncDispose]();
    const services: HostedService[] = [];
    if (options.client) {
      parts.client = await startClient(
        base,
        options.client,
        parts.relay,
        stack,
        (facts) => parts.awaited = facts,
      );
      const { client } = parts;
      parts.hosted = stack.use(
        new HostedServices({
          services: client.services,
          kept,
          crypto,
          random: runtime.random,
          log,
        }),
      );
      for (const definition of options.services ?? []) {
        services.push(await client.services.start(definition));
      }
      await parts.hosted.restore();
      parts.torControl?.onHosted(parts.hosted);
      await raceSignal(client.circuits.ready, signal);
      log.info("Circuits can be built");
      if (options.proxies) {
        const gateway = parts.torControl?.watch(client.gateway) ??
          client.gateway;
        parts.proxies = stack.use(
          await NodeProxies.open(options.proxies, gateway, runtime),
        );
      }
      await Promise.all(
        services.map((service) =>
          client.services.reachable(service, { signal })
        ),
      );
    }
    const place = control?.server.place;
    const { address } = metrics ?? {};
    return new Node(
      parts,
      state,
      drainMs,
      services,
      place,
      address,
      stack.move(),
    );
  }

  /** Where it remembers things, also for what runs on it. */
  get blobs(): BlobStore {
    return this.#state.blobs;
  }

  /** Its position in the DHT; a client has none. */
  get nodeId(): NodeId | undefined {
    return this.relay?.identity.nodeId;
  }

  /** Where others can dial the relay, once that is known. */
  get address(): NodeAddress | undefined {
    return this.relay && relayAddress(this.relay);
  }

  /** All relays that are known. */
  get relays(): RelayDirectory | undefined {
    return this.relay?.dht.relays ?? this.client?.relays;
  }

  /**
   * Stop all parts, the last one started first; streams have a while to end by
   * themselves. Idempotent.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain();
    await this.#stack.disposeAsync();
  }

  /**
   * Let streams come to their end, and take no more: the first half of stopping. The
   * state directory is still ours, for who writes down how they ended. Idempotent.
   */
  async drain(): Promise<void> {
    await this.#state.markStopping();
    await this.torControl?.[Symbol.asyncDispose]();
    await Promise.all([
      this.proxies?.drain(this.#drainMs),
      this.client?.services[Symbol.asyncDispose](),
      this.hosted?.[Symbol.asyncDispose](),
    ]);
  }
}

function checkOptions(options: NodeOptions): void {
  const { network, relay, client, services = [], proxies, dashboard } = options;
  if (relay && network) checkRelayOptions({ network }, relay);
  checkServices(services);
  const needsClient = services.length > 0 || proxies !== undefined ||
    options.torControl !== undefined;
  if (dashboard !== undefined && options.control === "off") {
    throw new TypeError("Cannot start a node: a dashboard needs control");
  }
  if (needsClient && client === undefined) {
    throw new TypeError(
      "Cannot start a node: services, proxies and Tor's control port need client",
    );
  }
}

/** Metrics, where there is a way to ask for them. */
async function openMetrics(
  { control, metrics: listen, version = "unknown" }: NodeOptions,
  state: StateDirectory,
  parts: NodeParts,
  runtime: Runtime,
  stack: AsyncDisposableStack,
): Promise<NodeMetrics | undefined> {
  if (control === "off" && listen === undefined) return undefined;
  const options = { listen, version };
  return stack.use(await NodeMetrics.open(state, parts, options, runtime));
}

/** The state directory; while the process that has it stops, wait for that. */
async function waitForState(
  options: NodeOptions,
  runtime: Runtime,
): Promise<StateDirectory> {
  const { signal } = options;
  for (let isTold = false;; isTold = true) {
    try {
      return await openState(options, runtime);
    } catch (error) {
      if (errorCode(error) !== "storage.stopping") throw error;
      if (!isTold) {
        runtime.log.part("state").info(
          "Another process is stopping on the state directory; waiting for it",
        );
      }
      await sleep(runtime.clock, LOCK_LOOK_MS, { signal });
    }
  }
}

async function openState(
  { state: path, holder }: NodeOptions,
  { files, crypto, log }: Runtime,
): Promise<StateDirectory> {
  return await StateDirectory.open(path, {
    files,
    crypto,
    holder,
    onSetAside: ({ path, movedTo }) =>
      log.part("state").error(
        "A damaged file was set aside; going on without it",
        { path, movedTo },
      ),
    onTrouble: (trouble) => {
      const part = log.part("state");
      if (trouble === undefined) part.info("The state directory is fine again");
      else {
        part.error(
          "The state directory cannot be used: what is learned now is lost when " +
            "the node stops",
          { error: trouble },
        );
      }
    },
  });
}
