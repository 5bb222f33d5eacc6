/**
 * One relay of a kept set: since when and how long it is kept, whether it answers,
 * and when it may be tried again.
 *
 *     reached ─▶ tried at any time
 *     failed ──▶ tried again after 1 s, 2 s … 30 s
 *     3 dials in a row failed, over 30 s or more ─▶ down: others may stand in for it
 *     off the relay list for 10 min ──────────────▶ the same
 *
 * @see protocol §5.8 "Paths"
 * @module
 */
import type { NodeId, PublicKey } from "../auth/identity.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import { type Random, randomBetween } from "../base/random.ts";
import type { KeptRelayState } from "./_kept_format.ts";
import { type RelayKey, relayKey } from "./relay_key.ts";
import { GIVE_UP_FAILURES, type Successor } from "./succession.ts";

const DAY_MS = 24 * 3600 * 1000;

/** Tuning: wait after the first failure, ms; it doubles. */
export const FIRST_RETRY_MS = 1000;
/** Tuning: longest wait, ms. Short: where both guards are away, we are cut off. */
export const LONGEST_RETRY_MS = 30_000;
/** How long too few must have been listed before others stand in for them, ms. */
export const STAND_IN_AFTER_MS = 600_000;
/** Dials in a row that must have failed before others stand in for a relay. */
const DOWN_DIALS = 3;
/** And for how long at least, ms: many networks fail for seconds. */
export const DOWN_AFTER_MS = 30_000;

/** Where a kept relay can be dialled, also while the relay list is unknown. */
export interface KeptContact {
  readonly publicKey: PublicKey;
  readonly nodeId: NodeId;
  readonly addresses: readonly SocketAddress[];
}

/** A relay of a set, for status. Says nothing of which one it is. */
export interface KeptStatus {
  readonly isInUse: boolean;
  readonly isListed: boolean;
  /** Whether a circuit was ever built through it in this role. */
  readonly wasReached: boolean;
  /** Failures since it last answered, at most {@linkcode GIVE_UP_FAILURES} of them. */
  readonly failures: number;
  /** Whole days until it is let go. */
  readonly daysLeft: number;
}

/** The same with its name, for who may see that. */
export interface NamedKept extends KeptStatus, KeptContact {}

/** A relay that is kept. */
export class KeptRelay implements Successor, KeptRelayState {
  readonly key: RelayKey;
  readonly nodeId: NodeId;
  readonly publicKey: PublicKey;
  #addresses: readonly SocketAddress[];
  #sampledUnixMs: number;
  #expiresUnixMs: number;
  #missingUnixMs: number | undefined;
  #reachedOrder: number;
  #failures: number;
  // What is not known yet of a relay that was drawn, or read from the disk.
  #retryMs = 0;
  #isListed = false;
  #isHopeful = true;
  /** Dials in a row that failed: how many, the first and the last of them. */
  #failedDials = 0;
  #firstDialMs = 0;
  #lastDialMs = -Infinity;

  constructor(state: KeptRelayState) {
    this.key = relayKey(state.nodeId);
    this.nodeId = state.nodeId;
    this.publicKey = state.publicKey;
    this.#addresses = state.addresses;
    this.#sampledUnixMs = state.sampledUnixMs;
    this.#expiresUnixMs = state.expiresUnixMs;
    this.#missingUnixMs = state.missingUnixMs;
    this.#reachedOrder = state.reachedOrder;
    this.#failures = state.failures;
  }

  /** Where it was when the relay list last had it. */
  get addresses(): readonly SocketAddress[] {
    return this.#addresses;
  }

  /** When it was drawn, by the wall clock. */
  get sampledUnixMs(): number {
    return this.#sampledUnixMs;
  }

  /** When its time is over, by the wall clock. */
  get expiresUnixMs(): number {
    return this.#expiresUnixMs;
  }

  /** Since when it is off the relay list. */
  get missingUnixMs(): number | undefined {
    return this.#missingUnixMs;
  }

  /** 0 never; else the higher, the later it was reached for the first time. */
  get reachedOrder(): number {
    return this.#reachedOrder;
  }

  /** Failures in a row. */
  get failures(): number {
    return this.#failures;
  }

  /** When it may be tried, monotonic. */
  get retryMs(): number {
    return this.#retryMs;
  }

  /** Whether the relay list has it, at the last {@linkcode note}. */
  get isListed(): boolean {
    return this.#isListed;
  }

