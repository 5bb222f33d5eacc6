/**
 * Relays drawn once and kept: the first and second hops of our circuits. An adversary
 * who can make us draw again and again owns the relay that we draw in the end, so
 * nothing that the other side does makes us draw.
 *
 *     draw ──→ untried ──reached──→ reached ──┬─ its time is over ──→ gone, draw
 *                 │                           └─ off the list for long ──→ gone, draw
 *                 └─ 3 failures ──→ given up, draw (so often in 30 days, no more)
 *
 *     in use: the first `size` that are listed
 *             reached ones first, in the order of their first success
 *             given-up ones only where none is left to draw
 *
 * A relay that was reached once and does not answer now is retried, for as long as
 * it is on the relay list. A relay that never answered has learned nothing from
 * us, and replacing it lets a first start survive dead relays.
 *
 * A set may hold a line of more than are in use, drawn at the same time: when no
 * link can be made to those in use, the next in line stand in for them (see
 * {@linkcode succeed}). Without a line, when (nearly) all are off the list, stand-ins
 * are drawn at the price of given-up ones. When the old ones come back, they come
 * first again.
 *
 * @see protocol §5.8 "Paths"
 * @module
 */
import type { NodeId } from "../auth/identity.ts";
import { type Bytes, equalBytes } from "../base/bytes.ts";
import type { Random } from "../base/random.ts";
import { encodeKept, type KeptState, MAX_KEPT } from "./_kept_format.ts";
import {
  type KeptContact,
  KeptRelay,
  type KeptStatus,
  type NamedKept,
  STAND_IN_AFTER_MS,
} from "./kept_relay.ts";
import { shareSubnet } from "./path_subnets.ts";
import type { RelayKey } from "./relay_key.ts";
import { fill, isGivenUp, succeed } from "./succession.ts";
import type { PathRelay, WeightedRelays } from "./weighted_relays.ts";

const DAY_MS = 24 * 3600 * 1000;

/** Draws beyond what filling takes are counted over this time, ms. */
const EXTRA_PERIOD_MS = 30 * DAY_MS;
/**
 * Scouts are tried so soon after the others failed, ms: when our own network comes
 * back, those who know us are mostly tried first.
 */
const SCOUT_WINDOW_MS = 10_000;

/** Where the kinds of sets differ. */
export interface KeepingRules {
  /** Stands in the snapshot. */
  readonly kind: "guards" | "layer2";
  /** Relays in use at once. */
  readonly size: number;
  /** Relays in the set, if there are so many: `size`, and who stands in for them. */
  readonly line: number;
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

/** A set of relays that is kept over days and restarts. */
export class KeptRelays {
  readonly #rules: KeepingRules;
  readonly #random: Random;
  #kept: KeptRelay[];
  /** Wall-clock times of the draws that count as extra, oldest first. */
  #extras: number[];
  #relays: WeightedRelays | undefined;
  /** Relays that another set uses: drawn only where no others are left. */
  #others: readonly PathRelay[] = [];
  /** Wall clock less monotonic clock, at the last {@linkcode update}. */
  #unixOffsetMs = 0;
  #unixMs = 0;
  #inUse: readonly KeptRelay[] = [];
  #scouts: readonly KeptRelay[] = [];
  #revision = 0;

