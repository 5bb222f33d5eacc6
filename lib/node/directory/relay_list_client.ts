/**
 * The relay list of a node that is no relay: {@linkcode FollowedList} decides whom to
 * ask and when, and whom to believe; this dials, reads pages and keeps what is there
 * from one run to the next.
 *
 *     FollowedList ─ dial ─▶ link table ─ read ─▶ ListReader ─ page, verified ─▶ FollowedList
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import type { NetworkParameters } from "../../auth/network.ts";
import type { RecordVerifier } from "../../auth/record_verifier.ts";
import { dateErrorOf, describeClockDoubt } from "../../auth/clock_doubt.ts";
import { RecordDateError } from "../../auth/node_record.ts";
import { type Bytes, equalBytes } from "../../base/bytes.ts";
import type { Moment } from "../../base/clock.ts";
import {
  AnonNetError,
  BugError,
  ConfigError,
  ProtocolError,
  UnreachableError,
} from "../../base/errors.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import { TaskSet } from "../../base/task_set.ts";
import { FollowedList } from "../../dht/join/followed_list.ts";
import type { ListAction, ListPage } from "../../dht/join/list_action.ts";
import { thrown } from "../../log/log.ts";
import type { Runtime } from "../../machine/runtime.ts";
import type { BlobStore } from "../../storage/blob_store.ts";
import type { Link } from "../link/link.ts";
import type { PeerAddress } from "../link/link_dial.ts";
import type { LinkTable } from "../link/link_table.ts";
import { ListMemory } from "./list_memory.ts";
import { ListReader } from "./list_reader.ts";
import { type RelayDirectory, WatchedRelays } from "./relay_directory.ts";

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
  /**
   * Hears that our clock seems to be wrong, in words, and `undefined` once a source's own
   * record fits it.
   */
  readonly onClock?: ((words: string | undefined) => void) | undefined;
}

/** A list of all relays, kept fresh from afar. */
export class RelayListClient implements AsyncDisposable {
  /** All relays that we know of. */
  readonly relays: RelayDirectory;
  readonly #options: RelayListClientOptions;
  readonly #memory: ListMemory;
  readonly #reader: ListReader;
  readonly #machine: FollowedList;
  readonly #watched: WatchedRelays;
  readonly #timer: MachineTimer;
  readonly #tasks = new TaskSet((error) => this.#report(error));
  readonly #stopping = new AbortController();
  readonly #ready = Promise.withResolvers<void>();
  /** Links of the round under way, by their dials. */
  readonly #links = new Map<number, Link>();
  #guards: () => readonly PeerAddress[] = () => [];
  #savedVersion = 0;
  /** The last write; never rejects. */
  #saved: Promise<void> = Promise.resolve();

