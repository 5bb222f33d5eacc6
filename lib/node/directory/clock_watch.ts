/**
 * Watches the clock of a relay that runs: when it is set, or the machine slept,
 * relays that were known before are asked whose dates fit ours.
 *
 *     every 30 s: calendar and timers no longer go together by 5 min or more
 *        └▶ dial 8 relays of before ─▶ their dates against ours ─▶ judgeClock ─▶ log, status
 *        └▶ again every 10 min, for a day and for as long as the clock is wrong
 *
 * A client needs none: whom it asks for the relay list tells it.
 *
 * @see protocol §9.2 "Start and stop"
 * @module
 */
import {
  dateErrorOf,
  describeClockDoubt,
  judgeClock,
} from "../../auth/clock_doubt.ts";
import type { NodeId } from "../../auth/identity.ts";
import { equalBytes } from "../../base/bytes.ts";
import { deadline, raceSignal, type Timer } from "../../base/clock.ts";
import {
  AnonNetError,
  ConfigError,
  UnreachableError,
} from "../../base/errors.ts";
import { sampled } from "../../base/random.ts";
import { TaskSet } from "../../base/task_set.ts";
import { type Log, thrown } from "../../log/log.ts";
import type { Runtime } from "../../machine/runtime.ts";
import type { PeerAddress } from "../link/link_dial.ts";
import type { LinkTable } from "../link/link_table.ts";
import type { RelayDirectory } from "./relay_directory.ts";

/** Tuning: time between two looks, ms. */
const LOOK_MS = 30_000;
/** Tuning: what drift and a slow machine never make in that time, ms. */
const JUMP_MS = 5 * 60_000;
/** Tuning: time between two questions while there is reason to ask, ms. */
const ASK_MS = 10 * 60_000;
/** Relays sign anew within a day: from then on a wrong clock would have been seen, ms. */
const ASK_FOR_MS = 24 * 3_600_000;
/** Relays asked at once. */
const ASKED = 8;
/** Relays remembered to be asked: some may be gone. */
const REMEMBERED = 16;
/** Longest wait for one of them, ms. */
const ANSWER_MS = 8_000;

/** What a watch is made of. */
interface ClockWatchOptions {
  readonly runtime: Pick<Runtime, "clock" | "random" | "log">;
  readonly links: LinkTable;
  /** Whom to ask. */
  readonly relays: RelayDirectory;
  readonly selfId: NodeId;
  /** Hears that the clock was set, or the machine slept, before others are asked. */
  readonly onSet: () => void;
  /** Hears that our clock seems to be wrong, in words, and `undefined` when it does no more. */
  readonly onClock: (words: string | undefined) => void;
}

/** Watches, until disposed of. */
export class ClockWatch implements AsyncDisposable {
  readonly #options: ClockWatchOptions;
  readonly #log: Log;
  readonly #stopping = new AbortController();
  readonly #tasks: TaskSet;
  #timer: Timer | undefined;
  /** The calendar less the timers, at the last look. */
  #gapMs: number;
  /** Relays of before the clock was set: afterwards all records may seem to be over. */
  #known: readonly PeerAddress[] = [];
  #askUntilMs = -Infinity;
  #askMs = Infinity;
  #isWrong = false;

  constructor(options: ClockWatchOptions) {
    this.#options = options;
    this.#log = options.runtime.log.part("clock");
    this.#tasks = new TaskSet((error) =>
      this.#log.error("A bug: cannot ask whether our clock is right", {
        error: thrown(error),
      })
    );
    this.#gapMs = this.#readGap();
    this.#lookLater();
  }

  /** Ask no more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(
      new UnreachableError("node.stopped", "Cannot ask: the node is stopping"),
    );
    this.#timer?.cancel();
    await this.#tasks.ended();
  }

  #readGap(): number {
    const { clock } = this.#options.runtime;
    return clock.unixMs() - clock.nowMs();
  }

  #lookLater(): void {
    if (this.#stopping.signal.aborted) return;
    const { clock } = this.#options.runtime;
    this.#timer = clock.schedule(LOOK_MS, () => this.#look(), {
      keepAlive: false,
    });
  }

  #look(): void {
    this.#lookLater();
    const nowMs = this.#options.runtime.clock.nowMs();
    const gapMs = this.#readGap();
    if (Math.abs(gapMs - this.#gapMs) >= JUMP_MS) {
      this.#askUntilMs = nowMs + ASK_FOR_MS;
      this.#askMs = nowMs;
      // What failed by the old clock may work by the new one.
      this.#options.links.onNetworkChange(ANSWER_MS);
      this.#options.onSet();
    } else if (!this.#isWrong) this.#remember();
    this.#gapMs = gapMs;
    if (nowMs < this.#askMs) return;
    const isOver = nowMs >= this.#askUntilMs && !this.#isWrong;
    this.#askMs = isOver ? Infinity : nowMs + ASK_MS;
    if (!isOver) this.#tasks.run(this.#ask());
  }

  #remember(): void {
    const { relays, runtime: { random }, selfId } = this.#options;
    const others = relays.snapshot()
      .filter(({ nodeId }) => !equalBytes(nodeId, selfId));
    if (others.length === 0) return;
    this.#known = sampled(random, others, REMEMBERED)
      .map(({ publicKey, addresses }) => ({ publicKey, addresses }));
  }

  async #ask(): Promise<void> {
    const { runtime: { random }, onClock } = this.#options;
    const answers = await Promise.all(
      sampled(random, this.#known, ASKED).map((peer) => this.#askOne(peer)),
    );
    if (this.#stopping.signal.aborted) return;
    const verdict = judgeClock({
      fits: answers.filter((answer) => answer === "fits").length,
      aheadMs: answers.filter((answer) => typeof answer === "number"),
    });
    if (verdict.type === "wrong") {
      this.#isWrong = true;
      const words = describeClockDoubt(verdict.aheadMs);
      onClock(`${words}, by what other relays have signed`);
      this.#log.error(
        "The clock of this machine seems to be wrong: set it, and the node goes on",
        {
          error: new ConfigError(
            "node.clock",
            `Other relays do not take ours for one of theirs: ${words}`,
          ),
        },
      );
    } else if (verdict.type === "right" && this.#isWrong) {
      this.#isWrong = false;
      onClock(undefined);
      this.#log.info("The clock of this machine is right again");
    }
  }

  /** Whether a relay's dates fit ours; else how far they are off; else nothing. */
  async #askOne(peer: PeerAddress): Promise<"fits" | number | undefined> {
    const { links, runtime: { clock } } = this.#options;
    using limit = deadline(clock, ANSWER_MS, late, this.#stopping.signal);
    try {
      // Anew: a link that is there was made when the clock was another.
      await raceSignal(links.dialAnew(peer), limit.signal);
      return "fits";
    } catch (error) {
      if (error instanceof AnonNetError) return dateErrorOf(error)?.aheadMs;
      throw error;
    }
  }
}

function late(): UnreachableError {
  return new UnreachableError(
    "node.clock_timeout",
    "Cannot tell whether our clock is right: the relay took too long",
  );
}
