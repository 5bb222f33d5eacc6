/**
 * The relay list as the rest of a node sees it: paths are drawn from here.
 *
 *     RelayList changes, and changes again ── 1 s ─▶ onChange, once
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import type { NodeRecord } from "../../auth/node_record.ts";
import type { Clock, Timer } from "../../base/clock.ts";
import type { RelayList } from "../../dht/relay_list.ts";

/**
 * How long changes gather before listeners hear of them, ms. A list that is being
 * filled changes hundreds of times a second, and listeners look at all of it.
 */
const GATHER_MS = 1000;

/** All relays that a node knows of, verified. */
export interface RelayDirectory {
  /** Grows whenever a relay comes, changes or leaves. */
  readonly version: number;
  /** Records that have not expired; the same array until the version grows. */
  snapshot(): readonly NodeRecord[];
  /** Call `listener` soon after the version has grown. */
  onChange(listener: () => void): Disposable;
}

/** A directory of the relays that are listed in a {@linkcode RelayList}. */
export class WatchedRelays implements RelayDirectory, Disposable {
  readonly #list: RelayList;
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();
  #snapshot: readonly NodeRecord[] = [];
  #snapshotVersion = -1;
  #toldVersion: number;
  #timer: Timer | undefined;

  constructor(list: RelayList, clock: Clock) {
    this.#list = list;
    this.#clock = clock;
    this.#toldVersion = list.changes;
  }

  get version(): number {
    return this.#list.changes;
  }

  snapshot(): readonly NodeRecord[] {
    if (this.#snapshotVersion !== this.version) {
      this.#snapshotVersion = this.version;
      this.#snapshot = [
        ...this.#list.listedRecords(this.#clock.unixMs()),
      ];
    }
    return this.#snapshot;
  }

  onChange(listener: () => void): Disposable {
    if (this.#listeners.size === 0) this.#toldVersion = this.version;
    // A listener of its own, so that one function may listen twice.
    const own = () => listener();
    this.#listeners.add(own);
    return { [Symbol.dispose]: () => void this.#listeners.delete(own) };
  }

  /** The list may have changed: to be called by its owner after each of its events. */
  notice(): void {
    const isNews = this.#listeners.size > 0 && this.#timer === undefined &&
      this.#toldVersion !== this.version;
    if (!isNews) return;
    this.#timer = this.#clock.schedule(GATHER_MS, () => this.#tell(), {
      keepAlive: false,
    });
  }

  /** Tell no listener any more. */
  [Symbol.dispose](): void {
    this.#timer?.cancel();
    this.#listeners.clear();
  }

  #tell(): void {
    this.#timer = undefined;
    this.#toldVersion = this.version;
    for (const listener of this.#listeners) listener();
  }
}
