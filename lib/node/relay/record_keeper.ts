/**
 * Keeps a relay's record true: signs it anew before it ends, when its onion key
 * changes, when it turns out that the node is somewhere else, and when it carries
 * twice what it says.
 *
 * @see protocol §2.3 "Node records", §9.2 "Start and stop"
 * @module
 */
import type { NodeId } from "../../auth/identity.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import {
  isUnspecified,
  type SocketAddress,
} from "../../auth/socket_address.ts";
import { isAllowedAddress } from "../../auth/subnet.ts";
import type { Bytes } from "../../base/bytes.ts";
import { ProtocolError } from "../../base/errors.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import { TaskSet } from "../../base/task_set.ts";
import type { BlobStore } from "../../storage/blob_store.ts";
import { type Log, thrown } from "../../log/log.ts";
import { ObservedAddress } from "../../auth/observed_address.ts";
import { OnionKeys } from "../../auth/onion_keys.ts";
import { OwnRecord, type OwnRecordOptions } from "../../auth/own_record.ts";
import type { Runtime } from "../../machine/runtime.ts";

const ONION_KEYS_BLOB = "onion-keys";

/**
 * Longest time between two looks at the calendar, ms: timers do not see that the
 * machine slept, or that its clock was set.
 */
const MAX_LOOK_MS = 10 * 60_000;

/** What a keeper is made of. */
export interface RecordKeeperOptions extends OwnRecordOptions {
  readonly blobs: BlobStore;
  readonly runtime: Runtime;
  /** Where the operator says the node can be dialled; decides when not empty. */
  readonly advertise: readonly SocketAddress[];
  /** Bytes per second to declare, as of now. */
  readonly bandwidth: () => number;
  /** Where the endpoint listens. */
  readonly listen: SocketAddress;
  /** Hears of each new record, the first one included. */
  readonly onRecord?: (record: NodeRecord) => void;
}

/** The record of a running relay, and the keys behind it. */
export class RecordKeeper implements AsyncDisposable {
  readonly onionKeys: OnionKeys;
  readonly #options: RecordKeeperOptions;
  readonly #record: OwnRecord;
  readonly #observed: ObservedAddress;
  readonly #log: Log;
  #current: NodeRecord;
  readonly #timer: MachineTimer;
  /** Writes of the onion keys; awaited on dispose. */
  readonly #tasks: TaskSet;
  #isStopped = false;

  private constructor(options: RecordKeeperOptions, onionKeys: OnionKeys) {
    this.#options = options;
    this.onionKeys = onionKeys;
    this.#record = new OwnRecord(options);
    this.#observed = new ObservedAddress(options.network);
    this.#log = options.runtime.log.part("record");
    this.#tasks = new TaskSet((error) =>
      this.#log.error("A bug: the record was not renewed", {
        error: thrown(error),
      })
    );
    this.#timer = new MachineTimer(
      options.runtime.clock,
      () => this.#onTime(),
    );
    this.#current = this.#sign();
    this.#arm();
  }

  /**
   * Load the onion keys, or make the first one, and sign a record.
   *
   * @throws {ConfigError} `storage.*`.
   */
  static async start(options: RecordKeeperOptions): Promise<RecordKeeper> {
    const onionKeys = await loadOnionKeys(options);
    return new RecordKeeper(options, onionKeys);
  }

  /** The record as it is now. */
  get current(): NodeRecord {
    return this.#current;
  }

  /** A peer that we dialled says where it sees us. */
  onObserved(peer: NodeId, address: SocketAddress): void {
    this.#observed.add(peer, address);
    if (!sameAddresses(this.#addresses(), this.#current.addresses)) {
      this.#log.info("Our address has changed; signed a new record");
      this.#sign();
    }
  }

  /** The clock was set: the record may have ended by that, or be of the future. */
  onClockSet(): void {
    if (!this.#isStopped) this.#onTime();
  }

  /** What it says of the relay has changed: say so at once. */
  renew(): void {
    this.#renew();
  }

  /** Stop. The record stays valid until it ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    this.#timer.stop();
    await this.#tasks.ended();
  }

  /**
   * What is said by the operator counts; else where we listen, if that is one
   * address; else what most peers say.
   */
  #addresses(): readonly SocketAddress[] {
    const { advertise, listen, network } = this.#options;
    if (advertise.length > 0) return advertise;
    const known = isAllowedAddress(network, listen) && !isUnspecified(listen)
      ? listen
      : this.#observed.agreed;
    return known === undefined ? [] : [known];
  }

  #sign(): NodeRecord {
    this.#current = this.#record.sign({
      onionKey: this.onionKeys.current.publicKey,
      addresses: this.#addresses(),
      bandwidth: this.#options.bandwidth(),
    }, this.#options.runtime.clock.unixMs());
    this.#options.onRecord?.(this.#current);
    return this.#current;
  }

  #arm(): void {
    const { clock } = this.#options.runtime;
    const nextMs = Math.min(this.onionKeys.rotateAtMs, this.#record.renewAtMs);
    const waitMs = Math.min(Math.max(nextMs - clock.unixMs(), 0), MAX_LOOK_MS);
    this.#timer.set(clock.nowMs() + waitMs);
  }

  #onTime(): void {
    const unixMs = this.#options.runtime.clock.unixMs();
    if (this.onionKeys.rotate(unixMs)) {
      // Stored before it is announced: a restart must not forget it.
      this.#tasks.run(this.#store().then(() => this.#renew()));
    } else if (this.#record.isDue(this.#options.bandwidth(), unixMs)) {
      this.#renew();
    } else this.#arm();
  }

  #renew(): void {
    if (this.#isStopped) return;
    this.#sign();
    this.#arm();
  }

  async #store(): Promise<void> {
    try {
      await storeOnionKeys(this.#options.blobs, this.onionKeys);
    } catch (error) {
      this.#log.error(
        "Cannot store the new onion key; circuits fail after a restart",
        { error: thrown(error) },
      );
    }
  }
}

async function loadOnionKeys(options: RecordKeeperOptions): Promise<OnionKeys> {
  const { crypto, network, blobs, runtime: { random, clock } } = options;
  const stored = await blobs.read(ONION_KEYS_BLOB);
  const keys = stored === undefined
    ? undefined
    : decodeOrUndefined(options, stored);
  if (stored !== undefined && keys === undefined) {
    await blobs.setAside(ONION_KEYS_BLOB);
  }
  const unixMs = clock.unixMs();
  if (keys !== undefined && !keys.rotate(unixMs)) return keys;
  const changed = keys ?? OnionKeys.generate(crypto, random, network, unixMs);
  // Stored before it is announced: a restart must not forget it.
  await storeOnionKeys(blobs, changed);
  return changed;
}

function decodeOrUndefined(
  { crypto, network, runtime: { random } }: RecordKeeperOptions,
  stored: Bytes,
): OnionKeys | undefined {
  try {
    return OnionKeys.decode(crypto, random, network, stored);
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  } finally {
    stored.fill(0);
  }
}

async function storeOnionKeys(
  blobs: BlobStore,
  keys: OnionKeys,
): Promise<void> {
  const encoded = keys.encode();
  await blobs.write(ONION_KEYS_BLOB, encoded);
  encoded.fill(0);
}

function sameAddresses(
  a: readonly SocketAddress[],
  b: readonly SocketAddress[],
): boolean {
  return a.length === b.length &&
    a.every((address, index) =>
      address.host === b[index]?.host && address.port === b[index]?.port
    );
}