  /** Whether it can be waited for, at the last {@linkcode note}. */
  get isHopeful(): boolean {
    return this.#isHopeful;
  }

  /** When it was last dialled in vain; −Infinity if it never was. */
  get lastDialMs(): number {
    return this.#lastDialMs;
  }

  /** Whether it is to be let go: its time is over, or it is off the list for `missingMs`. */
  isOver(missingMs: number, unixMs: number): boolean {
    return this.#expiresUnixMs <= unixMs ||
      this.missingForMs(unixMs) >= missingMs;
  }

  /** For how long it is off the relay list; 0 while it is on it. */
  missingForMs(unixMs: number): number {
    return unixMs - (this.#missingUnixMs ?? unixMs);
  }

  /** Figures for status. */
  status(
    { isInUse }: { readonly isInUse: boolean },
    unixMs: number,
  ): KeptStatus {
    const leftMs = this.#expiresUnixMs - unixMs;
    return {
      isInUse,
      isListed: this.#missingUnixMs === undefined,
      wasReached: this.#reachedOrder > 0,
      failures: this.#failures,
      daysLeft: Math.max(0, Math.floor(leftMs / DAY_MS)),
    };
  }

  /**
   * Look it up in the relay list.
   *
   * @param record `undefined` when the list does not have it.
   * @returns Whether there is something new to be stored.
   */
  look(record: NodeRecord | undefined, unixMs: number): boolean {
    const isAhead = this.#sampledUnixMs > unixMs;
    if (isAhead) {
      // Drawn while the clock was ahead: it keeps its life from now on.
      this.#expiresUnixMs -= this.#sampledUnixMs - unixMs;
      this.#sampledUnixMs = unixMs;
    }
    const wasMissing = this.#missingUnixMs;
    if (record === undefined) {
      this.#missingUnixMs = Math.min(wasMissing ?? Infinity, unixMs);
      return isAhead || this.#missingUnixMs !== wasMissing;
    }
    this.#missingUnixMs = undefined;
    const hasMoved = !sameAddresses(this.#addresses, record.addresses);
    if (hasMoved) this.#addresses = record.addresses;
    return isAhead || hasMoved || wasMissing !== undefined;
  }

  /** Note whether the relay list has it, and whether it can be waited for. */
  note({ isListed }: { readonly isListed: boolean }, unixMs: number): void {
    const isDown = this.#failedDials >= DOWN_DIALS &&
      this.#lastDialMs - this.#firstDialMs >= DOWN_AFTER_MS;
    this.#isListed = isListed;
    this.#isHopeful = !isDown && this.missingForMs(unixMs) < STAND_IN_AFTER_MS;
  }

  /** It was reached for the first time, as the one of this order. */
  onFirstReached(order: number): void {
    this.#reachedOrder = order;
  }

  /** It was reached. @returns Whether there is something new to be stored. */
  onReached(): boolean {
    const hadFailed = this.#failures > 0;
    this.#failures = 0;
    this.hurry();
    return hadFailed;
  }

  /** There is a link: where dials had failed before it may be tried at once. @returns Whether they had. */
  onLinked(): boolean {
    const hadFailed = this.#failedDials > 0;
    if (hadFailed) this.hurry();
    return hadFailed;
  }

  /** No link could be made. */
  onUnlinked(nowMs: number): void {
    if (this.#failedDials++ === 0) this.#firstDialMs = nowMs;
    this.#lastDialMs = nowMs;
  }

  /** It could not be reached. @returns Whether there is something new to be stored. */
  onFailed(random: Random, nowMs: number): boolean {
    this.#failures++;
    const longestMs = Math.min(
      LONGEST_RETRY_MS,
      FIRST_RETRY_MS * 2 ** (this.#failures - 1),
    );
    this.#retryMs = nowMs + randomBetween(random, longestMs / 2, longestMs);
    return this.#failures <= GIVE_UP_FAILURES;
  }

  /** It may be tried at once, and what dials showed counts no more. */
  hurry(): void {
    this.#retryMs = 0;
    this.#failedDials = 0;
  }
}

function sameAddresses(
  a: readonly SocketAddress[],
  b: readonly SocketAddress[],
): boolean {
  return a.length === b.length &&
    a.every(({ host, port }, index) =>
      host === b[index]?.host && port === b[index]?.port
    );
}
