/**
 * Tasks of a relay's DHT that callers wait for: look-ups of nodes, of records, and
 * records to store.
 *
 * @see protocol §4.6 "Look-ups"
 * @module
 */
import { raceSignal } from "../../base/clock.ts";
import { UnreachableError } from "../../base/errors.ts";
import type {
  DhtAction,
  NodesAction,
  StoredAction,
  ValuesAction,
} from "../../dht/dht_action.ts";
import type { DhtTask } from "../../dht/dht_node.ts";

/** The end of a look-up for nodes. */
export type NodesFound = Omit<NodesAction, "type" | "taskId">;
/** The end of a look-up for records. */
export type ValuesFound = Omit<ValuesAction, "type" | "taskId">;
/** What became of a record that was to be stored. */
export type RecordStored = Omit<StoredAction, "type" | "taskId">;

/** How a task ends. */
export type TaskEnd = Extract<
  DhtAction,
  { readonly type: "nodes" | "values" | "stored" | "busy" }
>;

/** What waiting takes. */
export interface TaskOptions {
  /** Stops the waiting; the look-up itself ends by its own deadline. */
  readonly signal?: AbortSignal | undefined;
}

/** Tasks under way. */
export class DhtTasks {
  readonly #waiting = new Map<number, PromiseWithResolvers<TaskEnd>>();
  readonly #stopping: AbortSignal;

  /** @param stopping Aborts with what tasks fail with, once the node stops. */
  constructor(stopping: AbortSignal) {
    this.#stopping = stopping;
    stopping.addEventListener("abort", () => this.#stop(), { once: true });
  }

  /**
   * Wait for a task.
   *
   * @param type How it ends when all goes well.
   * @param begin Begins it. Called at once, and not at all when the node stops.
   * @param obey Carries out what beginning asks for; the task may end in it.
   * @throws {UnreachableError} `dht.busy` when too many tasks are under way,
   * `dht.stopped`.
   */
  async run<T extends TaskEnd["type"]>(
    type: T,
    begin: () => DhtTask,
    obey: (actions: DhtTask["actions"]) => void,
    { signal }: TaskOptions,
  ): Promise<Extract<TaskEnd, { readonly type: T }>> {
    this.#stopping.throwIfAborted();
    const { taskId, actions } = begin();
    const waiting = Promise.withResolvers<TaskEnd>();
    this.#waiting.set(taskId, waiting);
    obey(actions);
    const end = await raceSignal(waiting.promise, signal);
    if (isOf(end, type)) return end;
    throw new UnreachableError(
      "dht.busy",
      "Cannot look up: too many look-ups are under way",
    );
  }

  /** A task has ended. */
  onEnd(end: TaskEnd): void {
    this.#waiting.get(end.taskId)?.resolve(end);
    this.#waiting.delete(end.taskId);
  }

  #stop(): void {
    const { reason } = this.#stopping;
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }
}

function isOf<T extends TaskEnd["type"]>(
  end: TaskEnd,
  type: T,
): end is Extract<TaskEnd, { readonly type: T }> {
  return end.type === type;
}
