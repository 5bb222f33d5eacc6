/**
 * Runs one service: tells its machine what happens, and hands what the machine
 * wants to the part that does it.
 *
 *     Reachability ─▶ build, check, close ─▶ ServicePoints ─┐
 *                 ─▶ publish ─▶ DescriptorPublisher        │ introductions
 *                 ─▶ probe ─▶ ServiceProbe                 ▼
 *                                         IntroductionDesk ─▶ ServiceSessions
 *                                                                  │ streams
 *                                                                  ▼
 *                                                              StreamDesk
 *
 * @see protocol §7 "Services"
 * @module
 */
import type { Bytes } from "../../base/bytes.ts";
import type { Moment } from "../../base/clock.ts";
import {
  AnonNetError,
  BugError,
  ProtocolError,
  UnreachableError,
} from "../../base/errors.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import { TaskSet } from "../../base/task_set.ts";
import { type Log, thrown } from "../../log/log.ts";
import { formatServiceHost } from "../../service/address.ts";
import type { Delegation } from "../../service/delegation/delegation.ts";
import type { ServiceKey } from "../../service/delegation/service_key.ts";
import type { PointId } from "../../service/introduction_points.ts";
import type { PublishAction, Revisions } from "../../service/publication.ts";
import {
  type ProbeOutcome,
  Reachability,
  type ReachabilityAction,
} from "../../service/reachability.ts";
import {
  type ServicePointStatus,
  servicePointStatus,
} from "../../service/point_status.ts";
import type { SessionMark } from "../../wire/proxy_line.ts";
import { RESET_CODE } from "../../session/stream.ts";
import { momentOf, type ServiceContext } from "../session/service_context.ts";
import type { SessionStreamHandle } from "../session/session_stream.ts";
import {
  DescriptorPublisher,
  type RevisionStore,
} from "./descriptor_publisher.ts";
import { IntroductionDesk } from "./introduction_desk.ts";
import type { IntroductionListener } from "./introduction_listener.ts";
import { RosterKeeper } from "./roster/roster_keeper.ts";
import { ServicePoints } from "./service_points.ts";
import { ServiceProbe } from "./service_probe.ts";
import {
  ServiceSessions,
  type ServiceSessionStatus,
} from "./service_sessions.ts";
import { DRAIN_MS, drainSessions } from "./session_drain.ts";
import { DEFAULT_MAX_STREAMS, StreamDesk } from "./stream_desk.ts";
import type { StreamTarget } from "./stream_target.ts";
import { systemDial, type TargetDial } from "./target_dial.ts";
import { TargetLog } from "./target_log.ts";

/** What a service is made of. */
export interface HostedServiceOptions {
  readonly context: ServiceContext;
  /** What its operator calls it; stands in the log. */
  readonly name: string;
  /** What its descriptors are signed with; disposed of with it. */
  readonly key: ServiceKey;
  /** Where the key is a host's: what names it. */
  readonly delegation?: Delegation | undefined;
  readonly revisions: RevisionStore;
  /** Where streams lead, by virtual port. */
  readonly targets: ReadonlyMap<number, StreamTarget>;
  /** X25519 keys of those who may find it. Default: every client that knows the address. */
  readonly clients?: readonly Bytes[];
  /** Default: over the machine's sockets. */
  readonly dial?: TargetDial;
  /**
   * Tell targets first, by the PROXY protocol, which streams belong together.
   * Default: no.
   */
  readonly proxyProtocol?: boolean | undefined;
  /**
   * Streams of one session that are served at once, from 1 to 4,096; others are
   * reset. Default 1,024.
   */
  readonly maxStreams?: number | undefined;
  /**
   * How long streams may take to end when the service is stopped, ms; some never
   * would. Default `DRAIN_MS`.
   */
  readonly drainMs?: number;
  /**
   * Whether it begins when it is told to, by {@linkcode HostedService.begin}. Default:
   * at once.
   */
  readonly startsWhen?: "at once" | "told";
  /** Hears what becomes of it. Default: no listener. */
  readonly onNews?: (news: ServiceNews) => void;
}

/** What becomes of a service: a descriptor of it is on its way, or out; clients get through. */
export type ServiceNews =
  | "uploading"
  | "uploaded"
  | "upload_failed"
  | "reachable"
  | "unreachable";

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
  /** Introductions that came, ever, our own to see whether it can be reached among them. */
  readonly introductions: number;
  /** Introductions that were never answered, for want of time. */
  readonly shed: number;
  /** Each introduction point, the oldest first. */
  readonly introductionPoints: readonly ServicePointStatus[];
}

