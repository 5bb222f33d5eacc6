/**
 * A rendezvous point's side: circuits of clients that wait for a service.
 *
 * @see protocol §7.5 "Rendezvous"
 * @module
 */
import { COOKIE_BYTES } from "./introduction.ts";
import { BugError } from "../../base/errors.ts";

/** Clients that may wait at one relay. */
export const MAX_WAITING = 20_000;
/** How long a client may wait, ms. */
export const WAIT_MS = 60_000;

interface Waiting<Circuit> {
  readonly circuit: Circuit;
  readonly untilMs: number;
}

/** Who waits for whom. `Circuit` is whatever the driver knows a circuit by. */
export class RendezvousTable<Circuit> {
  /** In order of arrival, which is the order in which they expire. */
  readonly #waiting = new Map<string, Waiting<Circuit>>();
  readonly #cookies = new Map<Circuit, string>();

  /** Clients that wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** When the first of them has waited long enough; `Infinity` with none. */
  get deadlineMs(): number {
    for (const { untilMs } of this.#waiting.values()) return untilMs;
    return Infinity;
  }

  /**
   * A client waits on `circuit` for the service that brings `cookie`.
   *
   * @returns `"known"` for a cookie in use, `"full"` when there is no room,
   * `"taken"` when the circuit waits already.
   */
  establish(
    cookie: Uint8Array,
    circuit: Circuit,
    nowMs: number,
  ): "established" | "known" | "full" | "taken" {
    if (cookie.length !== COOKIE_BYTES) {
      throw new BugError("service.cookie", "Cannot wait: not a cookie");
    }
    const name = cookie.toHex();
    if (this.#cookies.has(circuit)) return "taken";
    if (this.#waiting.has(name)) return "known";
    if (this.#waiting.size >= MAX_WAITING) return "full";
    this.#waiting.set(name, { circuit, untilMs: nowMs + WAIT_MS });
    this.#cookies.set(circuit, name);
    return "established";
  }

  /** A service brings `cookie`: the circuit to join to. Each cookie works once. */
  meet(cookie: Uint8Array): Circuit | undefined {
    const name = cookie.toHex();
    const waiting = this.#waiting.get(name);
    if (waiting === undefined) return undefined;
    this.#waiting.delete(name);
    this.#cookies.delete(waiting.circuit);
    return waiting.circuit;
  }

  /** A circuit is gone. */
  remove(circuit: Circuit): void {
    const name = this.#cookies.get(circuit);
    if (name === undefined) return;
    this.#cookies.delete(circuit);
    this.#waiting.delete(name);
  }

  /** Circuits that have waited too long; they wait no more. */
  expire(nowMs: number): Circuit[] {
    const expired: Circuit[] = [];
    for (const [name, { circuit, untilMs }] of this.#waiting) {
      if (untilMs > nowMs) break;
      this.#waiting.delete(name);
      this.#cookies.delete(circuit);
      expired.push(circuit);
    }
    return expired;
  }
}
