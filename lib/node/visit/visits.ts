/**
 * Reaches services for a node's users: one session for each service and isolation
 * key, used for all their streams.
 *
 *     connect ─▶ a sound session? ── yes ──▶ stream, no round trip
 *                   │ no
 *                   ├─▶ one that is parked? ── yes ──▶ wake ─▶ stream
 *                   │ no                                └─▶ the service has forgotten it
 *                   └─▶ being begun? ── no ──▶ approachService ─▶ session ─▶ stream
 *
 * @see protocol §7.6 "Legs, and staying reachable"
 * @module
 */
import { AVOID_NOTHING } from "../../path/path_avoid.ts";
import type { PublicKey } from "../../auth/identity.ts";
import { raceSignal } from "../../base/clock.ts";
import { TaskSet } from "../../base/task_set.ts";
import {
  AnonNetError,
  errorCode,
  UnreachableError,
} from "../../base/errors.ts";
import { OutageWatch } from "./outage_watch.ts";
import { ApproachGate } from "./approach_gate.ts";
import { approachService } from "./approach_service.ts";
import { ClientSession } from "./client_session.ts";
import type { ClientSecrets } from "./descriptor_finder.ts";
import { HostFinder } from "./host_finder.ts";
import { type Log, thrown } from "../../log/log.ts";
import type { ServiceContext } from "../session/service_context.ts";
import type { SessionStreamHandle } from "../session/session_stream.ts";
import {
  type VisitMark,
  type VisitStatus,
  visitStatus,
} from "./visit_status.ts";
import { RESET_CODE } from "../../session/stream.ts";

/** Sessions at once, those being begun included: about 30 KiB and up to three circuits each. */
const MAX_CLIENT_SESSIONS = 2_048;

/** What visits are made of. */
export interface VisitsOptions {
  readonly context: ServiceContext;
  /** Our X25519 secrets for services that want one. Default: none. */
  readonly clientSecrets?: ClientSecrets;
}

/** Whom to connect to. */
export interface ServiceTarget {
  readonly service: PublicKey;
  /** Virtual port, 1 to 65535. */
  readonly port: number;
  /** Isolation key; `undefined` is one of its own. */
  readonly isolation: string | undefined;
}

/** What visits there are, for a status page. */
export interface VisitsStatus {
  readonly sessions: number;
  readonly beginning: number;
  readonly streams: number;
  readonly legs: number;
}

/** A target with the isolation key that keeps it apart from all others. */
interface IsolatedTarget extends ServiceTarget {
  readonly isolation: string;
  /** The number of the identity that it was asked for under. */
  readonly identity: number;
}

/** How a session that is open is called. */
interface OpenVisit extends VisitMark {
  /** With the identity in it: what is kept apart stays apart in what is told. */
  readonly key: string;
}

/** A session that is being begun, and how many wait for it. */
interface Beginning {
  readonly session: Promise<ClientSession>;
  readonly control: AbortController;
  waiting: number;
}

