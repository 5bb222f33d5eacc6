/**
 * Where the introductions of one service are opened and answered, and where it
 * shows how many of them its points should pass on.
 *
 * @see protocol §7.5 "Rendezvous"
 * @module
 */
import type { PublicKey } from "../../auth/identity.ts";
import type { Bytes } from "../../base/bytes.ts";
import type { TaskSet } from "../../base/task_set.ts";
import { AnswerPace } from "../../service/answer_pace.ts";
import type { PointId } from "../../service/introduction_points.ts";
import { openIntroduction } from "../../service/meeting/introduction.ts";
import type { ServiceKey } from "../../service/delegation/service_key.ts";
import type { TimePeriod } from "../../service/time_period.ts";
import type { WaitLimit } from "../circuit/circuits.ts";
import type { ServiceContext } from "../session/service_context.ts";
import type { IntroductionListener } from "./introduction_listener.ts";
import { ServiceAnswers } from "./service_answers.ts";
import type { ServiceProbe } from "./service_probe.ts";
import type { ServiceSessions } from "./service_sessions.ts";

interface Waiting {
  readonly listener: IntroductionListener;
  readonly sealed: Bytes;
}

/** Who takes introductions once they are open. */
export interface IntroductionTakers {
  /** Takes those that the service has sent to itself. */
  readonly probe: ServiceProbe;
  /** Takes those of clients. */
  readonly sessions: ServiceSessions;
}

/** The introductions of one service. */
export class IntroductionDesk implements Disposable {
  readonly #context: ServiceContext;
  readonly #key: ServiceKey;
  readonly #takers: IntroductionTakers;
  readonly #answers: ServiceAnswers<Waiting>;
  readonly #pace: AnswerPace;
  #received = 0;
  readonly #blinded = new Map<TimePeriod, PublicKey>();

  /** @param tasks Owns the answers; hears what was wrong with an introduction. */
  constructor(
    context: ServiceContext,
    key: ServiceKey,
    tasks: TaskSet,
    takers: IntroductionTakers,
  ) {
    this.#context = context;
    this.#key = key;
    this.#takers = takers;
    this.#answers = new ServiceAnswers(
      context.clock,
      context.circuits,
      tasks,
      (waiting, limit) => this.#answer(waiting, limit),
    );
    this.#pace = new AnswerPace(context.clock.nowMs());
  }

  /** Introductions per second that are wanted of each point. */
  get ratePerPoint(): number {
    return this.#pace.perPoint;
  }

  /** Introductions that came, ever. */
  get received(): number {
    return this.#received;
  }

  /** Introductions that were never answered, for want of time. */
  get shed(): number {
    return this.#answers.shed;
  }

  /** Count an introduction. @returns Whether {@linkcode ratePerPoint} is another now. */
  count(nowMs: number): boolean {
    this.#received++;
    return this.#pace.onIntroduction(this.#answers, nowMs);
  }

  /** Answer an introduction that came by a point when its turn comes. */
  push(point: PointId, listener: IntroductionListener, sealed: Bytes): void {
    this.#answers.push(point, { listener, sealed });
  }

  /** A point is gone: what came by it cannot be answered any more. */
  onPointClosed(point: PointId): void {
    this.#answers.remove(point);
  }

  /** Begin no more answers, and give up those under way. */
  [Symbol.dispose](): void {
    this.#answers[Symbol.dispose]();
  }

  async #answer(
    { listener, sealed }: Waiting,
    limit: WaitLimit,
  ): Promise<void> {
    if (!listener.isOpen) return;
    const { crypto } = this.#context;
    const { probe, sessions } = this.#takers;
    const { keys } = listener;
    const blinded = this.#blindedKeys();
    let introduction;
    try {
      introduction = await openIntroduction(crypto, keys, blinded, sealed);
    } catch (error) {
      if (!listener.isOpen) return; // its keys went away meanwhile
      throw error;
    }
    if (probe.onIntroduction(introduction.cookie)) return;
    await sessions.answer(introduction, keys, blinded, limit);
  }

  /** Our blinded keys of now; each takes a millisecond to work out. */
  #blindedKeys(): PublicKey[] {
    const { clock } = this.#context;
    const periods = this.#key.dates.periods(clock.unixMs());
    for (const period of this.#blinded.keys()) {
      if (!periods.includes(period)) this.#blinded.delete(period);
    }
    return periods.map((period) => {
      const key = this.#blinded.get(period) ?? this.#key.blinded(period);
      this.#blinded.set(period, key);
      return key;
    });
  }
}
