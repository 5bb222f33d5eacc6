/**
 * How often a request is tried again: after a second, then after twice as long each
 * time, until nothing has come for as long as the user wants to wait.
 *
 * @module
 */
import { type Clock, sleep } from "../../base/clock.ts";
import {
  AnonNetError,
  ConfigError,
  ProtocolError,
  UnreachableError,
} from "../../base/errors.ts";

/** Asks for something. */
export type Fetch = (
  url: URL,
  options: { readonly headers: Headers; readonly signal: AbortSignal },
) => Promise<Response>;

/** The first wait before another try, and the longest, ms. */
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 15_000;
/** The longest wait that a service may ask for, ms. */
const LONGEST_ASKED_MS = 60_000;

/** Statuses of what may be better in a moment (RFC 9110 §15). */
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);

/** What statuses mean to people. */
const WORDS: ReadonlyMap<number, string> = new Map([
  [404, "there is nothing of that name; is the link whole?"],
  [409, "the file was changed since it was shared"],
  [410, "it is no longer shared"],
]);

/** Hears that something is tried again. */
export interface PatienceListener {
  /** After this failure, and so much time. */
  onRetry(error: unknown, waitMs: number): void;
}

/** What patience is made of. */
export interface PatienceOptions {
  readonly clock: Clock;
  /** How long to try again without anything that comes, ms. */
  readonly patienceMs: number;
  readonly on: PatienceListener;
}

/** An answer that says "later". */
class PassingError extends AnonNetError {
  readonly askedMs: number;

  constructor(message: string, askedMs: number) {
    super("get.passing", message);
    this.askedMs = askedMs;
  }
}

/** Why an answer is no file: one that another try may change, or a final one. */
export function refusal({ status, headers }: Response): AnonNetError {
  const words = WORDS.get(status);
  const message = `Cannot download: the service answers ${status}${
    words === undefined ? "" : `, ${words}`
  }`;
  if (!PASSING.has(status)) return new UnreachableError("get.status", message);
  const seconds = Number(headers.get("retry-after") ?? 0);
  const askedMs = seconds > 0 ? seconds * 1000 : 0;
  return new PassingError(message, Math.min(askedMs, LONGEST_ASKED_MS));
}

/** The patience with one service. */
export class Patience {
  readonly #options: PatienceOptions;
  /** When something came last. */
  #movedMs: number;
  #waitMs = FIRST_WAIT_MS;

  constructor(options: PatienceOptions) {
    this.#options = options;
    this.#movedMs = options.clock.nowMs();
  }

  /** Something came. */
  onProgress(): void {
    this.#movedMs = this.#options.clock.nowMs();
    this.#waitMs = FIRST_WAIT_MS;
  }

  /**
   * Wait before another try.
   *
   * @throws the failure itself, where another try would not change it.
   * @throws {UnreachableError} `get.gave_up`; the signal's reason.
   */
  async pause(error: unknown, signal: AbortSignal): Promise<void> {
    if (isFinal(error)) throw error;
    const { clock, patienceMs, on } = this.#options;
    const askedMs = error instanceof PassingError ? error.askedMs : 0;
    const waitMs = Math.max(this.#waitMs, askedMs);
    const quietMs = clock.nowMs() - this.#movedMs;
    if (quietMs + waitMs > patienceMs) throw gaveUp(quietMs, error);
    this.#waitMs = Math.min(2 * this.#waitMs, LONGEST_WAIT_MS);
    on.onRetry(error, waitMs);
    await sleep(clock, waitMs, { signal });
  }
}

/** What another try would not change. */
function isFinal(error: unknown): boolean {
  if (error instanceof ConfigError || error instanceof ProtocolError) {
    return true;
  }
  return error instanceof UnreachableError && error.code === "get.status";
}

function gaveUp(quietMs: number, cause: unknown): UnreachableError {
  return new UnreachableError(
    "get.gave_up",
    `Cannot download: nothing came for ${
      Math.round(quietMs / 1000)
    } s; what is ` +
      "there is kept, and the same command goes on with it",
    { cause },
  );
}
