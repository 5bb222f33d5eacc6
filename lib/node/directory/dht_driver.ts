/**
 * The driver of a relay's {@linkcode DhtNode}: links and time go in, its actions
 * are carried out.
 *
 *     request on a link ─▶ onRequest ─▶ answer         send ─▶ link, dialled if need be ─▶ onResponse
 *     relay links to us ─▶ onLink                      verify ─▶ RecordVerifier ─▶ onVerified
 *     link breaks ───────▶ onLinkLost                  bootstrap ─▶ dial ─▶ onLink
 *     findNode, get, put ─▶ a task ─▶ its promise      blame ─▶ close the link
 *
 * Everything happens in the order in which it comes in: the machine is called
 * from here alone, and never calls back.
 *
 * @see protocol §4 "DHT"
 * @module
 */
import { thrown } from "../../log/log.ts";
import { type NodeId, type PublicKey, shortKey } from "../../auth/identity.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import type { NodeAddress } from "../../auth/node_address.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import { encodeReachAnswer, REACH_METHOD } from "../../auth/own_reach.ts";
import type { Place } from "../../auth/proof_of_work.ts";
import type { RecordVerifier } from "../../auth/record_verifier.ts";
import { type Bytes, equalBytes } from "../../base/bytes.ts";
import type { Moment } from "../../base/clock.ts";
import { AnonNetError, BugError, UnreachableError } from "../../base/errors.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import { shuffled } from "../../base/random.ts";
import { TaskSet } from "../../base/task_set.ts";
import type {
  BlameAction,
  DhtAction,
  VerifiedRecords,
  VerifyAction,
} from "../../dht/dht_action.ts";
import {
  DhtNode,
  type DhtNodeOptions,
  type DhtStatistics,
  type DhtTask,
} from "../../dht/dht_node.ts";
import { type DhtKey, POINT_BYTES } from "../../dht/records/distance.ts";
import { DHT_METHOD } from "../../dht/messages.ts";
import type { StoredRecord } from "../../dht/records/stored_record.ts";
import type { BlobStore } from "../../storage/blob_store.ts";
import { DhtCaller } from "./dht_caller.ts";
import {
  DhtTasks,
  type NodesFound,
  type RecordStored,
  type TaskEnd,
  type TaskOptions,
  type ValuesFound,
} from "./dht_tasks.ts";
import { MemoryKeeper } from "./memory_keeper.ts";
import type { Link, LinkEnd } from "../link/link.ts";
import { type PeerAddress, peerOf } from "../link/link_dial.ts";
import type { LinkServices } from "../link/link_services.ts";
import type { LinkTable } from "../link/link_table.ts";
import { type RelayDirectory, WatchedRelays } from "./relay_directory.ts";
import type { Runtime } from "../../machine/runtime.ts";
import { verifyRecords } from "./verify_records.ts";

/** Nodes dialled at once to bootstrap. */
const MAX_BOOTSTRAP_DIALS = 8;

/** What a driver is made of. */
interface DhtDriverOptions {
  readonly network: NetworkParameters;
  readonly runtime: Runtime;
  readonly verifier: RecordVerifier;
  readonly blobs: BlobStore;
  readonly links: LinkTable;
  readonly services: LinkServices;
  readonly selfId: NodeId;
  readonly selfPlace: Place;
  /** Our own record as it is now; tell of a new one by {@linkcode DhtDriver.renewSelf}. */
  readonly record: () => NodeRecord;
  /** Nodes that the operator named: believed to be where we reached them. */
  readonly bootstrap: readonly PeerAddress[];
  /** What differs from a relay's limits. */
  readonly limits?: Pick<DhtNodeOptions, "storeLimits" | "maxRelays">;
}

/** Figures for `anonnet status`. */
interface DhtStatus extends DhtStatistics {
  readonly joined: boolean;
  /** Requests sent and served since the start. */
  readonly sent: number;
  readonly served: number;
}

