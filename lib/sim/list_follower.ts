/**
 * The relay list of a client in a world of machines: those that real clients have
 * (rounds, witnesses, the list), and a driver that asks simulated relays.
 *
 *     sources   guards; until there are any, some of the nodes to join by
 *     round     at once, after 10 s, after 60 s, then hourly
 *     a record  named by two witnesses ─▶ the list
 *
 * What `RelayListClient` does where fewer than two sources answer is not here: there
 * are always several nodes to join by.
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import type { NodeRecord } from "../auth/node_record.ts";
import { addressGroup, PATH_PREFIX } from "../auth/subnet.ts";
import type { Bytes } from "../base/bytes.ts";
import { type Random, shuffled } from "../base/random.ts";
import { decodeResponse, encodeRequest } from "../dht/messages.ts";
import { nodeKey } from "../dht/table/node_key.ts";
import { RelayList } from "../dht/relay_list.ts";
import { RelaySync, type SyncAction } from "../dht/relay_sync.ts";
import { RelayWitnesses, type Witness } from "../dht/join/relay_witnesses.ts";
import type { RelaySource } from "../path/path_selection.ts";
import type { Place } from "./world/geography.ts";
import type { MachineWorld } from "./world/machine_world.ts";
import type { SimNode } from "./world/sim_world.ts";

/** Sources that are asked in one round. */
const MAX_SOURCES = 4;
/** When it is asked again after no source was there, ms. */
const RETRY_MS = 60_000;

/** What it is made of. */
export interface ListFollowerOptions {
  readonly world: MachineWorld;
  readonly random: Random;
  readonly place: Place;
  /** Whom the client was told to join by. */
  readonly bootstrap: readonly SimNode[];
  /** Hears of the end of each round. */
  readonly onRound: () => void;
}

/** A list of relays, kept fresh from afar. */
export class ListFollower implements RelaySource {
  readonly #options: ListFollowerOptions;
  readonly #list: RelayList;
  readonly #sync: RelaySync;
  readonly #witnesses = new RelayWitnesses();
  #guards: () => readonly NodeRecord[] = () => [];
  #asked: ReadonlyMap<NodeRecord, Witness> = new Map();
  #isStopped = false;

  constructor(options: ListFollowerOptions) {
    const { world: { crypto }, random } = options;
    this.#options = options;
    this.#list = new RelayList({ crypto, random });
    this.#sync = new RelaySync(random);
  }

  get version(): number {
    return this.#list.changes;
  }

  snapshot(unixMs: number): readonly NodeRecord[] {
    return [...this.#list.listedRecords(unixMs)];
  }

  /** From now on these are asked, as long as there are any. */
  useGuards(guards: () => readonly NodeRecord[]): void {
    this.#guards = guards;
  }

  /** Begin, and go on until {@linkcode stop}. */
  start(): void {
    if (this.#isStopped) return;
    const { world, random } = this.#options;
    const sources = shuffled(random, this.#sources()).slice(0, MAX_SOURCES)
      .filter((record) => world.nodeOf(record)?.isUp ?? false);
    if (sources.length === 0) {
      return world.schedule(RETRY_MS, () => this.start());
    }
    // A relay that answers a dial is there.
    for (const record of sources) this.#take(record);
    const asked = new Map(
      sources.map((record) => [record, this.#witness(record)]),
    );
    this.#asked = asked;
    this.#witnesses.begin([...asked.values()], false);
    this.#obey(this.#sync.start(sources, world.nowMs));
  }

  /** Ask no more. */
  stop(): void {
    this.#isStopped = true;
  }

  #sources(): readonly NodeRecord[] {
    const guards = this.#guards();
    if (guards.length > 0) return guards;
    return this.#options.bootstrap.map(({ record }) => record);
  }

  #witness(record: NodeRecord): Witness {
    const key = nodeKey(record);
    const [address] = record.addresses;
    const { allowPrivateAddresses } = this.#options.world.network;
    const group = allowPrivateAddresses || address === undefined
      ? key
      : addressGroup(address, PATH_PREFIX);
    return { key, group, voice: key };
  }

  #obey(actions: readonly SyncAction[]): void {
    for (const action of actions) this.#ask(action);
    if (this.#sync.isReading) return;
    const { world, onRound } = this.#options;
    onRound();
    const dueMs = this.#sync.deadlineMs ?? world.nowMs;
    world.schedule(dueMs - world.nowMs, () => this.start());
  }

  #ask({ record, cursor }: SyncAction): void {
    const { world, place } = this.#options;
    const node = world.nodeOf(record);
    const asked = this.#asked;
    const witness = asked.get(record);
    if (node === undefined || witness === undefined) return;
    const request = encodeRequest({ type: "list_relays", cursor });
    world.askAsClient(place, node, request, (response) => {
      if (this.#isStopped || this.#asked !== asked) return;
      const page = response && this.#read(response, witness);
      this.#obey(
        page === undefined
          ? this.#sync.onFailure(record)
          : this.#sync.onPage(record, page.cursor, page.more),
      );
    });
  }

  /** @returns `undefined` when it is no list, or not all of it is true. */
  #read(response: Bytes, witness: Witness) {
    const { world } = this.#options;
    const page = decodeResponse(world.network, "list_relays", response);
    if (page.type !== "relays") return undefined;
    for (const encoded of page.records) {
      const record = world.verified(encoded);
      if (record === undefined) return undefined;
      const isKnown = this.#list.isListed(record.nodeId);
      if (isKnown || this.#witnesses.hear(record, witness)) this.#take(record);
    }
    return page;
  }

  #take(record: NodeRecord): void {
    const { nowMs } = this.#options.world;
    this.#list.merge(record, nowMs);
    this.#list.prove(this.#list.get(record.nodeId) ?? record, nowMs);
  }
}
