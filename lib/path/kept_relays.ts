/**
 * Relays drawn once and kept: the first and second hops of our circuits. Whoever
 * can make us draw again and again owns the relay that we draw in the end, so
 * nothing that the other side does makes us draw.
 *
 *     draw ──→ untried ──reached──→ reached ──┬─ its time is over ──→ gone, draw
 *                 │                           └─ off the list for long ──→ gone, draw
 *                 └─ 3 failures ──→ given up, draw (so often in 30 days, no more)
 *
 *     in use: the first `size` that are listed
 *             reached ones first, in the order of their first success
 *             given-up ones only where nobody is left to draw
 *
 * A relay that was reached once and does not answer now is retried, for as long as
 * it is on the relay list. A relay that never answered has learned nothing from
 * us, and replacing it lets a first start survive dead relays.
 *
 * When (nearly) all are off the list, as after a network was set up anew, stand-ins
 * are drawn at the same price; when the old ones come back, they come first again.
 *
 * @see protocol §5.8
 * @module
 */
import type { NodeId, PublicKey } from "../auth/identity.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import { type Bytes, equalBytes } from "../base/bytes.ts";
import { type Random, randomBetween } from "../base/random.ts";
import { encodeKept, type KeptState, MAX_KEPT } from "./_kept_format.ts";
import { shareSubnet } from "./path_subnets.ts";
import { type RelayKey, relayKey } from "./relay_key.ts";
import type { PathRelay, WeightedRelays } from "./weighted_relays.ts";

const DAY_MS = 24 * 3600 * 1000;

/** Draws beyond what filling takes are counted over this time, ms. */
export const EXTRA_PERIOD_MS = 30 * DAY_MS;
/** Failures in a row after which a relay that never answered is given up. */
export const GIVE_UP_FAILURES = 3;
/** Tuning: wait after the first failure, ms; it doubles. */
export const FIRST_RETRY_MS = 1000;
/** Tuning: longest wait, ms. Short: where both guards are away, we are cut off. */
export const LONGEST_RETRY_MS = 30_000;
/** How long too few must have been listed before stand-ins are drawn, ms. */
export const STAND_IN_AFTER_MS = 600_000;

/** Where the kinds of sets differ. */
export interface KeepingRules {
  /** Stands in the snapshot. */
  readonly kind: "guards" | "layer2";
  /** Relays in use at once. */
  readonly size: number;
  /** Below so many listed ones, stand-ins are drawn; at least 1. */
  readonly leastListed: number;
  /** A relay that is off the relay list for so long is let go, ms. */
  readonly missingMs: number;
  /** Whether a relay that the other set uses is let go as soon as there is another. */
  readonly yields: boolean;
  /** Draws for stand-ins, and for relays given up, in {@linkcode EXTRA_PERIOD_MS}. */
  readonly maxExtra: number;
  /** The longest life that is ever drawn, ms. */
  readonly longestLifeMs: number;
  /** How long a relay is kept, ms. */
  drawLifeMs(random: Random): number;
}

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

interface Kept {
  readonly key: RelayKey;
  readonly nodeId: NodeId;
  readonly publicKey: PublicKey;
  addresses: readonly SocketAddress[];
  sampledUnixMs: number;
  expiresUnixMs: number;
  /** Since when it is off the relay list. */
  missingUnixMs: number | undefined;
  /** 0 never; else the higher, the later it was reached for the first time. */
  reachedOrder: number;
  failures: number;
  retryMs: number;
}

/** A set of relays that is kept over days and restarts. */
export class KeptRelays {
  readonly #rules: KeepingRules;
  readonly #random: Random;
  #kept: Kept[];
  /** Wall-clock times of the draws that count as extra, oldest first. */
  #extras: number[];
  #relays: WeightedRelays | undefined;
  /** Relays that another set uses: drawn only where no others are left. */
  #others: readonly PathRelay[] = [];
  /** Wall clock less monotonic clock, at the last {@linkcode update}. */
  #unixOffsetMs = 0;
  #inUse: Kept[] = [];
  #revision = 0;

