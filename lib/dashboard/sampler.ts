/**
 * Looks at the node for all tabs at once: often while one of them is open, and for the
 * history alone otherwise.
 *
 * @module
 */
import type { Clock, Timer } from "../base/clock.ts";
import { TaskSet } from "../base/task_set.ts";
import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
} from "../control/json.ts";
import type { Finding } from "../doctor/finding.ts";
import { History, type Traffic, TRAFFIC_STEP_MS } from "./history.ts";
import { type Snapshot, snapshotOf } from "./snapshot.ts";

/** Time between two looks while a tab is open, ms. */
const LOOK_MS = 2_000;
/** A look is shared by those who ask within so long, ms. */
const SHARE_MS = LOOK_MS / 2;
/** Time between two looks at the machine, ms: by what `anonnet doctor` looks at. */
const CHECK_MS = 60_000;

/** What is looked at. */
export interface Sampled {
  /** Carry out a command of the control interface. */
  ask(command: string, args: JsonObject): Promise<JsonValue>;
  /** Bytes that crossed all links since the node began, and those that it passed on. */
  traffic(): Traffic;
  /** What is wrong with the machine. Costs a look at the disk. */
  check(): Promise<readonly Finding[]>;
}

/** What a tab hears: JSON, written once for all of them. */
export interface Listener {
  onSnapshot(json: string): void;
  onHistory(json: string): void;
}

/** The looks of one node. */
export class Sampler implements AsyncDisposable {
  readonly #node: Sampled;
  readonly #clock: Clock;
  readonly #history: History;
  readonly #listeners = new Set<Listener>();
  readonly #tasks: TaskSet;
  #historyTimer: Timer | undefined;
  #lookTimer: Timer | undefined;
  /** The last look, with its time: tabs that ask share it. */
  #last:
    | { readonly snapshot: Promise<Snapshot>; readonly atMs: number }
    | undefined;
  #checked: readonly Finding[] = [];
  #checkedMs = -Infinity;
  #isClosed = false;

  /** @param onError Hears of looks that failed through our own fault. */
  constructor(node: Sampled, clock: Clock, onError: (error: unknown) => void) {
    this.#node = node;
    this.#clock = clock;
    this.#history = new History(clock.nowMs());
    this.#tasks = new TaskSet(onError);
    this.#tasks.run(this.#step());
  }

  /** Tell a tab of all looks, until disposed of. */
  listen(listener: Listener): Disposable {
    this.#listeners.add(listener);
    if (this.#lookTimer === undefined) this.#lookLater();
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(listener);
        if (this.#listeners.size > 0) return;
        this.#lookTimer?.cancel();
        this.#lookTimer = undefined;
      },
    };
  }

  /** What the node does, as it was at the last look if that was just now. */
  snapshot(): Promise<Snapshot> {
    const nowMs = this.#clock.nowMs();
    const last = this.#last;
    if (last !== undefined && nowMs - last.atMs < SHARE_MS) {
      return last.snapshot;
    }
    const snapshot = this.#lookNow();
    this.#last = { snapshot, atMs: nowMs };
    // The next one who asks shall not be told of a fault that has passed.
    snapshot.catch(() => this.#last = undefined);
    return snapshot;
  }

  async #lookNow(): Promise<Snapshot> {
    const ask = (command: string) => this.#node.ask(command, {});
    const [status, circuits, services, sessions, visits] = await Promise.all([
      ask("status"),
      ask("circuits"),
      ask("services"),
      ask("sessions"),
      ask("visits"),
      this.#check(),
    ]);
    return snapshotOf({
      status: isJsonObject(status) ? status : {},
      circuits: isJsonObject(circuits) ? circuits : {},
      services: Array.isArray(services) ? services : [],
      sessions: Array.isArray(sessions) ? sessions : [],
      visits: Array.isArray(visits) ? visits : [],
      machine: this.#checked,
    }, this.#clock.unixMs());
  }

  /** Look at the machine, but not for each look at the node. */
  async #check(): Promise<void> {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#checkedMs < CHECK_MS) return;
    this.#checkedMs = nowMs;
    this.#checked = await this.#node.check();
  }

  /** The rings as they are. */
  history(): JsonObject {
    return this.#history.toJson(this.#clock.nowMs(), this.#clock.unixMs());
  }

  async #step(): Promise<void> {
    try {
      const services = await this.#node.ask("services", {});
      this.#history.onStep({
        ...this.#node.traffic(),
        services: (Array.isArray(services) ? services : []).map((service) => ({
          name: String(service.name),
          reachable: service.reachable === true,
        })),
      }, this.#clock.nowMs());
      if (this.#listeners.size > 0) {
        const history = JSON.stringify(this.history());
        for (const listener of this.#listeners) listener.onHistory(history);
      }
    } finally {
      if (!this.#isClosed) {
        this.#historyTimer = this.#clock.schedule(
          TRAFFIC_STEP_MS,
          () => this.#tasks.run(this.#step()),
          { keepAlive: false },
        );
      }
    }
  }

  #lookLater(): void {
    this.#lookTimer = this.#clock.schedule(
      LOOK_MS,
      () => this.#tasks.run(this.#look()),
      { keepAlive: false },
    );
  }

  async #look(): Promise<void> {
    const timer = this.#lookTimer;
    try {
      const snapshot = JSON.stringify(await this.snapshot());
      for (const listener of this.#listeners) listener.onSnapshot(snapshot);
    } finally {
      // Unless the last tab has gone meanwhile, or another look is due already.
      const isWanted = this.#listeners.size > 0 && timer === this.#lookTimer;
      if (isWanted && !this.#isClosed) this.#lookLater();
    }
  }

  /** Look no more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#listeners.clear();
    this.#lookTimer?.cancel();
    this.#historyTimer?.cancel();
    await this.#tasks.ended();
  }
}