  private constructor(options: RelayListClientOptions, memory: ListMemory) {
    const { network, verifier, links, runtime, bootstrap } = options;
    const { formerGuards = [], leastRelays = 1 } = options;
    const { crypto, random, clock } = runtime;
    const { signal } = this.#stopping;
    const { contacts } = memory;
    this.#options = options;
    this.#memory = memory;
    this.#reader = new ListReader({ network, verifier, clock, links, signal });
    this.#machine = new FollowedList({
      crypto,
      random,
      network,
      bootstrap,
      contacts,
      formerGuards,
      leastRelays,
    });
    this.#watched = new WatchedRelays(this.#machine.list, clock);
    this.relays = this.#watched;
    this.#timer = new MachineTimer(clock, () => this.#onTime());
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
    const { clock } = options.runtime;
    const memory = await ListMemory.open(options);
    const client = new RelayListClient(options, memory);
    for await (const record of memory.recall(signal)) {
      client.#machine.onRecalled(record, clock.nowMs());
    }
    client.#input((at) => client.#machine.start(at));
    return client;
  }

  /** Whom it asks: guards, or nodes to join by. */
  get sources(): readonly PeerAddress[] {
    this.#lookAtGuards();
    return this.#machine.sources;
  }

  /** Whether there is a list, or a node to ask for one. */
  get hasSources(): boolean {
    return this.#machine.list.size > 0 || this.sources.length > 0;
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
    this.#input((at) => this.#machine.onNetworkChange(at));
  }

  /** Stop, and remember for the next run. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort(
      new UnreachableError("node.stopped", "Cannot wait: the node is stopping"),
    );
    this.#watched[Symbol.dispose]();
    this.#timer.stop();
    await this.#tasks.ended();
    await this.#save();
  }

  #onTime(): void {
    this.#input((at) => this.#machine.onTime(at));
    this.#watched.notice();
  }

  #lookAtGuards(): void {
    const peers = this.#guards();
    const { links } = this.#options.links;
    const isLinked = peers.some(({ publicKey }) =>
      links.some(({ peerKey }) => equalBytes(peerKey, publicKey))
    );
    this.#machine.onGuards({ peers, isLinked });
  }

  /** Tell the machine of an event, and carry out what it asks for. */
  #input(event: (at: Moment) => readonly ListAction[]): void {
    if (this.#stopping.signal.aborted) return;
    const { clock } = this.#options.runtime;
    const at = { nowMs: clock.nowMs(), unixMs: clock.unixMs() };
    this.#lookAtGuards();
    for (const action of event(at)) this.#obey(action);
    this.#timer.set(this.#machine.deadlineMs);
  }

  #obey(action: ListAction): void {
    switch (action.type) {
      case "dial":
        return this.#tasks.run(this.#dial(action.dialId, action.peer));
      case "read":
        return this.#tasks.run(this.#read(action.dialId, action.cursor));
      case "cut_off":
        return this.#onLost(
          this.#links.get(action.dialId),
          new ProtocolError(
            action.code,
            "Cannot take relay list: a false record",
          ),
        );
      case "over":
        this.#links.clear();
        return this.#watched.notice();
      case "ready":
        return this.#ready.resolve();
      case "save":
        return this.#tasks.run(this.#save());
    }
  }

  async #dial(dialId: number, peer: PeerAddress): Promise<void> {
    const machine = this.#machine;
    let link: Link;
    try {
      link = await this.#reader.dial(peer);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      const doubt = dateErrorOf(error);
      if (doubt === undefined) {
        this.#report(error);
        return this.#input((at) => machine.onNoLink(dialId, at));
      }
      this.#tellClock(doubt);
      return this.#input((at) => machine.onOtherTime(dialId, at));
    }
    const { record, remoteAddress } = link;
    if (record !== undefined) this.#options.onClock?.(undefined);
    this.#links.set(dialId, link);
    this.#input((at) => machine.onLinked(dialId, record, remoteAddress, at));
  }

  async #read(dialId: number, cursor: Bytes): Promise<void> {
    const machine = this.#machine;
    const link = this.#links.get(dialId);
    if (link === undefined) throw new BugError("node.source", "No source");
    let page: ListPage | undefined;
    try {
      page = await this.#reader.readPage(link, cursor);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      this.#onLost(link, error);
    }
    this.#input((at) =>
      page === undefined
        ? machine.onNoPage(dialId, at)
        : machine.onPage(dialId, page, at)
    );
  }

  #tellClock(error: RecordDateError): void {
    const words = `${
      describeClockDoubt(error.aheadMs)
    }, by what a relay has signed`;
    this.#options.onClock?.(words);
    this.#options.runtime.log.part("relays").error(
      "The clock of this machine seems to be wrong: set it, and the node goes on",
      {
        error: new ConfigError(
          "node.clock",
          `Cannot ask for the relay list: ${words}`,
        ),
      },
    );
  }

  #onLost(link: Link | undefined, error: unknown): void {
    this.#report(error);
    if (error instanceof ProtocolError) link?.cutOff(error.code);
  }

  /** Write down what there is, behind the write under way. */
  #save(): Promise<void> {
    this.#saved = this.#saved.then(() => this.#write());
    return this.#saved;
  }

  async #write(): Promise<void> {
    const { clock } = this.#options.runtime;
    const { list } = this.#machine;
    const { version } = this.relays;
    if (version === this.#savedVersion || list.size === 0) return;
    try {
      await this.#memory.save([...list.records(clock.unixMs())]);
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
