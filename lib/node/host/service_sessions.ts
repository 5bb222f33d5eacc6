/**
 * The sessions of one service: introductions come in, joined circuits become
 * sessions or legs of them, and streams go out to the handler that serves them.
 *
 *     introduction ─┬─ handshake ──▶ circuit to its rendezvous ──▶ a new session
 *                   └─ ticket ─────▶ circuit to its rendezvous ──▶ one more leg
 *     session ── LegOffer ─────────▶ circuit to its rendezvous ──▶ one more leg
 *
 * @see protocol §7.5 "Rendezvous", §7.6 "Legs, and staying reachable"
 * @module
 */
import { avoiding } from "../../path/path_avoid.ts";
import type { PublicKey } from "../../auth/identity.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import { type Bytes, wipe } from "../../base/bytes.ts";
import { AnonNetError, ProtocolError } from "../../base/errors.ts";
import { TokenBucket, type TokenRate } from "../../base/token_bucket.ts";
import { KEY_BYTES } from "../../crypto/suite.ts";
import type { OpenedIntroduction } from "../../service/meeting/introduction.ts";
import type { IntroductionKeys } from "../../service/meeting/introduction_keys.ts";
import {
  encodeRendezvous1,
  respondToRendezvous,
} from "../../service/meeting/rendezvous.ts";
import { MARK_BYTES, type SessionMark } from "../../wire/proxy_line.ts";
import {
  HALF_OPEN_MS,
  SessionRegistry,
} from "../../service/session_registry.ts";
import {
  isTicketValid,
  sessionId,
  type Ticket,
} from "../../service/meeting/ticket.ts";
import type { LegNumber, LegOffer } from "../../session/frames.ts";
import { Session } from "../../session/session.ts";
import { useCircuit } from "../circuit/circuit_use.ts";
import type { ServiceCircuit, WaitLimit } from "../circuit/circuits.ts";
import { type Log, thrown } from "../../log/log.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import { TimedPlaces } from "../../base/timed_places.ts";
import type { ServiceContext } from "../session/service_context.ts";
import { SessionDriver } from "../session/session_driver.ts";
import type { SessionStreamHandle } from "../session/session_stream.ts";
import { LostSessions } from "./lost_sessions.ts";
import { MeetingPlaces, meetingsFull } from "./meeting_places.ts";

/** A session without a stream for so long is closed; clients do it sooner, ms. */
export const SERVICE_IDLE_MS = 15 * 60_000;
const SWEEP_MS = 60_000;

/**
 * Legs that one client may ask for: each costs a circuit of four hops, and asking
 * next to nothing. An honest client whose legs are all killed wants 8 at once and
 * then one per 2 s, some of them asked for several times: it does not notice.
 */
export const LEGS: TokenRate = { perSecond: 1, burst: 32 };

/**
 * Targets that are asked before the first cell of their client has shown that it holds the
 * session's secret. A client has its place until that cell comes, or for as long as it
 * may be silent: one that goes away makes no room. The targets of others are asked with
 * their first cell.
 */
export const UNHEARD_TARGETS = 16;

/** No client holds this secret: unknown sessions are checked against it. */
const NO_SECRET = new Uint8Array(KEY_BYTES);

/** What the service hears of its sessions. */
export interface ServiceSessionHandlers {
  /** A client has opened a stream. @param session The same for all of a session. */
  onStream(
    stream: SessionStreamHandle,
    port: number,
    session: SessionMark,
  ): void;
  /** A leg has fallen silent: other circuits of ours may have, too. */
  onDoubt(): void;
}

/** A session, for the service's operator. */
export interface ServiceSessionStatus {
  /** Its mark: 8 hexadecimal digits, which mean nothing elsewhere. */
  readonly id: string;
  /** Since it began, in whole seconds. */
  readonly ageSeconds: number;
  readonly streams: number;
  readonly legs: number;
  /** Cells that came on the legs there are. */
  readonly cellsIn: number;
}

