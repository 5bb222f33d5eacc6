/**
 * A world of whole relays: endpoints, links and handshakes, streams, drivers,
 * files. Only these are not the real ones:
 *
 *     network     in memory, with the distances of geography.ts
 *     clock       virtual
 *     disks       in memory
 *     randomness  seeded
 *     verifying   remembered by all: what is right for one is right for the other
 *
 * and links do not ping each other: a network in memory tells both ends when a
 * line is dead, as QUIC's own keep-alive does.
 *
 * @module
 */
import { Identity, type NodeId, type PublicKey } from "../../auth/identity.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import type { NodeAddress } from "../../auth/node_address.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import type { Place as DhtPlace } from "../../auth/proof_of_work.ts";
import { RecordVerifier } from "../../auth/record_verifier.ts";
import type { SocketAddress } from "../../auth/socket_address.ts";
import type { Bytes } from "../../base/bytes.ts";
import { AnonNetError, BugError } from "../../base/errors.ts";
import { type Random, randomFloat, seededRandom } from "../../base/random.ts";
import { VirtualClock } from "../../base/virtual_clock.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import { DHT_METHOD } from "../../dht/messages.ts";
import type { DhtKey } from "../../dht/records/distance.ts";
import type { StoredRecord } from "../../dht/records/stored_record.ts";
import type { DhtDriver } from "../../node/directory/dht_driver.ts";
import { type Log, SILENT_LOG } from "../../log/log.ts";
import type { NodeBase } from "../../node/node_base.ts";
import {
  joinAsRelay,
  type RelayRole,
  startRelay,
} from "../../node/relay_role.ts";
import type { Runtime } from "../../machine/runtime.ts";
import { MemoryFiles } from "../../storage/memory_files.ts";
import { StateDirectory } from "../../storage/state_directory.ts";
import { MemoryNetwork } from "../../transport/memory_network.ts";
import type { Endpoint } from "../../transport/transport.ts";
import type { Behaviour, Conspiracy } from "./behaviour.ts";
import { createDrain } from "./drain.ts";
import {
  jitterMs,
  latencyMs,
  type Place,
  randomPlace,
  REPEAT_MS,
} from "./geography.ts";
import { rememberingSuite } from "./remembering_suite.ts";
import {
  type Arrival,
  type Departure,
  seedFrom,
  type SimNode,
  type SimNodesFound,
  type SimValuesFound,
  type SimWorld,
} from "./sim_world.ts";
import { hostOf, PORT } from "./unsigned_record.ts";

/** Records that the common verifier remembers: all of a large world, over hours. */
const MAX_RECORDS = 1 << 17;
/** Files are in here, on each node's own disk. */
const STATE = "state";

/** What a world is made of. */
export interface NodeWorldOptions {
  readonly network: NetworkParameters;
  readonly random: Random;
  /** Wall-clock time at the start, unix ms. */
  readonly startUnixMs: number;
  /** Whom hostile relays are with. */
  readonly conspiracy: Conspiracy;
  /** Default: {@linkcode rememberingSuite}. */
  readonly crypto?: CryptoSuite;
  /** Share of messages that are lost, and repeated. Default 0. */
  readonly loss?: number;
  /** Whether a relay may have this place in the DHT. Default: any. */
  readonly isWanted?: (nodeId: NodeId, behaviour: Behaviour) => boolean;
  /** Default: it is not read. */
  readonly log?: Log;
}

/** A relay, and its machine. */
class WholeNode implements SimNode {
  readonly index: number;
  readonly behaviour: Behaviour;
  readonly place: Place;
  readonly address: SocketAddress;
  readonly stack = new AsyncDisposableStack();
  readonly stopping = new AbortController();
  endpoint: Endpoint | undefined;
  relay: RelayRole | undefined;
  joinedMs: number | undefined;
  isUp = true;

  constructor(
    index: number,
    behaviour: Behaviour,
    place: Place,
  ) {
    this.index = index;
    this.behaviour = behaviour;
    this.place = place;
    this.address = { host: hostOf(index), port: PORT };
  }

  get record(): NodeRecord {
    return this.#started.record.current;
  }

  get dht(): DhtDriver["machine"] {
    return this.#started.dht.machine;
  }

  get nodeAddress(): NodeAddress {
    const { publicKey } = this.#started.identity;
    return { publicKey, address: this.address };
  }

