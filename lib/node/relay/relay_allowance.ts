/**
 * What a relay may use, as its operator says: held to while it runs, and changed
 * without a restart.
 *
 *     rate ────────▶ RelayRate of the circuits, and the record
 *     accounting ──▶ Accounting ─▶ circuits, links and the record
 *
 * @see protocol §9.2 "Start and stop"
 * @module
 */
import type { Runtime } from "../../machine/runtime.ts";
import type { BlobStore } from "../../storage/blob_store.ts";
import {
  Accounting,
  type AccountingStatus,
  type Sleeper,
} from "./accounting.ts";
import { checkRelayLimits, rateOf, type RelayLimits } from "./relay_limits.ts";

/** What an allowance is made of. */
interface AllowanceOptions {
  readonly blobs: BlobStore;
  readonly runtime: Runtime;
  readonly limits: RelayLimits;
  /** How long circuits may go on when all is moved, ms. */
  readonly drainMs: number;
}

/** The parts of a relay that an allowance binds. */
export interface BoundParts {
  readonly circuits: {
    readonly size: number;
    setRate(rate: ReturnType<typeof rateOf>): void;
    rest(): void;
    wake(): void;
    endAll(): void;
  };
  readonly links: { readonly movedBytes: number; closeLinks(): void };
  readonly record: { renew(): void };
}

/** The limits of one relay. */
export class RelayAllowance implements AsyncDisposable {
  readonly #options: AllowanceOptions;
  #limits: RelayLimits;
  #accounting: Accounting | undefined;
  #parts: BoundParts | undefined;

  private constructor(options: AllowanceOptions, accounting?: Accounting) {
    this.#options = options;
    this.#limits = options.limits;
    this.#accounting = accounting;
  }

  /** @throws {ConfigError} `storage.*` when the disk fails. */
  static async load(options: AllowanceOptions): Promise<RelayAllowance> {
    const { accounting: limit } = options.limits;
    const accounting = limit && await Accounting.load({ ...options, limit });
    return new RelayAllowance(options, accounting);
  }

  /** The limits as they are now. */
  get limits(): RelayLimits {
    return this.#limits;
  }

  /** Most that the record may declare, bytes per second. */
  get mostBandwidth(): number {
    if (this.#accounting?.isAwake === false) return 0;
    return this.#limits.rate ?? Infinity;
  }

  /** Whether the relay is as if off. */
  get isAsleep(): boolean {
    return this.#accounting?.isAsleep ?? false;
  }

  /** What was moved, where that is limited. */
  get accounting(): AccountingStatus | undefined {
    return this.#accounting?.status;
  }

  /** Begin to hold these parts to it. */
  watch(parts: BoundParts): void {
    this.#parts = parts;
    this.#accounting?.watch(sleeperOf(parts));
  }

  /**
   * Other limits hold from now on. How many circuits there may be, and how much memory,
   * stay as they were at the start.
   *
   * @throws {ConfigError} `node.limit`, and nothing has changed.
   */
  async change(limits: RelayLimits): Promise<void> {
    checkRelayLimits(limits);
    const { accounting: limit } = limits;
    const before = this.#accounting;
    if (limit !== undefined && before === undefined) {
      const accounting = await Accounting.load({ ...this.#options, limit });
      this.#accounting = accounting;
      if (this.#parts) accounting.watch(sleeperOf(this.#parts));
    } else if (limit !== undefined) before?.setLimit(limit);
    else if (before !== undefined) {
      this.#accounting = undefined;
      await before[Symbol.asyncDispose]();
      if (!before.isAwake) this.#parts?.circuits.wake();
    }
    const { maxCircuits, memory } = this.#limits;
    this.#limits = { ...limits, maxCircuits, memory };
    this.#parts?.circuits.setRate(rateOf(limits));
    this.#parts?.record.renew();
  }

  /** Stop, with what was counted written down. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#accounting?.[Symbol.asyncDispose]();
  }
}

function sleeperOf({ circuits, links, record }: BoundParts): Sleeper {
  return {
    movedBytes: () => links.movedBytes,
    hasCircuits: () => circuits.size > 0,
    rest() {
      circuits.rest();
      record.renew();
    },
    sleep() {
      circuits.endAll();
      links.closeLinks();
    },
    wake() {
      circuits.wake();
      record.renew();
    },
  };
}
