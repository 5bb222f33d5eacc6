/**
 * What of a state directory cannot be written at present, so that it is told
 * once and not at every try.
 *
 * @module
 */
import { type AnonNetError, ConfigError } from "../base/errors.ts";

/** Refusals that say nothing of the disk. */
const NO_TROUBLE = new Set(["storage.exists", "storage.corrupt_copies"]);

/** Files that could not be changed when last tried. There are as many as this program has names. */
export class StorageTrouble {
  readonly #failed = new Map<string, ConfigError>();
  readonly #onChange: (trouble: ConfigError | undefined) => void;
  #gone: ConfigError | undefined;

  /** @param onChange Hears of the first trouble, and of the end of the last. */
  constructor(onChange: (trouble: ConfigError | undefined) => void) {
    this.#onChange = onChange;
  }

  /** The first of them; `undefined` when all is well. */
  get current(): ConfigError | undefined {
    return this.#gone ?? this.#failed.values().next().value;
  }

  /** A file was changed. */
  onChanged(name: string): void {
    this.#change(() => this.#failed.delete(name));
  }

  /** A file could not be changed. */
  onFailed(name: string, error: AnonNetError): void {
    if (!(error instanceof ConfigError) || NO_TROUBLE.has(error.code)) return;
    this.#change(() => this.#failed.set(name, error));
  }

  /** The directory was looked for: why it is no more ours, if it is not. */
  onLooked(gone: ConfigError | undefined): void {
    this.#change(() => this.#gone = gone);
  }

  #change(work: () => unknown): void {
    const had = this.current !== undefined;
    work();
    const { current } = this;
    if (had !== (current !== undefined)) this.#onChange(current);
  }
}
