/**
 * Measures what this relay carries, for its record, and remembers it.
 *
 *     bandwidth.blob     the highest rates of the last days
 *
 * @see protocol §9.1 "State directory", §9.2 "Start and stop"
 * @module
 */
import {
  ObservedBandwidth,
  SUSTAINED_MS,
} from "../../auth/observed_bandwidth.ts";
import type { Timer } from "../../base/clock.ts";
import { ProtocolError } from "../../base/errors.ts";
import { thrown } from "../../log/log.ts";
import type { Runtime } from "../../machine/runtime.ts";
import type { BlobStore } from "../../storage/blob_store.ts";

const BANDWIDTH_BLOB = "bandwidth";

/** Time between two looks while nothing is carried, ms: an idle relay wakes seldom. */
const IDLE_MS = 60_000;

/** What a keeper is made of. */
interface BandwidthKeeperOptions {
  readonly blobs: BlobStore;
  readonly runtime: Runtime;
  /** What the operator says, bytes per second; decides where it is given. */
  readonly told?: number | undefined;
  /** What is never exceeded, bytes per second, as of now. Default: nothing. */
  readonly most?: () => number;
}

/** What a relay declares that it can carry. */
export class BandwidthKeeper implements AsyncDisposable {
  readonly #options: BandwidthKeeperOptions;
  readonly #observed: ObservedBandwidth;
  #timer: Timer | undefined;
  /** The last write; never rejects. */
  #stored: Promise<void> = Promise.resolve();

  private constructor(
    options: BandwidthKeeperOptions,
    observed: ObservedBandwidth,
  ) {
    this.#options = options;
    this.#observed = observed;
  }

  /**
   * Read what was measured before. What is damaged is set aside, and measured anew.
   *
   * @throws {ConfigError} `storage.*` when the disk fails.
   */
  static async load(options: BandwidthKeeperOptions): Promise<BandwidthKeeper> {
    return new BandwidthKeeper(options, await read(options));
  }

  /** Bytes per second for the record. */
  get declared(): number {
    const { told, runtime, most = () => Infinity } = this.#options;
    return Math.min(
      told ?? this.#observed.declared(runtime.clock.unixMs()),
      most(),
    );
  }

  /** Begin to measure. @param carriedBytes All that was carried since the start. */
  watch(carriedBytes: () => number): void {
    if (this.#options.told === undefined) this.#look(carriedBytes, 0);
  }

  /** Stop. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#timer?.cancel();
    await this.#stored;
  }

  #look(carriedBytes: () => number, before: number): void {
    const { clock } = this.#options.runtime;
    const carried = carriedBytes();
    if (this.#observed.add(carried, clock.nowMs(), clock.unixMs())) {
      this.#stored = this.#stored.then(() => this.#store());
    }
    const waitMs = carried > before ? SUSTAINED_MS : IDLE_MS;
    this.#timer = clock.schedule(
      waitMs,
      () => this.#look(carriedBytes, carried),
      { keepAlive: false },
    );
  }

  async #store(): Promise<void> {
    try {
      await this.#options.blobs.write(BANDWIDTH_BLOB, this.#observed.encode());
    } catch (error) {
      this.#options.runtime.log.part("record").warning(
        "Cannot store how much was carried; it is measured anew after a restart",
        { error: thrown(error) },
      );
    }
  }
}

async function read(
  { blobs }: BandwidthKeeperOptions,
): Promise<ObservedBandwidth> {
  const stored = await blobs.read(BANDWIDTH_BLOB);
  if (stored === undefined) return new ObservedBandwidth();
  try {
    return ObservedBandwidth.decode(stored);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    await blobs.setAside(BANDWIDTH_BLOB);
    return new ObservedBandwidth();
  }
}
