/**
 * A number of places for what strangers begin, such as handshakes. When all are
 * taken, the holder that has had a place for longest gives way, but not before it has had
 * its time: silent holders shut no newcomer out, and the quick are not disturbed.
 *
 * A flood must bring as many newcomers as there are places in that time, again and
 * again, before an honest one has to come back.
 *
 * @module
 */

/** Places, and since when each is taken. */
export class TimedPlaces<T> {
  readonly #max: number;
  readonly #graceMs: number;
  /** The oldest first. */
  readonly #takenMs = new Map<T, number>();

  /**
   * @param max Most at once.
   * @param graceMs Time that each holder has at least.
   */
  constructor(max: number, graceMs: number) {
    this.#max = max;
    this.#graceMs = graceMs;
  }

  /** Places taken. */
  get used(): number {
    return this.#takenMs.size;
  }

  /**
   * Whether there is a place for one more.
   *
   * @param giveWay Hears of the holder who lost its place for it, if that took one.
   */
  makeRoom(giveWay: (holder: T) => void, nowMs: number): boolean {
    if (this.#takenMs.size < this.#max) return true;
    for (const [oldest, takenMs] of this.#takenMs) {
      if (nowMs - takenMs < this.#graceMs) return false;
      this.#takenMs.delete(oldest);
      giveWay(oldest);
      return true;
    }
    return false;
  }

  /** Take a place; {@linkcode makeRoom} has said that there is one. */
  take(holder: T, nowMs: number): void {
    this.#takenMs.set(holder, nowMs);
  }

  /** Give a place back, unless it is lost already. */
  give(holder: T): void {
    this.#takenMs.delete(holder);
  }
}