/** A relay's part in the DHT. */
export class DhtDriver implements AsyncDisposable {
  /** All relays that we know of. */
  readonly relays: RelayDirectory;
  readonly #watched: WatchedRelays;
  readonly #options: DhtDriverOptions;
  readonly #machine: DhtNode;
  readonly #keeper: MemoryKeeper;
  readonly #listener: Disposable;
  readonly #caller: DhtCaller;
  readonly #tasks: DhtTasks;
  readonly #timer: MachineTimer;
  readonly #running = new TaskSet((error) => this.#report(error));
  readonly #stopping = new AbortController();
  readonly #joined = Promise.withResolvers<void>();
  #dialling = 0;
  #served = 0;

  private constructor(options: DhtDriverOptions, keeper: MemoryKeeper) {
    const { network, runtime, services, links, bootstrap } = options;
    const { selfId, selfPlace } = options;
    this.#options = options;
    this.#keeper = keeper;
    this.#machine = new DhtNode({
      crypto: runtime.crypto,
      random: runtime.random,
      network,
      selfId,
      selfPlace,
      ...options.limits,
    });
    this.#watched = new WatchedRelays(this.#machine.relays, runtime.clock);
    this.relays = this.#watched;
    this.#timer = new MachineTimer(runtime.clock, () => this.#onTime());
    this.#tasks = new DhtTasks(this.#stopping.signal);
    this.#caller = new DhtCaller({
      links,
      bootstrap,
      onResponse: (rpcId, response, address) => {
        const { nowMs, unixMs } = this.#now();
        this.#obey(
          this.#machine.onResponse(rpcId, response, address, nowMs, unixMs),
        );
      },
      onFailure: (rpcId) => {
        const { nowMs, unixMs } = this.#now();
        this.#obey(this.#machine.onFailure(rpcId, nowMs, unixMs));
      },
    });
    services.answer(DHT_METHOD, (link, body) => this.#answer(link, body));
    services.answer(REACH_METHOD, ({ record }) => this.#answerReach(record));
    this.#listener = services.listen({
      onLink: (link) => this.#onLink(link),
      onLinkClosed: (link, end) => this.#onLinkClosed(link, end),
    });
  }

  /**
   * Start, with what is remembered of the last run. It joins by itself as soon as
   * it knows a node to join by.
   *
   * @throws {ConfigError} `storage.*` when the disk fails.
   */
  static async start(options: DhtDriverOptions): Promise<DhtDriver> {
    const keeper = await MemoryKeeper.open(options);
    const driver = new DhtDriver(options, keeper);
    driver.#begin(await keeper.firstRelays());
    driver.#running.run(driver.#remember());
    return driver;
  }

  /** Nodes to join by that we knew in the last run, in random order. */
  get formerContacts(): readonly NodeAddress[] {
    return this.#keeper.contacts;
  }

  /** Resolves once our neighbourhood knows us; never rejects. */
  get joined(): Promise<void> {
    return this.#joined.promise;
  }

  /** Figures. */
  get status(): DhtStatus {
    return {
      joined: this.#machine.hasJoined,
      ...this.#machine.statistics(),
      sent: this.#caller.sent,
      served: this.#served,
    };
  }

  /** Relays that this node relies on: the list does not lose them for others. */
  keep(ids: readonly NodeId[]): void {
    for (const id of ids) this.#machine.relays.keep(id);
  }

  /** Our own place. */
  get selfPlace(): Place {
    return this.#options.selfPlace;
  }

  /** A point anywhere, to try a look-up with. */
  randomPoint(): DhtKey {
    return this.#options.runtime.random.bytes(POINT_BYTES);
  }

  /** The machine, to look at: tables and figures. */
  get machine(): Pick<DhtNode, "table" | "relays" | "store"> {
    return this.#machine;
  }

  /**
   * Link to a node that the operator named, or that was a contact in the last
   * run, and take it for a contact.
   *
   * @throws {AnonNetError} as {@linkcode LinkTable.getOrDial}.
   */
  async introduce(
    peer: PeerAddress,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    const link = await this.#options.links.getOrDial(peer, options);
    if (link.isRelay) return this.#meet(link);
    this.#log.warning(
      "A bootstrap node does not know where it can be dialled, and so cannot " +
        "relay yet; start it with --advertise",
      { peer: shortKey(link.peerKey) },
    );
  }

  /** Our record was signed anew. */
  renewSelf(record: NodeRecord): void {
    const nowMs = this.#options.runtime.clock.nowMs();
    this.#obey(this.#machine.renewSelf(record, nowMs));
  }

  /**
   * The k nodes closest to a target, of those that answered.
   *
   * @throws {UnreachableError} `dht.busy` when too many tasks are under way,
   * `dht.stopped`.
   */
  async findNode(
    target: Place | DhtKey,
    options: TaskOptions = {},
  ): Promise<NodesFound> {
    const { closest, hops, asked } = await this.#task(
      "nodes",
      ({ nowMs, unixMs }) => this.#machine.findNode(target, nowMs, unixMs),
      options,
    );
    return { closest, hops, asked };
  }

  /**
   * The newest record of each publisher under a key, or of one alone.
   *
   * @throws as {@linkcode findNode}.
   */
  async get(
    key: DhtKey,
    publisher?: PublicKey,
    options: TaskOptions = {},
  ): Promise<ValuesFound> {
    const { records, hops, asked } = await this.#task(
      "values",
      ({ nowMs, unixMs }) =>
        this.#machine.findValue(key, publisher, nowMs, unixMs),
      options,
    );
    return { records, hops, asked };
  }

  /**
   * Store a record on the k nodes closest to its key.
   *
   * @throws as {@linkcode findNode}.
   */
  async put(
    record: StoredRecord,
    options: TaskOptions = {},
  ): Promise<RecordStored> {
    const { copies, refused } = await this.#task(
      "stored",
      ({ nowMs, unixMs }) => this.#machine.put(record, nowMs, unixMs),
      options,
    );
    return { copies, refused };
  }

  /** Stop, and remember for the next run. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    const stopped = new UnreachableError(
      "dht.stopped",
      "Cannot look up: the node is stopping",
    );
    this.#stopping.abort(stopped);
    this.#listener[Symbol.dispose]();
    this.#watched[Symbol.dispose]();
    this.#timer.stop();
    this.#caller.cancelAll();
    await this.#running.ended();
    await this.#keeper.save(this.#machine);
  }

  get #log() {
    return this.#options.runtime.log.part("dht");
  }

  // What comes in.

  #begin(known: readonly NodeRecord[]): void {
    const { nowMs, unixMs } = this.#now();
    const record = this.#options.record();
    this.#obey(this.#machine.start(record, known, nowMs, unixMs));
  }

  #answer(link: Link, body: Bytes): Uint8Array {
    const { nowMs, unixMs } = this.#now();
    const { response, actions } = this.#machine.onRequest(
      link,
      body,
      nowMs,
      unixMs,
    );
    this.#served++;
    this.#obey(actions);
    return response;
  }

  #answerReach(record: NodeRecord | undefined): Uint8Array {
    const { nowMs, unixMs } = this.#now();
    const { answer, actions } = this.#machine.answerReach(
      record,
      nowMs,
      unixMs,
    );
    this.#obey(actions);
    return encodeReachAnswer(answer);
  }

  /** Only who dials us introduces itself: whom we dial was named by others. */
  #onLink(link: Link): void {
    if (link.direction === "inbound") this.#meet(link);
  }

  #meet({ record }: Link): void {
    if (record === undefined || this.#stopping.signal.aborted) return;
    const { nowMs, unixMs } = this.#now();
    this.#obey(this.#machine.onLink(record, nowMs, unixMs));
  }

  /** A link that was closed on purpose, such as for being idle, says nothing of its node. */
  #onLinkClosed({ nodeId, peerKey }: Link, { by, reason }: LinkEnd): void {
    const isBroken = by === "lost" || reason === "link.silent" ||
      reason === "link.stalled";
    const { links, runtime } = this.#options;
    if (!isBroken || links.get(peerKey) !== undefined) return;
    this.#obey(this.#machine.onLinkLost(nodeId, runtime.clock.nowMs()));
  }

  #onTime(): void {
    const { nowMs, unixMs } = this.#now();
    this.#obey(this.#machine.onTime(nowMs, unixMs));
  }

  #task<T extends TaskEnd["type"]>(
    type: T,
    begin: (at: Moment) => DhtTask,
    options: TaskOptions,
  ): Promise<Extract<TaskEnd, { readonly type: T }>> {
    return this.#tasks.run(
      type,
      () => begin(this.#now()),
      (actions) => this.#obey(actions),
      options,
    );
  }

  // What goes out.

  #obey(actions: readonly DhtAction[]): void {
    if (this.#stopping.signal.aborted) return;
    for (const action of actions) this.#carryOut(action);
    this.#watched.notice();
    this.#timer.set(this.#machine.deadlineMs);
  }

  #carryOut(action: DhtAction): void {
    switch (action.type) {
      case "send":
        // Not awaited when we stop: it ends with its link, and no caller listens.
        this.#caller.send(action).catch((error) => this.#report(error));
        return;
      case "cancel":
        return this.#caller.cancel(action.rpcId);
      case "verify":
        return this.#running.run(this.#verify(action));
      case "bootstrap":
        return this.#bootstrap(action.relays);
      case "joined":
        this.#log.info("Joined the DHT");
        return this.#joined.resolve();
      case "blame":
        return this.#blame(action);
      case "nodes":
      case "values":
      case "stored":
      case "busy":
        this.#tasks.onEnd(action);
    }
  }

  async #verify({ verifyId, encoded }: VerifyAction): Promise<void> {
    const { verifier } = this.#options;
    let verified: VerifiedRecords = { records: [] };
    try {
      verified = await verifyRecords(verifier, encoded, this.#now().unixMs);
    } finally {
      const { nowMs, unixMs } = this.#now();
      this.#obey(this.#machine.onVerified(verifyId, verified, nowMs, unixMs));
    }
  }

  /** Some at a time; a node left out has its turn when the machine asks again. */
  #bootstrap(relays: readonly NodeRecord[]): void {
    const { bootstrap, runtime: { random } } = this.#options;
    const former = this.#keeper.contacts.map(peerOf);
    const others = shuffled(random, [...relays, ...former]);
    for (const peer of [...bootstrap, ...others]) {
      if (this.#dialling >= MAX_BOOTSTRAP_DIALS) return;
      this.#dialling++;
      const { signal } = this.#stopping;
      this.#running.run(
        this.introduce(peer, { signal }).finally(() => this.#dialling--),
      );
    }
  }

  #blame({ nodeId, code }: BlameAction): void {
    const { links } = this.#options;
    const link = links.links.find((link) => equalBytes(link.nodeId, nodeId));
    this.#log.info("A relay broke the protocol of the DHT; keeping it out", {
      code,
      ...link && { peer: shortKey(link.peerKey) },
    });
    link?.cutOff(code);
  }

  // What is remembered.

  async #remember(): Promise<void> {
    const { signal } = this.#stopping;
    await this.#keeper.recall(this.#machine, signal);
    this.#obey([]);
    await this.#keeper.saveNowAndThen(this.#machine, signal);
  }

  #now(): Moment {
    const { clock } = this.#options.runtime;
    return { nowMs: clock.nowMs(), unixMs: clock.unixMs() };
  }

  /** What the network does is no failure of ours. */
  #report(error: unknown): void {
    const isOurs = !(error instanceof AnonNetError) ||
      error instanceof BugError;
    if (!isOurs) return;
    this.#log.error("A bug: a part of the DHT failed", {
      error: thrown(error),
    });
  }
}
