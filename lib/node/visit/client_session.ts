/**
 * A client's session with one service: streams are opened on it, and legs are
 * replaced before its streams miss them.
 *
 *     connect ─▶ openStream ─▶ SessionDriver ◀── legs ── LegPlan: build, drop
 *                                                            │
 *                           a leg lives: LegOffers ◀─────────┤
 *                   none does: approachService {ticket} ◀────┘
 *
 * One without streams is parked after a while: it has no leg, costs no circuit, and
 * meets the service again by ticket before the next stream is opened.
 *
 * @see protocol §7.6 "Legs, and staying reachable"
 * @module
 */
import { avoiding, type PathAvoid } from "../../path/path_avoid.ts";
import type { PublicKey } from "../../auth/identity.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import { type Bytes, wipe } from "../../base/bytes.ts";
import { AnonNetError, errorCode, ProtocolError } from "../../base/errors.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import { type Log, thrown } from "../../log/log.ts";
import { type LegAction, LegPlan } from "../../service/leg_plan.ts";
import type { LegNumber } from "../../session/frames.ts";
import { Session, type SessionView } from "../../session/session.ts";
import { SESSION_CODE } from "../../session/session_event.ts";
import type { ServiceContext } from "../session/service_context.ts";
import { SessionDriver } from "../session/session_driver.ts";
import type { SessionStreamHandle } from "../session/session_stream.ts";
import type { ApproachGate } from "./approach_gate.ts";
import { approachService, type MetHost } from "./approach_service.ts";
import type { HostFinder } from "./host_finder.ts";
import { LegOffers } from "./leg_offers.ts";
import type { Met } from "./meeting.ts";

/** A session without a stream for so long is closed, ms: sooner than services do. */
export const CLIENT_IDLE_MS = 10 * 60_000;

/** The caller that asked for the first stream takes it by then, or has given up, ms. */
const CLAIM_MS = 1_000;

/**
 * A session of which no leg has carried for so long takes no further stream, ms:
 * another is begun beside it. Legs that are only slow are heard of before.
 */
const DOUBT_MS = 1_000;

/** Whose session it is. */
export interface ClientSessionOptions {
  readonly context: ServiceContext;
  readonly finder: HostFinder;
  /** The places for approaches of its node. */
  readonly gate: ApproachGate;
  readonly service: PublicKey;
  readonly isolation: string;
  readonly log: Log;
  /**
   * The session is lost, and the service had not taken this stream, nor been told a
   * word on it: open it anew.
   */
  readonly onOrphan: (stream: SessionStreamHandle, port: number) => void;
}

/** The stream that the introduction asked for, until its caller takes it. */
interface FirstStream {
  readonly port: number;
  readonly stream: SessionStreamHandle;
}

/** One session, at its client. */
export class ClientSession {
  readonly #options: ClientSessionOptions;
  /** The host that has it. */
  readonly #slot: number;
  readonly #secret: Bytes;
  readonly #driver: SessionDriver;
  readonly #plan: LegPlan;
  readonly #timer: MachineTimer;
  readonly #paths = new Map<LegNumber, readonly NodeRecord[]>();
  readonly #stopping = new AbortController();
  readonly #offers: LegOffers;
  #nextLeg: LegNumber;
  /** Since when no leg carries; `Infinity` while one does. */
  #doubtfulSinceMs = Infinity;
  #idleMs: number;
  #isRetired = false;
  #first: FirstStream | undefined;
  /** Where each stream leads that a caller has. */
  readonly #ports = new WeakMap<SessionStreamHandle, number>();
  /** Until when the first stream waits; `Infinity` when it does not. */
  #claimMs: number;
  #isLettingGo = false;
  #waking: Promise<void> | undefined;

