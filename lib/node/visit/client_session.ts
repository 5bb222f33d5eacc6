/**
 * A client's session with one service: streams are opened on it, and legs are
 * replaced before anybody misses them.
 *
 *     connect ─▶ openStream ─▶ SessionDriver ◀── legs ── LegPlan: build, drop
 *                                   │                        │
 *                                   └── a leg lives: offer ◀─┤
 *                                 approachService {ticket} ◀─┘ none does
 *
 * @see protocol §7.6 "Legs, and staying reachable"
 * @module
 */
import type { NodeId, PublicKey } from "../../auth/identity.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import { type Bytes, wipe } from "../../base/bytes.ts";
import { deadline } from "../../base/clock.ts";
import {
  AnonNetError,
  ProtocolError,
  UnreachableError,
} from "../../base/errors.ts";
import { type LegAction, LegPlan } from "../../service/leg_plan.ts";
import type { LegNumber } from "../../session/frames.ts";
import { MAX_LEGS } from "../../session/leg_table.ts";
import { Session } from "../../session/session.ts";
import { approachService } from "./approach_service.ts";
import type { ServiceCircuit } from "../circuit/circuits.ts";
import type { DescriptorFinder } from "./descriptor_finder.ts";
import { type Log, thrown } from "../../log/log.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import { type Met, waitAtRendezvous } from "./meeting.ts";
import type { ServiceContext } from "../session/service_context.ts";
import { SessionDriver } from "../session/session_driver.ts";
import type { SessionStreamHandle } from "../session/session_stream.ts";

/** A session without a stream for so long is closed, ms. */
export const CLIENT_IDLE_MS = 5 * 60_000;

/** Whoever asked for the first stream takes it by then, or has given up, ms. */
const CLAIM_MS = 1_000;

/** A service that has not taken the offer of a leg by then will not, ms. */
const OFFER_MS = 8_000;

/** Whose session it is. */
export interface ClientSessionOptions {
  readonly context: ServiceContext;
  readonly finder: DescriptorFinder;
  readonly service: PublicKey;
  readonly isolation: string;
  readonly log: Log;
}

/** The stream that the introduction asked for, while nobody has taken it. */
interface FirstStream {
  readonly port: number;
  readonly stream: SessionStreamHandle;
  readonly untilMs: number;
}

/** One session, at its client. */
export class ClientSession {
  readonly #options: ClientSessionOptions;
  readonly #secret: Bytes;
  readonly #driver: SessionDriver;
  readonly #plan: LegPlan;
  readonly #timer: MachineTimer;
  readonly #paths = new Map<LegNumber, readonly NodeRecord[]>();
  readonly #stopping = new AbortController();
  /** Offers of a leg that wait for the service. */
  readonly #offers = new Set<AbortController>();
  #nextLeg: LegNumber;
  #idleMs: number;
  #first: FirstStream | undefined;

