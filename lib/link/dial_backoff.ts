/**
 * Which peers not to dial for a while, because the last tries failed.
 *
 *     failures   1    2    3    4    …   9 and more
 *     wait, s    1    2    4    8    …   256, 300      less a random part, up to half
 *
 * @see protocol §3.7 "Two links, and the end of a link"
 * @module
 */
import { randomBetween } from "../base/random.ts";
import type { Random } from "../base/random.ts";
import { RecentMap } from "../base/recent_map.ts";

/** Wait after the first failure, ms. */
const FIRST_WAIT_MS = 1000;
/** Longest wait, ms. */
const LONGEST_WAIT_MS = 300_000;
/**
 * Peers remembered. Records full of dead addresses push each other out; the
 * worst that follows is a dial too many.
 */
export const MAX_REMEMBERED_PEERS = 1024;

interface Failure {
  readonly count: number;
  readonly untilMs: number;
  readonly error: unknown;
}

/** Memory of dials that failed. */
export class DialBackoff {
  readonly #random: Random;
  readonly #longestWaitMs: number;
  readonly #failures: RecentMap<string, Failure>;

  /**
   * @param capacity Most peers remembered. Default {@linkcode MAX_REMEMBERED_PEERS}.
   * @param longestWaitMs Default {@linkcode LONGEST_WAIT_MS}.
   */
  constructor(
    random: Random,
    capacity: number = MAX_REMEMBERED_PEERS,
    longestWaitMs: number = LONGEST_WAIT_MS,
  ) {
    this.#random = random;
    this.#longestWaitMs = longestWaitMs;
    this.#failures = new RecentMap(capacity);
  }

  /** The last error, if `key` must not be dialled yet. */
  refusal(key: string, nowMs: number): { readonly error: unknown } | undefined {
    const failure = this.#failures.get(key);
    return failure !== undefined && nowMs < failure.untilMs
      ? failure
      : undefined;
  }

  /**
   * A dial failed.
   *
   * @param mostMs Longest wait after an error like this one, ms. Default: the same as for all.
   */
  onFailure(
    key: string,
    error: unknown,
    nowMs: number,
    mostMs = Infinity,
  ): void {
    const count = (this.#failures.get(key)?.count ?? 0) + 1;
    const longest = Math.min(
      this.#longestWaitMs,
      mostMs,
      FIRST_WAIT_MS * 2 ** (count - 1),
    );
    // Jitter: else all who lost a peer at once would come back at once.
    const waitMs = randomBetween(this.#random, longest / 2, longest);
    this.#failures.set(key, { count, untilMs: nowMs + waitMs, error });
  }

  /** A link came up. */
  onSuccess(key: string): void {
    this.#failures.delete(key);
  }

  /** Forget everything: it was our own network that failed. */
  clear(): void {
    this.#failures.clear();
  }
}
