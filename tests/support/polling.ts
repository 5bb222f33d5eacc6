/**
 * Waiting for what other processes come to by themselves, and do not tell of.
 *
 * @module
 */
import { sleep } from "../../lib/base/clock.ts";
import { SystemClock } from "../../lib/machine/system_clock.ts";

/** Time between two looks, ms: a look costs processes a millisecond. */
const LOOK_MS = 250;

/**
 * Look again and again until `look` finds something.
 *
 * @param limitMs Longest wait, ms.
 * @param what What is waited for, for the error.
 */
export async function untilFound<T>(
  look: () => Promise<T | undefined>,
  limitMs: number,
  what: string,
): Promise<T> {
  const clock = new SystemClock();
  for (const endMs = clock.nowMs() + limitMs;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (clock.nowMs() >= endMs) {
      throw new Error(`Waited ${limitMs} ms in vain for ${what}`);
    }
    await sleep(clock, LOOK_MS);
  }
}
