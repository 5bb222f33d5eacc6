/**
 * A whole network of whole nodes in one process, on a clock that jumps: memory
 * for wires and disks, one seed for all of its chance.
 *
 *     WholeWorld ─┬─▶ relays    Node with a relay      10.0.0.n
 *               ├─▶ services  Node with a client     and handlers for streams
 *               └─▶ clients   Node with a client
 *
 * Everything that happens follows from the seed: a failure replays.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { PublicKey } from "../../lib/auth/identity.ts";
import { networkParameters } from "../../lib/auth/network.ts";
import type { NodeAddress } from "../../lib/auth/node_address.ts";
import { RecordVerifier } from "../../lib/auth/record_verifier.ts";
import type { SocketAddress } from "../../lib/auth/socket_address.ts";
import {
  type Clock,
  type ScheduleOptions,
  sleep,
  type Timer,
} from "../../lib/base/clock.ts";
import { randomBetween, seededRandom } from "../../lib/base/random.ts";
import { VirtualClock } from "../../lib/base/virtual_clock.ts";
import { repeatableSuite } from "../../lib/crypto/repeatable.ts";
import type { CryptoSuite } from "../../lib/crypto/suite.ts";
import type { LinkLimits } from "../../lib/link/link_limits.ts";
import type { CircuitLimits } from "../../lib/node/relay/circuit_server.ts";
import type { ServiceCircuit } from "../../lib/node/circuit/circuits.ts";
import { type ClientRole, GUARD_SILENCE } from "../../lib/node/client_role.ts";
import { Node, type NodeOptions } from "../../lib/node/node.ts";
import type { ServiceDefinition } from "../../lib/node/host/node_services.ts";
import type { RelayRole } from "../../lib/node/relay_role.ts";
import type { Runtime } from "../../lib/machine/runtime.ts";
import type { HostedService } from "../../lib/node/host/hosted_service.ts";
import type { StreamHandler } from "../../lib/node/host/stream_target.ts";
import type { CircuitPurpose } from "../../lib/pool/purpose.ts";
import { parseServiceHost } from "../../lib/service/address.ts";
import { createDrain } from "../../lib/sim/world/drain.ts";
import { MemoryFiles } from "../../lib/storage/memory_files.ts";
import { MemoryNetwork } from "../../lib/transport/memory_network.ts";
import type { Endpoint } from "../../lib/transport/transport.ts";
import { RecordingLog } from "../support/recording_log.ts";
import { echo } from "../support/stream_handlers.ts";
import { runOn } from "../transport/world.ts";

/** How a world is. */
export interface WorldOptions {
  readonly seed?: number;
  /** Relays to begin with. Default 9. */
  readonly relays?: number;
  /** One way between two machines, ms: least and most. Default 5 to 20. */
  readonly latencyMs?: { readonly least: number; readonly most: number };
  /** What each machine can send. Default: no limit. */
  readonly uplinkBytesPerSecond?: number;
  /** The host of machine `number`. Default 10.0.0.n. */
  readonly host?: (number: number) => string;
  /** What a machine computes with, where it is not to be trusted with the suite itself. */
  readonly cryptoOf?: (name: string, suite: CryptoSuite) => CryptoSuite;
  /** How far the clock of machine `number` is ahead, whole ms. Default: 0. */
  readonly aheadMs?: (number: number) => number;
  /** What differs from the limits of links. */
  readonly linkLimits?: Partial<LinkLimits>;
  /** What differs from the limits of relays for circuits. */
  readonly circuitLimits?: Partial<CircuitLimits>;
  /** The same for the relay of this name alone. */
  readonly circuitLimitsOf?: (name: string) => Partial<CircuitLimits>;
  /** Events before a world counts as stuck. Default 2e7. */
  readonly maxEvents?: number;
}

/** What stands still: a process alone (SIGSTOP), or its machine, and with it the timers. */
export type Stillness = "process" | "machine";

/** One wake-up, which may come late. */
class MachineTimer implements Timer {
  readonly atMs: number;
  wake: (() => void) | undefined;
  pending: Timer | undefined;

  constructor(atMs: number, wake: () => void) {
    this.atMs = atMs;
    this.wake = wake;
  }

  cancel(): void {
    this.wake = undefined;
    this.pending?.cancel();
  }
}