  findNode(
    target: DhtPlace | DhtKey,
    done: (found: SimNodesFound | undefined) => void,
  ): void {
    this.#ask((dht) => dht.findNode(target), done);
  }

  get(
    key: DhtKey,
    publisher: PublicKey,
    done: (found: SimValuesFound | undefined) => void,
  ): void {
    this.#ask((dht) => dht.get(key, publisher), done);
  }

  put(record: StoredRecord, done: (copies: number | undefined) => void): void {
    this.#ask((dht) => dht.put(record), (stored) => done(stored?.copies));
  }

  ask({ record }: SimNode, request: Bytes): void {
    const { links } = this.#started;
    links.getOrDial(record)
      .then((link) => link.request(DHT_METHOD, request))
      .catch((error) => {
        if (!(error instanceof AnonNetError)) throw error;
      });
  }

  #ask<T>(
    ask: (dht: DhtDriver) => Promise<T>,
    done: (result: T | undefined) => void,
  ): void {
    if (!this.isUp) return done(undefined);
    ask(this.#started.dht).then(done, (error) => {
      if (!(error instanceof AnonNetError)) throw error;
      done(undefined);
    });
  }

  /** Let go of all but its number: it is gone for good. */
  forget(): void {
    this.relay = undefined;
    this.endpoint = undefined;
  }

  /** A relay has started as soon as the event that made it is over. */
  get #started(): RelayRole {
    if (this.relay !== undefined) return this.relay;
    throw new BugError("sim.not_started", "The relay has not started yet");
  }
}

/** Whole relays on a virtual clock. */
export class NodeWorld implements SimWorld {
  readonly crypto: CryptoSuite;
  readonly network: NetworkParameters;
  readonly clock: VirtualClock;
  readonly #options: NodeWorldOptions;
  readonly #memory: MemoryNetwork;
  readonly #verifier: RecordVerifier;
  readonly #nodes: WholeNode[] = [];
  readonly #byHost = new Map<string, WholeNode>();
  readonly #errors: unknown[] = [];
  /** Requests of relays that are gone. */
  #requestsBefore = 0;
  #dials = 0;

