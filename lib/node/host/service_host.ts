/**
 * Runs one service: carries out what its machine wants, answers introductions,
 * and hands streams to their targets.
 *
 *     ServiceHost ─▶ build, check, close ─▶ IntroductionListener ─┐
 *                 ─▶ publish ─▶ DHT                               │ introductions
 *                 ─▶ probe ─▶ as a client would                   ▼
 *                                                 ServiceAnswers ─▶ ServiceSessions
 *                                                                        │ streams
 *                                                                        ▼
 *                                                                     targets
 *
 * @see protocol §7 "Services"
 * @module
 */
import type { Identity, NodeId, PublicKey } from "../../auth/identity.ts";
import type { Bytes } from "../../base/bytes.ts";
import { deadline, sleep } from "../../base/clock.ts";
import {
  AnonNetError,
  BugError,
  ProtocolError,
  UnreachableError,
} from "../../base/errors.ts";
import { TokenBucket, type TokenRate } from "../../base/token_bucket.ts";
import { formatServiceHost } from "../../service/address.ts";
import { AnswerPace } from "../../service/answer_pace.ts";
import { openIntroduction } from "../../service/meeting/introduction.ts";
import type { PointId } from "../../service/introduction_points.ts";
import type { PublishAction } from "../../service/publication.ts";
import {
  type HostAction,
  type ProbeOutcome,
  ServiceHost,
} from "../../service/service_host.ts";
import {
  blindedKey,
  publishedPeriods,
  type TimePeriod,
} from "../../service/time_period.ts";
import { RESET_CODE } from "../../session/stream.ts";
import { whileAlive } from "../circuit/circuit_use.ts";
import type { WaitLimit } from "../circuit/circuits.ts";
import {
  publishDescriptor,
  type Publishing,
} from "../visit/descriptor_store.ts";
import { IntroductionListener } from "./introduction_listener.ts";
import { type Log, thrown } from "../../log/log.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import { serveStream } from "./serve_stream.ts";
import { ServiceAnswers } from "./service_answers.ts";
import { momentOf, type ServiceContext } from "../session/service_context.ts";
import { ServiceProbe } from "./service_probe.ts";
import { ServiceSessions } from "./service_sessions.ts";
import type { SessionStreamHandle } from "../session/session_stream.ts";
import { Slots } from "../../base/slots.ts";
import type { StreamTarget } from "./stream_target.ts";
import { systemDial, type TargetDial } from "./target_dial.ts";

/** Streams of one service that are served at once, and of one session: each takes a socket. */
const MAX_SERVED = 4096;
const MAX_SERVED_PER_SESSION = 1024;
/** How long streams may take to end when the service is stopped, ms; some never would. */
export const DRAIN_MS = 4_000;
/** Streams that carry nothing for so long are not waited for, ms. */
export const REST_MS = 1_000;
const DRAIN_LOOK_MS = 250;
/**
 * How often points are reached by another circuit, after which they are replaced:
 * whoever kills our circuits shall not have us build them as fast as it kills.
 */
const MOVES: TokenRate = { perSecond: 0.2, burst: 12 };
/** A publication that has not ended by then has failed, ms. */
const PUBLISH_WAIT_MS = 40_000;

/** Keeps the highest revision of a service's descriptors over restarts. */
export interface RevisionStore {
  /** The highest revision ever used; 0 at first. */
  read(): Promise<number>;
  /** Durable once it resolves. */
  write(revision: number): Promise<void>;
}

/** What a service is made of. */
export interface ServiceHostOptions {
  readonly context: ServiceContext;
  /** What its operator calls it; stands in the log. */
  readonly name: string;
  /** Its key; disposed of with it. */
  readonly identity: Identity;
  readonly revisions: RevisionStore;
  /** Where streams lead, by virtual port. */
  readonly targets: ReadonlyMap<number, StreamTarget>;
  /** X25519 keys of those who may find it. Default: everybody who knows the address. */
  readonly clients?: readonly Bytes[];
  /** Default: over the machine's sockets. */
  readonly dial?: TargetDial;
}