  /** @param state From a snapshot; none at the first start. */
  constructor(rules: KeepingRules, random: Random, state?: KeptState) {
    this.#rules = rules;
    this.#random = random;
    this.#extras = [...state?.extras ?? []];
    this.#kept = (state?.relays ?? []).map((relay) => ({
      ...relay,
      key: relayKey(relay.nodeId),
      retryMs: 0,
    }));
  }

  /** Grows when {@linkcode snapshot} would say something new: then store it. */
  get revision(): number {
    return this.#revision;
  }

  /** What to store, for the kind's `restore`. Who reads it knows where we enter the network. */
  snapshot(): Bytes {
    return encodeKept(this.#rules.kind, {
      relays: this.#kept,
      extras: this.#extras,
    });
  }

  /** Relays in use, listed, whether they answer now or not. */
  get inUse(): readonly PathRelay[] {
    return this.#inUse.flatMap((kept) => this.#relays?.get(kept.key) ?? []);
  }

  /** Relays in use that may be tried now. */
  candidates(nowMs: number): PathRelay[] {
    return this.#inUse
      .filter((kept) => kept.retryMs <= nowMs)
      .flatMap((kept) => this.#relays?.get(kept.key) ?? []);
  }

  /** When the first of those that wait for another try may be tried; `undefined` if none waits. */
  retryMs(nowMs: number): number | undefined {
    const waiting = this.#inUse.map((kept) => kept.retryMs)
      .filter((retryMs) => retryMs > nowMs);
    return waiting.length === 0 ? undefined : Math.min(...waiting);
  }

  /**
   * Where to dial kept relays, best first, also those that are off the relay list:
   * a client that was away for days asks them for the list before anybody else.
   */
  contacts(): KeptContact[] {
    const first = new Set(this.#inUse);
    return [...first, ...this.#kept.filter((kept) => !first.has(kept))]
      .map(({ publicKey, nodeId, addresses }) => ({
        publicKey,
        nodeId,
        addresses,
      }));
  }

  /** Figures for status. */
  status(nowMs: number): KeptStatus[] {
    const unixMs = nowMs + this.#unixOffsetMs;
    return this.#kept.map((kept) => ({
      isInUse: this.#inUse.includes(kept),
      isListed: kept.missingUnixMs === undefined,
      wasReached: kept.reachedOrder > 0,
      failures: kept.failures,
      daysLeft: Math.max(0, Math.floor((kept.expiresUnixMs - unixMs) / DAY_MS)),
    }));
  }

  /**
   * The relay list changed, or time has passed: let go whose time is over, and
   * draw. Call it first when the relay list is as complete as it will be, for the
   * first call draws from what it is given.
   *
   * An empty list changes nothing: records expire within a day, so a clock set
   * wrong empties the list, and must not cost us our guards.
   *
   * @param others Relays in use by another set.
   */
  update(
    relays: WeightedRelays,
    others: readonly PathRelay[],
    nowMs: number,
    unixMs: number,
  ): void {
    this.#relays = relays;
    this.#others = others;
    this.#unixOffsetMs = unixMs - nowMs;
    // Snapshots hold whole milliseconds.
    const wholeMs = Math.floor(unixMs);
    if (relays.size > 0) {
      for (const kept of this.#kept) this.#look(kept, relays, wholeMs);
      this.#letGo(wholeMs);
      this.#fill(wholeMs);
    }
    this.#choose();
  }

  /**
   * A circuit was built as far as this relay.
   *
   * @returns `false` when enough others were reached before it, in a race: close
   * the circuit, or one relay more than there should be has seen us.
   */
  onReached(nodeId: NodeId): boolean {
    const kept = this.#find(nodeId);
    if (kept === undefined) return false;
    if (kept.reachedOrder === 0) {
      const orders = this.#kept.map((other) => other.reachedOrder);
      const inUse = this.#inUse.filter((other) => other.reachedOrder > 0);
      if (inUse.length >= this.#rules.size) return false;
      kept.reachedOrder = Math.max(...orders) + 1;
      this.#revision++;
    }
    if (kept.failures > 0) this.#revision++;
    kept.failures = 0;
    kept.retryMs = 0;
    this.#forgetGivenUp();
    this.#choose();
    return true;
  }

  /** The relay could not be reached, or refused to take part. */
  onFailed(nodeId: NodeId, nowMs: number): void {
    const kept = this.#find(nodeId);
    // Circuits built at once fail at once: that is one failure.
    if (kept === undefined || nowMs < kept.retryMs) return;
    if (kept.failures < GIVE_UP_FAILURES) this.#revision++;
    kept.failures++;
    const longest = Math.min(
      LONGEST_RETRY_MS,
      FIRST_RETRY_MS * 2 ** (kept.failures - 1),
    );
    kept.retryMs = nowMs + randomBetween(this.#random, longest / 2, longest);
    this.#fill(Math.floor(nowMs + this.#unixOffsetMs));
    this.#choose();
  }

  /** The machine is on another network, or awake again: try all at once. */
  retryAll(): void {
    for (const kept of this.#kept) kept.retryMs = 0;
  }

  #find(nodeId: NodeId): Kept | undefined {
    return this.#kept.find((kept) => equalBytes(kept.nodeId, nodeId));
  }

  #look(kept: Kept, relays: WeightedRelays, unixMs: number): void {
    if (kept.sampledUnixMs > unixMs) {
      // Drawn while the clock was ahead: it keeps its life from now on.
      kept.expiresUnixMs -= kept.sampledUnixMs - unixMs;
      kept.sampledUnixMs = unixMs;
      this.#revision++;
    }
    const record = relays.get(kept.key)?.record;
    if (record === undefined) {
      if ((kept.missingUnixMs ?? Infinity) <= unixMs) return;
      kept.missingUnixMs = unixMs;
      this.#revision++;
      return;
    }
    if (kept.missingUnixMs !== undefined) this.#revision++;
    kept.missingUnixMs = undefined;
    if (!sameAddresses(kept.addresses, record.addresses)) {
      kept.addresses = record.addresses;
      this.#revision++;
    }
  }

  #letGo(unixMs: number): void {
    const before = this.#kept.length + this.#extras.length;
    this.#kept = this.#kept.filter(({ expiresUnixMs, missingUnixMs }) =>
      expiresUnixMs > unixMs &&
      unixMs - (missingUnixMs ?? unixMs) < this.#rules.missingMs
    );
    this.#extras = this.#extras
      .map((drawnMs) => Math.min(drawnMs, unixMs))
      .filter((drawnMs) => unixMs - drawnMs < EXTRA_PERIOD_MS);
    if (this.#kept.length + this.#extras.length < before) this.#revision++;
    this.#leaveToOthers();
  }

  /** Relays that are in both sets make paths scarce; only small networks need them. */
  #leaveToOthers(): void {
    if (!this.#rules.yields) return;
    const isShared = (kept: Kept) => this.#isOthers(kept.key);
    if (!this.#kept.some(isShared)) return;
    const spare = this.#draw((relay) => !this.#isOthers(relay.key));
    if (spare === undefined) return;
    this.#kept.splice(this.#kept.findIndex(isShared), 1);
    this.#revision++;
  }

  /** Once enough were reached, those that never answered are of no more use. */
  #forgetGivenUp(): void {
    const reached = this.#inUse.filter((kept) => kept.reachedOrder > 0);
    const isDone = reached.length >= this.#rules.size;
    if (!isDone || !this.#kept.some(isGivenUp)) return;
    this.#kept = this.#kept.filter((kept) => !isGivenUp(kept));
    this.#revision++;
  }

  #fill(unixMs: number): void {
    const { size, leastListed, maxExtra } = this.#rules;
    while (this.#kept.length < size && this.#add(unixMs));
    const isScarce = this.#countListed() < leastListed &&
      this.#kept.every(({ missingUnixMs }) =>
        unixMs - (missingUnixMs ?? -Infinity) >= STAND_IN_AFTER_MS
      );
    while (
      this.#extras.length < maxExtra && this.#kept.length < MAX_KEPT &&
      (isScarce ? this.#countListed() : this.#countHopeful()) < size &&
      this.#add(unixMs)
    ) this.#extras.push(unixMs);
  }

  /** Those that are listed, and answered or may yet. */
  #countListed(): number {
    return this.#kept.filter((kept) =>
      kept.missingUnixMs === undefined && !isGivenUp(kept)
    ).length;
  }

  /** The same, with those that may come back to the list. */
  #countHopeful(): number {
    return this.#kept.filter((kept) => !isGivenUp(kept)).length;
  }

  /** Draw one more; `false` when there is none. */
  #add(unixMs: number): boolean {
    const relay =
      this.#draw((other) =>
        !this.#isOthers(other.key) && !this.#sharesSubnet(other)
      ) ??
        this.#draw((other) => !this.#isOthers(other.key)) ??
        this.#draw(() => true);
    if (relay === undefined) return false;
    const { nodeId, publicKey, addresses } = relay.record;
    this.#kept.push({
      key: relay.key,
      nodeId,
      publicKey,
      addresses,
      sampledUnixMs: unixMs,
      expiresUnixMs: unixMs + Math.floor(this.#rules.drawLifeMs(this.#random)),
      missingUnixMs: undefined,
      reachedOrder: 0,
      failures: 0,
      retryMs: 0,
    });
    this.#revision++;
    return true;
  }

  #draw(fits: (relay: PathRelay) => boolean): PathRelay | undefined {
    return this.#relays?.draw(
      this.#random,
      (relay) =>
        !this.#kept.some((kept) => kept.key === relay.key) && fits(relay),
    );
  }

  #isOthers(key: RelayKey): boolean {
    return this.#others.some((other) => other.key === key);
  }

  /** Kept relays in different subnets never exclude one another all at once. */
  #sharesSubnet({ subnets }: PathRelay): boolean {
    return this.#others.some((other) => shareSubnet(subnets, other.subnets)) ||
      this.#kept.some(({ key }) => {
        const kept = this.#relays?.get(key);
        return kept !== undefined && shareSubnet(subnets, kept.subnets);
      });
  }

  #choose(): void {
    const listed = this.#kept
      .filter((kept) => this.#relays?.get(kept.key) !== undefined);
    const hopeful = listed.filter((kept) => !isGivenUp(kept));
    const ordered = [
      ...hopeful.filter((kept) => kept.reachedOrder > 0)
        .sort((a, b) => a.reachedOrder - b.reachedOrder),
      ...hopeful.filter((kept) => kept.reachedOrder === 0),
    ].slice(0, this.#rules.size);
    this.#inUse = ordered.length < this.#rules.size
      ? [...ordered, ...listed.filter(isGivenUp)]
      : ordered;
  }
}

function isGivenUp({ reachedOrder, failures }: Kept): boolean {
  return reachedOrder === 0 && failures >= GIVE_UP_FAILURES;
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
