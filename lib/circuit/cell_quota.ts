/**
 * The memory that cells may wait in, for a whole process.
 *
 * A peer that reads too slowly makes cells wait at the relays behind, and no single
 * circuit is to blame while each stays under its own limit. So all of them share
 * one quota, and over it the circuits whose cells have waited longest go first:
 * a reader that has stopped is older than any that is merely slow.
 *
 * @see protocol §5.6 "Memory"
 * @module
 */

/** Tuning: bytes of cells that may wait in a process. */
export const QUOTA_BYTES = 512 * 1024 * 1024;

/**
 * Tuning: an eviction goes on until so much of the quota is free again, so that
 * a full quota costs one look over the circuits per 32 MiB and not per cell.
 */
const FREE_FRACTION = 1 / 16;

/** What waits: cells for a writer or for the rest of their train, or the beginnings of control messages for their ends. */
export type WaitingKind = "cells" | "messages";

/** What holds waiting cells on behalf of `Owner`, such as a circuit. */
export interface Waiter<Owner> {
  /** What it holds. */
  readonly kind: WaitingKind;
  /** Whom to destroy. */
  readonly owner: Owner;
  /** When its oldest cell came; `undefined` while none waits. */
  readonly oldestMs: number | undefined;
  /** Bytes that destroying the owner would free at once. */
  readonly freeableBytes: number;
}

/** One quota, and who uses how much of it. */
export class CellQuota<Owner> {
  /** Bytes that may wait. */
  readonly maxBytes: number;
  readonly #usedBytes = { cells: 0, messages: 0 };
  readonly #waiters = new Set<Waiter<Owner>>();

  /**
   * A quota of which nothing is used.
   *
   * @param maxBytes Default {@linkcode QUOTA_BYTES}.
   */
  constructor(maxBytes: number = QUOTA_BYTES) {
    if (!(maxBytes > 0)) {
      throw new RangeError(`Cannot make a quota of ${maxBytes} bytes`);
    }
    this.maxBytes = maxBytes;
  }

  /** Bytes that wait now, with writes under way. */
  get usedBytes(): number {
    return this.#usedBytes.cells + this.#usedBytes.messages;
  }

  /** Of these, what one kind takes. */
  usedBytesOf(kind: WaitingKind): number {
    return this.#usedBytes[kind];
  }

  /** Whether {@linkcode victims} have to go. */
  get over(): boolean {
    return this.usedBytes > this.maxBytes;
  }

  /**
   * Whose circuits to destroy, longest waiting first, until 1/16 of the quota
   * is free. Empty unless {@linkcode over}.
   */
  victims(): Owner[] {
    if (!this.over) return [];
    const waiters = [...this.#waiters].filter((waiter) =>
      waiter.freeableBytes > 0
    );
    const age = (waiter: Waiter<Owner>) => waiter.oldestMs ?? Infinity;
    waiters.sort((a, b) => age(a) - age(b));
    const victims = new Set<Owner>();
    let excess = this.usedBytes - this.maxBytes * (1 - FREE_FRACTION);
    for (const waiter of waiters) {
      if (excess <= 0) break;
      excess -= waiter.freeableBytes;
      victims.add(waiter.owner);
    }
    return [...victims];
  }

  /** A waiter holds `bytes` more. */
  add(waiter: Waiter<Owner>, bytes: number): void {
    this.#usedBytes[waiter.kind] += bytes;
    this.#waiters.add(waiter);
  }

  /** A waiter holds `bytes` less. */
  remove(waiter: Waiter<Owner>, bytes: number): void {
    this.#usedBytes[waiter.kind] -= bytes;
    if (waiter.oldestMs === undefined) this.#waiters.delete(waiter);
  }
}
