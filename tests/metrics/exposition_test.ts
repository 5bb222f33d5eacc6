import assert from "node:assert/strict";
import { BugError } from "../../lib/base/errors.ts";
import { formatExposition } from "../../lib/metrics/exposition.ts";
import {
  type FamilyName,
  familyOf,
  METRIC_FAMILIES,
  seriesName,
} from "../../lib/metrics/metric_families.ts";

const NAMES = Object.keys(METRIC_FAMILIES) as FamilyName[];

Deno.test("formatExposition() writes families with type, unit and help, and an end", () => {
  assert.equal(
    formatExposition([
      {
        family: "anonnet_relay_carried_bytes",
        labels: ["forward"],
        value: 7_340_032,
      },
      { family: "anonnet_build", labels: ["0.1.0"], value: 1 },
      {
        family: "anonnet_relay_carried_bytes",
        labels: ["backward"],
        value: 0,
      },
    ]),
    `# TYPE anonnet_build info
# HELP anonnet_build The version of the program
anonnet_build_info{version="0.1.0"} 1
# TYPE anonnet_relay_carried_bytes counter
# UNIT anonnet_relay_carried_bytes bytes
# HELP anonnet_relay_carried_bytes Bytes of cells passed on, away from clients (forward) and towards them
anonnet_relay_carried_bytes_total{direction="forward"} 7340032
anonnet_relay_carried_bytes_total{direction="backward"} 0
# EOF
`,
  );
  assert.equal(formatExposition([]), "# EOF\n");
});

Deno.test("formatExposition() escapes what a label may hold", () => {
  const family = "anonnet_hs_reachable";
  const text = formatExposition([{ family, labels: ['a"\\\nb'], value: 1 }]);
  assert.ok(text.includes('{service="a\\"\\\\\\nb"} 1\n'), text);
});

Deno.test("formatExposition() refuses samples that do not fit their family", () => {
  const family = "anonnet_hs_streams";
  for (
    const [labels, value] of [
      [[], 1],
      [["a", "b"], 1],
      [["a"], NaN],
      [["a"], -1],
      [["a"], Infinity],
    ] as const
  ) {
    assert.throws(
      () => formatExposition([{ family, labels, value }]),
      BugError,
    );
  }
});

Deno.test("METRIC_FAMILIES have names that OpenMetrics allows, and that end in their unit", () => {
  const series = new Set<string>();
  for (const name of NAMES) {
    const { unit, help, labels, type, step } = familyOf(name);
    assert.match(name, /^anonnet_[a-z]+(_[a-z]+)*$/);
    assert.doesNotMatch(name, /_(total|count|sum|bucket|created|info)$/);
    assert.equal(/_(bytes|seconds)$/.exec(name)?.[1], unit, name);
    assert.match(help, /^[A-Z0-9][^\n]*[^.\n]$/, name);
    for (const label of labels) assert.match(label, /^[a-z]+$/);
    // A counter that is told exactly and at once would tell of single events.
    assert.ok(type !== "counter" || step !== undefined, name);
    series.add(seriesName(name));
  }
  assert.equal(series.size, NAMES.length);
});
