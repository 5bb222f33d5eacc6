/**
 * Tells the operator of a service that what stands behind it does not answer: all
 * that a visitor sees is a refusal, and nothing else would show on this side.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { errorCode } from "../../base/errors.ts";
import { TokenBucket, type TokenRate } from "../../base/token_bucket.ts";
import { type Log, sensitive } from "../../log/log.ts";
import { formatStreamTarget, type StreamTarget } from "./stream_target.ts";

/** A few lines at once, then one a minute: visitors may ask thousands of times. */
const LINES: TokenRate = { perSecond: 1 / 60, burst: 3 };

/** What the log says of each failure of a dial. */
const MESSAGES: ReadonlyMap<string, string> = new Map([
  [
    "service.target_refused",
    "A visitor was refused: what stands behind this port takes no connections; " +
    "see whether it runs, and where",
  ],
  [
    "service.target_timeout",
    "A visitor was refused: what stands behind this port does not answer",
  ],
]);

/** The lines about the targets of one service. */
export class TargetLog {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #name: string;
  readonly #lines: TokenBucket;
  #unsaid = 0;

  /** @param name What the operator calls the service. */
  constructor(log: Log, clock: Clock, name: string) {
    this.#log = log;
    this.#clock = clock;
    this.#name = name;
    this.#lines = new TokenBucket(LINES, clock.nowMs());
  }

  /** A stream was not served; only the failures of a dial are told here. */
  onFailure(port: number, target: StreamTarget, error: unknown): void {
    const message = MESSAGES.get(errorCode(error));
    if (message === undefined || target.type === "handler") return;
    const fields = { name: this.#name, port };
    this.#log.debug("A target was dialled in vain", {
      ...fields,
      target: sensitive(formatStreamTarget(target)),
    });
    if (!this.#lines.take(1, this.#clock.nowMs())) {
      this.#unsaid++;
      return;
    }
    this.#log.warning(message, {
      ...fields,
      unsaid: this.#unsaid || undefined,
    });
    this.#unsaid = 0;
  }
}