/** A machine's clocks: all share the time, each has a calendar of its own, and may stand still. */
export class MachineClock implements Clock {
  readonly #clock: VirtualClock;
  #aheadMs = 0;
  /** How much its timers are behind the time of all. */
  #behindMs = 0;
  #still: { readonly what: Stillness; readonly sinceMs: number } | undefined;
  /** Those that were due while it stood still, in their order. */
  #late: MachineTimer[] = [];

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  nowMs(): number {
    return this.#clock.nowMs() - this.#behindMs;
  }

  unixMs(): number {
    return this.#clock.unixMs() + this.#aheadMs;
  }

  schedule(delayMs: number, wake: () => void, _?: ScheduleOptions): Timer {
    const atMs = this.nowMs() + Math.max(0, delayMs);
    const timer = new MachineTimer(atMs, wake);
    this.#arm(timer, delayMs);
    return timer;
  }

  /** Set the calendar so far ahead of the right one, whole ms; below 0: behind. */
  setAhead(byMs: number): void {
    this.#aheadMs = byMs;
  }

  /** From now on no timer fires. */
  standStill(what: Stillness): void {
    this.#still = { what, sinceMs: this.#clock.nowMs() };
  }

  /** Go on. What was due meanwhile is due now, where the timers have gone on. */
  goOn(): void {
    if (this.#still === undefined) return;
    const { what, sinceMs } = this.#still;
    this.#still = undefined;
    if (what === "machine") this.#behindMs += this.#clock.nowMs() - sinceMs;
    const late = this.#late;
    this.#late = [];
    for (const timer of late) this.#arm(timer, timer.atMs - this.nowMs());
  }

  #arm(timer: MachineTimer, delayMs: number): void {
    timer.pending = this.#clock.schedule(delayMs, () => this.#onDue(timer));
  }

  #onDue(timer: MachineTimer): void {
    if (timer.wake === undefined) return;
    if (this.#still !== undefined) {
      this.#late.push(timer);
      return;
    }
    const earlyMs = timer.atMs - this.nowMs();
    if (earlyMs > 0) return this.#arm(timer, earlyMs);
    timer.wake();
  }
}

/** A computer that nodes run on, one after the other. */
export interface WorldMachine {
  readonly name: string;
  readonly host: string;
  readonly files: MemoryFiles;
  readonly log: RecordingLog;
  readonly clock: MachineClock;
  readonly runtime: Runtime;
  /** What its operating system says of its addresses. */
  addresses: readonly string[];
  /** The endpoints that were opened on it, the latest last. */
  readonly endpoints: Endpoint[];
}

/** A circuit that a node was given for something. */
export interface TakenCircuit {
  readonly purpose: CircuitPurpose;
  /** Whether the other side had chosen the last relay. */
  readonly isExtended: boolean;
  readonly circuit: ServiceCircuit;
  readonly takenMs: number;
}

/** A node that relays. */
export class WorldRelay {
  readonly machine: WorldMachine;
  node: Node;
  /** Whether it runs. */
  isUp = true;

  constructor(machine: WorldMachine, node: Node) {
    this.machine = machine;
    this.node = node;
  }

  get role(): RelayRole {
    assert.ok(this.node.relay !== undefined);
    return this.node.relay;
  }

  get address(): NodeAddress {
    assert.ok(this.node.address !== undefined);
    return this.node.address;
  }

  get id(): string {
    return this.role.identity.nodeId.toHex();
  }
}

/** A node that builds circuits. */
export class WorldClient {
  readonly machine: WorldMachine;
  readonly node: Node;
  /** All circuits that it was given and that have not ended. */
  readonly taken = new Set<TakenCircuit>();
  /** All that it was ever given. */
  readonly everTaken: TakenCircuit[] = [];

  constructor(world: WholeWorld, machine: WorldMachine, node: Node) {
    this.machine = machine;
    this.node = node;
    const { circuits } = this.role;
    const take = circuits.take.bind(circuits);
    circuits.take = async (wish) => {
      const circuit = await take(wish);
      const taken = {
        purpose: wish.purpose,
        isExtended: wish.endAt !== undefined,
        circuit,
        takenMs: world.clock.nowMs(),
      };
      this.taken.add(taken);
      this.everTaken.push(taken);
      circuit.closed.then(() => this.taken.delete(taken));
      return circuit;
    };
  }

  get role(): ClientRole {
    assert.ok(this.node.client !== undefined);
    return this.node.client;
  }

