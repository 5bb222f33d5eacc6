/**
 * Pays a relay's rent: for the present period before the relay shows a record, and for
 * the next one days ahead, at a tenth of a core.
 *
 *     rent-<network>.blob     [period 8 ‖ nonce 16]: of this period and its neighbours
 *
 * @see protocol §2.4 "Proof of work", §9.1 "State directory"
 * @module
 */
import type { PublicKey } from "../../auth/identity.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import { WORK_NONCE_BYTES } from "../../auth/proof_of_work.ts";
import {
  findRent,
  hasRent,
  isRent,
  rentPeriod,
  rentTries,
} from "../../auth/rent.ts";
import { type Bytes, concat } from "../../base/bytes.ts";
import { sleep } from "../../base/clock.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import { TaskSet } from "../../base/task_set.ts";
import { type Log, thrown } from "../../log/log.ts";
import type { Runtime } from "../../machine/runtime.ts";
import type { BlobStore } from "../../storage/blob_store.ts";

/** Tuning: the next period is paid so long before records reach into it, ms. */
const AHEAD_MS = 3 * 24 * 3600 * 1000;
/** A record is of a clock that is up to so much behind the machine's, ms (protocol §2.3 "Node records"). */
const MAX_LAG_MS = 2 * 3600 * 1000;
/** Tuning: longest time between two looks at the calendar, ms: the clock may be set. */
const LOOK_MS = 3600 * 1000;
/** Tuning: of a search that has days, for each ms of work so many of rest. */
const REST = 9;

/** Bytes of a period's number, and of an entry in the file. */
const PERIOD_BYTES = 8;
const ENTRY_BYTES = PERIOD_BYTES + WORK_NONCE_BYTES;
/** Entries kept: the period before, where the clock was set back, this one and the next. */
const MAX_ENTRIES = 3;

/** What a keeper is made of. */
export interface RentKeeperOptions {
  readonly blobs: BlobStore;
  readonly runtime: Runtime;
  readonly network: NetworkParameters;
  readonly publicKey: PublicKey;
  /** Gives up the search at the start. */
  readonly signal?: AbortSignal | undefined;
}

/** What a relay has paid. */
export class RentKeeper implements AsyncDisposable {
  readonly #options: RentKeeperOptions;
  readonly #log: Log;
  readonly #paid = new Map<number, Bytes>();
  readonly #timer: MachineTimer;
  readonly #tasks: TaskSet;
  readonly #stop = new AbortController();
  #isSearching = false;
  #onPaid: () => void = () => {};

