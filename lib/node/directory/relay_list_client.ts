/**
 * The relay list of a node that is no relay. It takes no part in the DHT: it asks
 * its guards for their lists, or, until it has guards, the nodes that it was told
 * to join by; nobody else learns that it is there.
 *
 *     sources ─ dial ─▶ links ─ ListRelays, page by page ─▶ verify ─▶ the list
 *     round     at once (10 s after a start with a list), after 10 s, 60 s, then hourly
 *     no source was read to its end ─▶ again after 2 s, 4 s … 5 min
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import { thrown } from "../../log/log.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import type { RecordVerifier } from "../../auth/record_verifier.ts";
import type { Bytes } from "../../base/bytes.ts";
import { raceSignal, sleep } from "../../base/clock.ts";
import {
  AnonNetError,
  BugError,
  ProtocolError,
  UnreachableError,
} from "../../base/errors.ts";
import { randomBetween, shuffled } from "../../base/random.ts";
import { decodeResponse, encodeRequest } from "../../dht/messages.ts";
import { RelayList } from "../../dht/relay_list.ts";
import { RelaySync, type SyncAction } from "../../dht/relay_sync.ts";
import type { BlobStore } from "../../storage/blob_store.ts";
import { DHT_METHOD, peerOf } from "./dht_driver.ts";
import { DhtMemory, MAX_KEPT_CONTACTS } from "./dht_memory.ts";
import type { Link } from "../link/link.ts";
import type { PeerAddress } from "../link/link_dial.ts";
import type { LinkTable } from "../link/link_table.ts";
import { type RelayDirectory, WatchedRelays } from "./relay_directory.ts";
import type { Runtime } from "../../machine/runtime.ts";
import { verifyRecords } from "./verify_records.ts";

/** Records of the last run that are verified at once. */
const RECALL_AT_ONCE = 16;
/** Sources that are dialled for one round. */
const MAX_SOURCES = 4;
/** Wait before the first round where there is a list already: guards are chosen meanwhile. */
const FIRST_ROUND_MS = 10_000;
const FIRST_RETRY_MS = 2_000;
const MAX_RETRY_MS = 5 * 60_000;
/** How often it is asked while too few relays are known, a quarter more or less, ms. */
const EAGER_MS = 5_000;
/** Rounds in which nobody but former guards is asked. */
const GUARD_ROUNDS = 2;
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
   * Guards of the last run: asked before anybody else where its list has ended
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
  readonly #memory: DhtMemory;
  readonly #list: RelayList;
  readonly #watched: WatchedRelays;
  readonly #sync: RelaySync;
  /** Nodes to join by that we knew in the last run, in random order. */
  readonly #formerContacts: readonly PeerAddress[];
  readonly #stopping = new AbortController();
  readonly #ready = Promise.withResolvers<void>();
  /** The loop of rounds; never rejects. */
  #running: Promise<void> = Promise.resolve();
  #guards: () => readonly PeerAddress[] = () => [];
  #savedVersion = 0;
  /** Ends a wait for the next round. */
  #hurry = Promise.withResolvers<void>();
  /** Rounds in a row that brought nothing. */
  #failures = 0;

  private constructor(
    options: RelayListClientOptions,
    memory: DhtMemory,
    formerContacts: readonly PeerAddress[],
  ) {
    const { network, runtime: { crypto, random, clock } } = options;
    this.#options = options;
    this.#memory = memory;
    this.#formerContacts = formerContacts;
    this.#list = new RelayList({ crypto, network, random });
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
    const { crypto, random } = options.runtime;
    const memory = new DhtMemory(crypto, options.blobs);
    const contacts = shuffled(random, await memory.contacts());
    const cached = shuffled(random, await memory.relays());
    const former = contacts.map(peerOf);
    const client = new RelayListClient(options, memory, former);
    await client.#recall(cached, signal);
    client.#running = client.#run().catch((error) => {
      if (!client.#stopping.signal.aborted) client.#report(error);
    });
    return client;
  }

  /** Whom it asks: guards, or nodes to join by. */
  get sources(): readonly PeerAddress[] {
    const guards = this.#guards();
    if (guards.length > 0 && this.#list.size > 0) return guards;
    const { bootstrap, formerGuards = [] } = this.#options;
    if (formerGuards.length > 0 && this.#failures < GUARD_ROUNDS) {
      return formerGuards;
    }
    return [...bootstrap, ...this.#formerContacts, ...formerGuards];
  }

  /** Whether there is a list, or anybody to ask for one. */
  get hasSources(): boolean {
    return this.#list.size > 0 || this.sources.length > 0;
  }

  /** Resolves when there is a list, be it the last run's; never rejects. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** From now on these are asked, and nobody else as long as there are any. */
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
      await this.#pause(FIRST_ROUND_MS);
    }
    const { clock, random } = this.#options.runtime;
    for (let retryMs = FIRST_RETRY_MS;;) {
      if (await this.#round()) {
        this.#failures = 0;
        this.#ready.resolve();
        await this.#save();
        retryMs = FIRST_RETRY_MS;
        const eagerMs = clock.nowMs() +
          EAGER_MS * randomBetween(random, 0.75, 1.25);
        const dueMs = this.#sync.deadlineMs ?? clock.nowMs();
        await this.#waitUntil(
          this.#isScarce ? Math.min(eagerMs, dueMs) : dueMs,
        );
      } else {
        this.#failures++;
        await this.#waitUntil(
          clock.nowMs() + retryMs * randomBetween(random, 0.75, 1.25),
        );
        retryMs = Math.min(2 * retryMs, MAX_RETRY_MS);
      }
    }
  }

  get #isScarce(): boolean {
    return this.#list.size < (this.#options.leastRelays ?? 1);
  }

  /** Bring the last run's list back, verified anew. */
  async #recall(
    cached: readonly Bytes[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { verifier, runtime: { clock } } = this.#options;
    for (let at = 0; at < cached.length; at += RECALL_AT_ONCE) {
      signal?.throwIfAborted();
      const some = cached.slice(at, at + RECALL_AT_ONCE);
      const verified = await Promise.all(
        some.map((encoded) =>
          verifyRecords(verifier, [encoded], clock.unixMs())
        ),
      );
      for (const { records: [record] } of verified) {
        if (record !== undefined) this.#list.merge(record, clock.nowMs());
      }
    }
  }

  /** Read the lists of some sources. @returns Whether one was read to its end. */
  async #round(): Promise<boolean> {
    const { runtime: { clock, random } } = this.#options;
    const sources = shuffled(random, this.sources).slice(0, MAX_SOURCES);
    const links = await Promise.all(sources.map((peer) => this.#dial(peer)));
    const byRecord = new Map<NodeRecord, Link>();
    for (const link of links) {
      if (link?.record !== undefined) byRecord.set(link.record, link);
    }
    if (byRecord.size === 0) return false;
    const actions = this.#sync.start(byRecord.keys(), clock.nowMs());
    await this.#read(actions, byRecord);
    this.#watched.notice();
    return this.#sync.finished > 0 && this.#list.size > 0;
  }

  async #dial(peer: PeerAddress): Promise<Link | undefined> {
    const { signal } = this.#stopping;
    try {
      return await this.#options.links.getOrDial(peer, { signal });
    } catch (error) {
      signal.throwIfAborted();
      this.#report(error);
      return undefined;
    }
  }

  /** Read pages until there are no more. */
  async #read(
    actions: readonly SyncAction[],
    links: ReadonlyMap<NodeRecord, Link>,
  ): Promise<void> {
    await Promise.all(actions.map(async ({ record, cursor }) => {
      const link = links.get(record);
      if (link === undefined) throw new BugError("node.source", "No such link");
      let next: readonly SyncAction[];
      try {
        next = await this.#readPage(link, record, cursor);
      } catch (error) {
        this.#stopping.signal.throwIfAborted();
        this.#report(error);
        if (error instanceof ProtocolError) link.cutOff(error.code);
        next = this.#sync.onFailure(record);
      }
      await this.#read(next, links);
    }));
  }

  async #readPage(
    link: Link,
    source: NodeRecord,
    cursor: Bytes,
  ): Promise<readonly SyncAction[]> {
    const { network, verifier, runtime: { clock } } = this.#options;
    const type = "list_relays";
    const answer = await raceSignal(
      link.request(DHT_METHOD, encodeRequest({ type, cursor })),
      this.#stopping.signal,
    );
    const page = decodeResponse(network, type, answer);
    if (page.type !== "relays") return this.#sync.onFailure(source);
    const { records, lie } = await verifyRecords(
      verifier,
      page.records,
      clock.unixMs(),
    );
    for (const record of records) this.#list.merge(record, clock.nowMs());
    if (lie !== undefined) {
      throw new ProtocolError(lie, "Cannot take relay list: a false record");
    }
    return this.#sync.onPage(source, page.cursor, page.more);
  }

  /** Timers do not see that a machine slept: look at the calendar now and then. */
  async #waitUntil(untilMs: number): Promise<void> {
    const { clock } = this.#options.runtime;
    let isHurried = false;
    this.#hurry = Promise.withResolvers();
    const hurried = this.#hurry.promise.then(() => void (isHurried = true));
    for (;;) {
      this.#list.sweep(clock.unixMs());
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
    const { runtime: { clock, random } } = this.#options;
    const { version } = this.relays;
    if (version === this.#savedVersion || this.#list.size === 0) return;
    const records = [...this.#list.records(clock.unixMs())];
    const contacts = shuffled(random, records).slice(0, MAX_KEPT_CONTACTS)
      .flatMap(({ publicKey, addresses: [address] }) =>
        address === undefined ? [] : [{ publicKey, address }]
      );
    try {
      await this.#memory.writeRelays(records.map(({ encoded }) => encoded));
      await this.#memory.writeContacts(contacts);
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
