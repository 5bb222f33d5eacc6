/**
 * Guards and second hops on the disk. Both sets are worth nothing if a restart
 * draws them anew, so what changes is written before anybody acts on it.
 *
 *     guards.blob     who our first hops are: whoever reads it knows where we enter
 *     layer2.blob     the second hops
 *
 * @see protocol §5.8 "Paths", §9.1 "State directory"
 * @module
 */
import type { Bytes } from "../../base/bytes.ts";
import { ProtocolError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import { GuardSet } from "../../path/guard_set.ts";
import { Layer2Set } from "../../path/layer2.ts";
import type { KeptRelays } from "../../path/kept_relays.ts";
import type { BlobStore } from "../../storage/blob_store.ts";

const GUARDS_BLOB = "guards";
const LAYER2_BLOB = "layer2";

/** What a memory is made of. */
export interface GuardMemoryOptions {
  readonly crypto: CryptoSuite;
  readonly random: Random;
  readonly blobs: BlobStore;
  /** Hears of a disk that fails. The sets go on; a restart may draw others. */
  readonly onError: (error: unknown) => void;
}

/** A set, and what of it is on the disk. */
interface Remembered {
  readonly name: string;
  readonly set: KeptRelays;
  savedRevision: number;
}

/** The guards of one node, kept. */
export class GuardMemory {
  readonly guards: GuardSet;
  readonly layer2: Layer2Set;
  readonly #blobs: BlobStore;
  readonly #onError: (error: unknown) => void;
  readonly #sets: readonly Remembered[];
  /** The last write; never rejects. */
  #saved: Promise<void> = Promise.resolve();

  private constructor(
    options: GuardMemoryOptions,
    guards: GuardSet,
    layer2: Layer2Set,
  ) {
    this.guards = guards;
    this.layer2 = layer2;
    this.#blobs = options.blobs;
    this.#onError = options.onError;
    this.#sets = [
      { name: GUARDS_BLOB, set: guards, savedRevision: guards.revision },
      { name: LAYER2_BLOB, set: layer2, savedRevision: layer2.revision },
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
    return new GuardMemory(
      options,
      guards ?? GuardSet.create(random),
      layer2 ?? Layer2Set.create(random),
    );
  }

  /** Write what has changed. Resolves when all of it is written; never rejects. */
  save(): Promise<void> {
    if (this.#sets.some(hasChanged)) {
      this.#saved = this.#saved.then(() => this.#write());
    }
    return this.#saved;
  }

  async #write(): Promise<void> {
    for (const remembered of this.#sets.filter(hasChanged)) {
      const { name, set } = remembered;
      const { revision } = set;
      try {
        await this.#blobs.write(name, set.snapshot());
        remembered.savedRevision = revision;
      } catch (error) {
        this.#onError(error);
      }
    }
  }
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