  /**
   * @param met How the session began; its secret is wiped.
   * @param port Of the stream that its introduction asked for.
   */
  constructor(options: ClientSessionOptions, met: MetHost, port: number) {
    const { clock, crypto, quota, random } = options.context;
    const nowMs = clock.nowMs();
    this.#options = options;
    this.#slot = met.slot;
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
      onLegHealed: (leg) => {
        this.#plan.onHealed(leg);
        this.#judge();
      },
      onLegGone: (leg) => this.#onLegGone(leg),
      onOrphan: (stream, why) => this.#onOrphan(stream, why),
      onData: () => this.#legs((nowMs) => this.#plan.onData(nowMs)),
      onError: (error) => options.log.debug("A service broke off", { error }),
    });
    this.#offers = new LegOffers(
      options.context,
      this.#driver,
      this.#stopping,
    );
    this.#driver.closed.then(() => this.#onClosed());
    const stream = this.#watched(this.#driver.openKnownStream());
    this.#first = { port, stream };
    this.#claimMs = nowMs + CLAIM_MS;
    this.#attach(met);
    this.#onStreams();
  }

  /** Whether streams can be opened. */
  get isOpen(): boolean {
    return this.#driver.isOpen;
  }

  /** Whether streams had better be opened on it: some leg carries, or did just now. */
  get isSound(): boolean {
    const { clock } = this.#options.context;
    return this.isOpen && clock.nowMs() < this.#doubtfulSinceMs + DOUBT_MS;
  }

  /** Its streams and legs, as they are at any time. */
  get view(): SessionView {
    return this.#driver.view;
  }

  /** Whether it has let go of its last leg: {@linkcode wake} it before a stream is opened. */
  get isParked(): boolean {
    const { legNumbers, streamCount } = this.view;
    return this.isOpen && legNumbers.length === 0 && streamCount === 0;
  }

  /** Whether it is of an identity that is over. */
  get isRetired(): boolean {
    return this.#isRetired;
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
      this.#claimMs = Infinity;
      this.#ports.set(first.stream, port);
      return first.stream;
    }
    const stream = this.#watched(this.#driver.openStream(port));
    this.#ports.set(stream, port);
    this.#onStreams();
    return stream;
  }

  /**
   * Meet the service again, by ticket. Several callers share one meeting. Never
   * rejects: where it came to nothing the session is over, and another one is to be
   * begun.
   */
  wake(): Promise<void> {
    return this.#waking ??= this.#wake().finally(() => {
      this.#waking = undefined;
    });
  }

  async #wake(): Promise<void> {
    const { gate, log } = this.#options;
    try {
      using _place = await gate.enter("leg", this.#stopping);
      const met = await this.#approach();
      if (!this.isOpen) return met.circuit.close();
      this.#attach(met);
      this.#legs((nowMs) => this.#plan.onWoken(met.leg, nowMs));
    } catch (error) {
      if (!this.isOpen) return;
      if (errorCode(error) === "service.session_lost") return this.#onLost();
      const fields = { error: thrown(error) };
      if (error instanceof AnonNetError) {
        log.debug("A session that was parked cannot be met again", fields);
      } else log.error("A fault in meeting a service again", fields);
      this.close();
    }
  }

  #watched(stream: SessionStreamHandle): SessionStreamHandle {
    stream.closed.then(() => this.#onStreams());
    return stream;
  }

  /** Streams that run go on; with the last one the session ends. */
  retire(): void {
    this.#isRetired = true;
    this.#onStreams();
  }

  /** We stood still for so long, ms: the service may have given it up. */
  onStoodStill(ms: number): void {
    this.#driver.onStoodStill(ms);
  }

  /** End it, and all its streams. */
  close(): void {
    this.#driver.close();
  }

  #onStreams(): void {
    if (this.#isRetired && this.view.streamCount === 0) return this.close();
    const { clock } = this.#options.context;
    this.#idleMs = clock.nowMs() + CLIENT_IDLE_MS;
    this.#legs((nowMs) => this.#plan.onStreams(this.view.streamCount, nowMs));
  }

  #onLegSuspect(leg: LegNumber): void {
    this.#options.log.debug("A leg is silent", { leg });
    this.#options.context.doubt();
    this.#judge();
    this.#legs((nowMs) => this.#plan.onSuspect(leg, nowMs));
  }

  #onLegGone(leg: LegNumber): void {
    this.#options.log.debug("A leg is gone", { leg });
    this.#paths.delete(leg);
    this.#judge();
    this.#legs((nowMs) => this.#plan.onGone(leg, nowMs));
    // Lost and not parked: the service may be gone, so the next stream begins a new one.
    if (this.isParked && !this.#isLettingGo) this.close();
  }

  #onTime(): void {
    const nowMs = this.#options.context.clock.nowMs();
    if (nowMs >= this.#claimMs) {
      this.#first?.stream.abort();
      this.#first = undefined;
      this.#claimMs = Infinity;
    }
    const isIdle = this.view.streamCount === 0 && nowMs >= this.#idleMs;
    if (isIdle) return this.close();
    this.#legs((now) => this.#plan.onTime(now));
  }

  /** Tell the plan what happened, and do what it wants. */
  #legs(happened: (nowMs: number) => LegAction[]): void {
    if (!this.isOpen) return;
    const { clock } = this.#options.context;
    for (const action of happened(clock.nowMs())) {
      if (action.type === "build") this.#build();
      else {
        this.#isLettingGo = true;
        this.#driver.dropLeg(action.leg);
        this.#isLettingGo = false;
      }
    }
    this.#arm();
  }

  #arm(): void {
    if (!this.isOpen) return;
    const idleMs = this.view.streamCount === 0 ? this.#idleMs : Infinity;
    this.#timer.set(Math.min(idleMs, this.#claimMs, this.#plan.deadlineMs));
  }

  async #build(): Promise<void> {
    const { clock } = this.#options.context;
    const { gate, log } = this.#options;
    try {
      using _place = await gate.enter("leg", this.#stopping);
      if (!this.isOpen) return;
      // A leg that was only slow may have been heard of meanwhile.
      if (!this.#plan.mayBegin(clock.nowMs())) return this.#arm();
      const offered = await this.#offers.make(
        this.#avoided(),
        () => this.#nextLeg++,
      );
      const met = offered ?? await this.#approach();
      if (!this.isOpen) return met.circuit.close();
      this.#driver.makeRoom();
      this.#attach(met);
      const by = offered === undefined ? "a ticket" : "another leg";
      log.debug("A leg was added", { leg: met.leg, by });
      this.#legs((nowMs) => this.#plan.onAdded(met.leg, nowMs));
    } catch (error) {
      if (!this.isOpen) return;
      const isLost = errorCode(error) === "service.session_lost";
      // While a leg carries, another process of the same service has answered.
      if (isLost && !this.#hasLiveLeg) return this.#onLost();
      const fields = { error: thrown(error) };
      if (error instanceof AnonNetError) log.debug("No new leg", fields);
      else log.error("A fault in building a leg", fields);
      this.#legs((nowMs) => this.#plan.onFailed(nowMs));
    }
  }

  #approach(): Promise<Met> {
    return approachService({
      ...this.#options,
      slot: this.#slot,
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
    return this.view.legs.some(({ isSuspect }) => !isSuspect);
  }

  /** The service does not know the session: no leg will ever carry it. */
  #onLost(): void {
    this.#options.log.debug("The service does not know the session any more");
    this.#driver.close(SESSION_CODE.lost);
  }

  #onOrphan(stream: SessionStreamHandle, why: number): void {
    const port = this.#ports.get(stream);
    // Of an identity that is over: its streams begin no session.
    if (port === undefined || this.#isRetired) stream.onReset(why);
    else this.#options.onOrphan(stream, port);
  }

  /** A leg has changed: see whether any carries. */
  #judge(): void {
    this.#offers.onLegLost();
    if (this.#hasLiveLeg) {
      this.#doubtfulSinceMs = Infinity;
      return;
    }
    const { context: { clock }, finder, service, isolation } = this.#options;
    this.#doubtfulSinceMs = Math.min(this.#doubtfulSinceMs, clock.nowMs());
    finder.doubt(service, isolation, this.#slot);
  }

  #attach(met: Met): void {
    this.#paths.set(met.leg, met.circuit.path);
    try {
      this.#driver.addLeg(met.leg, met.circuit);
      this.#judge();
    } catch (error) {
      met.circuit.close();
      if (!(error instanceof ProtocolError)) throw error;
    }
  }

  /** Relays of our legs that another one should not depend on. */
  #avoided(): PathAvoid {
    return avoiding(this.#paths.values());
  }

  #onClosed(): void {
    this.#timer.stop();
    this.#stopping.abort();
    wipe(this.#secret);
  }
}
