/**
 * Places of uploads. Where all are taken, the slowest one that had its time makes way:
 * visitors who drip keep out no other.
 *
 *     a place is free                    ─▶ taken
 *     one drips for a minute or longer   ─▶ taken, and that one is ended
 *     all come well                      ─▶ none: later
 *
 * @module
 */
import { ProtocolError } from "../../base/errors.ts";

/** Uploads at once: each holds a file open. Others are told to come back. */
export const MAX_UPLOADS = 32;
/** An upload keeps its place for so long at any pace, ms. */
export const SAFE_MS = 60_000;
/** One that has brought so many bytes of files per second since it began is not slow. */
export const FAIR_BYTES_PER_SECOND = 64 * 1024;

/** One upload's place. */
export class UploadPlace {
  readonly #sinceMs: number;
  readonly #end = new AbortController();
  #bytes = 0;

  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
  }

  /** Aborts when it makes way. */
  get signal(): AbortSignal {
    return this.#end.signal;
  }

  /** So many bytes more of its files have come. */
  onBytes(count: number): void {
    this.#bytes += count;
  }

  /** Bytes per second since it began; `undefined` while it need not make way. */
  slowness(nowMs: number): number | undefined {
    const ageMs = nowMs - this.#sinceMs;
    const pace = this.#bytes / (ageMs / 1000);
    const isSafe = ageMs < SAFE_MS || pace >= FAIR_BYTES_PER_SECOND;
    return isSafe ? undefined : pace;
  }

  /** Make way for another. */
  end(): void {
    this.#end.abort(
      new ProtocolError(
        "receive.slow",
        "Cannot take files: they come too slowly, and others wait",
      ),
    );
  }
}

/** The places of a box. */
export class UploadPlaces {
  readonly #taken = new Set<UploadPlace>();

  /** Places taken. */
  get used(): number {
    return this.#taken.size;
  }

  /** Take a place; `undefined` if there is none. */
  take(nowMs: number): UploadPlace | undefined {
    if (this.#taken.size >= MAX_UPLOADS) {
      const slowest = this.#slowest(nowMs);
      if (slowest === undefined) return undefined;
      this.#taken.delete(slowest);
      slowest.end();
    }
    const place = new UploadPlace(nowMs);
    this.#taken.add(place);
    return place;
  }

  /** Give a place back. */
  give(place: UploadPlace): void {
    this.#taken.delete(place);
  }

  #slowest(nowMs: number): UploadPlace | undefined {
    let slowest: UploadPlace | undefined;
    let least = Infinity;
    for (const place of this.#taken) {
      const pace = place.slowness(nowMs) ?? Infinity;
      if (pace < least) [slowest, least] = [place, pace];
    }
    return slowest;
  }
}