/** A running service. */
export class HostedService implements AsyncDisposable {
  /** Its address: `….anon`. */
  readonly host: string;
  readonly #options: HostedServiceOptions;
  readonly #context: ServiceContext;
  readonly #log: Log;
  readonly #machine: Reachability;
  readonly #timer: MachineTimer;
  readonly #points: ServicePoints;
  readonly #publisher: DescriptorPublisher;
  readonly #sessions: ServiceSessions;
  readonly #probe: ServiceProbe;
  readonly #introductions: IntroductionDesk;
  readonly #streams: StreamDesk;
  readonly #roster: RosterKeeper | undefined;
  readonly #ready = Promise.withResolvers<void>();
  /** No client is let in any more. */
  readonly #stopping = new AbortController();
  /** No stream is served any more. */
  readonly #closing = new AbortController();
  readonly #tasks = new TaskSet((error) => this.#onFailure(error));
  #isReachable = false;
  #isBegun = false;

  private constructor(options: HostedServiceOptions, floor: Revisions) {
    const { context, key, delegation } = options;
    const { clock, crypto, random } = context;
    this.#options = options;
    this.#context = context;
    this.#log = context.log.part("service");
    this.host = formatServiceHost(crypto, key.publicKey);
    this.#machine = new Reachability(
      random,
      key.dates,
      floor,
      momentOf(clock),
    );
    this.#timer = new MachineTimer(
      clock,
      () => this.#carryOut(this.#machine.onTime(this.#now)),
    );
    this.#points = new ServicePoints(
      context,
      this.#tasks,
      {
        onOpen: (point, relay) =>
          this.#carryOut(this.#machine.onPointOpen(point, relay, this.#now)),
        onFailed: (point) =>
          this.#carryOut(this.#machine.onPointFailed(point, this.#now)),
        onChecked: (point, answer) =>
          this.#carryOut(this.#machine.onChecked(point, answer, this.#now)),
        onClosed: (point) => this.#introductions.onPointClosed(point),
        onIntroduction: (point, listener, sealed) =>
          this.#onIntroduction(point, listener, sealed),
      },
      this.#stopping,
    );
    this.#publisher = new DescriptorPublisher(options, this.#log);
    this.#sessions = new ServiceSessions(
      context,
      {
        onStream: (stream, port, session) =>
          this.#onStream(stream, port, session),
        onDoubt: () => this.#carryOut(this.#machine.onDoubt(this.#now)),
      },
      this.#log,
    );
    this.#probe = new ServiceProbe(context, key);
    this.#introductions = new IntroductionDesk(
      context,
      key,
      this.#tasks,
      { probe: this.#probe, sessions: this.#sessions },
    );
    const { targets, dial = systemDial(clock) } = options;
    this.#streams = new StreamDesk(
      {
        clock,
        targets,
        dial,
        proxyProtocol: options.proxyProtocol ?? false,
        maxStreams: options.maxStreams ?? DEFAULT_MAX_STREAMS,
        targetLog: new TargetLog(this.#log, clock, options.name),
      },
      this.#tasks,
      this.#closing,
    );
    this.#roster = delegation && new RosterKeeper({
      context,
      name: options.name,
      delegation,
      tasks: this.#tasks,
      stopping: this.#stopping.signal,
      onStanding: () => this.#noteReachable(),
    });
    this.#ready.promise.catch(() => {});
  }

  /**
   * Start a service; it becomes {@linkcode ready} by and by.
   *
   * @throws what reading its last revisions throws.
   */
  static async start(options: HostedServiceOptions): Promise<HostedService> {
    const floor = await options.revisions.read();
    const driver = new HostedService(options, floor);
    if (options.startsWhen !== "told") driver.begin();
    return driver;
  }

  /** Make it reachable, from now on. */
  begin(): void {
    this.#isBegun = true;
    this.#carryOut(this.#machine.onTime(this.#now));
    this.#roster?.start();
  }

  /** So many services share the circuits of this node. */
  onServices(count: number): void {
    this.#machine.onServices(count);
  }

  /** A visitor got through, from end to end. */
  onVisited(): void {
    if (this.#isBegun) this.#carryOut(this.#machine.onVisited(this.#now));
  }

  /** Resolves once clients can reach it for the first time; rejects when it is stopped before. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Aborts when it is stopped, with `service.stopped`. */
  get stopped(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Whether clients can reach it, as far as we know. */
  get isReachable(): boolean {
    return this.#isReachable;
  }

  get status(): ServiceStatus {
    const { name, targets } = this.#options;
    const { nowMs, unixMs } = this.#now;
    const named = this.#machine.reachablePoints(unixMs);
    return {
      name,
      host: this.host,
      ports: [...targets.keys()],
      points: named.length,
      sessions: this.#sessions.size,
      streams: this.#sessions.streamCount,
      introductions: this.#introductions.received,
      shed: this.#introductions.shed,
      introductionPoints: this.#machine.points.map((point) => {
        const isNamed = named.includes(point.id);
        const { roundTripMs } = this.#points.get(point.id) ?? {};
        return servicePointStatus(point, { isNamed, roundTripMs }, nowMs);
      }),
    };
  }

  /** What its sessions are doing, the oldest first. */
  get sessions(): ServiceSessionStatus[] {
    return this.#sessions.status;
  }

  /** Close the session of this id. @returns Whether there was one. */
  closeSession(id: string): boolean {
    return this.#sessions.close(id);
  }

  /**
   * The machine has another address, or was away: check everything.
   *
   * @param stillMs How long it stood still.
   */
  onNetworkChange(stillMs: number): void {
    this.#sessions.onStoodStill(stillMs);
    if (!this.#isBegun) return;
    this.#roster?.onNetworkChange();
    this.#carryOut(this.#machine.onNetworkChange(this.#now));
  }

  /**
   * Stop: no new client is let in, streams that carry something may end for some
   * seconds, and then all sessions are closed. Idempotent.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /**
   * The same, with another time for streams to end.
   *
   * @param drainMs Longest wait for them, ms; 0 cuts them.
   */
  async stop(drainMs = this.#options.drainMs ?? DRAIN_MS): Promise<void> {
    const stopped = new UnreachableError(
      "service.stopped",
      "Cannot serve: the service has been stopped",
    );
    this.#ready.reject(stopped);
    this.#stopping.abort(stopped);
    this.#timer.stop();
    this.#introductions[Symbol.dispose]();
    this.#points[Symbol.dispose]();
    const { name } = this.#options;
    const { clock } = this.#context;
    const log = this.#log;
    await drainSessions(this.#sessions, { clock, log, name, drainMs });
    this.#closing.abort(stopped);
    this.#sessions[Symbol.dispose]();
    await this.#tasks.ended();
    this.#options.key[Symbol.dispose]();
  }

  get #now(): Moment {
    return momentOf(this.#context.clock);
  }

  // ---- what the machine wants ----

  #carryOut(actions: readonly ReachabilityAction[]): void {
    if (this.#stopping.signal.aborted) return;
    for (const action of actions) {
      switch (action.type) {
        case "build":
          this.#points.build(
            action.point,
            action.avoid,
            this.#introductions.ratePerPoint,
          );
          break;
        case "check":
          this.#points.check(action.point);
          break;
        case "close":
          this.#points.close(action.point);
          break;
        case "publish":
          this.#publish(action);
          break;
        case "probe":
          this.#tasks.run(this.#runProbe(action.point));
          break;
      }
    }
    this.#noteReachable();
    this.#timer.set(this.#machine.deadlineMs);
  }

  #noteReachable(): void {
    const unixMs = this.#context.clock.unixMs();
    const isReachable = this.#machine.reachablePoints(unixMs).length > 0 &&
      (this.#roster?.isNamed ?? true);
    if (isReachable === this.#isReachable) return;
    this.#isReachable = isReachable;
    const { name } = this.#options;
    this.#tell(isReachable ? "reachable" : "unreachable");
    if (isReachable) {
      this.#log.info("Service can be reached", { name });
      this.#ready.resolve();
    } else this.#log.warning("Service cannot be reached; mending it", { name });
  }

  #publish(action: PublishAction): void {
    const { period, revision, points } = action;
    const onEnded = (copies: number) => {
      this.#tell(copies > 0 ? "uploaded" : "upload_failed");
      if (copies > 0) this.#probe.onPublished(period, revision);
      const actions = this.#machine.onPublished(period, copies, this.#now);
      this.#carryOut(actions);
    };
    const listeners = this.#points.listening(points);
    this.#tell("uploading");
    this.#tasks.run(
      this.#publisher.publish(action, listeners, onEnded, this.#stopping),
    );
  }

  #tell(news: ServiceNews): void {
    if (!this.#stopping.signal.aborted) this.#options.onNews?.(news);
  }

  async #runProbe(point: PointId): Promise<void> {
    const listener = this.#points.get(point);
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
      this.#carryOut(this.#machine.onProbed(point, outcome, this.#now));
    }
  }

  // ---- what clients want ----

  #onIntroduction(
    point: PointId,
    listener: IntroductionListener,
    sealed: Bytes,
  ): void {
    const at = this.#now;
    if (this.#introductions.count(at.nowMs)) {
      this.#points.setRate(this.#introductions.ratePerPoint);
    }
    this.#carryOut(this.#machine.onIntroduction(point, at));
    this.#introductions.push(point, listener, sealed);
  }

  #onStream(
    stream: SessionStreamHandle,
    port: number,
    session: SessionMark,
  ): void {
    if (this.#stopping.signal.aborted) return stream.abort(RESET_CODE.failed);
    this.#streams.serve(stream, port, session);
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
