/**
 * How fast bytes move, and how long it will take: one line for a person who watches.
 *
 *     report.pdf  ██████████░░░░░░░░░░  52 %  5.2 MB of 10 MB  1.1 MB/s  4 s left
 *
 * @module
 */
import { shownName } from "../../share/file_name.ts";
import { formatBytes } from "../../share/share_page.ts";
import { formatDuration } from "../ask/status.ts";

/** The rate is that of so much time, ms. */
const WINDOW_MS = 10_000;
/** How often the line changes at most, ms. */
const SHOW_MS = 200;
/** How often the rate is taken note of, ms. */
const NOTE_MS = 500;
const BAR_CELLS = 20;

/** Where a transfer was, and when. */
interface Note {
  readonly atMs: number;
  readonly bytes: number;
}

/** A transfer that is watched. */
export class Meter {
  readonly #name: string;
  readonly #show: (line: string) => void;
  #notes: Note[] = [];
  #shownMs = -Infinity;

  /** @param show Shows a line in place of the last one. */
  constructor(name: string, show: (line: string) => void) {
    this.#name = name;
    this.#show = show;
  }

  /** It goes on from there: what was there before came at no rate. */
  restart(): void {
    this.#notes = [];
  }

  /** So many bytes are there now, of all if that is known. */
  update(bytes: number, all: number | undefined, nowMs: number): void {
    const last = this.#notes.at(-1);
    if (last === undefined || nowMs - last.atMs >= NOTE_MS) {
      this.#notes.push({ atMs: nowMs, bytes });
      this.#notes = this.#notes.filter(({ atMs }) => nowMs - atMs <= WINDOW_MS);
    }
    const isEnd = bytes === all;
    if (nowMs - this.#shownMs < SHOW_MS && !isEnd) return;
    this.#shownMs = nowMs;
    this.#show(this.#line(bytes, all, nowMs));
  }

  #line(bytes: number, all: number | undefined, nowMs: number): string {
    const rate = this.#rate(bytes, nowMs);
    const speed = rate === undefined ? "" : `  ${formatBytes(rate)}/s`;
    const name = shownName(this.#name, 30);
    if (all === undefined) return `${name}  ${formatBytes(bytes)}${speed}`;
    const part = all === 0 ? 1 : bytes / all;
    const cells = Math.floor(part * BAR_CELLS);
    const bar = "█".repeat(cells) + "░".repeat(BAR_CELLS - cells);
    const left = rate === undefined || rate === 0 || bytes === all
      ? ""
      : `  ${formatDuration(1000 * Math.ceil((all - bytes) / rate))} left`;
    const percent = `${Math.floor(part * 100)} %`;
    return `${name}  ${bar}  ${percent}  ${formatBytes(bytes)} of ${
      formatBytes(all)
    }${speed}${left}`;
  }

  /** Bytes per second of late; `undefined` while too little is known. */
  #rate(bytes: number, nowMs: number): number | undefined {
    const [first] = this.#notes;
    if (first === undefined || nowMs - first.atMs < NOTE_MS) return undefined;
    return (bytes - first.bytes) / (nowMs - first.atMs) * 1000;
  }
}
