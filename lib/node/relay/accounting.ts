/**
 * Keeps a relay to what its operator pays for: counts what its links move, sends it to
 * sleep at the limit, and wakes it when the next period begins.
 *
 *     awake ── limit ──▶ draining ── drainMs, or nothing left ──▶ asleep ── new period ──▶ awake
 *              no new circuits       all circuits end, links too
 *
 *     traffic.blob     bytes of the period that we are in
 *
 * A relay that sleeps declares no bandwidth and answers no dial. So clients take it
 * for one that is off: one that answered and refused would keep their guards busy.
 *
 * @see protocol §9.1 "State directory", §9.2 "Start and stop"
 * @module
 */
import { MachineTimer } from "../../base/machine_timer.ts";
import {
  type StoredTraffic,
  TrafficAccount,
  type TrafficLimit,
} from "../../circuit/traffic_account.ts";
import { type Log, thrown } from "../../log/log.ts";
import type { Runtime } from "../../machine/runtime.ts";
import type { BlobStore } from "../../storage/blob_store.ts";

const TRAFFIC_BLOB = "traffic";

/** Tuning: between two looks, ms. What goes over the limit meanwhile is a second's rate. */
const LOOK_MS = 1_000;
/** Tuning: after so long what has changed is written down, ms. */
const STORE_MS = 60_000;
/** Tuning: and sooner, when so much of the limit was moved since: a crash loses no more. */
const STORE_SHARE = 1 / 500;
/**
 * Tuning: what goes over the wire for each byte of a stream: headers of packets, and
 * acknowledgements. Rather too much than too little.
 */
export const WIRE_FACTOR = 1.08;

/** What sleeps and wakes. */
export interface Sleeper {
  /** Bytes of streams that links moved, both ways, ever. */
  movedBytes(): number;
  /** Whether circuits are left. */
  hasCircuits(): boolean;
  /** Take no more circuits, and say so. */
  rest(): void;
  /** End what is left, and be as if off. */
  sleep(): void;
  /** Be there again. */
  wake(): void;
}

/** What a keeper is made of. */
interface AccountingOptions {
  readonly runtime: Runtime;
  readonly blobs: BlobStore;
  readonly limit: TrafficLimit;
  /** How long circuits may go on at the limit, ms. */
  readonly drainMs: number;
}

/** For `status`. */
export interface AccountingStatus {
  readonly state: "awake" | "draining" | "asleep";
  readonly bytes: number;
  readonly limitBytes: number;
  readonly unit: TrafficLimit["unit"];
  /** When the next period begins, unix ms. */
  readonly untilMs: number;
}

/** The account of one relay. */
export class Accounting implements AsyncDisposable {
  readonly #options: AccountingOptions;
  readonly #account: TrafficAccount;
  readonly #log: Log;
  readonly #timer: MachineTimer;
  #sleeper: Sleeper | undefined;
  #state: AccountingStatus["state"] = "awake";
  #counted = 0;
  #sleepAtMs = Infinity;
  #storedBytes: number;
  #storedMs: number;
  /** The last write; never rejects. */
  #stored: Promise<void> = Promise.resolve();
  #isTroubled = false;

  private constructor(options: AccountingOptions, stored: StoredTraffic) {
    const { clock, log } = options.runtime;
    this.#options = options;
    this.#log = log.part("accounting");
    this.#account = new TrafficAccount(options.limit, stored, clock.unixMs());
    this.#storedBytes = this.#account.bytes;
    this.#storedMs = clock.nowMs();
    this.#timer = new MachineTimer(clock, () => this.#look());
    this.#tellDoubt();
  }

  /**
   * Go on where the last run ended.
   *
   * @throws {ConfigError} `storage.*` when the disk fails.
   */
  static async load(options: AccountingOptions): Promise<Accounting> {
    return new Accounting(options, await options.blobs.recall(TRAFFIC_BLOB));
  }

  get status(): AccountingStatus {
    const { bytes, limit } = this.#account;
    const untilMs = this.#account.endMs(this.#options.runtime.clock.unixMs());
    return {
      state: this.#state,
      bytes: Math.round(bytes),
      limitBytes: limit.bytes,
      unit: limit.unit,
      untilMs,
    };
  }

