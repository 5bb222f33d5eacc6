/**
 * Places for the circuits of neighbours at a relay, and which circuit gives way.
 *
 *     relay      an account for each identity, which costs work
 *     stranger   an account for each host prefix; all of them have half of the places
 *
 *     account full ─▶ its own circuit that was unused for longest
 *     no place     ─▶ that of the account with most circuits
 *
 * A circuit that was used lately gives way only to an account with less than half as
 * many: who has most keeps none out who has few, idle or not.
 *
 * @see protocol §5.6 "Memory"
 * @module
 */

/** How many circuits there may be. */
export interface CircuitPlacesLimits {
  /** In all. */
  readonly circuits: number;
  /** Of one account. */
  readonly circuitsPerPeer: number;
  /** Time without a cell after which a circuit may give way, ms. */
  readonly evictIdleMs: number;
}

/** Whom a circuit is counted for. */
export interface CircuitAccount {
  readonly name: string;
  readonly kind: "relay" | "stranger";
}

/** Whether there is a place. */
export type PlaceVerdict<C> =
  | { readonly type: "room" }
  /** Once this circuit has ended; it is counted no more. */
  | { readonly type: "evict"; readonly circuit: C }
  | { readonly type: "full" };

interface Holder<C> extends CircuitAccount {
  readonly circuits: Set<C>;
}

/** Places of circuits `C`. */
export class CircuitPlaces<C extends { readonly usedMs: number }> {
  readonly #limits: CircuitPlacesLimits;
  readonly #holders = new Map<string, Holder<C>>();
  readonly #holderOf = new Map<C, Holder<C>>();
  #strangers = 0;

  constructor(limits: CircuitPlacesLimits) {
    this.#limits = limits;
  }

  /** Circuits that have a place. */
  get used(): number {
    return this.#holderOf.size;
  }

  /** Find a place for one more circuit of `account`, to be added by {@linkcode add}. */
  makeRoom({ name, kind }: CircuitAccount, nowMs: number): PlaceVerdict<C> {
    const { circuits, circuitsPerPeer } = this.#limits;
    const own = this.#holders.get(name);
    if (own !== undefined && own.circuits.size >= circuitsPerPeer) {
      return this.#evict(own, own, nowMs);
    }
    if (kind === "stranger" && this.#strangers >= Math.ceil(circuits / 2)) {
      return this.#evict(this.#largest("stranger"), own, nowMs);
    }
    return this.used >= circuits
      ? this.#evict(this.#largest(undefined), own, nowMs)
      : { type: "room" };
  }

  /** Which circuit ends for one more of `account`, though there may be places. */
  giveWay({ name }: CircuitAccount, nowMs: number): PlaceVerdict<C> {
    const newcomer = this.#holders.get(name);
    return this.#evict(this.#largest(undefined), newcomer, nowMs);
  }

  /** A circuit has come that {@linkcode makeRoom} found a place for. */
  add(circuit: C, account: CircuitAccount): void {
    const holder = this.#holders.get(account.name) ??
      { ...account, circuits: new Set<C>() };
    this.#holders.set(account.name, holder);
    holder.circuits.add(circuit);
    this.#holderOf.set(circuit, holder);
    if (holder.kind === "stranger") this.#strangers++;
  }

  /** A circuit has ended. Idempotent. */
  remove(circuit: C): void {
    const holder = this.#holderOf.get(circuit);
    if (holder === undefined) return;
    this.#holderOf.delete(circuit);
    holder.circuits.delete(circuit);
    if (holder.circuits.size === 0) this.#holders.delete(holder.name);
    if (holder.kind === "stranger") this.#strangers--;
  }

  #largest(kind: CircuitAccount["kind"] | undefined): Holder<C> | undefined {
    let largest: Holder<C> | undefined;
    for (const holder of this.#holders.values()) {
      if (kind !== undefined && holder.kind !== kind) continue;
      const size = largest?.circuits.size ?? 0;
      if (holder.circuits.size > size) largest = holder;
    }
    return largest;
  }

  /** @param newcomer Whose circuit has come, if it has any yet. */
  #evict(
    holder: Holder<C> | undefined,
    newcomer: Holder<C> | undefined,
    nowMs: number,
  ): PlaceVerdict<C> {
    const isSmall = 2 * (newcomer?.circuits.size ?? 0) <
      (holder?.circuits.size ?? 0) - 1;
    const graceMs = isSmall ? 0 : this.#limits.evictIdleMs;
    let idlest: C | undefined;
    for (const circuit of holder?.circuits ?? []) {
      if (idlest === undefined || circuit.usedMs < idlest.usedMs) {
        idlest = circuit;
      }
    }
    const usedMs = idlest?.usedMs ?? Infinity;
    if (idlest === undefined || usedMs + graceMs > nowMs) {
      return { type: "full" };
    }
    this.remove(idlest);
    return { type: "evict", circuit: idlest };
  }
}