/** What a service is doing, for a status page. */
export interface ServiceStatus {
  readonly name: string;
  /** `….anon`. */
  readonly host: string;
  readonly ports: readonly number[];
  /** Introduction points that the published descriptor names and that listen. */
  readonly points: number;
  readonly sessions: number;
  readonly streams: number;
  /** Introductions that were never answered, for want of time. */
  readonly shed: number;
}

interface Waiting {
  readonly listener: IntroductionListener;
  readonly sealed: Bytes;
}

/** A running service. */
export class ServiceHostDriver implements AsyncDisposable {
  /** Its address: `….anon`. */
  readonly host: string;
  readonly #options: ServiceHostOptions;
  readonly #context: ServiceContext;
  readonly #log: Log;
  readonly #machine: ServiceHost;
  readonly #timer: MachineTimer;
  readonly #listeners = new Map<PointId, IntroductionListener>();
  /** Points that are being reached by another circuit. */
  readonly #moving = new Set<PointId>();
  readonly #moves: TokenBucket;
  readonly #answers: ServiceAnswers<Waiting>;
  readonly #pace: AnswerPace;
  readonly #served = new Slots(MAX_SERVED);
  readonly #servedBySession = new WeakMap<object, Slots>();
  readonly #sessions: ServiceSessions;
  readonly #probe: ServiceProbe;
  readonly #dial: TargetDial;
  readonly #blinded = new Map<TimePeriod, PublicKey>();
  readonly #ready = Promise.withResolvers<void>();
  /** No client is let in any more. */
  readonly #stopping = new AbortController();
  /** No stream is served any more. */
  readonly #closing = new AbortController();
  /** Everything that runs on its own, awaited on dispose. */
  readonly #tasks = new Set<Promise<void>>();
  #isReachable = false;