  /** Whether the relay takes circuits. */
  get isAwake(): boolean {
    return this.#state === "awake";
  }

  /** Whether it is as if off. */
  get isAsleep(): boolean {
    return this.#state === "asleep";
  }

  /** Begin to count. One that wakes up at its limit goes to sleep at once. */
  watch(sleeper: Sleeper): void {
    this.#sleeper = sleeper;
    this.#look();
  }

  /** From now on another limit holds. */
  setLimit(limit: TrafficLimit): void {
    this.#account.setLimit(limit, this.#options.runtime.clock.unixMs());
    this.#look();
  }

  /** Stop, with what was counted written down. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#timer.stop();
    this.#count();
    this.#write();
    await this.#stored;
  }

  #look(): void {
    const { clock } = this.#options.runtime;
    const nowMs = clock.nowMs();
    this.#count();
    this.#move(nowMs);
    const { limit, bytes } = this.#account;
    const isMuch = bytes - this.#storedBytes >= limit.bytes * STORE_SHARE;
    const isOld = nowMs - this.#storedMs >= STORE_MS &&
      bytes !== this.#storedBytes;
    if (isMuch || isOld || bytes < this.#storedBytes) this.#write();
    this.#timer.set(nowMs + LOOK_MS);
  }

  #count(): void {
    const moved = this.#sleeper?.movedBytes() ?? 0;
    const bytes = Math.ceil((moved - this.#counted) * WIRE_FACTOR);
    this.#counted = moved;
    this.#account.add(bytes, this.#options.runtime.clock.unixMs());
  }

  #move(nowMs: number): void {
    const { isExhausted } = this.#account;
    switch (this.#state) {
      case "awake":
        if (isExhausted) this.#rest(nowMs);
        break;
      case "draining":
        if (!isExhausted) this.#wake();
        else if (nowMs >= this.#sleepAtMs || !this.#sleeper?.hasCircuits()) {
          this.#sleep();
        }
        break;
      case "asleep":
        if (!isExhausted) this.#wake();
    }
  }

  #rest(nowMs: number): void {
    this.#state = "draining";
    this.#sleepAtMs = nowMs + this.#options.drainMs;
    this.#sleeper?.rest();
    this.#write();
    this.#log.warning(
      "The relay has moved what --accounting-max allows: it takes no more circuits, " +
        "and sleeps until the next period begins",
      { ...this.status, until: this.#until() },
    );
  }

  #sleep(): void {
    this.#state = "asleep";
    this.#sleeper?.sleep();
    this.#log.info("The relay sleeps", { until: this.#until() });
  }

  #wake(): void {
    this.#state = "awake";
    this.#sleeper?.wake();
    this.#log.info("The relay takes circuits again: another period has begun");
  }

  #until(): string {
    return new Date(this.status.untilMs).toISOString();
  }

  #tellDoubt(): void {
    const { doubt } = this.#account;
    if (doubt === "future") {
      this.#log.warning(
        "What the relay has moved was written down for a period that begins in the " +
          "future: the clock of this machine is wrong, or was. It is counted for " +
          "the period of today",
      );
    } else if (doubt === "damaged") {
      this.#log.warning(
        "What the relay has moved in this period cannot be read: it is taken to have " +
          "used its share of the time that is over",
        { bytes: this.#account.bytes },
      );
    }
  }

  #write(): void {
    const { clock } = this.#options.runtime;
    this.#storedBytes = this.#account.bytes;
    this.#storedMs = clock.nowMs();
    const body = this.#account.encode();
    this.#stored = this.#stored.then(() => this.#store(body));
  }

  async #store(body: Uint8Array): Promise<void> {
    try {
      await this.#options.blobs.write(TRAFFIC_BLOB, body);
      this.#isTroubled = false;
    } catch (error) {
      if (this.#isTroubled) return;
      this.#isTroubled = true;
      this.#log.error(
        "Cannot write down how much the relay has moved: after a restart it may move " +
          "more than --accounting-max allows",
        { error: thrown(error) },
      );
    }
  }
}
