/**
 * Work that runs beside its owner: the owner hears of each failure, and waits
 * for all of it when it stops.
 *
 * @module
 */

/** Promises with an owner. */
export class TaskSet {
  readonly #tasks = new Set<Promise<void>>();
  readonly #onError: (error: unknown) => void;

  /** @param onError Hears what a task failed with. Must not throw. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /** Tasks that have not ended. */
  get size(): number {
    return this.#tasks.size;
  }

  /** Own a promise: it is awaited by {@linkcode ended}, and never unhandled. */
  run(work: Promise<unknown>): void {
    const task = work.then(() => {}, this.#onError)
      .finally(() => this.#tasks.delete(task));
    this.#tasks.add(task);
  }

  /** Resolves once no task is left, those included that tasks have begun. */
  async ended(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
  }
}
