/**
 * How much crossed a node's links, and how much of that was circuits of others. Each
 * link counts for itself, and goes with its counts: what a link carried between the
 * last reading and its end is not seen.
 *
 * @module
 */

/** Bytes, either way. */
interface Traffic {
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** What of a node is read. */
export interface MeteredParts {
  readonly relay?: {
    readonly links: MeteredLinks;
    readonly circuits: { readonly carried: Carried };
  } | undefined;
  readonly client?: { readonly links: MeteredLinks } | undefined;
}

/** Of circuits of others. */
interface Carried {
  readonly forwardBytes: number;
  readonly backwardBytes: number;
}

/** All that is read. */
interface Reading extends Traffic {
  readonly bytesForward: number;
  readonly bytesBackward: number;
}

interface MeteredLinks {
  readonly links: Iterable<{ readonly stats: Traffic }>;
}

/** Counters that never go back. */
export class TrafficMeter {
  readonly #parts: MeteredParts;
  readonly #seen = new WeakMap<object, Traffic>();
  #bytesIn = 0;
  #bytesOut = 0;

  /** @param parts Roles may come later. */
  constructor(parts: MeteredParts) {
    this.#parts = parts;
  }

  /** All bytes so far. */
  read(): Reading {
    const { relay, client } = this.#parts;
    const tables = new Set([relay?.links, client?.links]);
    for (const table of tables) {
      for (const link of table?.links ?? []) {
        const { bytesIn, bytesOut } = link.stats;
        const before = this.#seen.get(link) ?? { bytesIn: 0, bytesOut: 0 };
        this.#bytesIn += bytesIn - before.bytesIn;
        this.#bytesOut += bytesOut - before.bytesOut;
        this.#seen.set(link, { bytesIn, bytesOut });
      }
    }
    const { forwardBytes = 0, backwardBytes = 0 } = relay?.circuits.carried ??
      {};
    return {
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      bytesForward: forwardBytes,
      bytesBackward: backwardBytes,
    };
  }
}
