/**
 * What a node that is no relay remembers of the relay list from one run to the next.
 *
 *     open ─▶ contacts, to join by
 *        └──▶ recall: the records that are still true … save
 *
 * @see protocol §9.1 "State directory"
 * @module
 */
import type { NodeRecord } from "../../auth/node_record.ts";
import type { RecordVerifier } from "../../auth/record_verifier.ts";
import type { Bytes } from "../../base/bytes.ts";
import { shuffled } from "../../base/random.ts";
import type { Runtime } from "../../machine/runtime.ts";
import type { BlobStore } from "../../storage/blob_store.ts";
import { type PeerAddress, peerOf } from "../link/link_dial.ts";
import { DhtMemory, MAX_KEPT_CONTACTS } from "./dht_memory.ts";
import { verifyRecords } from "./verify_records.ts";

/** Records of the last run that are verified at once. */
const RECALL_AT_ONCE = 16;

/** What it is made of. */
interface ListMemoryOptions {
  readonly runtime: Pick<Runtime, "crypto" | "random" | "clock">;
  readonly verifier: RecordVerifier;
  readonly blobs: BlobStore;
}

/** Remembers one list. */
export class ListMemory {
  /** Nodes to join by that we knew in the last run, in random order. */
  readonly contacts: readonly PeerAddress[];
  readonly #options: ListMemoryOptions;
  readonly #memory: DhtMemory;
  /** The list of the last run, in random order. */
  #cached: readonly Bytes[];

  private constructor(
    options: ListMemoryOptions,
    memory: DhtMemory,
    contacts: readonly PeerAddress[],
    cached: readonly Bytes[],
  ) {
    this.contacts = contacts;
    this.#options = options;
    this.#memory = memory;
    this.#cached = cached;
  }

  /**
   * Read what is there of the last run.
   *
   * @throws {ConfigError} `storage.*` when the disk fails.
   */
  static async open(options: ListMemoryOptions): Promise<ListMemory> {
    const { crypto, random } = options.runtime;
    const memory = new DhtMemory(crypto, options.blobs);
    const contacts = shuffled(random, await memory.contacts());
    const cached = shuffled(random, await memory.relays());
    return new ListMemory(options, memory, contacts.map(peerOf), cached);
  }

  /** Records of the last run, verified anew. Rejects with the reason of `signal`. */
  async *recall(signal: AbortSignal | undefined): AsyncGenerator<NodeRecord> {
    const { verifier, runtime: { clock } } = this.#options;
    const cached = this.#cached;
    this.#cached = [];
    for (let at = 0; at < cached.length; at += RECALL_AT_ONCE) {
      signal?.throwIfAborted();
      const verified = await Promise.all(
        cached.slice(at, at + RECALL_AT_ONCE).map((encoded) =>
          verifyRecords(verifier, [encoded], clock.unixMs())
        ),
      );
      for (const { records } of verified) yield* records;
    }
  }

  /**
   * Write a list down for the next run.
   *
   * @throws {ConfigError} `storage.*` when the disk fails.
   */
  async save(records: readonly NodeRecord[]): Promise<void> {
    const { random } = this.#options.runtime;
    const contacts = shuffled(random, records).slice(0, MAX_KEPT_CONTACTS)
      .flatMap(({ publicKey, addresses: [address] }) =>
        address === undefined ? [] : [{ publicKey, address }]
      );
    await this.#memory.writeRelays(records.map(({ encoded }) => encoded));
    await this.#memory.writeContacts(contacts);
  }
}
