/**
 * Guards and second hops on the disk. Both sets are worth nothing if a restart
 * draws them anew, so what changes is written before a circuit depends on it.
 *
 *     guards.blob     our first hops: its reader knows where we enter
 *     layer2.blob     the second hops
 *     tenure.blob     since when relays are known, which no circuit waits for
 *
 * @see protocol §5.8 "Paths", §9.1 "State directory"
 * @module
 */
import type { NodeId } from "../../auth/identity.ts";
import type { Bytes } from "../../base/bytes.ts";
import { ProtocolError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import { GuardSet } from "../../path/guard_set.ts";
import { Layer2Set } from "../../path/layer2.ts";
import type { KeptRelays } from "../../path/kept_relays.ts";
import { type RelayKey, relayKey } from "../../path/relay_key.ts";
import { Tenure } from "../../path/tenure.ts";
import type { BlobStore } from "../../storage/blob_store.ts";

const GUARDS_BLOB = "guards";
const LAYER2_BLOB = "layer2";
const TENURE_BLOB = "tenure";

/** What a memory is made of. */
export interface GuardMemoryOptions {
  readonly crypto: CryptoSuite;
  readonly random: Random;
  readonly blobs: BlobStore;
  /** Hears of a disk that fails: once, until all has been stored again. */
  readonly onError: (error: unknown) => void;
  /** Hears each time that it could not be stored since when relays are known. */
  readonly onTenureError: (error: unknown) => void;
}

/** A set, and what of it is on the disk. */
interface Remembered {
  readonly name: string;
  readonly set: KeptRelays;
  savedRevision: number;
  /** Those of it that a restart would find. */
  savedKeys: ReadonlySet<RelayKey>;
}

/** The guards of one node, kept. */
export class GuardMemory {
  readonly guards: GuardSet;
  readonly layer2: Layer2Set;
  /** Since when relays are known. */
  readonly tenure: Tenure;
  #savedTenure: number;
  readonly #blobs: BlobStore;
  readonly #onError: (error: unknown) => void;
  readonly #onTenureError: (error: unknown) => void;
  readonly #sets: readonly Remembered[];
  /** The last write; never rejects. */
  #saved: Promise<void> = Promise.resolve();
  #trouble: unknown;

  private constructor(
    options: GuardMemoryOptions,
    guards: GuardSet,
    layer2: Layer2Set,
    tenure: Tenure,
  ) {
    this.guards = guards;
    this.layer2 = layer2;
    this.tenure = tenure;
    this.#savedTenure = tenure.revision;
    this.#blobs = options.blobs;
    this.#onError = options.onError;
    this.#onTenureError = options.onTenureError;
    this.#sets = [
      remembered(GUARDS_BLOB, guards),
      remembered(LAYER2_BLOB, layer2),
    ];
  }

  /**
   * Read both sets. One that is damaged is set aside, and drawn anew.
   *
   * @throws {ConfigError} `storage.*` when the disk fails.
   */
  static async load(options: GuardMemoryOptions): Promise<GuardMemory> {
    const { crypto, random } = options;
    const guards = await read(
      options,
      GUARDS_BLOB,
      (bytes) => GuardSet.restore(crypto, random, bytes),
    );
    const layer2 = await read(
      options,
      LAYER2_BLOB,
      (bytes) => Layer2Set.restore(crypto, random, bytes),
    );
    const tenure = await read(options, TENURE_BLOB, Tenure.restore);
    return new GuardMemory(
      options,
      guards ?? GuardSet.create(random),
      layer2 ?? Layer2Set.create(random),
      tenure ?? new Tenure(),
    );
  }

  /** Write what has changed. Resolves when all of it is written; never rejects. */
  save(): Promise<void> {
    const hasNews = this.tenure.revision !== this.#savedTenure;
    if (hasNews || this.#sets.some(hasChanged)) {
      this.#saved = this.#saved.then(() => this.#write());
    }
    return this.#saved;
  }

  /** Why the last write failed; `undefined` once all is stored. */
  get trouble(): unknown {
    return this.#trouble;
  }

  /**
   * Whether a restart would find all kept relays of a path again. Where it would
   * not, no circuit may be built along it: a node that is killed again and again
   * would meet others each time.
   */
  holds(path: readonly NodeId[]): boolean {
    const keys = path.map(relayKey);
    return this.#sets.every(({ set, savedKeys }) =>
      set.keys.every((key) => savedKeys.has(key) || !keys.includes(key))
    );
  }

  /** No circuit depends on it: what is not stored is learned anew. */
  async #writeTenure(): Promise<void> {
    const { revision } = this.tenure;
    if (revision === this.#savedTenure) return;
    this.#savedTenure = revision;
    try {
      await this.#blobs.write(TENURE_BLOB, this.tenure.snapshot());
    } catch (error) {
      this.#onTenureError(error);
    }
  }

  async #write(): Promise<void> {
    const hadTrouble = this.#trouble !== undefined;
    this.#trouble = undefined;
    for (const remembered of this.#sets.filter(hasChanged)) {
      const { name, set } = remembered;
      const { revision, keys } = set;
      try {
        await this.#blobs.write(name, set.snapshot());
        remembered.savedRevision = revision;
        remembered.savedKeys = new Set(keys);
      } catch (error) {
        this.#trouble = error;
      }
    }
    await this.#writeTenure();
    if (this.#trouble !== undefined && !hadTrouble) {
      this.#onError(this.#trouble);
    }
  }
}

function remembered(name: string, set: KeptRelays): Remembered {
  const { revision, keys } = set;
  return { name, set, savedRevision: revision, savedKeys: new Set(keys) };
}

function hasChanged({ set, savedRevision }: Remembered): boolean {
  return set.revision !== savedRevision;
}

async function read<T>(
  { blobs }: GuardMemoryOptions,
  name: string,
  restore: (bytes: Bytes) => T,
): Promise<T | undefined> {
  const bytes = await blobs.read(name);
  if (bytes === undefined) return undefined;
  try {
    return restore(bytes);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    await blobs.setAside(name);
    return undefined;
  }
}