  private constructor(options: RentKeeperOptions) {
    this.#options = options;
    this.#log = options.runtime.log.part("record");
    this.#tasks = new TaskSet((error) => {
      if (this.#stop.signal.aborted) return;
      this.#log.error("Cannot pay for the next period; trying again", {
        error: thrown(error),
      });
    });
    this.#timer = new MachineTimer(
      options.runtime.clock,
      () => this.#look(),
    );
  }

  /**
   * Read what was paid, and pay for the present period if that is not among it.
   *
   * @throws {ConfigError} `storage.*` when the disk fails.
   * @throws the signal's reason when told to give up.
   */
  static async start(options: RentKeeperOptions): Promise<RentKeeper> {
    const keeper = new RentKeeper(options);
    if (!hasRent(options.network)) return keeper;
    await keeper.#read();
    if (!keeper.#paid.has(keeper.#period(0))) await keeper.#payAtOnce();
    return keeper;
  }

  /** What pays for a period, if it is paid for. */
  of(period: number): Bytes | undefined {
    return this.#paid.get(period);
  }

  /** Pay ahead from now on. @param onPaid Hears when another period is paid for. */
  watch(onPaid: () => void): void {
    this.#onPaid = onPaid;
    if (hasRent(this.#options.network)) this.#look();
  }

  /** Stop; a search is given up. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#timer.stop();
    this.#stop.abort();
    await this.#tasks.ended();
  }

  /** The earliest period that a record can be for, signed so much later than now. */
  #period(laterMs: number): number {
    const { network, runtime } = this.#options;
    const shownMs = runtime.clock.unixMs() + laterMs - MAX_LAG_MS;
    return rentPeriod(shownMs + network.maxNodeRecordLifeMs);
  }

  #look(): void {
    this.#timer.set(this.#options.runtime.clock.nowMs() + LOOK_MS);
    if (this.#isSearching || this.#stop.signal.aborted) return;
    const [now, ahead] = [this.#period(0), this.#period(AHEAD_MS)];
    const period = [now, ahead].find((period) => !this.#paid.has(period));
    if (period === undefined) return;
    this.#isSearching = true;
    // What is due already has no days.
    const rest = period === now ? 0 : REST;
    this.#tasks.run(
      this.#pay(period, rest, this.#stop.signal)
        .then(() => this.#onPaid())
        .finally(() => this.#isSearching = false),
    );
  }

  async #payAtOnce(): Promise<void> {
    const { network, signal } = this.#options;
    this.#log.info("Working to prove the identity for the next four weeks", {
      triesOnAverage: rentTries(network),
    });
    await this.#pay(this.#period(0), 0, signal);
  }

  async #pay(
    period: number,
    rest: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { network, publicKey, runtime: { crypto, random, clock } } =
      this.#options;
    let beganMs = clock.nowMs();
    const nonce = await findRent(crypto, network, publicKey, period, random, {
      signal,
      async onProgress() {
        await sleep(clock, rest * (clock.nowMs() - beganMs), { signal });
        beganMs = clock.nowMs();
      },
    });
    this.#paid.set(period, nonce);
    this.#forget();
    await this.#store();
  }

  /** Forget what is farthest from now: a clock that was years ahead has paid for what is no use. */
  #forget(): void {
    const now = this.#period(0);
    const periods = [...this.#paid.keys()];
    periods.sort((a, b) => Math.abs(a - now) - Math.abs(b - now));
    for (const period of periods.slice(MAX_ENTRIES)) this.#paid.delete(period);
  }

  async #read(): Promise<void> {
    const { blobs, runtime: { crypto }, network, publicKey } = this.#options;
    const name = nameOf(network);
    const stored = await blobs.read(name);
    if (stored === undefined) return;
    for (const [period, nonce] of entriesOf(stored)) {
      if (await isRent(crypto, network, publicKey, period, nonce)) {
        this.#paid.set(period, nonce);
      }
    }
    // Another key's, or damaged: it can be had again.
    if (this.#paid.size === 0) await blobs.setAside(name);
  }

  async #store(): Promise<void> {
    const entries = Array.from(this.#paid, ([period, nonce]) => {
      const number = new Uint8Array(PERIOD_BYTES);
      new DataView(number.buffer).setBigUint64(0, BigInt(period));
      return concat(number, nonce);
    });
    const { blobs, network } = this.#options;
    try {
      await blobs.write(nameOf(network), concat(...entries));
    } catch (error) {
      this.#log.warning(
        "Cannot store the proof for the next four weeks; it is worked for anew after a restart",
        { error: thrown(error) },
      );
    }
  }
}

function nameOf({ name }: NetworkParameters): string {
  return `rent-${name}`;
}

/** Entries of a file, as many as are whole and kept. */
function entriesOf(stored: Bytes): [period: number, nonce: Bytes][] {
  const count = Math.min(
    Math.floor(stored.length / ENTRY_BYTES),
    MAX_ENTRIES,
  );
  return Array.from({ length: count }, (_, index) => {
    const entry = stored.slice(index * ENTRY_BYTES, (index + 1) * ENTRY_BYTES);
    const number = new DataView(entry.buffer).getBigUint64(0);
    return [Number(number), entry.slice(PERIOD_BYTES)];
  });
}
