/**
 * The introduction points of one service: builds, checks, moves and closes the
 * circuits to them as its machine says, and sees when one of them ends.
 *
 * @see protocol §7.4 "Introduction"
 * @module
 */
import { avoiding } from "../../path/path_avoid.ts";
import type { NodeId } from "../../auth/identity.ts";
import type { Bytes } from "../../base/bytes.ts";
import type { TaskSet } from "../../base/task_set.ts";
import { TokenBucket, type TokenRate } from "../../base/token_bucket.ts";
import type { PointId } from "../../service/introduction_points.ts";
import type { WaitLimit } from "../circuit/circuits.ts";
import type { ServiceContext } from "../session/service_context.ts";
import { IntroductionListener } from "./introduction_listener.ts";

/**
 * How often points are reached by another circuit, after which they are replaced:
 * a relay that kills our circuits must not have us build them as fast as it kills.
 */
const MOVES: TokenRate = { perSecond: 0.2, burst: 12 };

/** What the owner hears of its points. */
export interface ServicePointHandlers {
  /** A point listens. @param relay Its node id, as text. */
  onOpen(point: PointId, relay: string): void;
  /** A point could not be built, or its circuit is gone for good. */
  onFailed(point: PointId): void;
  /** A check has ended. */
  onChecked(point: PointId, answer: "alive" | "silent"): void;
  /** A point listens no more: nothing that came by it can be answered. */
  onClosed(point: PointId): void;
  /** An introduction that is new has come. */
  onIntroduction(
    point: PointId,
    listener: IntroductionListener,
    sealed: Bytes,
  ): void;
}

/** The points of one service, with their circuits. */
export class ServicePoints implements Disposable {
  readonly #context: ServiceContext;
  readonly #tasks: TaskSet;
  readonly #handlers: ServicePointHandlers;
  readonly #limit: WaitLimit;
  readonly #listeners = new Map<PointId, IntroductionListener>();
  /** Points that are being reached by another circuit. */
  readonly #moving = new Set<PointId>();
  readonly #moves: TokenBucket;

  /**
   * @param tasks Owns what runs for the points.
   * @param limit Ends all of it.
   */
  constructor(
    context: ServiceContext,
    tasks: TaskSet,
    handlers: ServicePointHandlers,
    limit: WaitLimit,
  ) {
    this.#context = context;
    this.#tasks = tasks;
    this.#handlers = handlers;
    this.#limit = limit;
    this.#moves = new TokenBucket(MOVES, context.clock.nowMs());
  }

  /** The listener of a point, while it listens. */
  get(point: PointId): IntroductionListener | undefined {
    return this.#listeners.get(point);
  }

  /** The listeners of those among `points` that listen. */
  listening(points: readonly PointId[]): IntroductionListener[] {
    return points.flatMap((id) => this.#listeners.get(id) ?? []);
  }

  /**
   * Establish a point.
   *
   * @param avoid Relays that must not be the point, as text.
   * @param rate Introductions per second that are wanted of it.
   */
  build(point: PointId, avoid: readonly string[], rate: number): void {
    this.#tasks.run(this.#build(point, avoid, rate));
  }

  /** See whether a point's circuit answers; move it to another one if not. */
  check(point: PointId): void {
    this.#tasks.run(this.#check(point));
  }

  /** Listen no more at a point. */
  close(point: PointId): void {
    this.#listeners.get(point)?.[Symbol.dispose]();
    this.#listeners.delete(point);
    this.#handlers.onClosed(point);
  }

  /** Tell all points how many introductions per second are wanted of each. */
  setRate(rate: number): void {
    for (const listener of this.#listeners.values()) {
      this.#tasks.run(listener.setRate(rate, this.#limit));
    }
  }

  async #build(
    point: PointId,
    avoid: readonly string[],
    rate: number,
  ): Promise<void> {
    const taken: NodeId[] = avoid.map((relay) => Uint8Array.fromHex(relay));
    // Another guard than the others' if possible: one that dies leaves some.
    const others = avoiding(
      Array.from(this.#listeners.values(), ({ path }) => path),
    );
    let listener: IntroductionListener;
    try {
      listener = await IntroductionListener.open(
        this.#context,
        taken,
        others,
        rate,
        (listener, sealed) =>
          this.#handlers.onIntroduction(point, listener, sealed),
        this.#limit,
      );
    } catch (error) {
      this.#handlers.onFailed(point);
      throw error;
    }
    if (this.#limit.signal.aborted) return listener[Symbol.dispose]();
    this.#listeners.set(point, listener);
    this.#watch(point, listener);
    this.#handlers.onOpen(point, listener.relay.nodeId.toHex());
  }

  /** See when its circuit ends: another relay than the point may have ended it. */
  #watch(point: PointId, listener: IntroductionListener): void {
    const { closed } = listener;
    closed.then(() => {
      const isOurs = this.#listeners.get(point) === listener &&
        listener.closed === closed && !this.#moving.has(point);
      if (isOurs) this.#tasks.run(this.#onCircuitGone(point, listener));
    });
  }

  async #onCircuitGone(
    point: PointId,
    listener: IntroductionListener,
  ): Promise<void> {
    if (await this.#move(point, listener) === "moved") return;
    if (this.#listeners.get(point) !== listener) return;
    this.close(point);
    this.#handlers.onFailed(point);
  }

  async #move(
    point: PointId,
    listener: IntroductionListener,
  ): Promise<"moved" | "lost"> {
    if (!this.#moves.take(1, this.#context.clock.nowMs())) return "lost";
    this.#moving.add(point);
    try {
      const outcome = await listener.move(this.#limit);
      if (outcome === "moved") this.#watch(point, listener);
      return outcome;
    } finally {
      this.#moving.delete(point);
    }
  }

  async #check(point: PointId): Promise<void> {
    const listener = this.#listeners.get(point);
    // A point that is being moved shows by that whether it lives.
    if (this.#moving.has(point)) return;
    let answer = await listener?.check(this.#limit) ?? "silent";
    if (answer === "silent" && listener !== undefined) {
      if (this.#moving.has(point)) return;
      const outcome = await this.#move(point, listener);
      if (outcome === "moved") answer = "alive";
    }
    this.#handlers.onChecked(point, answer);
  }

  /** Listen no more at all. */
  [Symbol.dispose](): void {
    for (const listener of this.#listeners.values()) {
      listener[Symbol.dispose]();
    }
    this.#listeners.clear();
  }
}
