/**
 * Introductions of one service on their way to an answer: queued, begun at a
 * bounded rate, so many at once, and given up when they stall.
 *
 *     push ─▶ IntroductionQueue ─▶ place free? ── yes ──▶ answer
 *                                      │ no
 *                                      └─▶ the first one takes too long? give it up
 *
 * @see protocol §7.4 "Introduction"
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { UnreachableError } from "../../base/errors.ts";
import type { PaceFacts } from "../../service/answer_pace.ts";
import type { PointId } from "../../service/introduction_points.ts";
import { IntroductionQueue } from "../../service/introduction_queue.ts";
import type { Circuits, WaitLimit } from "../circuit/circuits.ts";
import type { TaskSet } from "../../base/task_set.ts";
import { MachineTimer } from "../../base/machine_timer.ts";

/** Introductions that are being answered at once. */
export const MAX_ANSWERS = 32;
/** Tuning: the same while circuits are not built as fast as they are wished for. */
export const MAX_CROWDED_ANSWERS = 8;
/**
 * Tuning: an answer takes about two builds; where these are slow it has this many
 * before it makes room, up to `MOST_STALLED_MS`: to give it up just before it is
 * done, for the next one to be given up as well, would serve no client.
 */
export const STALLED_BUILDS = 4;
export const MOST_STALLED_MS = 12_000;
/**
 * An answer under way for so long makes room when others wait, ms: a client may
 * name rendezvous points that never answer; an honest one answers sooner.
 */
export const STALLED_MS = 5_000;

interface Answer {
  readonly sinceMs: number;
  readonly control: AbortController;
}

/** The introductions of one service. `T` is whatever its driver knows one by. */
export class ServiceAnswers<T> implements PaceFacts, Disposable {
  readonly #clock: Clock;
  readonly #circuits: Pick<Circuits, "pressure" | "buildMs">;
  readonly #tasks: TaskSet;
  readonly #answer: (item: T, limit: WaitLimit) => Promise<void>;
  readonly #queue: IntroductionQueue<T>;
  readonly #timer: MachineTimer;
  /** Under way, the one begun first at first. */
  readonly #answers = new Set<Answer>();
  #isStopped = false;

  /**
   * @param circuits Where answers go over.
   * @param tasks Owns the answers; hears what one failed with.
   * @param answer Ends soon when its signal says so.
   */
  constructor(
    clock: Clock,
    circuits: Pick<Circuits, "pressure" | "buildMs">,
    tasks: TaskSet,
    answer: (item: T, limit: WaitLimit) => Promise<void>,
  ) {
    this.#clock = clock;
    this.#circuits = circuits;
    this.#tasks = tasks;
    this.#answer = answer;
    this.#queue = new IntroductionQueue(clock.nowMs());
    this.#timer = new MachineTimer(clock, () => this.#go());
  }

  get waiting(): number {
    return this.#queue.length;
  }

  get shed(): number {
    return this.#queue.shed;
  }

  /** An introduction came by a point. */
  push(point: PointId, item: T): void {
    if (this.#isStopped) return;
    this.#queue.push(point, item, this.#clock.nowMs());
    this.#go();
  }

  /** A point is gone: what came by it cannot be answered any more. */
  remove(point: PointId): void {
    this.#queue.remove(point);
  }

  /** Begin no more, and give up those under way. */
  [Symbol.dispose](): void {
    this.#isStopped = true;
    this.#timer.stop();
    for (const { control } of this.#answers) control.abort(stalled());
  }

  #go(): void {
    if (this.#isStopped) return;
    const nowMs = this.#clock.nowMs();
    while (this.#answers.size < this.#places) {
      const item = this.#queue.take(nowMs);
      if (item === undefined) {
        return this.#timer.set(this.#queue.readyMs);
      }
      this.#begin(item, nowMs);
    }
    // An answer that ends makes room; and if none does, the one that began first.
    this.#timer.set(Infinity);
    const [first] = this.#answers;
    if (first === undefined || this.#queue.length === 0) return;
    const stalledMs = first.sinceMs + this.#patienceMs;
    if (stalledMs > nowMs) this.#timer.set(stalledMs);
    else first.control.abort(stalled());
  }

  get #places(): number {
    const { pressure } = this.#circuits;
    return pressure === "free" ? MAX_ANSWERS : MAX_CROWDED_ANSWERS;
  }

  get #patienceMs(): number {
    const { buildMs } = this.#circuits;
    const patienceMs = Math.min(MOST_STALLED_MS, STALLED_BUILDS * buildMs);
    return Math.max(STALLED_MS, patienceMs);
  }

  #begin(item: T, sinceMs: number): void {
    const control = new AbortController();
    const answer = { sinceMs, control };
    this.#answers.add(answer);
    const work = this.#answer(item, { signal: control.signal });
    this.#tasks.run(work.finally(() => {
      this.#answers.delete(answer);
      this.#go();
    }));
  }
}

function stalled(): UnreachableError {
  return new UnreachableError(
    "service.meet_stalled",
    "Cannot meet client: its rendezvous point does not answer, and others wait",
  );
}
