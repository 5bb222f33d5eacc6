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
import { History, TRAFFIC_STEP_MS } from "./history.ts";
import { type Snapshot, snapshotOf } from "./snapshot.ts";

/** Time between two looks while a tab is open, ms. */
const LOOK_MS = 2_000;

/** What is looked at. */
export interface Sampled {
  /** Carry out a command of the control interface. */
  ask(command: string, args: JsonObject): Promise<JsonValue>;
  /** Bytes that crossed all links since the node began. */
  traffic(): { readonly bytesIn: number; readonly bytesOut: number };
}

/** What a tab hears. */
export interface Listener {
  onSnapshot(snapshot: Snapshot): void;
  onHistory(history: JsonObject): void;
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

  /** Look now. */
  async snapshot(): Promise<Snapshot> {
    const ask = (command: string) => this.#node.ask(command, {});
    const [status, circuits, services, sessions] = await Promise.all([
      ask("status"),
      ask("circuits"),
      ask("services"),
      ask("sessions"),
    ]);
    return snapshotOf({
      status: isJsonObject(status) ? status : {},
      circuits: isJsonObject(circuits) ? circuits : {},
      services: Array.isArray(services) ? services : [],
      sessions: Array.isArray(sessions) ? sessions : [],
    }, this.#clock.unixMs());
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
        const history = this.history();
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
      const snapshot = await this.snapshot();
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
