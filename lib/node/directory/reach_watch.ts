/**
 * Asks other relays whether they reach this one, and tells its operator. The driver
 * of an {@linkcode OwnReach}.
 *
 *     joined, or other addresses ─▶ OwnReach ─▶ "reach" to 8 relays ─▶ answers ─▶ log, status
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import type { NodeRecord } from "../../auth/node_record.ts";
import {
  decodeReachAnswer,
  OwnReach,
  type OwnReachAction,
  type OwnReachStatus,
  REACH_ASKED,
  REACH_METHOD,
  type ReachAnswer,
} from "../../auth/own_reach.ts";
import { equalBytes } from "../../base/bytes.ts";
import { deadline } from "../../base/clock.ts";
import { AnonNetError, UnreachableError } from "../../base/errors.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import { sampled } from "../../base/random.ts";
import { TaskSet } from "../../base/task_set.ts";
import { type Log, thrown } from "../../log/log.ts";
import type { Runtime } from "../../machine/runtime.ts";
import type { LinkTable } from "../link/link_table.ts";
import type { RelayDirectory } from "./relay_directory.ts";

/** Longest wait for one answer, a dial included, ms. */
const ANSWER_MS = 8_000;

/** What a watch is made of. */
export interface ReachWatchOptions {
  readonly runtime: Pick<Runtime, "clock" | "random" | "log">;
  readonly links: LinkTable;
  /** Whom to ask. */
  readonly relays: RelayDirectory;
  /** Our own record, as it is now. */
  readonly record: () => NodeRecord;
  /** Resolves once others know us. */
  readonly joined: Promise<void>;
}

/** Watches whether a relay is reached, until disposed of. */
export class ReachWatch implements AsyncDisposable {
  readonly #options: ReachWatchOptions;
  readonly #machine = new OwnReach();
  readonly #timer: MachineTimer;
  readonly #log: Log;
  readonly #tasks: TaskSet;
  readonly #stopping = new AbortController();
  #addresses = "";
  #hasJoined = false;

  constructor(options: ReachWatchOptions) {
    const { clock, log } = options.runtime;
    this.#options = options;
    this.#log = log.part("relays");
    this.#tasks = new TaskSet((error) =>
      this.#log.error("A bug: cannot ask whether others reach this relay", {
        error: thrown(error),
      })
    );
    this.#timer = new MachineTimer(
      clock,
      () => this.#obey(this.#machine.onTime(clock.nowMs())),
    );
    this.#addresses = addressesOf(options.record());
    options.joined.then(() => {
      this.#hasJoined = true;
      this.#start();
    });
  }

  /** What is known of it. */
  get status(): OwnReachStatus {
    return this.#machine.status;
  }

  /** Our record was signed anew. */
  onRecord(record: NodeRecord): void {
    const addresses = addressesOf(record);
    if (addresses === this.#addresses) return;
    this.#addresses = addresses;
    this.#start();
  }

  /** Ask no more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(
      new UnreachableError("node.stopped", "Cannot ask: the node is stopping"),
    );
    this.#timer.stop();
    await this.#tasks.ended();
  }

  #start(): void {
    if (!this.#hasJoined || this.#stopping.signal.aborted) return;
    this.#machine.start(this.#options.runtime.clock.nowMs());
    this.#obey([]);
  }

  #obey(actions: readonly OwnReachAction[]): void {
    if (this.#stopping.signal.aborted) return;
    for (const action of actions) {
      if (action.type === "ask") this.#tasks.run(this.#ask());
      else this.#tell(action.status);
    }
    this.#timer.set(this.#machine.deadlineMs);
  }

  async #ask(): Promise<void> {
    const { relays, runtime: { clock, random }, record } = this.#options;
    const { nodeId } = record();
    const others = relays.snapshot()
      .filter((relay) => !equalBytes(relay.nodeId, nodeId));
    const answers = await Promise.all(
      sampled(random, others, REACH_ASKED).map((relay) => this.#askOne(relay)),
    );
    const given = answers.filter((answer) => answer !== undefined);
    this.#obey(this.#machine.onAnswers(given, clock.nowMs()));
  }

  async #askOne(relay: NodeRecord): Promise<ReachAnswer | undefined> {
    const { links, runtime: { clock } } = this.#options;
    using limit = deadline(clock, ANSWER_MS, late, this.#stopping.signal);
    const { signal } = limit;
    try {
      const link = await links.getOrDial(relay, { signal });
      const answer = await link.request(REACH_METHOD, new Uint8Array(), {
        signal,
      });
      return decodeReachAnswer(answer);
    } catch (error) {
      if (error instanceof AnonNetError) return undefined;
      throw error;
    }
  }

  #tell({ state, reached, silent }: OwnReachStatus): void {
    const fields = { reached, silent };
    if (state === "reached") {
      this.#log.info("Other relays reach this one", fields);
    } else {
      this.#log.warning(
        "Other relays do not reach this one at the address that it advertises, and " +
          "no client uses it until they do; see that the port is forwarded to this " +
          "machine, that no firewall closes it, and that --advertise is right",
        fields,
      );
    }
  }
}

function addressesOf({ addresses }: NodeRecord): string {
  return addresses.map(({ host, port }) => `${host} ${port}`).join();
}

function late(): UnreachableError {
  return new UnreachableError(
    "node.reach_timeout",
    "Cannot tell whether we were reached: the relay took too long",
  );
}
