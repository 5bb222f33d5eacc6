/**
 * The last lines of the log, as the log itself has them, for those who look at the
 * node while it runs.
 *
 * @module
 */

/** Lines that are kept. */
const MAX_LINES = 300;
/** Longest line that is kept whole, in characters. */
const MAX_CHARACTERS = 2_000;

/** A line with its number, which counts from 1. */
export interface TailLine {
  readonly number: number;
  /** One JSON object, as `--log-format json` writes it. */
  readonly json: string;
}

/** A ring of lines. */
export class LogTail {
  #lines: TailLine[] = [];
  #number = 0;

  /** Keep a line. */
  add(json: string): void {
    this.#number++;
    if (json.length > MAX_CHARACTERS) return;
    this.#lines.push({ number: this.#number, json });
    // Not one by one: moving all of them for each line would cost more than a line.
    if (this.#lines.length >= 2 * MAX_LINES) {
      this.#lines = this.#lines.slice(-MAX_LINES);
    }
  }

  /** Lines that came after the line of a number. */
  after(number: number): readonly TailLine[] {
    return this.#lines.slice(-MAX_LINES)
      .filter((line) => line.number > number);
  }
}
