/**
 * The relay list of a node that is no relay. It takes no part in the DHT: it asks
 * its guards for their lists, or, until it has guards, the nodes that it was told
 * to join by; no other node learns that it is there.
 *
 *     sources ─ dial ─▶ links ─ ListRelays, page by page ─▶ verify ─▶ named by two? ─▶ the list
 *     round     at once (10 s after a start with a list), after 10 s, 60 s, then hourly
 *     no source was read to its end ─▶ again after 2 s, 4 s … 5 min
 *
 * No source is believed alone: a relay is listed when two name it that have nothing
 * to do with each other, or when this node has a link with it. Of a relay that is
 * listed, any node may bring a newer record, which it has signed itself. Until there
 * are guards, a few of the relays that were named are asked too.
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import { thrown } from "../../log/log.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import type { RecordVerifier } from "../../auth/record_verifier.ts";
import { type Bytes, equalBytes } from "../../base/bytes.ts";
import { sleep } from "../../base/clock.ts";
import {
  AnonNetError,
  BugError,
  errorCode,
  ProtocolError,
  UnreachableError,
} from "../../base/errors.ts";
import { randomBetween, sampled, shuffled } from "../../base/random.ts";
import { nodeKey } from "../../dht/table/node_key.ts";
import { RelayList } from "../../dht/relay_list.ts";
import {
  RelayWitnesses,
  type Witness,
} from "../../dht/join/relay_witnesses.ts";
import { MAX_PAGES, RelaySync, type SyncAction } from "../../dht/relay_sync.ts";
import type { BlobStore } from "../../storage/blob_store.ts";
import { ListMemory } from "./list_memory.ts";
import { ListReader, type ListSource } from "./list_reader.ts";
import type { Link } from "../link/link.ts";
import type { PeerAddress } from "../link/link_dial.ts";
import type { LinkTable } from "../link/link_table.ts";
import { type RelayDirectory, WatchedRelays } from "./relay_directory.ts";
import type { Runtime } from "../../machine/runtime.ts";

/** Sources that are dialled for one round. */
const MAX_SOURCES = 4;
/** Wait before the first round where there is a list already: guards are chosen meanwhile. */
const FIRST_ROUND_MS = 10_000;
const FIRST_RETRY_MS = 2_000;
const MAX_RETRY_MS = 5 * 60_000;
/** Longest wait while the clock of this machine seems to be wrong, ms. */
const CLOCK_RETRY_MS = 10_000;
/** How often it is asked while too few relays are known, a quarter more or less, ms. */
const EAGER_MS = 5_000;
/** Relays that were named and are asked as well, while there are no guards. */
const MAX_FURTHER = 3;
/**
 * Rounds in a row in which one source of several answered: then it is believed
 * together with those that it names. Longer than a restart takes.
 */
const LONELY_ROUNDS = 3;
/** Rounds in which former guards alone are asked. */
const GUARD_ROUNDS = 2;
/** Least rounds in which named nodes that have moved are asked before all others. */
const MOVED_ROUNDS = 3;
/** Longest time between two looks at what has expired, and at the calendar. */
const MAX_LOOK_MS = 60_000;

/** What it is made of. */
export interface RelayListClientOptions {
  readonly network: NetworkParameters;
  readonly runtime: Runtime;
  readonly verifier: RecordVerifier;
  readonly blobs: BlobStore;
  /** Links under throw-away identities. */
  readonly links: LinkTable;
  /** Nodes that the operator named. */
  readonly bootstrap: readonly PeerAddress[];
  /**
   * Guards of the last run: asked before any other relay where its list has ended
   * meanwhile, for they know us already. Default: none.
   */
  readonly formerGuards?: readonly PeerAddress[];
  /**
   * Relays without which the node can do nothing: while fewer are known, it is asked
   * often. A young network grows by the minute. Default 1.
   */
  readonly leastRelays?: number;
}

