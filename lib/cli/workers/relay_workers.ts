/**
 * The workers of one relay command: started, the first before the others, so that these
 * can join by it; started again when one dies; stopped together.
 *
 *     start ── worker 0 ready ─┬─ worker 1 ready ─┬─ all ready
 *                              └─ worker 2 ready ─┘
 *     one ends ── 1 s ── start ── ends ── 2 s ── start … at most a minute apart
 *
 * @see protocol §9.2 "Start and stop"
 * @module
 */
import { type NodeAddress, parseNodeAddress } from "../../auth/node_address.ts";
import { type Clock, raceSignal, type Timer } from "../../base/clock.ts";
import { ConfigError } from "../../base/errors.ts";
import type { Log } from "../../log/log.ts";
import type { WorkerEvent, WorkerOrder } from "./worker_messages.ts";
import type { WorkerOptions } from "./worker_plan.ts";

/** First wait before a worker that ended is started again, ms. */
const FIRST_WAIT_MS = 1_000;
/** Longest wait, ms. A worker that was ready for as long begins anew with the first. */
const MAX_WAIT_MS = 60_000;

/** A thread that runs a worker. */
export interface WorkerThread {
  /** Tell it what to do. */
  send(order: WorkerOrder): void;
  /** End it now. It says nothing any more. */
  end(): void;
}

/** What workers stand on. */
export interface RelayWorkersOptions {
  /** What each is told. */
  readonly plans: readonly WorkerOptions[];
  readonly clock: Clock;
  readonly log: Log;
  /** Begin a thread. An error that it did not catch is an `ended` as well. */
  readonly open: (onEvent: (event: WorkerEvent) => void) => WorkerThread;
  /** Takes what a worker tells the operator. */
  readonly tell: (line: string) => void;
}

/** What a worker said when it became ready. */
export interface WorkerReady {
  readonly address: string | null;
  readonly control: string | null;
  readonly metrics: string | null;
}

/** One worker, over all the threads that ran it. */
interface Slot {
  readonly index: number;
  options: WorkerOptions;
  thread: WorkerThread | undefined;
  ready: PromiseWithResolvers<WorkerReady>;
  /** What it said last. */
  said: WorkerReady | undefined;
  readySinceMs: number;
  waitMs: number;
  timer: Timer | undefined;
  ended: PromiseWithResolvers<void>;
}

/** All workers of a process. */
export class RelayWorkers implements AsyncDisposable {
  readonly #options: RelayWorkersOptions;
  readonly #slots: readonly Slot[];
  #isStarted = false;
  #isStopping = false;

  private constructor(options: RelayWorkersOptions) {
    this.#options = options;
    this.#slots = options.plans.map((plan, index) => ({
      index,
      options: plan,
      thread: undefined,
      ready: Promise.withResolvers(),
      said: undefined,
      readySinceMs: Infinity,
      waitMs: FIRST_WAIT_MS,
      timer: undefined,
      ended: Promise.withResolvers(),
    }));
  }

  /**
   * Start them. Resolves when all are ready.
   *
   * @throws {ConfigError} of the first one that cannot start: none runs then.
   * @throws the signal's reason.
   */
  static async start(
    options: RelayWorkersOptions,
    signal: AbortSignal,
  ): Promise<RelayWorkers> {
    const workers = new RelayWorkers(options);
    try {
      await raceSignal(workers.#start(), signal);
      return workers;
    } catch (error) {
      await workers[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What each said when it became ready last, in their order. */
  get ready(): readonly WorkerReady[] {
    return this.#slots.flatMap(({ said }) => said ?? []);
  }

  /** Have each do what it is told now, as far as that changes while it runs. */
  reload(plans: readonly WorkerOptions[]): void {
    for (const slot of this.#slots) {
      const plan = plans[slot.index];
      if (plan === undefined) continue;
      const { network, bootstrap } = slot.options;
      const options = { ...plan, network, bootstrap };
      slot.options = options;
      slot.thread?.send({ type: "reload", options });
    }
  }

  /** Ask all to stop, and wait until they have. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    const running = this.#slots.filter((slot) => {
      slot.timer?.cancel();
      slot.thread?.send({ type: "stop" });
      return slot.thread !== undefined;
    });
    await Promise.all(running.map(({ ended }) => ended.promise));
  }

  async #start(): Promise<void> {
    const [first, ...others] = this.#slots;
    if (first === undefined) return;
    const { address } = await this.#open(first);
    const { bootstrap, lan } = first.options;
    if (address === null && bootstrap.length === 0 && !lan) {
      throw new ConfigError(
        "cli.workers",
        "Cannot start more workers: the first one does not know its address, and " +
          "the others know no relay to join by; give --advertise IP:PORT, --listen " +
          "on that address, or --bootstrap",
      );
    }
    await Promise.all(others.map((slot) => this.#open(slot)));
    this.#isStarted = true;
  }

  #open(slot: Slot): Promise<WorkerReady> {
    slot.ready = Promise.withResolvers();
    slot.ended = Promise.withResolvers();
    slot.readySinceMs = Infinity;
    // Where it is started again, the log tells of a failure.
    slot.ready.promise.catch(() => {});
    const thread = this.#options.open((event) => {
      if (slot.thread === thread) this.#onEvent(slot, event);
    });
    slot.thread = thread;
    const { options } = slot;
    const bootstrap = [...options.bootstrap, ...this.#addressesBeside(slot)];
    thread.send({ type: "start", options: { ...options, bootstrap } });
    return slot.ready.promise;
  }

  #onEvent(slot: Slot, event: WorkerEvent): void {
    const { clock, tell } = this.#options;
    switch (event.type) {
      case "ready":
        slot.said = JSON.parse(event.line);
        slot.readySinceMs = clock.nowMs();
        if (slot.said) slot.ready.resolve(slot.said);
        break;
      case "told":
        tell(event.line);
        break;
      case "ended":
        slot.thread?.end();
        slot.thread = undefined;
        slot.ended.resolve();
        slot.ready.reject(endOf(slot, event));
        if (this.#isStarted && !this.#isStopping) this.#startAgain(slot, event);
        break;
    }
  }

  #startAgain(
    slot: Slot,
    { message }: { readonly message?: string | undefined },
  ) {
    const { clock, log } = this.#options;
    if (clock.nowMs() - slot.readySinceMs >= MAX_WAIT_MS) {
      slot.waitMs = FIRST_WAIT_MS;
    }
    const inMs = slot.waitMs;
    slot.waitMs = Math.min(2 * inMs, MAX_WAIT_MS);
    log.error("A worker ended, and is started again; the others go on", {
      worker: slot.index,
      inMs,
      reason: message ?? "none was given",
    });
    slot.timer = clock.schedule(inMs, () => {
      this.#open(slot).then(
        () => log.info("A worker is back", { worker: slot.index }),
        () => {},
      );
    });
  }

  /** Where the others can be dialled: one that starts may join by them. */
  #addressesBeside(slot: Slot): NodeAddress[] {
    return this.#slots
      .filter((other) => other !== slot)
      .flatMap(({ said }) => said?.address ?? [])
      .map(parseNodeAddress);
  }
}

function endOf(
  { index }: Slot,
  { code, message }: Extract<WorkerEvent, { type: "ended" }>,
): ConfigError {
  return new ConfigError(
    code ?? "cli.worker",
    `Cannot start worker ${index}: ${message ?? "it ended"}`,
  );
}
