import assert from "node:assert/strict";
import { chartsOf } from "../../lib/sim/report_charts.ts";
import { drawCharts } from "../../lib/sim/report_picture.ts";
import { networkOf, runExperiment } from "../../lib/sim/experiment.ts";
import type { ReportRow } from "../../lib/sim/simulation.ts";

const EXPERIMENT = {
  world: "machines",
  relays: 12,
  evil: 0.25,
  evilKinds: ["dropper"],
  churn: 2,
  hours: 0.2,
  rowMinutes: 2,
  loss: 0.001,
  seed: 3,
} as const;

Deno.test("chartsOf() has a value for each row, and the siege first where there is one", async () => {
  const heard: ReportRow[] = [];
  const { rows } = await runExperiment(
    networkOf(EXPERIMENT),
    EXPERIMENT,
    undefined,
    (row) => heard.push(row),
  );
  assert.equal(rows.length, 6);
  assert.deepEqual(heard, rows);
  const charts = chartsOf(rows);
  assert.equal(charts[0]?.title, "Relays");
  for (const { minutes, lines } of charts) {
    assert.deepEqual(minutes, rows.map(({ minute }) => minute));
    for (const { values } of lines) assert.equal(values.length, 6);
  }
  assert.deepEqual(charts[0]?.lines[1]?.values, Array(6).fill(3));

  const siege = { flood: 1, liars: 0.25, botnet: 0 };
  const besieged = { ...EXPERIMENT, evil: 0, siege, hours: 0.1 };
  const report = await runExperiment(networkOf(besieged), besieged);
  const [first] = chartsOf(report.rows);
  assert.equal(first?.title, "Circuits with hostile relays");
  assert.equal(first?.lines.length, 4);
});

Deno.test("drawCharts() draws each value where it is, and leaves gaps", () => {
  const picture = drawCharts("a < b & c", [{
    title: "Shares",
    unit: "share",
    minutes: [0, 10, 20, 30],
    lines: [
      { label: "one", values: [0, 0.5, null, 1] },
      { label: "two", values: [null, null, null, null] },
    ],
  }]);
  assert.match(picture, /<title>a &lt; b &amp; c<\/title>/);
  // From 70 to 780, and from 170 up to 40; a point alone is a dash.
  assert.match(picture, /class="line a" d="M70 170L306.7 105M780 40h4"/);
  assert.match(picture, /class="line b" d=""/);
  assert.match(picture, />100 %</);
  assert.match(picture, />30 min</);
  assert.match(picture, /prefers-color-scheme: dark/);
  assert.doesNotMatch(picture, /<script|href|NaN|Infinity/);
});

Deno.test("drawCharts() draws nothing at all without a complaint", () => {
  const none = {
    title: "None",
    unit: "count",
    minutes: [],
    lines: [],
  } as const;
  assert.doesNotMatch(drawCharts("", [none]), /NaN|Infinity|undefined/);
});