  /** Open circuits that carry sessions, or are about to. */
  get legs(): TakenCircuit[] {
    return [...this.taken].filter(({ purpose }) => purpose === "rendezvous");
  }
}

/** A node that serves. */
export class WorldService extends WorldClient {
  readonly driver: HostedService;
  readonly publicKey: PublicKey;

  constructor(
    client: WorldClient,
    driver: HostedService,
    publicKey: PublicKey,
    world: WholeWorld,
  ) {
    super(world, client.machine, client.node);
    this.driver = driver;
    this.publicKey = publicKey;
    for (const taken of client.taken) this.taken.add(taken);
  }
}

const NEVER = new AbortController().signal;

/** One network. */
export class WholeWorld implements AsyncDisposable {
  readonly seed: number;
  readonly clock: VirtualClock;
  readonly network: MemoryNetwork;
  readonly crypto = repeatableSuite();
  readonly relays: WorldRelay[] = [];
  readonly #options: WorldOptions;
  readonly #verifier: RecordVerifier;
  readonly #stack = new AsyncDisposableStack();
  readonly #machines: WorldMachine[] = [];
  readonly #latencies = new Map<string, number>();

  constructor(options: WorldOptions = {}) {
    const { seed = 1, latencyMs = { least: 5, most: 20 } } = options;
    this.seed = seed;
    this.#options = options;
    this.clock = new VirtualClock({
      drain: createDrain(),
      maxEvents: options.maxEvents ?? 2e7,
    });
    const random = seededRandom(seed * 1_000_003);
    this.network = new MemoryNetwork({
      clock: this.clock,
      random,
      granularityMs: 1,
      link: (from, to) => {
        const key = [from.host, to.host].sort().join(" ");
        const latency = this.#latencies.get(key) ??
          randomBetween(random, latencyMs.least, latencyMs.most);
        this.#latencies.set(key, latency);
        return { latencyMs: latency };
      },
    });
    this.#verifier = new RecordVerifier(
      this.crypto,
      networkParameters("local"),
    );
  }

  /** All computers there are. */
  get machines(): readonly WorldMachine[] {
    return this.#machines;
  }

  /** Start the relays, and wait until they know each other. */
  async start(): Promise<void> {
    const { relays = 9 } = this.#options;
    await this.addRelay();
    await Promise.all(
      Array.from({ length: relays - 1 }, () => this.addRelay()),
    );
  }

  /** Another computer. */
  machine(name: string): WorldMachine {
    const number = this.#machines.length + 1;
    const files = new MemoryFiles();
    const log = new RecordingLog();
    const endpoints: Endpoint[] = [];
    const { host = (n) => `10.0.0.${n}`, cryptoOf, uplinkBytesPerSecond } =
      this.#options;
    const clock = new MachineClock(this.clock);
    clock.setAhead(this.#options.aheadMs?.(number) ?? 0);
    const localAddresses = () => machine.addresses;
    const runtime: Runtime = {
      clock,
      random: seededRandom(this.seed * 1_000 + number),
      crypto: cryptoOf?.(name, this.crypto) ?? this.crypto,
      files,
      log,
      verifier: this.#verifier,
      localAddresses,
      openEndpoint: (options) =>
        Promise.try(() => {
          const endpoint = this.network.endpoint({
            ...options,
            ...uplinkBytesPerSecond === undefined
              ? {}
              : { uplinkBytesPerSecond },
          });
          endpoints.push(endpoint);
          return endpoint;
        }),
    };
    const machine: WorldMachine = {
      name,
      host: host(number),
      addresses: [host(number)],
      files,
      log,
      clock,
      runtime,
      endpoints,
    };
    this.#machines.push(machine);
    return machine;
  }

  /** Start one more relay. */
  async addRelay(): Promise<WorldRelay> {
    const machine = this.machine(`relay-${this.#machines.length + 1}`);
    const node = await this.#startRelay(machine);
    const relay = new WorldRelay(machine, node);
    this.relays.push(relay);
    this.#stack.defer(async () => {
      if (relay.isUp) await relay.node[Symbol.asyncDispose]();
    });
    return relay;
  }

  /** Start a node that builds circuits. */
  async addClient(
    name = "client",
    machine: WorldMachine = this.machine(name),
  ): Promise<WorldClient> {
    return new WorldClient(this, machine, await this.#startClient(machine));
  }

  /** Start a service that can be reached, at port 80. */
  async addService(
    handle: StreamHandler = echo,
    definition: Partial<ServiceDefinition> = {},
    machine?: WorldMachine,
  ): Promise<WorldService> {
    const { name = "service" } = definition;
    const client = await this.addClient(name, machine);
    const driver = await client.role.services.start({
      name,
      targets: new Map([[80, { type: "handler", handle }]]),
      ...definition,
    });
    const publicKey = parseServiceHost(this.crypto, driver.host);
    await driver.ready;
    return new WorldService(client, driver, publicKey, this);
  }

  /**
   * Let a machine, or the process on it, stand still for so long.
   *
   * @returns When it goes on.
   */
  async standStill(
    { clock, endpoints }: WorldMachine,
    what: Stillness,
    ms: number,
  ): Promise<void> {
    const standstills = endpoints.map((endpoint) =>
      this.network.suspend(endpoint)
    );
    clock.standStill(what);
    await sleep(this.clock, ms);
    clock.goOn();
    // Where the timers stood still too, connections seem as young as before.
    const noticeMs = what === "process" ? 0 : GUARD_SILENCE.idleTimeoutMs;
    for (const standstill of standstills) standstill.resume(noticeMs);
  }

  /** Power off: no peer is told, and its memory is gone. */
  crash(relay: WorldRelay): void {
    if (!relay.isUp) return;
    relay.isUp = false;
    for (const endpoint of relay.machine.endpoints.splice(0)) {
      this.network.crash(endpoint);
    }
    // What still runs in it reaches no peer.
    this.#stack.use(relay.node);
  }

  /** Stop the process: peers see its connections end at once. */
  async stop(relay: WorldRelay): Promise<void> {
    if (!relay.isUp) return;
    relay.isUp = false;
    relay.machine.endpoints.length = 0;
    await relay.node[Symbol.asyncDispose]();
  }

  /** Start it again on the same disk. */
  async restart(relay: WorldRelay): Promise<void> {
    if (relay.isUp) return;
    await relay.node[Symbol.asyncDispose]();
    relay.node = await this.#startRelay(relay.machine);
    relay.isUp = true;
  }

  /** The relay with this id. */
  relayOf(nodeId: Uint8Array): WorldRelay | undefined {
    const id = nodeId.toHex();
    return this.relays.find((relay) => relay.id === id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  /** Others for each machine, as far as there are. */
  #bootstrap(): NodeAddress[] {
    const up = this.relays.filter(({ isUp }) => isUp);
    const turn = 3 * (this.#machines.length - this.relays.length);
    return up.map((_, index) => up[(index + turn) % up.length])
      .slice(0, 3).flatMap((relay) => relay?.address ?? []);
  }

  #startRelay(machine: WorldMachine): Promise<Node> {
    const listen: SocketAddress = { host: machine.host, port: 4001 };
    return this.#startNode(machine, { relay: { listen, advertise: [] } });
  }

  async #startClient(machine: WorldMachine): Promise<Node> {
    const dialFrom = { host: machine.host, port: 0 };
    const node = await this.#startNode(machine, {
      client: { dialFrom, hops: 3 },
    });
    return this.#stack.use(node);
  }

  #startNode(
    machine: WorldMachine,
    roles: Partial<NodeOptions>,
  ): Promise<Node> {
    const { circuitLimits, circuitLimitsOf } = this.#options;
    return Node.start({
      state: "state",
      network: networkParameters("local"),
      bootstrap: this.#bootstrap(),
      control: "off",
      holder: machine.name,
      signal: NEVER,
      linkLimits: this.#options.linkLimits,
      circuitLimits: {
        ...circuitLimits,
        ...circuitLimitsOf?.(machine.name),
      },
      ...roles,
    }, machine.runtime);
  }
}

/** Run a test in a world of its own. The seed stands in what it fails with. */
export async function inWholeWorld(
  options: WorldOptions,
  test: (world: WholeWorld) => Promise<void>,
): Promise<void> {
  const world = new WholeWorld(options);
  const run = async () => {
    await using _ = world;
    await world.start();
    await test(world);
  };
  try {
    await runOn(world.clock, run());
  } catch (error) {
    throw new Error(`In the world of seed ${world.seed}`, { cause: error });
  }
}
