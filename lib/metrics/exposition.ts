/**
 * Metrics as text, as OpenMetrics 1.0 writes them.
 *
 *     # TYPE anonnet_relay_carried_bytes counter
 *     # UNIT anonnet_relay_carried_bytes bytes
 *     # HELP anonnet_relay_carried_bytes Bytes of cells passed on …
 *     anonnet_relay_carried_bytes_total{direction="forward"} 7340032
 *     # EOF
 *
 * @see {@link https://prometheus.io/docs/specs/om/open_metrics_spec/ | OpenMetrics 1.0}
 * @module
 */
import { BugError } from "../base/errors.ts";
import {
  type FamilyName,
  familyOf,
  METRIC_FAMILIES,
  type MetricFamily,
  type MetricSample,
  seriesName,
} from "./metric_families.ts";

/** The media type of what {@linkcode formatExposition} makes. */
export const EXPOSITION_TYPE =
  "application/openmetrics-text; version=1.0.0; charset=utf-8";

/**
 * Samples as text, family by family. A family without samples is left out.
 *
 * @throws {BugError} `metrics.sample` for a sample that does not fit its family.
 */
export function formatExposition(samples: readonly MetricSample[]): string {
  const byFamily = Map.groupBy(samples, ({ family }) => family);
  const names = Object.keys(METRIC_FAMILIES) as FamilyName[];
  const lines = names.flatMap((name) => {
    const own = byFamily.get(name) ?? [];
    return own.length === 0 ? [] : formatFamily(name, familyOf(name), own);
  });
  return [...lines, "# EOF", ""].join("\n");
}

function formatFamily(
  name: FamilyName,
  family: MetricFamily,
  samples: readonly MetricSample[],
): string[] {
  const { type, unit, help } = family;
  return [
    `# TYPE ${name} ${type}`,
    ...unit === undefined ? [] : [`# UNIT ${name} ${unit}`],
    `# HELP ${name} ${escaped(help)}`,
    ...samples.map((sample) => formatSample(seriesName(name), family, sample)),
  ];
}

function formatSample(
  series: string,
  family: MetricFamily,
  { labels, value }: MetricSample,
): string {
  const isWhole = labels.length === family.labels.length &&
    Number.isFinite(value) && value >= 0;
  if (!isWhole) {
    throw new BugError(
      "metrics.sample",
      `Cannot write a sample of ${series}: it has ${labels.length} labels and ` +
        `the value ${value}`,
    );
  }
  const pairs = family.labels.map((label, index) =>
    `${label}="${escaped(labels[index] ?? "")}"`
  );
  const set = pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
  return `${series}${set} ${value}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')
    .replaceAll("\n", "\\n");
}
