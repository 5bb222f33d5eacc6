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
import type { RecordVerifier } from "../../auth/record_verifier.ts";
import type { SocketAddress } from "../../auth/socket_address.ts";
import { type Bytes, equalBytes } from "../../base/bytes.ts";
import { raceSignal, sleep, type Timer } from "../../base/clock.ts";
import { AnonNetError, BugError, UnreachableError } from "../../base/errors.ts";
import { shuffled } from "../../base/random.ts";
import type {
  BlameAction,
  DhtAction,
  NodesAction,
  SendAction,
  StoredAction,
  ValuesAction,
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
import { CALL_MS } from "../../dht/calls.ts";
import type { StoredRecord } from "../../dht/records/stored_record.ts";
import type { BlobStore } from "../../storage/blob_store.ts";
import { DhtMemory } from "./dht_memory.ts";
import type { Link, LinkEnd } from "../link/link.ts";
import type { PeerAddress } from "../link/link_dial.ts";
import type { LinkServices } from "../link/link_services.ts";
import type { LinkTable } from "../link/link_table.ts";
import { type RelayDirectory, WatchedRelays } from "./relay_directory.ts";
import type { Runtime } from "../../machine/runtime.ts";
import { verifyRecords } from "./verify_records.ts";

/** The one method of the DHT; its bodies fit in a default frame. See protocol §4 "DHT". */
export const DHT_METHOD = "dht";

/**
 * How often what is remembered is written down, ms. A relay that is killed loses
 * no more than this, and learns it anew.
 */
const SAVE_MS = 10 * 60_000;
/** Relays of the last run that are verified before the start: enough to join by. */
const FIRST_RELAYS = 32;
/** Records of the last run that are verified between two breaths. */
const RECALL_AT_ONCE = 64;
/** Nodes dialled at once to bootstrap. */
const MAX_BOOTSTRAP_DIALS = 8;

/** What a driver is made of. */
export interface DhtDriverOptions {
  readonly network: NetworkParameters;
  readonly runtime: Runtime;
  readonly verifier: RecordVerifier;
  readonly blobs: BlobStore;
  readonly links: LinkTable;
  readonly services: LinkServices;
  readonly selfId: NodeId;
  /** Our own record as it is now; tell of a new one by {@linkcode DhtDriver.renewSelf}. */
  readonly record: () => NodeRecord;
  /** Nodes that the operator named: believed to be where we reached them. */
  readonly bootstrap: readonly PeerAddress[];
  /** What differs from a relay's limits. */
  readonly limits?: Pick<DhtNodeOptions, "storeLimits" | "maxRelays">;
}

/** The end of a look-up for nodes. */
export type NodesFound = Omit<NodesAction, "type" | "taskId">;
/** The end of a look-up for records. */
export type ValuesFound = Omit<ValuesAction, "type" | "taskId">;
/** What became of a record that was to be stored. */
export type RecordStored = Omit<StoredAction, "type" | "taskId">;

/** Figures for `anonnet status`. */
export interface DhtStatus extends DhtStatistics {
  readonly joined: boolean;
  /** Requests sent and served since the start. */
  readonly sent: number;
  readonly served: number;
}

/** What waiting takes. */
export interface TaskOptions {
  /** Stops the waiting; the look-up itself ends by its own deadline. */
  readonly signal?: AbortSignal | undefined;
}

/** Somebody who waits for a task. */
type Waiting = PromiseWithResolvers<DhtAction>;

/** A relay's part in the DHT. */
export class DhtDriver implements AsyncDisposable {
  /** All relays that we know of. */
  readonly relays: RelayDirectory;
  readonly #watched: WatchedRelays;
  readonly #options: DhtDriverOptions;
  readonly #machine: DhtNode;
  readonly #memory: DhtMemory;
  readonly #formerContacts: readonly NodeAddress[];
  readonly #listener: Disposable;
  /** Calls that the machine still waits for. */
  readonly #calls = new Set<number>();
  readonly #tasks = new Map<number, Waiting>();
  /** What runs on its own; awaited on dispose. */
  readonly #running = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #joined = Promise.withResolvers<void>();
  #timer: Timer | undefined;
  #armedMs = Infinity;
  #dialling = 0;
  #sent = 0;
  #served = 0;
  #isRecalled = false;

  private constructor(
    options: DhtDriverOptions,
    memory: DhtMemory,
    formerContacts: readonly NodeAddress[],
  ) {
    const { network, runtime, selfId, services } = options;
    this.#options = options;
    this.#memory = memory;
    this.#formerContacts = formerContacts;
    this.#machine = new DhtNode({
      crypto: runtime.crypto,
      random: runtime.random,
      network,
      selfId,
      ...options.limits,
    });
    this.#watched = new WatchedRelays(this.#machine.relays, runtime.clock);
    this.relays = this.#watched;
    services.answer(DHT_METHOD, (link, body) => this.#answer(link, body));
    this.#listener = services.listen({
      onLink: (link) => this.#onLink(link),
      onLinkClosed: (link, end) => this.#onLinkClosed(link, end),
    });
  }

  /**
   * Start, with what is remembered of the last run. It joins by itself as soon as
   * there is anybody to join by.
   *
   * @throws {ConfigError} `storage.*` when the disk fails.
   */
  static async start(options: DhtDriverOptions): Promise<DhtDriver> {
    const { crypto, random } = options.runtime;
    const memory = new DhtMemory(crypto, options.blobs);
    const contacts = shuffled(random, await memory.contacts());
    const relays = shuffled(random, await memory.relays());
    const driver = new DhtDriver(options, memory, contacts);
    await driver.#begin(relays.slice(0, FIRST_RELAYS));
    driver.#run(driver.#recall(relays.slice(FIRST_RELAYS)));
    return driver;
  }

  /** Nodes to join by that we knew in the last run, in random order. */
  get formerContacts(): readonly NodeAddress[] {
    return this.#formerContacts;
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
      sent: this.#sent,
      served: this.#served,
    };
  }

  /** Our own place. */
  get selfId(): NodeId {
    return this.#options.selfId;
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
    target: NodeId | DhtKey,
    options: TaskOptions = {},
  ): Promise<NodesFound> {
    const end = await this.#task(
      (nowMs, unixMs) => this.#machine.findNode(target, nowMs, unixMs),
      options,
    );
    if (end.type !== "nodes") throw busyError();
    const { closest, hops, asked } = end;
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
    const end = await this.#task(
      (nowMs, unixMs) => this.#machine.findValue(key, publisher, nowMs, unixMs),
      options,
    );
    if (end.type !== "values") throw busyError();
    const { records, hops, asked } = end;
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
    const end = await this.#task(
      (nowMs, unixMs) => this.#machine.put(record, nowMs, unixMs),
      options,
    );
    if (end.type !== "stored") throw busyError();
    const { copies, refused } = end;
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
    this.#timer?.cancel();
    for (const { reject } of this.#tasks.values()) reject(stopped);
    this.#tasks.clear();
    this.#calls.clear();
    while (this.#running.size > 0) await Promise.all(this.#running);
    await this.#save();
  }

  get #log() {
    return this.#options.runtime.log.part("dht");
  }

  // What comes in.

  async #begin(cached: readonly Bytes[]): Promise<void> {
    const { runtime: { clock }, verifier, record } = this.#options;
    const known: NodeRecord[] = [];
    for (const encoded of cached) {
      const { records } = await verifyRecords(
        verifier,
        [encoded],
        clock.unixMs(),
      );
      known.push(...records);
    }
    const [nowMs, unixMs] = [clock.nowMs(), clock.unixMs()];
    this.#obey(this.#machine.start(record(), known, nowMs, unixMs));
  }

  #answer(link: Link, body: Bytes): Uint8Array {
    const { clock } = this.#options.runtime;
    const { response, actions } = this.#machine.onRequest(
      link,
      body,
      clock.nowMs(),
      clock.unixMs(),
    );
    this.#served++;
    this.#obey(actions);
    return response;
  }

  /** Only who dials us introduces itself: whom we dial was named by others. */
  #onLink(link: Link): void {
    if (link.direction === "inbound") this.#meet(link);
  }

  #meet({ record }: Link): void {
    if (record === undefined || this.#stopping.signal.aborted) return;
    const { clock } = this.#options.runtime;
    this.#obey(this.#machine.onLink(record, clock.nowMs(), clock.unixMs()));
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
    this.#armedMs = Infinity;
    const { clock } = this.#options.runtime;
    this.#obey(this.#machine.onTime(clock.nowMs(), clock.unixMs()));
  }

  #task(
    begin: (nowMs: number, unixMs: number) => DhtTask,
    { signal }: TaskOptions,
  ): Promise<DhtAction> {
    if (this.#stopping.signal.aborted) {
      return Promise.reject(this.#stopping.signal.reason);
    }
    const { clock } = this.#options.runtime;
    const { taskId, actions } = begin(clock.nowMs(), clock.unixMs());
    const waiting: Waiting = Promise.withResolvers();
    this.#tasks.set(taskId, waiting);
    this.#obey(actions);
    return raceSignal(waiting.promise, signal);
  }

  // What goes out.

  #obey(actions: readonly DhtAction[]): void {
    if (this.#stopping.signal.aborted) return;
    for (const action of actions) this.#carryOut(action);
    this.#watched.notice();
    this.#arm();
  }

  #carryOut(action: DhtAction): void {
    switch (action.type) {
      case "send":
        this.#sent++;
        this.#calls.add(action.rpcId);
        // Not awaited when we stop: it ends with its link, and nobody listens.
        this.#ask(action).catch((error) => this.#report(error));
        return;
      case "cancel":
        // The link's own deadline ends it soon after.
        this.#calls.delete(action.rpcId);
        return;
      case "verify":
        return this.#run(this.#verify(action));
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
        this.#tasks.get(action.taskId)?.resolve(action);
        this.#tasks.delete(action.taskId);
    }
  }

  async #ask({ rpcId, to, request }: SendAction): Promise<void> {
    const { links, runtime: { clock } } = this.#options;
    let response: Bytes;
    let address: SocketAddress;
    try {
      const link = links.get(to.publicKey) ?? await links.getOrDial(to);
      if (!this.#calls.has(rpcId)) return;
      const timeoutMs = CALL_MS;
      response = await link.request(DHT_METHOD, request, { timeoutMs });
      address = this.#addressOf(link);
    } catch (error) {
      if (!this.#calls.delete(rpcId)) return;
      this.#obey(
        this.#machine.onFailure(rpcId, clock.nowMs(), clock.unixMs()),
      );
      if (!(error instanceof AnonNetError)) throw error;
      return;
    }
    if (!this.#calls.delete(rpcId)) return;
    const [nowMs, unixMs] = [clock.nowMs(), clock.unixMs()];
    this.#obey(
      this.#machine.onResponse(rpcId, response, address, nowMs, unixMs),
    );
  }

  /**
   * Where a node answered. One that the operator named is taken for being where it
   * says: on the operator's own network it may well be dialled elsewhere.
   */
  #addressOf({ peerKey, record, remoteAddress }: Link): SocketAddress {
    const isNamed = this.#options.bootstrap.some(({ publicKey }) =>
      equalBytes(publicKey, peerKey)
    );
    return isNamed ? record?.addresses[0] ?? remoteAddress : remoteAddress;
  }

  async #verify({ verifyId, encoded }: VerifyAction): Promise<void> {
    const { verifier, runtime: { clock } } = this.#options;
    let verified: VerifiedRecords = { records: [] };
    try {
      verified = await verifyRecords(verifier, encoded, clock.unixMs());
    } finally {
      const [nowMs, unixMs] = [clock.nowMs(), clock.unixMs()];
      this.#obey(this.#machine.onVerified(verifyId, verified, nowMs, unixMs));
    }
  }

  /** Some at a time; who finds no place has its turn when the machine asks again. */
  #bootstrap(relays: readonly NodeRecord[]): void {
    const { bootstrap, runtime: { random } } = this.#options;
    const former = this.#formerContacts.map(peerOf);
    const others = shuffled(random, [...relays, ...former]);
    for (const peer of [...bootstrap, ...others]) {
      if (this.#dialling >= MAX_BOOTSTRAP_DIALS) return;
      this.#dialling++;
      const { signal } = this.#stopping;
      this.#run(
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

  /** Set the timer, unless it wakes us early enough already. */
  #arm(): void {
    const dueMs = this.#machine.deadlineMs ?? Infinity;
    if (dueMs >= this.#armedMs) return;
    this.#timer?.cancel();
    this.#armedMs = dueMs;
    const { clock } = this.#options.runtime;
    const waitMs = dueMs - clock.nowMs();
    this.#timer = clock.schedule(waitMs, () => this.#onTime(), {
      keepAlive: false,
    });
  }

  // What is remembered.

  /** Bring back the rest of the last run, then write down what is new, now and then. */
  async #recall(relays: readonly Bytes[]): Promise<void> {
    const { verifier, runtime: { clock } } = this.#options;
    for (let at = 0; at < relays.length; at += RECALL_AT_ONCE) {
      for (const encoded of relays.slice(at, at + RECALL_AT_ONCE)) {
        const { records: [record] } = await verifyRecords(
          verifier,
          [encoded],
          clock.unixMs(),
        );
        if (record !== undefined) {
          this.#machine.relays.merge(record, clock.nowMs());
        }
      }
      await this.#breathe();
    }
    for await (const records of this.#memory.records()) {
      for (let at = 0; at < records.length; at += RECALL_AT_ONCE) {
        this.#machine.store.import(
          records.slice(at, at + RECALL_AT_ONCE),
          clock.nowMs(),
          clock.unixMs(),
        );
        await this.#breathe();
      }
    }
    this.#obey([]);
    this.#isRecalled = true;
    for (;;) {
      await this.#pause(SAVE_MS);
      await this.#save();
    }
  }

  #breathe(): Promise<void> {
    return this.#pause(0);
  }

  async #pause(ms: number): Promise<void> {
    const { clock } = this.#options.runtime;
    const { signal } = this.#stopping;
    await sleep(clock, ms, { signal, keepAlive: false });
  }

  async #save(): Promise<void> {
    // What is on the disk is more than what has been brought back by then.
    if (!this.#isRecalled) return;
    const { table, relays, store } = this.#machine;
    const { random, clock } = this.#options.runtime;
    const unixMs = clock.unixMs();
    const contacts = Array.from(
      table.contacts(),
      ({ record: { publicKey }, address }) => ({ publicKey, address }),
    );
    try {
      // Alone in the network, the last contacts are better than none.
      if (contacts.length > 0) {
        await this.#memory.writeContacts(shuffled(random, contacts));
      }
      await this.#memory.writeRelays(relays.export(unixMs));
      await this.#memory.writeRecords(store.export(unixMs));
    } catch (error) {
      this.#log.error("Cannot write down what the DHT should remember", {
        error: thrown(error),
      });
    }
  }

  /** Own a promise. What the network does is no failure of ours. */
  #run(work: Promise<void>): void {
    const task = work.catch((error) => this.#report(error))
      .finally(() => this.#running.delete(task));
    this.#running.add(task);
  }

  #report(error: unknown): void {
    const isOurs = !(error instanceof AnonNetError) ||
      error instanceof BugError;
    if (!isOurs) return;
    this.#log.error("A bug: a part of the DHT failed", {
      error: thrown(error),
    });
  }
}

/** An address that a node was known by, as one to dial. */
export function peerOf({ publicKey, address }: NodeAddress): PeerAddress {
  return { publicKey, addresses: [address] };
}

function busyError(): UnreachableError {
  return new UnreachableError(
    "dht.busy",
    "Cannot look up: too many look-ups are under way",
  );
}
