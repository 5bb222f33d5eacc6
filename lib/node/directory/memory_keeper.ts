/**
 * What a relay's DHT brings back from its last run, and writes down for the next.
 *
 *     open ─▶ contacts, to join by
 *        └──▶ firstRelays ─▶ recall: the other relays, then the records ─▶ saveNowAndThen
 *
 * @see protocol §9.1 "State directory"
 * @module
 */
import type { NodeAddress } from "../../auth/node_address.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import type { RecordVerifier } from "../../auth/record_verifier.ts";
import type { Bytes } from "../../base/bytes.ts";
import { sleep } from "../../base/clock.ts";
import { shuffled } from "../../base/random.ts";
import type { DhtNode } from "../../dht/dht_node.ts";
import { thrown } from "../../log/log.ts";
import type { Runtime } from "../../machine/runtime.ts";
import type { BlobStore } from "../../storage/blob_store.ts";
import { DhtMemory } from "./dht_memory.ts";
import { verifyRecords } from "./verify_records.ts";

/**
 * How often what is remembered is written down, ms. A relay that is killed loses
 * no more than this, and learns it anew.
 */
const SAVE_MS = 10 * 60_000;
/** Relays of the last run that are verified before the start: enough to join by. */
const FIRST_RELAYS = 32;
/** Records of the last run that are verified between two breaths. */
const RECALL_AT_ONCE = 64;

/** What of a machine is remembered. */
type Remembered = Pick<DhtNode, "table" | "relays" | "store">;

/** What a keeper is made of. */
interface MemoryKeeperOptions {
  readonly runtime: Runtime;
  readonly verifier: RecordVerifier;
  readonly blobs: BlobStore;
}

/** Remembers one machine from one run to the next. */
export class MemoryKeeper {
  readonly #options: MemoryKeeperOptions;
  readonly #memory: DhtMemory;
  /** Nodes that we knew in the last run, in random order. */
  readonly contacts: readonly NodeAddress[];
  readonly #relays: readonly Bytes[];
  #isRecalled = false;

  private constructor(
    options: MemoryKeeperOptions,
    memory: DhtMemory,
    contacts: readonly NodeAddress[],
    relays: readonly Bytes[],
  ) {
    this.#options = options;
    this.#memory = memory;
    this.contacts = contacts;
    this.#relays = relays;
  }

  /**
   * Read what a start takes.
   *
   * @throws {ConfigError} `storage.*` when the disk fails.
   */
  static async open(options: MemoryKeeperOptions): Promise<MemoryKeeper> {
    const { crypto, random } = options.runtime;
    const memory = new DhtMemory(crypto, options.blobs);
    const contacts = shuffled(random, await memory.contacts());
    const relays = shuffled(random, await memory.relays());
    return new MemoryKeeper(options, memory, contacts, relays);
  }

  /** Some relays of the last run, verified anew. */
  async firstRelays(): Promise<NodeRecord[]> {
    const first: NodeRecord[] = [];
    for (const encoded of this.#relays.slice(0, FIRST_RELAYS)) {
      first.push(...await this.#verified(encoded));
    }
    return first;
  }

  /** Bring the rest of the last run back into `machine`, a part at a time. */
  async recall(machine: Remembered, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options.runtime;
    for (const some of partsOf(this.#relays.slice(FIRST_RELAYS))) {
      for (const encoded of some) {
        for (const record of await this.#verified(encoded)) {
          machine.relays.merge(record, clock.nowMs());
        }
      }
      await this.#pause(0, signal);
    }
    for await (const records of this.#memory.records()) {
      for (const some of partsOf(records)) {
        machine.store.import(some, clock.nowMs(), clock.unixMs());
        await this.#pause(0, signal);
      }
    }
    this.#isRecalled = true;
  }

  /** Write down what is new, again and again until `signal` aborts. */
  async saveNowAndThen(
    machine: Remembered,
    signal: AbortSignal,
  ): Promise<never> {
    for (;;) {
      await this.#pause(SAVE_MS, signal);
      await this.save(machine);
    }
  }

  /** Write down what is new. */
  async save({ table, relays, store }: Remembered): Promise<void> {
    // Until then the disk holds more than what has been brought back.
    if (!this.#isRecalled) return;
    const { random, clock, log } = this.#options.runtime;
    const unixMs = clock.unixMs();
    const contacts = Array.from(
      table.contacts(),
      ({ record: { publicKey }, address }) => ({ publicKey, address }),
    );
    try {
      // Alone in the network, the last contacts are better than none.
      if (contacts.length > 0) {
        await this.#memory.writeContacts(shuffled(random, contacts));
      }
      await this.#memory.writeRelays(relays.export(unixMs));
      await this.#memory.writeRecords(store.export(unixMs));
    } catch (error) {
      log.part("dht").error("Cannot write down what the DHT should remember", {
        error: thrown(error),
      });
    }
  }

  /** The record, if it is true and has not expired. */
  async #verified(encoded: Bytes): Promise<readonly NodeRecord[]> {
    const { verifier, runtime: { clock } } = this.#options;
    return (await verifyRecords(verifier, [encoded], clock.unixMs())).records;
  }

  #pause(ms: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options.runtime;
    return sleep(clock, ms, { signal, keepAlive: false });
  }
}

function* partsOf(records: readonly Bytes[]): Generator<readonly Bytes[]> {
  for (let at = 0; at < records.length; at += RECALL_AT_ONCE) {
    yield records.slice(at, at + RECALL_AT_ONCE);
  }
}