/** A list of all relays, kept fresh from afar. */
export class RelayListClient implements AsyncDisposable {
  /** All relays that we know of. */
  readonly relays: RelayDirectory;
  readonly #options: RelayListClientOptions;
  readonly #memory: ListMemory;
  readonly #reader: ListReader;
  readonly #list: RelayList;
  readonly #watched: WatchedRelays;
  readonly #sync: RelaySync;
  readonly #witnesses = new RelayWitnesses();
  readonly #stopping = new AbortController();
  readonly #ready = Promise.withResolvers<void>();
  /** The loop of rounds; never rejects. */
  #running: Promise<void> = Promise.resolve();
  #guards: () => readonly PeerAddress[] = () => [];
  #savedVersion = 0;
  /** Ends a wait for the next round. */
  #hurry = Promise.withResolvers<void>();
  /** Named nodes that were elsewhere in the last run. */
  #moved: readonly PeerAddress[] = [];
  /** Records of the last run: where it moved, they lead nowhere. */
  readonly #recalled = new WeakSet<NodeRecord>();
  /** Rounds that brought a list. */
  #rounds = 0;
  /** Rounds in a row that brought nothing. */
  #failures = 0;
  /** Whether a source of the last round sent records that our clock contradicts. */
  #isClockWrong = false;
  /** Rounds in a row in which no more than one source answered. */
  #lonelyRounds = 0;

  private constructor(options: RelayListClientOptions, memory: ListMemory) {
    const { network, verifier, links, runtime } = options;
    const { crypto, random, clock } = runtime;
    const { signal } = this.#stopping;
    this.#options = options;
    this.#memory = memory;
    this.#reader = new ListReader({ network, verifier, clock, links, signal });
    this.#list = new RelayList({ crypto, random });
    this.#sync = new RelaySync(random);
    this.#watched = new WatchedRelays(this.#list, clock);
    this.relays = this.#watched;
  }

  /**
   * Start, with what is remembered of the last run. The list fills by itself.
   *
   * @param signal Ends the start; it rejects with the signal's reason.
   * @throws {ConfigError} `storage.*` when the disk fails.
   */
  static async start(
    options: RelayListClientOptions,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<RelayListClient> {
    const memory = await ListMemory.open(options);
    const client = new RelayListClient(options, memory);
    for await (const record of memory.recall(signal)) {
      client.#recalled.add(record);
      client.#take(record);
    }
    client.#running = client.#run().catch((error) => {
      if (!client.#stopping.signal.aborted) client.#report(error);
    });
    return client;
  }

  /** Whom it asks: guards, or nodes to join by. */
  get sources(): readonly PeerAddress[] {
    const guards = this.#guards();
    const { bootstrap, formerGuards = [] } = this.#options;
    // In turn with guards: those may be dialled where they were, or be there still.
    if (this.#failures % 2 === 0 && this.#isMoving) return this.#moved;
    if (guards.length > 0 && this.#list.size > 0) return guards;
    if (formerGuards.length > 0 && this.#failures < GUARD_ROUNDS) {
      return formerGuards;
    }
    return [...bootstrap, ...this.#memory.contacts, ...formerGuards];
  }

  /**
   * Nodes that the operator named, and that our list has elsewhere: the network has
   * moved since, our guards perhaps with it.
   */
  #findMoved(): readonly PeerAddress[] {
    const relays = this.relays.snapshot();
    return this.#options.bootstrap.filter(({ publicKey, addresses }) => {
      const known = relays.find((record) =>
        equalBytes(record.publicKey, publicKey)
      );
      return known !== undefined &&
        !addresses.some((named) =>
          known.addresses.some(({ host, port }) =>
            host === named.host && port === named.port
          )
        );
    });
  }

  /**
   * Their lists are old at first, too: they are asked until they have heard of the
   * others, our guards among them.
   */
  get #isMoving(): boolean {
    return this.#moved.length > 0 &&
      (this.#rounds < MOVED_ROUNDS || !this.#hasGuardLink);
  }