interface ServiceSession {
  readonly id: Bytes;
  readonly mark: SessionMark;
  readonly sinceMs: number;
  readonly secret: Bytes;
  readonly driver: SessionDriver;
  /** The relays that we chose for each leg, so that the next one can take others. */
  readonly paths: Map<LegNumber, readonly NodeRecord[]>;
  /** Legs that its client may still ask for. */
  readonly budget: TokenBucket;
  /** Whether an offer of its client is being taken. */
  isTakingOffer: boolean;
}

/** All sessions of one service. */
export class ServiceSessions implements Disposable {
  readonly #context: ServiceContext;
  readonly #handlers: ServiceSessionHandlers;
  readonly #log: Log;
  readonly #registry = new SessionRegistry<ServiceSession>(
    ({ driver }) => driver.view.streamCount === 0,
  );
  readonly #sessions = new Set<ServiceSession>();
  readonly #unheard = new TimedPlaces<SessionMark>(
    UNHEARD_TARGETS,
    HALF_OPEN_MS,
  );
  readonly #places: MeetingPlaces;
  readonly #lost: LostSessions;
  readonly #timer: MachineTimer;
  readonly #stopping = new AbortController();
  #sweepMs = Infinity;

  constructor(
    context: ServiceContext,
    handlers: ServiceSessionHandlers,
    log: Log,
  ) {
    this.#context = context;
    this.#places = new MeetingPlaces(context);
    this.#lost = new LostSessions(context.clock);
    this.#handlers = handlers;
    this.#log = log;
    this.#timer = new MachineTimer(context.clock, () => this.#onTime());
  }

  /** Sessions there are. */
  get size(): number {
    return this.#sessions.size;
  }

  /** What each is doing, the oldest first. */
  get status(): ServiceSessionStatus[] {
    const nowMs = this.#context.clock.nowMs();
    return Array.from(this.#sessions, ({ mark, sinceMs, driver }) => {
      const { streamCount, legs } = driver.view;
      return {
        id: mark.id,
        ageSeconds: Math.floor((nowMs - sinceMs) / 1000),
        streams: streamCount,
        legs: legs.length,
        cellsIn: legs.reduce(
          (sum, { receivedCells }) => sum + receivedCells,
          0,
        ),
      };
    });
  }

  /**
   * Close the session of a mark, with all its streams; its client may begin another.
   *
   * @returns Whether there was one.
   */
  close(id: string): boolean {
    const session = this.#marked(id);
    session?.driver.close();
    return session !== undefined;
  }

  #marked(id: string): ServiceSession | undefined {
    for (const session of this.#sessions) {
      if (session.mark.id === id) return session;
    }
    return undefined;
  }

  /** A mark that no other session of this service has. */
  #newMark(): SessionMark {
    for (;;) {
      const id = this.#context.random.bytes(MARK_BYTES).toHex();
      if (this.#marked(id) === undefined) return { id };
    }
  }

  /** Streams that are open in all of them. */
  get streamCount(): number {
    let count = 0;
    for (const { driver } of this.#sessions) count += driver.view.streamCount;
    return count;
  }

  /** Cells that came from clients on all legs there are. */
  get receivedCells(): number {
    let cells = 0;
    for (const { driver } of this.#sessions) {
      for (const { receivedCells } of driver.view.legs) cells += receivedCells;
    }
    return cells;
  }

  /** Legs that there are. */
  get legCount(): number {
    let legs = 0;
    for (const { driver } of this.#sessions) {
      legs += driver.view.legNumbers.length;
    }
    return legs;
  }

  /**
   * Meet a client.
   *
   * @param keys Of the point that it came by.
   * @param blinded The service's blinded keys of now.
   * @throws {ProtocolError} `service.ticket_used`, `service.rendezvous_request`,
   * `auth.record_*`: the introduction was wrong.
   * @throws {UnreachableError} `service.busy`, `circuit.*`: we could not.
   */
  async answer(
    introduction: OpenedIntroduction,
    keys: IntroductionKeys,
    blinded: readonly PublicKey[],
    limit: WaitLimit,
  ): Promise<void> {
    // Before anything is built for it.
    const { ticket } = introduction;
    const session = ticket === undefined
      ? undefined
      : this.#ticketed(ticket, introduction.cookie);
    await this.#places.meetAt(
      introduction.rendezvous,
      limit,
      (relay, limit) => {
        if (ticket === undefined) {
          return this.#begin(introduction, keys, blinded, relay, limit);
        }
        if (session === undefined) {
          return this.#tellUnknown(introduction, relay, limit);
        }
        const { cookie, rendezvous } = introduction;
        const offer = { leg: ticket.leg, cookie, rendezvous };
        return this.#addLeg(session, offer, relay, limit);
      },
    );
  }

  /** A client asks for a leg by one that lives: no introduction is needed. */
  async #onOffer(session: ServiceSession, offer: LegOffer): Promise<void> {
    // One at a time: a client that offers without end waits without end.
    if (session.isTakingOffer) return;
    if (!session.budget.take(1, this.#context.clock.nowMs())) return;
    session.isTakingOffer = true;
    try {
      await this.#places.meetAt(
        offer.rendezvous,
        this.#stopping,
        (relay, limit) => this.#addLeg(session, offer, relay, limit),
      );
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      const fields = { error: thrown(error) };
      if (error instanceof AnonNetError) {
        this.#log.debug("Could not take the offer of a leg", fields);
      } else this.#log.error("A fault in taking the offer of a leg", fields);
    } finally {
      session.isTakingOffer = false;
    }
  }

  /**
   * The session that a ticket is for. Takes the same time whether there is none or
   * the ticket is wrong, and is the same: who asks learns no more.
   *
   * @throws {ProtocolError} `service.ticket_used`: right, and of no use any more.
   */
  #ticketed(ticket: Ticket, cookie: Bytes): ServiceSession | undefined {
    const { crypto } = this.#context;
    const session = this.#registry.get(ticket.session);
    const secret = session?.secret ?? NO_SECRET;
    const isValid = isTicketValid(crypto, secret, ticket, cookie);
    if (session === undefined || !isValid) return undefined;
    if (ticket.leg < session.driver.view.nextLegNumber) {
      throw new ProtocolError(
        "service.ticket_used",
        "Cannot take ticket: its session has had a leg of this number",
      );
    }
    if (!session.budget.take(1, this.#context.clock.nowMs())) {
      throw meetingsFull();
    }
    return session;
  }

  /** Say to a client that its ticket is of no session here. */
  async #tellUnknown(
    introduction: OpenedIntroduction,
    endAt: NodeRecord,
    { signal }: WaitLimit,
  ): Promise<void> {
    const circuit = await useCircuit(
      this.#context,
      { purpose: "rendezvous", endAt, signal },
      (circuit) => Promise.resolve(circuit),
    );
    this.#lost.tell(introduction, circuit);
  }

  async #begin(
    { cookie, handshake, port }: OpenedIntroduction,
    keys: IntroductionKeys,
    blinded: readonly PublicKey[],
    endAt: NodeRecord,
    { signal }: WaitLimit,
  ): Promise<void> {
    const { crypto, random } = this.#context;
    if (handshake === undefined) throw new RangeError("No handshake");
    const { reply, secret } = await respondToRendezvous(
      crypto,
      random,
      keys,
      blinded,
      cookie,
      handshake,
    );
    const circuit = await useCircuit(
      this.#context,
      { purpose: "rendezvous", endAt, signal },
      (circuit) => Promise.resolve(circuit),
    );
    circuit.meet(encodeRendezvous1(cookie, reply));
    this.#open(secret, circuit, port);
    wipe(secret);
  }

  /** @param port Of the stream that the introduction asks for. */
  #open(
    secret: Bytes,
    circuit: ServiceCircuit,
    port: number | undefined,
  ): void {
    const { clock, crypto, quota } = this.#context;
    const machine = new Session(
      { crypto, role: "service", secret, quota },
      clock.nowMs(),
    );
    const id = sessionId(crypto, secret);
    const mark = this.#newMark();
    const isEarly = port !== undefined && this.#mayAskEarly();
    let isHeard = false;
    const driver = new SessionDriver(machine, clock, {
      onStream: (stream, port) => this.#handlers.onStream(stream, port, mark),
      onLegSuspect: () => {
        // What is not yet there does not answer.
        if (!isHeard) return;
        this.#context.doubt();
        this.#handlers.onDoubt();
      },
      onHeard: () => {
        isHeard = true;
        this.#registry.onHeard(id);
        this.#unheard.give(mark);
        if (port !== undefined && !isEarly) driver.onKnownStream(port);
      },
      onLegOffered: (offer) => this.#onOffer(session, offer),
      onLegGone: (leg) => session.paths.delete(leg),
      onError: (error) => this.#log.debug("A client broke off", { error }),
    });
    const session: ServiceSession = {
      id,
      mark,
      sinceMs: clock.nowMs(),
      secret: new Uint8Array(secret),
      driver,
      paths: new Map(),
      budget: new TokenBucket(LEGS, clock.nowMs()),
      isTakingOffer: false,
    };
    const closed = this.#registry.add(id, session, clock.nowMs());
    if (closed === "full") {
      circuit.close();
      driver.close();
      throw meetingsFull();
    }
    for (const { driver } of closed) driver.close();
    this.#sessions.add(session);
    driver.closed.then(() => this.#forget(session));
    this.#attach(session, 0, circuit);
    if (isEarly) {
      this.#unheard.take(mark, clock.nowMs());
      driver.onKnownStream(port);
    }
    this.#arm();
  }

  /** Whether the target of one more client may be asked before it is heard of. */
  #mayAskEarly(): boolean {
    return this.#unheard.makeRoom(() => {}, this.#context.clock.nowMs());
  }

  async #addLeg(
    session: ServiceSession,
    { leg, cookie }: LegOffer,
    endAt: NodeRecord,
    { signal }: WaitLimit,
  ): Promise<void> {
    const circuit = await useCircuit(
      this.#context,
      {
        purpose: "rendezvous",
        endAt,
        avoid: avoiding(session.paths.values()),
        signal,
      },
      (circuit) => Promise.resolve(circuit),
    );
    const { driver } = session;
    const isStillNew = driver.isOpen && leg >= driver.view.nextLegNumber;
    if (!isStillNew) return circuit.close();
    driver.makeRoom();
    circuit.meet(encodeRendezvous1(cookie, new Uint8Array(0)));
    this.#attach(session, leg, circuit);
  }

  #attach(
    session: ServiceSession,
    leg: LegNumber,
    circuit: ServiceCircuit,
  ): void {
    // The client named the last one.
    session.paths.set(leg, circuit.path.slice(0, -1));
    session.driver.addLeg(leg, circuit);
  }

  #forget(session: ServiceSession): void {
    this.#sessions.delete(session);
    this.#registry.remove(session.id);
    wipe(session.secret);
  }

  #onTime(): void {
    const nowMs = this.#context.clock.nowMs();
    for (const { driver } of this.#registry.expire(nowMs)) driver.close();
    if (this.#sweepMs <= nowMs) {
      this.#sweepMs = Infinity;
      for (const { driver } of this.#sessions) {
        const isIdle = driver.view.streamCount === 0 &&
          nowMs - driver.usedMs >= SERVICE_IDLE_MS;
        if (isIdle) driver.close();
      }
    }
    this.#arm();
  }

  #arm(): void {
    if (this.#sessions.size > 0 && this.#sweepMs === Infinity) {
      this.#sweepMs = this.#context.clock.nowMs() + SWEEP_MS;
    }
    this.#timer.set(Math.min(this.#sweepMs, this.#registry.deadlineMs));
  }

  /** We stood still for so long, ms: clients may have given their sessions up. */
  onStoodStill(ms: number): void {
    for (const { driver } of this.#sessions) driver.onStoodStill(ms);
  }

  /** Close all sessions. */
  [Symbol.dispose](): void {
    this.#timer.stop();
    this.#stopping.abort();
    this.#lost[Symbol.dispose]();
    for (const { driver } of [...this.#sessions]) driver.close();
  }
}