  constructor(options: NodeWorldOptions) {
    const { network, random, startUnixMs, loss = 0 } = options;
    this.crypto = options.crypto ?? rememberingSuite();
    this.network = network;
    this.#options = options;
    this.clock = new VirtualClock({ drain: createDrain(), startUnixMs });
    this.#verifier = new RecordVerifier(this.crypto, network, {
      maxRecords: MAX_RECORDS,
    });
    this.#memory = new MemoryNetwork({
      clock: this.clock,
      random,
      granularityMs: 1,
      link: (from, to) => {
        const leastMs = latencyMs(this.#placeOf(from), this.#placeOf(to));
        return { latencyMs: leastMs, jitterMs: jitterMs(leastMs) };
      },
    });
    if (loss === 0) return;
    this.#memory.intercept = () =>
      randomFloat(random) < loss ? { delayMs: REPEAT_MS } : undefined;
  }

  get nowMs(): number {
    return this.clock.nowMs();
  }

  get unixMs(): number {
    return this.clock.unixMs();
  }

  get nodes(): readonly SimNode[] {
    return this.#nodes;
  }

  get requests(): number {
    let sent = this.#requestsBefore;
    for (const { isUp, relay } of this.#nodes) {
      if (isUp) sent += relay?.dht.status.sent ?? 0;
    }
    return sent;
  }

  get dials(): number {
    return this.#dials;
  }

  get links(): number {
    return this.#memory.connections;
  }

  schedule(delayMs: number, wake: () => void): void {
    this.clock.schedule(delayMs, wake);
  }

  /** Throws what a relay has thrown meanwhile. */
  async advance(ms: number): Promise<void> {
    await this.clock.advance(ms);
    if (this.#errors.length > 0) throw this.#errors[0];
  }

  add({ behaviour = "honest", via }: Arrival = {}): SimNode {
    const index = this.#nodes.length;
    const { random } = this.#options;
    const node = new WholeNode(index, behaviour, randomPlace(random));
    const known = via === undefined ? undefined : this.#nodes[via.index];
    this.#nodes.push(node);
    this.#byHost.set(node.address.host, node);
    this.#run(this.#start(node, known && [known.nodeAddress]), node);
    return node;
  }

  remove({ index }: SimNode, departure: Departure): void {
    const node = this.#nodes[index];
    if (node === undefined || !node.isUp) return;
    this.#requestsBefore += node.relay?.dht.status.sent ?? 0;
    node.isUp = false;
    this.#options.conspiracy.leave(index);
    if (departure === "crash" && node.endpoint !== undefined) {
      this.#memory.crash(node.endpoint);
    }
    node.stopping.abort(new BugError("sim.removed", "The relay was removed"));
    const ending = node.stack.disposeAsync();
    // What it knew is of no use to any node, and would fill memory.
    this.#run(ending.finally(() => node.forget()), node);
  }

  cut(nodes: readonly SimNode[]): Disposable {
    const some = new Set(nodes.map(({ index }) => index));
    const addresses = (isIn: boolean) =>
      this.#nodes.filter(({ index, isUp }) => isUp && some.has(index) === isIn)
        .map(({ address }) => address);
    return this.#memory.cut(addresses(true), addresses(false));
  }

  async #start(
    node: WholeNode,
    bootstrap: readonly NodeAddress[] = [],
  ): Promise<void> {
    const runtime = this.#runtimeOf(node);
    const { crypto, network } = this;
    const state = node.stack.use(
      await StateDirectory.open(STATE, {
        files: runtime.files,
        crypto,
        holder: "simulation",
        onSetAside() {},
      }),
    );
    await this.#chooseKey(node, state, runtime.random);
    const base: NodeBase = {
      state,
      network,
      runtime,
      verifier: this.#verifier,
      bootstrap,
      linkLimits: { keepAliveMs: Infinity },
      signal: node.stopping.signal,
    };
    const relay = await startRelay(
      base,
      { listen: node.address, advertise: [] },
      node.stack,
    );
    node.relay = relay;
    if (node.behaviour !== "honest") this.#corrupt(node, relay);
    relay.dht.joined.then(() => node.joinedMs = this.nowMs);
    await joinAsRelay(base, relay);
  }

  #runtimeOf(node: WholeNode): Runtime {
    const { random, log = SILENT_LOG } = this.#options;
    return {
      clock: this.clock,
      random: seededRandom(seedFrom(random)),
      crypto: this.crypto,
      files: new MemoryFiles(),
      log,
      verifier: this.#verifier,
      openEndpoint: (options) => {
        const endpoint = this.#memory.endpoint(options);
        node.endpoint = endpoint;
        return Promise.resolve(this.#counted(endpoint));
      },
    };
  }

  #counted(endpoint: Endpoint): Endpoint {
    return {
      localAddress: endpoint.localAddress,
      dial: (...call) => {
        this.#dials++;
        return endpoint.dial(...call);
      },
      accept: () => endpoint.accept(),
      close: () => endpoint.close(),
      [Symbol.asyncDispose]: () => endpoint.close(),
    };
  }

  /** Who wants a certain place in the DHT makes keys until one is there. */
  async #chooseKey(
    { behaviour }: WholeNode,
    state: StateDirectory,
    random: Random,
  ): Promise<void> {
    const { isWanted } = this.#options;
    if (isWanted === undefined || behaviour === "honest") return;
    for (;;) {
      using identity = Identity.generate(this.crypto, random);
      if (!isWanted(identity.nodeId, behaviour)) continue;
      return await state.keys.create("identity", identity.exportSeed());
    }
  }

  /** From now on, a relay answers requests of the DHT as its conspiracy does. */
  #corrupt({ index, behaviour }: WholeNode, { services, record }: RelayRole) {
    if (behaviour === "honest") return;
    const { conspiracy } = this.#options;
    conspiracy.enter(index, record.current);
    const honest = services.onRequest.bind(services);
    services.onRequest = (link, method, body, signal) => {
      if (method !== DHT_METHOD) return honest(link, method, body, signal);
      const answer = conspiracy.answer(behaviour, body);
      switch (answer.type) {
        case "answer":
          return Promise.resolve(answer.response);
        case "silence":
          return new Promise(() => {});
        case "honest":
          return honest(link, method, body, signal);
      }
    };
  }

  #placeOf({ host }: SocketAddress): Place {
    return this.#byHost.get(host)?.place ?? { x: 0, y: 0 };
  }

  /** A relay that was told to stop may end with the reason; all else is a bug. */
  #run(work: Promise<void>, { stopping: { signal } }: WholeNode): void {
    work.catch((error) => {
      if (signal.aborted && error === signal.reason) return;
      this.#errors.push(error);
    });
  }
}
