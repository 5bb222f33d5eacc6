/**
 * The offers of one session: a client that wants another leg waits for it at a
 * rendezvous point, and says so on a leg that lives.
 *
 *     circuit to a rendezvous point ─▶ LegOffer {cookie, point} ─▶ the service
 *            ▲                                                         │
 *            └────────────── joined, or too late, or in vain ◀─────────┘
 *
 * @see protocol §7.6 "Legs, and staying reachable"
 * @module
 */
import { deadline } from "../../base/clock.ts";
import { AnonNetError, UnreachableError } from "../../base/errors.ts";
import type { PathAvoid } from "../../path/path_avoid.ts";
import type { LegNumber } from "../../session/frames.ts";
import type { ServiceCircuit, WaitLimit } from "../circuit/circuits.ts";
import type { ServiceContext } from "../session/service_context.ts";
import type { SessionDriver } from "../session/session_driver.ts";
import { type Met, waitAtRendezvous } from "./meeting.ts";

/** A service that has not taken the offer of a leg by then will not, from the offer on, ms. */
const OFFER_MS = 8_000;

/** The offers of one session, at its client. */
export class LegOffers {
  readonly #context: ServiceContext;
  readonly #session: SessionDriver;
  readonly #stopping: WaitLimit;
  /** Those that wait for the service. */
  readonly #waiting = new Set<AbortController>();

  /** @param stopping Ends all of them, with the session. */
  constructor(
    context: ServiceContext,
    session: SessionDriver,
    stopping: WaitLimit,
  ) {
    this.#context = context;
    this.#session = session;
    this.#stopping = stopping;
  }

  /**
   * Ask for a leg by one that lives: half the circuits of an introduction, and
   * it needs no introduction point.
   *
   * @param avoid Relays that the leg should not depend on.
   * @param nextLeg Gives the number of the leg, once a circuit waits for it.
   * @returns `undefined` where that does not work.
   * @throws the session's reason to stop.
   */
  async make(
    avoid: PathAvoid,
    nextLeg: () => LegNumber,
  ): Promise<Met | undefined> {
    if (!this.#hasLiveLeg) return undefined;
    const control = new AbortController();
    this.#waiting.add(control);
    const stop = AbortSignal.any([control.signal, this.#stopping.signal]);
    let circuit: ServiceCircuit | undefined;
    try {
      const waiting = await waitAtRendezvous(this.#context, avoid, {
        signal: stop,
      });
      using limit = deadline(this.#context.clock, OFFER_MS, noAnswer, stop);
      circuit = waiting.circuit;
      const leg = nextLeg();
      const rendezvous = waiting.point.encoded;
      this.#session.offerLeg({ leg, cookie: waiting.cookie, rendezvous });
      const reply = await circuit.met(limit);
      if (reply.length === 0) {
        return { circuit, leg, secret: new Uint8Array(0) };
      }
    } catch (error) {
      const isExpected = error instanceof AnonNetError || stop.aborted;
      if (!isExpected) throw error;
    } finally {
      this.#waiting.delete(control);
    }
    circuit?.close();
    this.#stopping.signal.throwIfAborted();
    return undefined;
  }

  /** A leg is silent or gone: offers wait in vain once no leg lives. */
  onLegLost(): void {
    if (this.#hasLiveLeg) return;
    for (const offer of this.#waiting) offer.abort();
  }

  get #hasLiveLeg(): boolean {
    return this.#session.view.legs.some(({ isSuspect }) => !isSuspect);
  }
}

function noAnswer(): UnreachableError {
  return new UnreachableError(
    "service.offer_timeout",
    "Cannot add a leg: the service does not take the offer",
  );
}