  /**
   * @param met How the session began; its secret is wiped.
   * @param port Of the stream that its introduction asked for.
   */
  constructor(options: ClientSessionOptions, met: Met, port: number) {
    const { clock, crypto, quota, random } = options.context;
    const nowMs = clock.nowMs();
    this.#options = options;
    this.#secret = new Uint8Array(met.secret);
    wipe(met.secret);
    this.#nextLeg = met.leg + 1;
    this.#idleMs = nowMs + CLIENT_IDLE_MS;
    const machine = new Session(
      { crypto, role: "client", secret: this.#secret, quota },
      nowMs,
    );
    this.#plan = new LegPlan(random, met.leg, nowMs);
    this.#timer = new MachineTimer(clock, () => this.#onTime());
    this.#driver = new SessionDriver(machine, clock, {
      onLegSuspect: (leg) => this.#onLegSuspect(leg),
      onLegHealed: (leg) => this.#plan.onHealed(leg),
      onLegGone: (leg) => this.#onLegGone(leg),
      onError: (error) => options.log.debug("A service broke off", { error }),
    });
    this.#driver.closed.then(() => this.#onClosed());
    const stream = this.#watched(this.#driver.openKnownStream());
    this.#first = { port, stream, untilMs: nowMs + CLAIM_MS };
    this.#attach(met);
    this.#onStreams();
  }

  /** Whether streams can be opened. */
  get isOpen(): boolean {
    return this.#driver.isOpen;
  }

  /** Streams that are open. */
  get streamCount(): number {
    return this.#driver.streamCount;
  }

  /** Legs that are attached. */
  get legCount(): number {
    return this.#driver.legNumbers.length;
  }

  /** Smoothed round trip, ms; `undefined` before the first answer. */
  get roundTripMs(): number | undefined {
    return this.#driver.roundTripMs;
  }

  /** When a stream was last opened, ms. */
  get usedMs(): number {
    return this.#driver.usedMs;
  }

  /** Resolves when it is over; never rejects. */
  get closed(): Promise<number> {
    return this.#driver.closed;
  }

  /** Open a stream to a virtual port. @throws {UnreachableError} `session.*`. */
  openStream(port: number): SessionStreamHandle {
    const first = this.#first;
    if (first?.port === port) {
      this.#first = undefined;
      return first.stream;
    }
    const stream = this.#watched(this.#driver.openStream(port));
    this.#onStreams();
    return stream;
  }

  #watched(stream: SessionStreamHandle): SessionStreamHandle {
    stream.closed.then(() => this.#onStreams());
    return stream;
  }

  /** End it, and all its streams. */
  close(): void {
    this.#driver.close();
  }

  #onStreams(): void {
    const { clock } = this.#options.context;
    this.#idleMs = clock.nowMs() + CLIENT_IDLE_MS;
    this.#legs((nowMs) => this.#plan.onStreams(this.streamCount, nowMs));
  }

  #onLegSuspect(leg: LegNumber): void {
    this.#options.log.debug("A leg is silent", { leg });
    this.#options.context.doubt();
    this.#checkOffers();
    this.#legs((nowMs) => this.#plan.onSuspect(leg, nowMs));
  }

  #onLegGone(leg: LegNumber): void {
    this.#options.log.debug("A leg is gone", { leg });
    this.#paths.delete(leg);
    this.#checkOffers();
    this.#legs((nowMs) => this.#plan.onGone(leg, nowMs));
    // Nobody needs it now: the next stream begins a new one.
    if (this.legCount === 0 && this.streamCount === 0) this.close();
  }

  #onTime(): void {
    const nowMs = this.#options.context.clock.nowMs();
    if (this.#first !== undefined && nowMs >= this.#first.untilMs) {
      this.#first.stream.abort();
      this.#first = undefined;
    }
    if (this.streamCount === 0 && nowMs >= this.#idleMs) return this.close();
    this.#legs((now) => this.#plan.onTime(now));
  }

  /** Tell the plan what happened, and do what it wants. */
  #legs(happened: (nowMs: number) => LegAction[]): void {
    if (!this.isOpen) return;
    const { clock } = this.#options.context;
    for (const action of happened(clock.nowMs())) {
      if (action.type === "build") this.#build();
      else this.#driver.dropLeg(action.leg);
    }
    this.#arm();
  }

  #arm(): void {
    if (!this.isOpen) return;
    const idleMs = this.streamCount === 0 ? this.#idleMs : Infinity;
    const claimMs = this.#first?.untilMs ?? Infinity;
    this.#timer.set(Math.min(idleMs, claimMs, this.#plan.deadlineMs));
  }

  async #build(): Promise<void> {
    const { log } = this.#options;
    try {
      const offered = await this.#offer();
      const met = offered ?? await this.#approach();
      if (!this.isOpen) return met.circuit.close();
      this.#makeRoom();
      this.#attach(met);
      const by = offered === undefined ? "a ticket" : "another leg";
      log.debug("A leg was added", { leg: met.leg, by });
      this.#legs((nowMs) => this.#plan.onAdded(met.leg, nowMs));
    } catch (error) {
      if (!this.isOpen) return;
      const fields = { error: thrown(error) };
      if (error instanceof AnonNetError) log.debug("No new leg", fields);
      else log.error("A fault in building a leg", fields);
      this.#legs((nowMs) => this.#plan.onFailed(nowMs));
    }
  }

  /**
   * Ask for a leg by one that lives: half the circuits of an introduction, and
   * it needs no introduction point.
   *
   * @returns `undefined` where that does not work.
   */
  async #offer(): Promise<Met | undefined> {
    if (!this.#hasLiveLeg) return undefined;
    const { context } = this.#options;
    const control = new AbortController();
    this.#offers.add(control);
    const stop = AbortSignal.any([control.signal, this.#stopping.signal]);
    using limit = deadline(context.clock, OFFER_MS, noAnswer, stop);
    let circuit: ServiceCircuit | undefined;
    try {
      const waiting = await waitAtRendezvous(context, this.#avoided(), limit);
      circuit = waiting.circuit;
      const leg = this.#nextLeg++;
      const rendezvous = waiting.point.encoded;
      this.#driver.offerLeg({ leg, cookie: waiting.cookie, rendezvous });
      const reply = await circuit.met(limit);
      if (reply.length === 0) {
        return { circuit, leg, secret: new Uint8Array(0) };
      }
    } catch (error) {
      const isExpected = error instanceof AnonNetError || limit.signal.aborted;
      if (!isExpected) throw error;
    } finally {
      this.#offers.delete(control);
    }
    circuit?.close();
    this.#stopping.signal.throwIfAborted();
    return undefined;
  }

  #approach(): Promise<Met> {
    return approachService({
      ...this.#options,
      purpose: {
        type: "leg",
        secret: this.#secret,
        nextLeg: () => this.#nextLeg++,
      },
      avoid: this.#avoided(),
      signal: this.#stopping.signal,
    });
  }

  get #hasLiveLeg(): boolean {
    return this.#driver.legs.some(({ isSuspect }) => !isSuspect);
  }

  /** Offers went out on legs that live: without one they wait in vain. */
  #checkOffers(): void {
    if (this.#hasLiveLeg) return;
    for (const offer of this.#offers) offer.abort();
  }

  #attach(met: Met): void {
    this.#paths.set(met.leg, met.circuit.path);
    try {
      this.#driver.addLeg(met.leg, met.circuit);
    } catch (error) {
      met.circuit.close();
      if (!(error instanceof ProtocolError)) throw error;
    }
  }

  /** Three legs is all there may be: the one that is silent for longest goes. */
  #makeRoom(): void {
    const legs = [...this.#driver.legs].sort((a, b) => a.heardMs - b.heardMs);
    const [stalest] = legs;
    if (legs.length >= MAX_LEGS && stalest !== undefined) {
      this.#driver.dropLeg(stalest.number);
    }
  }

  /** Relays of our legs that another one should not depend on. */
  #avoided(): NodeId[] {
    return [...this.#paths.values()].flat().map(({ nodeId }) => nodeId);
  }

  #onClosed(): void {
    this.#timer.stop();
    this.#stopping.abort();
    wipe(this.#secret);
  }
}

function noAnswer(): UnreachableError {
  return new UnreachableError(
    "service.offer_timeout",
    "Cannot add a leg: the service does not take the offer",
  );
}
