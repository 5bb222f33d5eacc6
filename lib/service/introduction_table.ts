/**
 * An introduction point's side: which circuit belongs to which service key, and
 * how many introductions each may get.
 *
 * @see protocol §7.4
 * @module
 */
import type { PublicKey } from "../auth/identity.ts";

/** Services that one relay is an introduction point for. */
export const MAX_ESTABLISHED = 10_000;
/** Introductions per second that a service gets, on average. */
export const INTRODUCTIONS_PER_SECOND = 25;
/** Introductions that a service gets at once. */
export const INTRODUCTIONS_BURST = 200;

interface Listener<Circuit> {
  readonly circuit: Circuit;
  tokens: number;
  filledMs: number;
}

/** Where introductions go. `Circuit` is whatever the driver knows a circuit by. */
export class IntroductionTable<Circuit> {
  readonly #listeners = new Map<string, Listener<Circuit>>();
  readonly #keys = new Map<Circuit, string>();

  /** Services that listen here. */
  get size(): number {
    return this.#listeners.size;
  }

  /**
   * A service listens under `key` on `circuit`. A key that was established before
   * moves to the new circuit: its holder has signed for it.
   *
   * @returns The circuit that it replaces, if any; `"full"` when there is no room;
   * `"taken"` when the circuit listens under another key.
   */
  establish(
    key: PublicKey,
    circuit: Circuit,
    nowMs: number,
  ): { readonly replaced: Circuit | undefined } | "full" | "taken" {
    const name = key.toHex();
    if (this.#keys.has(circuit)) return "taken";
    const before = this.#listeners.get(name);
    if (before === undefined && this.#listeners.size >= MAX_ESTABLISHED) {
      return "full";
    }
    if (before !== undefined) this.#keys.delete(before.circuit);
    this.#listeners.set(name, {
      circuit,
      // A service that establishes anew does not get a new burst with it.
      tokens: before?.tokens ?? INTRODUCTIONS_BURST,
      filledMs: before?.filledMs ?? nowMs,
    });
    this.#keys.set(circuit, name);
    return { replaced: before?.circuit };
  }

  /** Where an introduction for `key` goes now. */
  introduce(
    key: PublicKey,
    nowMs: number,
  ): { readonly status: "passed"; readonly circuit: Circuit } | {
    readonly status: "unknown" | "busy";
  } {
    const listener = this.#listeners.get(key.toHex());
    if (listener === undefined) return { status: "unknown" };
    const gained = (nowMs - listener.filledMs) / 1000 *
      INTRODUCTIONS_PER_SECOND;
    listener.tokens = Math.min(INTRODUCTIONS_BURST, listener.tokens + gained);
    listener.filledMs = nowMs;
    if (listener.tokens < 1) return { status: "busy" };
    listener.tokens--;
    return { status: "passed", circuit: listener.circuit };
  }

  /** A circuit is gone. */
  remove(circuit: Circuit): void {
    const name = this.#keys.get(circuit);
    if (name === undefined) return;
    this.#keys.delete(circuit);
    this.#listeners.delete(name);
  }
}