  /** @param state From a snapshot; none at the first start. */
  constructor(rules: KeepingRules, random: Random, state?: KeptState) {
    this.#rules = rules;
    this.#random = random;
    this.#extras = [...state?.extras ?? []];
    this.#kept = (state?.relays ?? []).map((relay) => new KeptRelay(relay));
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

  /** All relays of the set. */
  get keys(): readonly RelayKey[] {
    return this.#kept.map(({ key }) => key);
  }

  /** Relays in use, listed, whether they answer now or not. */
  get inUse(): readonly PathRelay[] {
    return this.#inUse.flatMap((kept) => this.#relays?.get(kept.key) ?? []);
  }

  /**
   * Whether none of those in use answers: of those that ever did, and where none ever
   * did, of all.
   */
  get areSilent(): boolean {
    const known = this.#inUse.filter(({ reachedOrder }) => reachedOrder > 0);
    const asked = known.length > 0 ? known : this.#inUse;
    return asked.length > 0 && asked.every(({ failures }) => failures > 0);
  }

  /** Relays in use that may be tried now. */
  candidates(nowMs: number): PathRelay[] {
    const scout = this.#mayScout(nowMs) ? this.#nextScout : undefined;
    return this.#inUse
      .filter((kept) => kept.retryMs <= nowMs)
      .filter((kept) => kept === scout || !this.#scouts.includes(kept))
      .flatMap((kept) => this.#relays?.get(kept.key) ?? []);
  }

  /** When the first of those that wait for another try may be tried; `undefined` if none waits. */
  retryMs(nowMs: number): number | undefined {
    const waiting = this.#inUse.map((kept) => kept.retryMs)
      .filter((retryMs) => retryMs > nowMs);
    return waiting.length === 0 ? undefined : Math.min(...waiting);
  }

  /**
   * Where to dial those in use, best first; while none is, because there is no relay
   * list, those that know us: a client that was away for days asks them for the list
   * before other relays.
   */
  contacts(): KeptContact[] {
    const inUse = this.#inUse.filter((kept) => !this.#scouts.includes(kept));
    const known = this.#kept.filter(({ reachedOrder }) => reachedOrder > 0);
    return (inUse.length > 0 ? inUse : known)
      .map(({ publicKey, nodeId, addresses }) => ({
        publicKey,
        nodeId,
        addresses,
      }));
  }

  /** Figures for status, of those in use and those that know us. */
  status(nowMs: number): KeptStatus[] {
    return this.named(nowMs).map(
      ({ isInUse, isListed, wasReached, failures, daysLeft }) => ({
        isInUse,
        isListed,
        wasReached,
        failures,
        daysLeft,
      }),
    );
  }

  /** The same relays in the same order, with their names. */
  named(nowMs: number): NamedKept[] {
    const unixMs = nowMs + this.#unixOffsetMs;
    const shown = this.#kept.filter((kept) =>
      kept.reachedOrder > 0 || this.#inUse.includes(kept)
    );
    return shown.map((kept) => {
      const { publicKey, nodeId, addresses } = kept;
      const isInUse = this.#inUse.includes(kept);
      return {
        publicKey,
        nodeId,
        addresses,
        ...kept.status({ isInUse }, unixMs),
      };
    });
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
    this.#unixMs = wholeMs;
    if (relays.size > 0) {
      for (const kept of this.#kept) {
        const { record } = relays.get(kept.key) ?? {};
        if (kept.look(record, wholeMs)) this.#revision++;
      }
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
      const places = this.#scouts.length > 0 ? 1 : this.#rules.size;
      const taken = this.#inUse.filter((other) =>
        other.reachedOrder > 0 && (places > 1 || other.isHopeful)
      );
      if (taken.length >= places) return false;
      kept.onFirstReached(Math.max(...orders) + 1);
      this.#revision++;
    }
    if (kept.onReached()) this.#revision++;
    this.#forgetGivenUp();
    this.#choose();
    return true;
  }

  /** All of the set, in use or not. */
  get nodeIds(): NodeId[] {
    return this.#kept.map(({ nodeId }) => nodeId);
  }

  /**
   * There is a link to the relay, made for whatever purpose.
   *
   * @returns Whether dials to it had failed: it is in its place again, and may be tried.
   */
  onLinked(nodeId: NodeId): boolean {
    const hadFailed = this.#find(nodeId)?.onLinked() ?? false;
    if (hadFailed) this.#choose();
    return hadFailed;
  }

  /**
   * No link to the relay could be made. Not to be called while this machine has no
   * network, nor for anything that the relay, or who is behind it, did on a link.
   *
   * @returns Whether others stand in for it now who did not before.
   */
  onUnlinked(nodeId: NodeId, nowMs: number): boolean {
    const kept = this.#find(nodeId);
    if (kept === undefined) return false;
    kept.onUnlinked(nowMs);
    const before = this.#inUse;
    this.#choose();
    return this.#scouts.length > 0 ||
      this.#inUse.some((now) => !before.includes(now));
  }

  /** The relay could not be reached, or refused to take part. */
  onFailed(nodeId: NodeId, nowMs: number): void {
    const kept = this.#find(nodeId);
    // Circuits built at once fail at once: that is one failure.
    if (kept === undefined || nowMs < kept.retryMs) return;
    if (kept.onFailed(this.#random, nowMs)) this.#revision++;
    this.#fill(Math.floor(nowMs + this.#unixOffsetMs));
    this.#choose();
  }

  /** The machine is on another network, or awake again: try all at once. */
  retryAll(): void {
    for (const kept of this.#kept) kept.hurry();
    this.#choose();
  }

  /** One at a time: two that answer would both have met us. */
  get #nextScout(): KeptRelay | undefined {
    return this.#scouts.toSorted((a, b) => a.failures - b.failures)[0];
  }

  /** Those who know us are not to be tried now, and just did not answer. */
  #mayScout(nowMs: number): boolean {
    const known = this.#inUse.filter(({ reachedOrder }) => reachedOrder > 0);
    return known.length === 0 ||
      (known.every(({ retryMs }) => retryMs > nowMs) &&
        known.some(({ lastDialMs }) => nowMs - lastDialMs <= SCOUT_WINDOW_MS));
  }

  #find(nodeId: NodeId): KeptRelay | undefined {
    return this.#kept.find((kept) => equalBytes(kept.nodeId, nodeId));
  }

  #letGo(unixMs: number): void {
    const before = this.#kept.length + this.#extras.length;
    const { missingMs } = this.#rules;
    this.#kept = this.#kept.filter((kept) => !kept.isOver(missingMs, unixMs));
    this.#extras = this.#extras
      .map((drawnMs) => Math.min(drawnMs, unixMs))
      .filter((drawnMs) => unixMs - drawnMs < EXTRA_PERIOD_MS);
    if (this.#kept.length + this.#extras.length < before) this.#revision++;
    this.#leaveToOthers();
  }

  /** Relays that are in both sets make paths scarce; only small networks need them. */
  #leaveToOthers(): void {
    if (!this.#rules.yields) return;
    const isShared = (kept: KeptRelay) => this.#isOthers(kept.key);
    if (!this.#kept.some(isShared)) return;
    const spare = this.#draw((relay) => !this.#isOthers(relay.key));
    if (spare === undefined) return;
    this.#kept.splice(this.#kept.findIndex(isShared), 1);
    this.#revision++;
  }

  /** Once enough were reached, those that never answered are of no more use. */
  #forgetGivenUp(): void {
    if (this.#rules.line > this.#rules.size) return;
    const reached = this.#inUse.filter((kept) => kept.reachedOrder > 0);
    const isDone = reached.length >= this.#rules.size;
    if (!isDone || !this.#kept.some(isGivenUp)) return;
    this.#kept = this.#kept.filter((kept) => !isGivenUp(kept));
    this.#revision++;
  }

  #fill(unixMs: number): void {
    const { size, line, leastListed, maxExtra } = this.#rules;
    while (this.#kept.length < line && this.#add(unixMs));
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
    const isApart = (other: PathRelay) =>
      !this.#isOthers(other.key) && !this.#sharesSubnet(other);
    const relay = this.#draw((other) => !other.isNewcomer && isApart(other)) ??
      // A party with many new relays must not become a guard by waiting for others to go.
      this.#draw((other) => !other.isNewcomer && !this.#isOthers(other.key)) ??
      this.#draw(isApart) ??
      this.#draw((other) => !this.#isOthers(other.key)) ??
      this.#draw(() => true);
    if (relay === undefined) return false;
    const { nodeId, publicKey, addresses } = relay.record;
    this.#kept.push(
      new KeptRelay({
        nodeId,
        publicKey,
        addresses,
        sampledUnixMs: unixMs,
        expiresUnixMs: unixMs +
          Math.floor(this.#rules.drawLifeMs(this.#random)),
        missingUnixMs: undefined,
        reachedOrder: 0,
        failures: 0,
      }),
    );
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
    const { size, line } = this.#rules;
    for (const kept of this.#kept) {
      const isListed = this.#relays?.get(kept.key) !== undefined;
      kept.note({ isListed }, this.#unixMs);
    }
    if (line > size) {
      const { inUse, scouts } = succeed(this.#kept, size);
      this.#inUse = inUse;
      this.#scouts = scouts;
    } else this.#inUse = fill(this.#kept, size);
  }
}
