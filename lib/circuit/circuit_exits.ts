/**
 * Circuits by the relay that they go on to, and which of them gives way where the
 * link to it has as many as its peer allows: circuits that do nothing would keep all
 * others from going that way for hours.
 *
 * The rules are those of {@linkcode CircuitPlaces}: the longest unused of the account
 * with most circuits there.
 *
 * @see protocol §5.6 "Memory"
 * @module
 */
import {
  type CircuitAccount,
  CircuitPlaces,
  type CircuitPlacesLimits,
} from "./circuit_places.ts";

/** Circuits `C` of one relay that are extended. */
export class CircuitExits<C extends { readonly usedMs: number }> {
  readonly #evictIdleMs: number;
  /** By the next relay's id, in hex; of relays that any circuit goes on to. */
  readonly #exits = new Map<string, CircuitPlaces<C>>();
  readonly #exitOf = new Map<C, string>();

  constructor({ evictIdleMs }: Pick<CircuitPlacesLimits, "evictIdleMs">) {
    this.#evictIdleMs = evictIdleMs;
  }

  /** A circuit has a stream to a relay. */
  add(circuit: C, next: string, account: CircuitAccount): void {
    this.remove(circuit);
    const exit = this.#exits.get(next) ?? new CircuitPlaces<C>({
      circuits: Infinity,
      circuitsPerPeer: Infinity,
      evictIdleMs: this.#evictIdleMs,
    });
    this.#exits.set(next, exit);
    this.#exitOf.set(circuit, next);
    exit.add(circuit, account);
  }

  /** It has none any more. Idempotent. */
  remove(circuit: C): void {
    const next = this.#exitOf.get(circuit);
    if (next === undefined) return;
    this.#exitOf.delete(circuit);
    const exit = this.#exits.get(next);
    exit?.remove(circuit);
    if (exit?.used === 0) this.#exits.delete(next);
  }

  /**
   * The link to a relay is full. @returns The circuit to end for one more of
   * `account`, which is counted no more; `undefined` where none gives way.
   */
  giveWay(next: string, account: CircuitAccount, nowMs: number): C | undefined {
    const verdict = this.#exits.get(next)?.giveWay(account, nowMs);
    if (verdict?.type !== "evict") return undefined;
    this.remove(verdict.circuit);
    return verdict.circuit;
  }
}