/** The sessions of one node with services of others. */
export class Visits implements AsyncDisposable {
  readonly #context: ServiceContext;
  readonly #finder: HostFinder;
  readonly #gate: ApproachGate;
  readonly #log: Log;
  /** Those that further streams are opened on. */
  readonly #sessions = new Map<string, ClientSession>();
  /** All that are open: also those in whose place others were begun. */
  readonly #open = new Map<ClientSession, OpenVisit>();
  readonly #beginnings = new Map<string, Beginning>();
  readonly #stopping = new AbortController();
  readonly #tasks = new TaskSet((error) =>
    this.#log.error("A fault in moving a stream", { error: thrown(error) })
  );
  /** How often a new identity was wished for; part of every isolation key. */
  #identity = 0;
  /** Sessions that were begun, and isolation keys that were met, for their names. */
  #begunSessions = 0;
  #metKeys = 0;

  constructor(
    { context, clientSecrets = () => undefined }: VisitsOptions,
  ) {
    this.#context = context;
    this.#log = context.log.part("client");
    this.#gate = new ApproachGate(context.clock, context.circuits);
    this.#finder = new HostFinder(context, clientSecrets);
  }

  get status(): VisitsStatus {
    let streams = 0;
    let legs = 0;
    for (const { view } of this.#open.keys()) {
      streams += view.streamCount;
      legs += view.legNumbers.length;
    }
    const beginning = this.#beginnings.size;
    return { sessions: this.#open.size, beginning, streams, legs };
  }

  /** What each session is doing, the oldest first. */
  get sessions(): VisitStatus[] {
    const nowMs = this.#context.clock.nowMs();
    return Array.from(this.#open, ([session, mark]) => {
      const { isRetired, isParked, view } = session;
      const state = isRetired ? "ending" : isParked ? "parked" : "open";
      return visitStatus(mark, view, state, nowMs);
    });
  }

  /**
   * Open a stream. On a live session at once; the target is asked afterwards.
   *
   * @throws {AnonNetError} `service.*` and `path.*`, as protocol §8.2 "Errors" lists them.
   * @throws the signal's reason.
   */
  async connect(
    target: ServiceTarget,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<SessionStreamHandle> {
    signal.throwIfAborted();
    this.#stopping.signal.throwIfAborted();
    const isolation = this.#isolationText(target.isolation);
    const key = keyOf(target.service, isolation);
    const session = this.#there(key) ??
      await this.#foundInTime(
        key,
        { ...target, isolation, identity: this.#identity },
        signal,
      );
    const stream = session.openStream(target.port);
    const watch = this.#watch(session, stream);
    const end = () => watch[Symbol.dispose]();
    stream.opened.then(end, end);
    stream.closed.then(end);
    stream.onAwait(() => this.#watch(session, stream));
    return stream;
  }

  /**
   * From now on streams begin new sessions, with descriptors that are searched for
   * anew. Streams that run, and those that wait for a session already, stay with the
   * sessions of before, which end with them.
   */
  newIdentity(): void {
    this.#identity++;
    for (const session of this.#open.keys()) session.retire();
  }

  /** Close the session for targets of this service and isolation key, if there is one. */
  leave({ service, isolation }: Omit<ServiceTarget, "port">): void {
    this.#sessions.get(keyOf(service, this.#isolationText(isolation)))?.close();
  }

  /** We stood still for so long, ms: services may have given our sessions up. */
  onStoodStill(ms: number): void {
    for (const session of this.#open.keys()) session.onStoodStill(ms);
  }

  /** Close all sessions, and begin no more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(
      new UnreachableError(
        "service.stopped",
        "Cannot connect: the node is stopping",
      ),
    );
    const beginnings = [...this.#beginnings.values()];
    this.#gate[Symbol.dispose]();
    await Promise.allSettled(beginnings.map(({ session }) => session));
    const sessions = [...this.#open.keys()];
    for (const session of sessions) session.close();
    await Promise.all(sessions.map(({ closed }) => closed));
    await this.#tasks.ended();
  }

  /** A session, or soon the reason why no circuit can be built for one. */
  async #foundInTime(
    key: string,
    target: IsolatedTarget,
    signal: AbortSignal,
  ): Promise<ClientSession> {
    const { clock, circuits } = this.#context;
    const outage = new AbortController();
    using _watch = new OutageWatch(clock, circuits, (why) => {
      outage.abort(why);
      return "done";
    });
    const limit = AbortSignal.any([signal, outage.signal]);
    try {
      return await this.#found(key, target, limit);
    } catch (error) {
      const isVague = errorCode(error) === "service.unreachable";
      throw isVague ? circuits.outageNow ?? error : error;
    }
  }

  /** A stream that the service cannot hear of, since no leg is left, fails in time too. */
  #watch(session: ClientSession, stream: SessionStreamHandle): Disposable {
    const { clock, circuits } = this.#context;
    return new OutageWatch(clock, circuits, (why) => {
      if (session.view.legNumbers.length > 0) return "go_on";
      stream.giveUp(why);
      return "done";
    });
  }

  /** The session for further streams, if there is one and it carries. */
  #there(key: string): ClientSession | undefined {
    const there = this.#sessions.get(key);
    return there?.isSound && !there.isParked ? there : undefined;
  }

  /** A session: the one that is there, met again if it is parked, or another. */
  async #found(
    key: string,
    target: IsolatedTarget,
    signal: AbortSignal,
  ): Promise<ClientSession> {
    const parked = this.#sessions.get(key);
    if (parked?.isParked) await raceSignal(parked.wake(), signal);
    return this.#there(key) ?? await this.#begun(key, target, signal);
  }

  /** The session, once it has begun. A caller that gives up leaves it to the others. */
  async #begun(
    key: string,
    target: IsolatedTarget,
    signal: AbortSignal,
  ): Promise<ClientSession> {
    const beginning = this.#beginnings.get(key) ?? this.#begin(key, target);
    beginning.waiting++;
    try {
      return await raceSignal(beginning.session, signal);
    } finally {
      if (--beginning.waiting === 0) {
        this.#endBeginning(key, beginning);
        beginning.control.abort();
      }
    }
  }

  #begin(key: string, target: IsolatedTarget): Beginning {
    this.#makeRoom();
    const control = new AbortController();
    const { service, isolation, identity } = target;
    const options = {
      context: this.#context,
      finder: this.#finder,
      gate: this.#gate,
      log: this.#log,
      service,
      isolation,
      onOrphan: (stream: SessionStreamHandle, port: number) =>
        this.#tasks.run(this.#move(stream, key, { ...target, port })),
    };
    const signal = AbortSignal.any([control.signal, this.#stopping.signal]);
    const session = this.#gate.enter("newcomer", { signal }).then(
      async (place) => {
        using _place = place;
        return await approachService({
          ...options,
          purpose: { type: "session", port: target.port },
          avoid: AVOID_NOTHING,
          signal,
        });
      },
    ).then((met) => {
      const session = new ClientSession(options, met, target.port);
      this.#sessions.set(key, session);
      this.#open.set(session, this.#markOf(isolation));
      session.closed.then(() => {
        this.#open.delete(session);
        if (this.#sessions.get(key) === session) this.#sessions.delete(key);
      });
      if (identity !== this.#identity) session.retire();
      return session;
    }).finally(() => this.#endBeginning(key, beginning));
    session.catch((error) => {
      if (error instanceof AnonNetError || control.signal.aborted) return;
      this.#log.error("A fault in reaching a service", {
        error: thrown(error),
      });
    });
    const beginning: Beginning = { session, control, waiting: 0 };
    this.#beginnings.set(key, beginning);
    return beginning;
  }

  /** Let a stream go on in a session that is begun anew. */
  async #move(
    stream: SessionStreamHandle,
    key: string,
    target: IsolatedTarget,
  ): Promise<void> {
    stream.beginMove();
    const given = new AbortController();
    stream.closed.then(() => given.abort());
    const signal = AbortSignal.any([given.signal, this.#stopping.signal]);
    try {
      const session = await this.#found(key, target, signal);
      stream.goOnAs(session.openStream(target.port));
    } catch (error) {
      stream.onReset(RESET_CODE.failed);
      const isExpected = error instanceof AnonNetError || signal.aborted;
      if (!isExpected) throw error;
    }
  }

  /** No caller shall join it any more: another one may be there in its place. */
  #endBeginning(key: string, beginning: Beginning): void {
    if (this.#beginnings.get(key) !== beginning) return;
    this.#beginnings.delete(key);
  }

  /** For one more session: the one without streams that was used longest ago goes. */
  #makeRoom(): void {
    const size = this.#open.size + this.#beginnings.size;
    if (size < MAX_CLIENT_SESSIONS) return;
    let oldest: ClientSession | undefined;
    let oldestMs = Infinity;
    for (const session of this.#open.keys()) {
      const isInUse = session.view.streamCount > 0;
      if (isInUse || session.usedMs >= oldestMs) continue;
      oldest = session;
      oldestMs = session.usedMs;
    }
    if (oldest === undefined) {
      throw new UnreachableError(
        "service.too_many_sessions",
        "Cannot connect: as many services are in use as may be",
      );
    }
    oldest.close();
  }

  #markOf(key: string): OpenVisit {
    // No key at all is one of its own, and stays together too.
    const same = [...this.#open.values()].find((other) => other.key === key);
    return {
      key,
      id: ++this.#begunSessions,
      isolation: same?.isolation ?? ++this.#metKeys,
      sinceMs: this.#context.clock.nowMs(),
    };
  }

  /** No key is a key of its own, and each identity has keys of its own. */
  #isolationText(isolation: string | undefined): string {
    return this.#identity + (isolation === undefined ? "-" : `+${isolation}`);
  }
}

function keyOf(service: PublicKey, isolation: string): string {
  return `${service.toHex()} ${isolation}`;
}
