/**
 * What can be told from cells by who sees nothing but their bytes: whether they
 * are noise, whether two wires carry the same, and at which place of a circuit a
 * wire is.
 *
 * @module
 */

/**
 * Pearson's chi-square against an even distribution.
 *
 * @returns How many standard deviations it lies above what chance gives.
 */
export function unevenness(counts: Float64Array): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const expected = total / counts.length;
  const chi = counts.reduce(
    (sum, count) => sum + (count - expected) ** 2 / expected,
    0,
  );
  const degrees = counts.length - 1;
  return (chi - degrees) / Math.sqrt(2 * degrees);
}

/** Bytes of a run that is looked for; each run of 15 holds such a one. */
const RUN_BYTES = 8;

/** Whether some run of 15 bytes that are not zeros stands in both. */
export function shareRun(one: Uint8Array, other: Uint8Array): boolean {
  const runs = new Set<number>();
  for (let at = 0; at + RUN_BYTES <= one.length; at += RUN_BYTES) {
    runs.add(runAt(one, at));
  }
  runs.delete(0);
  for (let at = 0; at + RUN_BYTES <= other.length; at++) {
    if (runs.has(runAt(other, at))) return true;
  }
  return false;
}

/** Most of the eight bytes at `at`, as a number. */
function runAt(bytes: Uint8Array, at: number): number {
  const byte = (offset: number) => bytes[at + offset] ?? 0;
  const high = byte(0) * 2 ** 24 + (byte(1) << 16 | byte(2) << 8 | byte(3));
  const low = byte(4) << 16 | byte(5) << 8 | byte(6);
  return high * 2 ** 21 + (low >> 3);
}

/** A cell, the one before it on its wire, and the place of the wire, from 0. */
export interface Sample {
  readonly cell: Uint8Array;
  readonly before: Uint8Array;
  readonly place: number;
}

/** Values that a feature takes: half a byte. */
const VALUES = 16;
/** Features that a classifier looks at, the most telling ones. */
const FEATURES = 12;

/**
 * Tells the place of a wire by its cells: it learns at which offsets half-bytes,
 * or their differences to the cell before, depend on the place most.
 */
export class PlaceClassifier {
  readonly #places: number;
  readonly #chosen: readonly Feature[];

  /** @param samples To learn from. */
  constructor(samples: readonly Sample[], places: number) {
    this.#places = places;
    const length = samples[0]?.cell.length ?? 0;
    const features = Array.from(
      { length: 2 * length },
      (_, index) => learn(samples, places, index % length, index >= length),
    );
    this.#chosen = features.sort((a, b) => b.score - a.score)
      .slice(0, FEATURES);
  }

  /** The most likely place. */
  placeOf(sample: Sample): number {
    let best = 0;
    let bestLikelihood = -Infinity;
    for (let place = 0; place < this.#places; place++) {
      let likelihood = 0;
      for (const { offset, isChange, logs } of this.#chosen) {
        const value = valueOf(sample, offset, isChange);
        likelihood += logs[place * VALUES + value] ?? 0;
      }
      if (likelihood <= bestLikelihood) continue;
      bestLikelihood = likelihood;
      best = place;
    }
    return best;
  }

  /** The share of samples that it places rightly. */
  accuracy(samples: readonly Sample[]): number {
    const right = samples.filter((sample) =>
      this.placeOf(sample) === sample.place
    );
    return right.length / samples.length;
  }
}

interface Feature {
  readonly offset: number;
  readonly isChange: boolean;
  /** How much it depends on the place. */
  readonly score: number;
  /** Logarithms of the likelihood of each value at each place. */
  readonly logs: Float64Array;
}

function learn(
  samples: readonly Sample[],
  places: number,
  offset: number,
  isChange: boolean,
): Feature {
  const counts = new Float64Array(places * VALUES).fill(1);
  for (const sample of samples) {
    const index = sample.place * VALUES + valueOf(sample, offset, isChange);
    counts[index] = (counts[index] ?? 0) + 1;
  }
  const total = counts.reduce((sum, count) => sum + count, 0);
  const logs = new Float64Array(counts.length);
  let score = 0;
  for (let value = 0; value < VALUES; value++) {
    let ofValue = 0;
    for (let place = 0; place < places; place++) {
      ofValue += counts[place * VALUES + value] ?? 0;
    }
    for (let place = 0; place < places; place++) {
      const row = counts.subarray(place * VALUES, (place + 1) * VALUES);
      const ofPlace = row.reduce((sum, count) => sum + count, 0);
      const count = row[value] ?? 0;
      const expected = ofValue * ofPlace / total;
      score += (count - expected) ** 2 / expected;
      logs[place * VALUES + value] = Math.log(count / ofPlace);
    }
  }
  return { offset, isChange, score, logs };
}

function valueOf(
  { cell, before }: Sample,
  offset: number,
  isChange: boolean,
): number {
  const byte = cell[offset] ?? 0;
  return (isChange ? byte ^ (before[offset] ?? 0) : byte) % VALUES;
}