  private constructor(options: ServiceHostOptions, floor: number) {
    const { context, identity } = options;
    const { clock, crypto, random } = context;
    this.#options = options;
    this.#context = context;
    this.#log = context.log.part("service");
    this.host = formatServiceHost(crypto, identity.publicKey);
    this.#machine = new ServiceHost(random, floor, momentOf(clock));
    this.#timer = new MachineTimer(
      clock,
      () => this.#carryOut(this.#machine.onTime(momentOf(clock))),
    );
    this.#answers = new ServiceAnswers(
      clock,
      (waiting, limit) => this.#run(this.#answer(waiting, limit)),
    );
    this.#pace = new AnswerPace(clock.nowMs());
    this.#moves = new TokenBucket(MOVES, clock.nowMs());
    this.#sessions = new ServiceSessions(
      context,
      {
        onStream: (stream, port, session) =>
          this.#onStream(stream, port, session),
        onDoubt: () => this.#carryOut(this.#machine.onDoubt(momentOf(clock))),
      },
      this.#log,
    );
    this.#probe = new ServiceProbe(context, identity.publicKey);
    this.#dial = options.dial ?? systemDial(clock);
    this.#ready.promise.catch(() => {});
  }

  /**
   * Start a service; it becomes {@linkcode ready} by and by.
   *
   * @throws what reading its last revision throws.
   */
  static async start(options: ServiceHostOptions): Promise<ServiceHostDriver> {
    const floor = await options.revisions.read();
    const driver = new ServiceHostDriver(options, floor);
    driver.#carryOut(
      driver.#machine.onTime(momentOf(options.context.clock)),
    );
    return driver;
  }

  /** Resolves once clients can reach it for the first time; rejects when it is stopped before. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Whether clients can reach it, as far as we know. */
  get isReachable(): boolean {
    return this.#isReachable;
  }

  get status(): ServiceStatus {
    const { name, targets } = this.#options;
    const unixMs = this.#context.clock.unixMs();
    return {
      name,
      host: this.host,
      ports: [...targets.keys()],
      points: this.#machine.reachablePoints(unixMs).length,
      sessions: this.#sessions.size,
      streams: this.#sessions.streamCount,
      shed: this.#answers.shed,
    };
  }

  /** The machine has another address, or was away: check everything. */
  onNetworkChange(): void {
    const at = momentOf(this.#context.clock);
    this.#carryOut(this.#machine.onNetworkChange(at));
  }

  /**
   * Stop: nobody new is let in, streams that carry something may end for some
   * seconds, and then all sessions are closed. Idempotent.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    const stopped = new UnreachableError(
      "service.stopped",
      "Cannot serve: the service has been stopped",
    );
    this.#ready.reject(stopped);
    this.#stopping.abort(stopped);
    this.#timer.stop();
    this.#answers[Symbol.dispose]();
    for (const listener of this.#listeners.values()) {
      listener[Symbol.dispose]();
    }
    this.#listeners.clear();
    await this.#drain();
    this.#closing.abort(stopped);
    this.#sessions[Symbol.dispose]();
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
    this.#options.identity[Symbol.dispose]();
  }

  /** Wait until the last stream has ended, all of them rest, or time is up. */
  async #drain(): Promise<void> {
    const { clock } = this.#context;
    const endMs = clock.nowMs() + DRAIN_MS;
    let lookedMs = clock.nowMs();
    let before = this.#sessions.receivedCells;
    while (this.#sessions.streamCount > 0 && clock.nowMs() < endMs) {
      await sleep(clock, DRAIN_LOOK_MS);
      if (clock.nowMs() - lookedMs < REST_MS) continue;
      // Bytes either way bring cells, if only acknowledgements; pings are few.
      const { receivedCells, legCount } = this.#sessions;
      if (receivedCells - before <= 2 * legCount) return;
      lookedMs = clock.nowMs();
      before = receivedCells;
    }
  }

  // ---- what the machine wants ----

  #carryOut(actions: readonly HostAction[]): void {
    if (this.#stopping.signal.aborted) return;
    for (const action of actions) {
      switch (action.type) {
        case "build":
          this.#run(this.#build(action.point, action.avoid));
          break;
        case "check":
          this.#run(this.#check(action.point));
          break;
        case "close":
          this.#close(action.point);
          break;
        case "publish":
          this.#run(this.#publish(action));
          break;
        case "probe":
          this.#run(this.#runProbe(action.point));
          break;
      }
    }
    this.#noteReachable();
    this.#timer.set(this.#machine.deadlineMs);
  }

  #noteReachable(): void {
    const unixMs = this.#context.clock.unixMs();
    const isReachable = this.#machine.reachablePoints(unixMs).length > 0;
    if (isReachable === this.#isReachable) return;
    this.#isReachable = isReachable;
    const { name } = this.#options;
    if (isReachable) {
      this.#log.info("Service can be reached", { name });
      this.#ready.resolve();
    } else this.#log.warning("Service cannot be reached; mending it", { name });
  }

  async #build(point: PointId, avoid: readonly string[]): Promise<void> {
    const taken: NodeId[] = avoid.map((relay) => Uint8Array.fromHex(relay));
    // Another guard than the others' if possible: one that dies leaves some.
    const others = [...this.#listeners.values()].flatMap(({ path }) =>
      path.map(({ nodeId }) => nodeId)
    );
    const { clock } = this.#context;
    let listener: IntroductionListener;
    try {
      listener = await IntroductionListener.open(
        this.#context,
        taken,
        others,
        this.#pace.perPoint,
        (listener, sealed) => this.#onIntroduction(point, listener, sealed),
        this.#stopping,
      );
    } catch (error) {
      this.#carryOut(this.#machine.onPointFailed(point, momentOf(clock)));
      throw error;
    }
    if (this.#stopping.signal.aborted) return listener[Symbol.dispose]();
    this.#listeners.set(point, listener);
    this.#watch(point, listener);
    const relay = listener.relay.nodeId.toHex();
    this.#carryOut(this.#machine.onPointOpen(point, relay, momentOf(clock)));
  }

  /** See when its circuit ends: whoever ends it need not be the point. */
  #watch(point: PointId, listener: IntroductionListener): void {
    const { closed } = listener;
    closed.then(() => {
      const isOurs = this.#listeners.get(point) === listener &&
        listener.closed === closed && !this.#moving.has(point);
      if (isOurs) this.#run(this.#onCircuitGone(point, listener));
    });
  }

  async #onCircuitGone(
    point: PointId,
    listener: IntroductionListener,
  ): Promise<void> {
    if (await this.#move(point, listener) === "moved") return;
    if (this.#listeners.get(point) !== listener) return;
    this.#close(point);
    const at = momentOf(this.#context.clock);
    this.#carryOut(this.#machine.onPointFailed(point, at));
  }

  async #move(
    point: PointId,
    listener: IntroductionListener,
  ): Promise<"moved" | "lost"> {
    const { clock } = this.#context;
    if (!this.#moves.take(1, clock.nowMs())) return "lost";
    this.#moving.add(point);
    try {
      const outcome = await listener.move(this.#stopping);
      if (outcome === "moved") this.#watch(point, listener);
      return outcome;
    } finally {
      this.#moving.delete(point);
    }
  }

  #close(point: PointId): void {
    this.#listeners.get(point)?.[Symbol.dispose]();
    this.#listeners.delete(point);
    this.#answers.remove(point);
  }

  async #check(point: PointId): Promise<void> {
    const listener = this.#listeners.get(point);
    // A point that is being moved shows by that whether it lives.
    if (this.#moving.has(point)) return;
    let answer = await listener?.check(this.#stopping) ?? "silent";
    if (answer === "silent" && listener !== undefined) {
      if (this.#moving.has(point)) return;
      const outcome = await this.#move(point, listener);
      if (outcome === "moved") answer = "alive";
    }
    const at = momentOf(this.#context.clock);
    this.#carryOut(this.#machine.onChecked(point, answer, at));
  }

  async #publish({ period, revision, points }: PublishAction): Promise<void> {
    const { circuits, clock } = this.#context;
    const { identity, clients = [] } = this.#options;
    const listeners = points.flatMap((id) => this.#listeners.get(id) ?? []);
    let isStored = false;
    const ended = (copies: number) => {
      if (copies > 0) this.#probe.onPublished(period, revision);
      const at = momentOf(clock);
      this.#carryOut(this.#machine.onPublished(period, copies, at));
    };
    using limit = deadline(
      clock,
      PUBLISH_WAIT_MS,
      publishTimeout,
      this.#stopping.signal,
    );
    const { signal } = limit;
    try {
      await this.#keepRevision(revision);
      const circuit = await circuits.take({ purpose: "directory", signal });
      try {
        const publishing: Publishing = {
          identity,
          period,
          revision,
          points: listeners.map(({ point }) => point),
          clients,
          onFirst: () => {
            isStored = true;
            ended(1);
          },
        };
        await whileAlive(
          clock,
          circuit,
          limit,
          (limit) =>
            publishDescriptor(this.#context, circuit, publishing, limit),
        );
      } finally {
        circuit.close();
      }
    } finally {
      if (!isStored) ended(0);
    }
  }

  /** A revision that was used must not be used again, should the clock be set back. */
  async #keepRevision(revision: number): Promise<void> {
    const { name, revisions } = this.#options;
    try {
      await revisions.write(revision);
    } catch (error) {
      // The clock is a good substitute: better than a service that nobody finds.
      this.#log.error("Cannot store the revision of a descriptor", {
        name,
        error: thrown(error),
      });
    }
  }

  async #runProbe(point: PointId): Promise<void> {
    const listener = this.#listeners.get(point);
    let outcome: ProbeOutcome = "unknown";
    try {
      if (listener !== undefined) {
        outcome = await this.#probe.run(listener, this.#stopping);
      }
    } finally {
      const { name } = this.#options;
      if (outcome !== "reached") {
        this.#log.debug("Service did not reach itself", { name, outcome });
      }
      const at = momentOf(this.#context.clock);
      this.#carryOut(this.#machine.onProbed(point, outcome, at));
    }
  }

  // ---- introductions ----

  #onIntroduction(
    point: PointId,
    listener: IntroductionListener,
    sealed: Bytes,
  ): void {
    const { clock } = this.#context;
    const at = momentOf(clock);
    const isOther = this.#pace.onIntroduction(this.#answers, at.nowMs);
    if (isOther) this.#tellPace();
    this.#carryOut(this.#machine.onIntroduction(point, at));
    this.#answers.push(point, { listener, sealed });
  }

  #tellPace(): void {
    const { perPoint } = this.#pace;
    for (const listener of this.#listeners.values()) {
      this.#run(listener.setRate(perPoint, this.#stopping));
    }
  }

  async #answer(
    { listener, sealed }: Waiting,
    limit: WaitLimit,
  ): Promise<void> {
    if (!listener.isOpen) return;
    const { crypto } = this.#context;
    const { keys } = listener;
    const blinded = this.#blindedKeys();
    let introduction;
    try {
      introduction = await openIntroduction(crypto, keys, blinded, sealed);
    } catch (error) {
      if (!listener.isOpen) return; // its keys went away meanwhile
      throw error;
    }
    if (this.#probe.onIntroduction(introduction.cookie)) return;
    await this.#sessions.answer(introduction, keys, blinded, limit);
  }

  /** Our blinded keys of now; each takes a millisecond to work out. */
  #blindedKeys(): PublicKey[] {
    const { clock, crypto } = this.#context;
    const periods = publishedPeriods(clock.unixMs());
    for (const period of this.#blinded.keys()) {
      if (!periods.includes(period)) this.#blinded.delete(period);
    }
    return periods.map((period) => {
      const { publicKey } = this.#options.identity;
      const key = this.#blinded.get(period) ??
        blindedKey(crypto, publicKey, period);
      this.#blinded.set(period, key);
      return key;
    });
  }

  // ---- streams ----

  #onStream(
    stream: SessionStreamHandle,
    port: number,
    session: object,
  ): void {
    if (this.#stopping.signal.aborted) return stream.abort(RESET_CODE.failed);
    const target = this.#options.targets.get(port);
    if (target === undefined) return stream.abort(RESET_CODE.noSuchPort);
    const ofSession = this.#servedBySession.get(session) ??
      new Slots(MAX_SERVED_PER_SESSION);
    this.#servedBySession.set(session, ofSession);
    if (!ofSession.take()) return stream.abort(RESET_CODE.exhausted);
    if (!this.#served.take()) {
      ofSession.give();
      return stream.abort(RESET_CODE.exhausted);
    }
    const options = { dial: this.#dial, signal: this.#closing.signal };
    this.#run(
      serveStream(stream, target, options).finally(() => {
        ofSession.give();
        this.#served.give();
      }),
    );
  }

  /** Own a promise: it is awaited, and its failure is for the log. */
  #run(work: Promise<void>): Promise<void> {
    const task = work.catch((error) => this.#onFailure(error))
      .finally(() => this.#tasks.delete(task));
    this.#tasks.add(task);
    return task;
  }

  #onFailure(error: unknown): void {
    if (this.#stopping.signal.aborted) return;
    const { name } = this.#options;
    const fields = {
      name,
      error: thrown(error),
    };
    if (error instanceof ProtocolError) {
      this.#log.debug("Refused what a client sent", fields);
    } else if (error instanceof AnonNetError && !(error instanceof BugError)) {
      this.#log.debug("Something for a service failed", fields);
    } else this.#log.error("A fault in serving", fields);
  }
}

function publishTimeout(): UnreachableError {
  return new UnreachableError(
    "service.publish_timeout",
    "Cannot publish descriptor: it takes too long",
  );
}