  get #hasGuardLink(): boolean {
    const { links } = this.#options.links;
    return this.#guards().some(({ publicKey }) =>
      links.some(({ peerKey }) => equalBytes(peerKey, publicKey))
    );
  }

  /** Whether there is a list, or a node to ask for one. */
  get hasSources(): boolean {
    return this.#list.size > 0 || this.sources.length > 0;
  }

  /** Resolves when there is a list, be it the last run's; never rejects. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** From now on these alone are asked, as long as there are any. */
  useGuards(guards: () => readonly PeerAddress[]): void {
    this.#guards = guards;
  }

  /** The machine is on another network, or awake again: ask now, not in an hour. */
  onNetworkChange(): void {
    this.#hurry.resolve();
  }

  /** Stop, and remember for the next run. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort(
      new UnreachableError("node.stopped", "Cannot wait: the node is stopping"),
    );
    this.#watched[Symbol.dispose]();
    await this.#running;
    await this.#save();
  }

  async #run(): Promise<void> {
    if (this.#list.size > 0) {
      this.#ready.resolve();
      this.#moved = this.#findMoved();
      if (!this.#isMoving) await this.#pause(FIRST_ROUND_MS);
    }
    const { clock, random } = this.#options.runtime;
    for (let retryMs = FIRST_RETRY_MS;;) {
      if (await this.#round()) {
        this.#failures = 0;
        this.#rounds++;
        this.#ready.resolve();
        await this.#save();
        retryMs = FIRST_RETRY_MS;
        const eagerMs = clock.nowMs() +
          EAGER_MS * randomBetween(random, 0.75, 1.25);
        const dueMs = this.#sync.deadlineMs ?? clock.nowMs();
        await this.#waitUntil(
          this.#isScarce || this.#isMoving ? Math.min(eagerMs, dueMs) : dueMs,
        );
      } else {
        this.#failures++;
        await this.#waitUntil(
          clock.nowMs() + retryMs * randomBetween(random, 0.75, 1.25),
        );
        // The peers are there: all is well as soon as the clock is put right.
        const longestMs = this.#isClockWrong ? CLOCK_RETRY_MS : MAX_RETRY_MS;
        retryMs = Math.min(2 * retryMs, longestMs);
      }
    }
  }

  get #isScarce(): boolean {
    return this.#list.size < (this.#options.leastRelays ?? 1);
  }

  /** Read the lists of some sources. @returns Whether one was read to its end. */
  async #round(): Promise<boolean> {
    const { runtime: { clock, random } } = this.#options;
    this.#isClockWrong = false;
    const all = this.sources;
    const hasGuards = this.#guards().length > 0;
    const sources = await this.#link(
      shuffled(random, all).slice(0, MAX_SOURCES),
    );
    if (sources.size === 0) return false;
    const asked = [...sources.values()].map(({ witness }) => witness);
    this.#witnesses.begin(asked, false);
    const actions = this.#sync.start(sources.keys(), clock.nowMs());
    const read: Witness[] = [];
    await this.#read(actions, sources, read);
    this.#lonelyRounds = read.length === 1 ? this.#lonelyRounds + 1 : 0;
    const isAlone = !hasGuards && read.length === 1 &&
      (all.length === 1 || this.#lonelyRounds >= LONELY_ROUNDS);
    if (!hasGuards && (isAlone || this.#isScarce)) {
      await this.#askFurther(sources, isAlone ? read[0] : undefined);
    }
    this.#watched.notice();
    return read.length > 0 && this.#list.size > 0;
  }

  /** Dial nodes. Those with whom there is a link are there, whatever others say. */
  async #link(
    peers: readonly PeerAddress[],
    voice?: Witness,
  ): Promise<Map<NodeRecord, ListSource>> {
    const found = await Promise.all(
      peers.map((peer) => this.#dial(peer, voice)),
    );
    const sources = new Map<NodeRecord, ListSource>();
    for (const source of found) {
      if (source === undefined) continue;
      this.#take(source.record);
      sources.set(source.record, source);
    }
    return sources;
  }

  /**
   * Ask some of the relays that were named.
   *
   * @param voice The one source there is: those that it names speak with its voice.
   * Where there are several, only relays that two of them named are asked.
   */
  async #askFurther(
    asked: ReadonlyMap<NodeRecord, ListSource>,
    voice: Witness | undefined,
  ): Promise<void> {
    const { random, clock } = this.#options.runtime;
    const known = new Set([...asked.keys()].map(nodeKey));
    const named = [
      ...this.#list.records(clock.unixMs()),
      ...voice === undefined ? [] : this.#witnesses.records(),
    ].filter((record) =>
      !known.has(nodeKey(record)) &&
      // Dialling where relays are no longer would hold the round up.
      !(this.#isMoving && this.#recalled.has(record))
    );
    const further = await this.#link(
      sampled(random, named, MAX_FURTHER),
      voice,
    );
    const all = [...asked.values(), ...further.values()];
    this.#witnesses.begin(
      all.map(({ witness }) => witness),
      voice !== undefined,
    );
    await Promise.all(
      Array.from(further.values(), (source) => this.#readAll(source)),
    );
  }

  /** Read a whole list, once. */
  async #readAll(source: ListSource): Promise<void> {
    let cursor: Bytes = new Uint8Array(0);
    try {
      for (let pages = 0; pages < MAX_PAGES; pages++) {
        const page = await this.#readPage(source, cursor);
        if (page === undefined || !page.more) return;
        cursor = page.cursor;
      }
    } catch (error) {
      this.#onLost(source.link, error);
    }
  }

  /** A relay that is there for us: because of a link, or of what others say. */
  #take(record: NodeRecord): void {
    const { clock } = this.#options.runtime;
    this.#list.merge(record, clock.nowMs());
    const newest = this.#list.get(record.nodeId) ?? record;
    this.#list.prove(newest, clock.nowMs());
  }

  /** A witness names a relay. */
  #hear(record: NodeRecord, witness: Witness): void {
    const isKnown = this.#list.isListed(record.nodeId);
    if (isKnown || this.#witnesses.hear(record, witness)) this.#take(record);
  }

  async #dial(
    peer: PeerAddress,
    voice: Witness | undefined,
  ): Promise<ListSource | undefined> {
    try {
      const link = await this.#reader.dial(peer);
      return this.#reader.sourceOf(link, voice);
    } catch (error) {
      this.#stopping.signal.throwIfAborted();
      this.#isClockWrong ||= isOfTheClock(error);
      this.#report(error);
      return undefined;
    }
  }

  /** Read pages until there are no more; those who sent their last one go to `read`. */
  async #read(
    actions: readonly SyncAction[],
    sources: ReadonlyMap<NodeRecord, ListSource>,
    read: Witness[],
  ): Promise<void> {
    await Promise.all(actions.map(async ({ record, cursor }) => {
      const source = sources.get(record);
      if (source === undefined) throw new BugError("node.source", "No source");
      let next: readonly SyncAction[];
      try {
        const page = await this.#readPage(source, cursor);
        next = page === undefined
          ? this.#sync.onFailure(record)
          : this.#sync.onPage(record, page.cursor, page.more);
        const goesOn = next.some((action) => action.record === record);
        if (page !== undefined && !goesOn) read.push(source.witness);
      } catch (error) {
        this.#onLost(source.link, error);
        next = this.#sync.onFailure(record);
      }
      await this.#read(next, sources, read);
    }));
  }

  #onLost(link: Link, error: unknown): void {
    this.#stopping.signal.throwIfAborted();
    this.#report(error);
    if (error instanceof ProtocolError) link.cutOff(error.code);
  }

  /** @returns `undefined` when the source has no list for us. */
  async #readPage(
    source: ListSource,
    cursor: Bytes,
  ): Promise<{ readonly cursor: Bytes; readonly more: boolean } | undefined> {
    const page = await this.#reader.readPage(source, cursor);
    if (page === undefined) return undefined;
    const { records, lie } = page;
    for (const record of records) this.#hear(record, source.witness);
    if (lie !== undefined) {
      throw new ProtocolError(lie, "Cannot take relay list: a false record");
    }
    return page;
  }

  /** Timers do not see that a machine slept: look at the calendar now and then. */
  async #waitUntil(untilMs: number): Promise<void> {
    const { clock } = this.#options.runtime;
    let isHurried = false;
    this.#hurry = Promise.withResolvers();
    const hurried = this.#hurry.promise.then(() => void (isHurried = true));
    for (;;) {
      this.#list.sweep(clock.unixMs());
      this.#witnesses.sweep(clock.unixMs());
      this.#watched.notice();
      const leftMs = untilMs - clock.nowMs();
      if (leftMs <= 0 || isHurried) return;
      const wasEmpty = this.#list.size === 0;
      const pause = this.#pause(Math.min(leftMs, MAX_LOOK_MS));
      await Promise.race([pause, hurried]);
      this.#list.sweep(clock.unixMs());
      // All of it has expired while the machine slept: do not wait for the hour.
      if (!wasEmpty && this.#list.size === 0) return;
    }
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#stopping;
    const { clock } = this.#options.runtime;
    await sleep(clock, ms, { signal, keepAlive: false });
  }

  async #save(): Promise<void> {
    const { clock } = this.#options.runtime;
    const { version } = this.relays;
    if (version === this.#savedVersion || this.#list.size === 0) return;
    try {
      await this.#memory.save([...this.#list.records(clock.unixMs())]);
      this.#savedVersion = version;
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    const log = this.#options.runtime.log.part("relays");
    const fields = { error: thrown(error) };
    if (error instanceof BugError || !(error instanceof AnonNetError)) {
      log.error("A bug: the relay list cannot be kept fresh", fields);
    } else if (error instanceof ProtocolError) {
      log.warning("A source of the relay list broke the protocol", fields);
    } else log.info("Cannot ask for the relay list; trying again", fields);
  }
}

/** Whether a dial failed since the peer's record is of another time, now or lately. */
function isOfTheClock(error: unknown): boolean {
  return errorCode(error) === "auth.record_date" ||
    (error instanceof AnonNetError && error.cause !== undefined &&
      isOfTheClock(error.cause));
}
