/**
 * What many runs say of a figure.
 *
 * @module
 */

/**
 * Two-sided 95 % quantiles of Student's t, by degrees of freedom; beyond the last one,
 * that of the one before it in the table, which is no less than the true one.
 */
const STUDENT: readonly (readonly [freedom: number, quantile: number])[] = [
  [1, 12.71],
  [2, 4.303],
  [3, 3.182],
  [4, 2.776],
  [5, 2.571],
  [6, 2.447],
  [7, 2.365],
  [8, 2.306],
  [9, 2.262],
  [10, 2.228],
  [12, 2.179],
  [15, 2.131],
  [20, 2.086],
  [30, 2.042],
  [60, 2],
  [120, 1.98],
  [Infinity, 1.96],
];

/** Mean, spread of one run, and how far the mean of endlessly many may be off. */
export interface Summary {
  readonly mean: number;
  /** Standard deviation of one run. */
  readonly spread: number;
  /** Half of the 95 % interval of the mean; NaN for a single run. */
  readonly error: number;
}

/** Sum up the figures of independent runs. */
export function summaryOf(values: readonly number[]): Summary {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const spread = Math.sqrt(squares / (count - 1));
  return { mean, spread, error: quantile(count - 1) * spread / count ** 0.5 };
}

function quantile(freedom: number): number {
  const row = STUDENT.findLast(([least]) => least <= freedom);
  return row?.[1] ?? NaN;
}
