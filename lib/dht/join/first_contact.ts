/**
 * Finding a first peer: all given addresses, again and again until one answers.
 *
 *     dial some at once ── one answers → joined; the rest are called off
 *              ── none does   → wait 1 s, 2 s, 4 s … 60 s, each ± 25 % → dial all
 *              ── all of them have other keys → failed
 *              ── a record is of another time → our clock; try again, after 10 s at most
 *
 * @see protocol §9.2 "Start and stop"
 * @module
 */
import { describeClockDoubt } from "../../auth/clock_doubt.ts";
import type { NodeAddress } from "../../auth/node_address.ts";
import { ConfigError } from "../../base/errors.ts";
import { type Random, randomBetween, shuffled } from "../../base/random.ts";

/** Protocol: wait before all are dialled again, doubled each time, ms. */
const FIRST_WAIT_MS = 1_000;
/** Protocol: a network that is down must be found again within a minute of its return. */
const MAX_WAIT_MS = 60_000;
/** Tuning: the same while the clock of this machine seems to be wrong, ms. */
const CLOCK_WAIT_MS = 10_000;
/** Protocol: waits are longer or shorter by up to this share. */
const WAIT_JITTER = 0.25;
/** Protocol: addresses dialled at once. Enough that a few dead ones cost no time. */
export const MAX_DIALS = 8;

/** What the search for a first peer asks its driver to do. */
export type ContactAction =
  /** Open a link, handshake and all. */
  | { readonly type: "dial"; readonly address: NodeAddress }
  /** One has answered: call off the dials that are under way. */
  | { readonly type: "joined" }
  /** No address is left: waiting would not help. */
  | { readonly type: "failed"; readonly error: ConfigError }
  /** Tell the operator that this machine's clock is wrong, by that node's word. */
  | {
    readonly type: "wrong_clock";
    readonly address: NodeAddress;
    readonly error: ConfigError;
  }
  /** Tell the operator that none answers, and when they are dialled again. */
  | { readonly type: "silence"; readonly nodes: number; readonly inMs: number };

/** One search for a first peer. */
export class FirstContact {
  readonly #random: Random;
  /** Addresses at the start. */
  readonly #given: number;
  /** Those that may still be what they should be. */
  readonly #hopeful: Set<NodeAddress>;
  /** To be dialled in this round; the last is next. */
  #waiting: NodeAddress[] = [];
  readonly #dialled = new Set<NodeAddress>();
  #waitMs = FIRST_WAIT_MS;
  /** Whether one of this round was of another time. */
  #isClockWrong = false;
  #dueMs = Infinity;
  #isOver = false;

  /** @param addresses Where to try, at least one. */
  constructor(addresses: readonly NodeAddress[], random: Random) {
    this.#random = random;
    this.#hopeful = new Set(addresses);
    this.#given = addresses.length;
  }

  /** When to call {@linkcode onTime} next; `Infinity` while addresses are dialled, and at the end. */
  get deadlineMs(): number {
    return this.#dueMs;
  }

  /** Addresses that are tried. */
  get hopeful(): number {
    return this.#hopeful.size;
  }

  /** Begin. */
  start(nowMs: number): ContactAction[] {
    return this.#dialAll(nowMs);
  }

  /** A node has answered, and is who it should be. */
  onAnswer(address: NodeAddress): ContactAction[] {
    if (!this.#dialled.delete(address) || this.#isOver) return [];
    this.#isOver = true;
    return [{ type: "joined" }];
  }

  /** No answer, or none that says anything of the node. */
  onSilence(address: NodeAddress, nowMs: number): ContactAction[] {
    return this.#onEnd(address, nowMs);
  }

  /** A node answers with another key, protocol or network: it is not tried again. */
  onOther(address: NodeAddress, nowMs: number): ContactAction[] {
    this.#hopeful.delete(address);
    return this.#onEnd(address, nowMs);
  }

  /**
   * A node has proven who it is, and signed a record of another time: one of the two
   * clocks is wrong, and it is tried again.
   *
   * @param aheadMs How much its time is ahead of ours at least; below 0: behind.
   */
  onOtherTime(
    address: NodeAddress,
    aheadMs: number,
    nowMs: number,
  ): ContactAction[] {
    if (this.#isOver) return [];
    this.#isClockWrong = true;
    const error = wrongClock(aheadMs);
    return [
      { type: "wrong_clock", address, error },
      ...this.#onEnd(address, nowMs),
    ];
  }

  /** The deadline has come: dial all again. */
  onTime(nowMs: number): ContactAction[] {
    if (nowMs < this.#dueMs) return [];
    this.#dueMs = Infinity;
    return this.#dialAll(nowMs);
  }

  #dialAll(nowMs: number): ContactAction[] {
    this.#isClockWrong = false;
    this.#waiting = shuffled(this.#random, [...this.#hopeful]);
    return this.#next(nowMs);
  }

  #onEnd(address: NodeAddress, nowMs: number): ContactAction[] {
    return this.#dialled.delete(address) ? this.#next(nowMs) : [];
  }

  #next(nowMs: number): ContactAction[] {
    if (this.#isOver) return [];
    const actions: ContactAction[] = [];
    while (this.#dialled.size < MAX_DIALS) {
      const address = this.#waiting.pop();
      if (address === undefined) break;
      this.#dialled.add(address);
      actions.push({ type: "dial", address });
    }
    return this.#dialled.size > 0 ? actions : this.#onNone(nowMs);
  }

  /** All of a round are dialled, and none has answered. */
  #onNone(nowMs: number): ContactAction[] {
    if (this.#hopeful.size === 0) {
      this.#isOver = true;
      return [{ type: "failed", error: noAddressLeft(this.#given) }];
    }
    const share = randomBetween(this.#random, 1 - WAIT_JITTER, 1 + WAIT_JITTER);
    const longestMs = this.#isClockWrong ? CLOCK_WAIT_MS : MAX_WAIT_MS;
    const inMs = Math.round(Math.min(this.#waitMs, longestMs) * share);
    this.#waitMs = Math.min(2 * this.#waitMs, longestMs);
    this.#dueMs = nowMs + inMs;
    return [{ type: "silence", nodes: this.#hopeful.size, inMs }];
  }
}

function wrongClock(aheadMs: number): ConfigError {
  return new ConfigError(
    "node.clock",
    `Cannot join the network: ${describeClockDoubt(aheadMs)}, by what a ` +
      `bootstrap node has signed`,
  );
}

function noAddressLeft(count: number): ConfigError {
  return new ConfigError(
    "node.bootstrap",
    `Cannot join the network: ${
      count === 1
        ? "the bootstrap address answers, but not with its key"
        : `all ${count} bootstrap addresses answer, but not with their keys`
    } or protocol; compare each --bootstrap, letter by letter, with what the ` +
      `node printed, and --network on both sides`,
  );
}
