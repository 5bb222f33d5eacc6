import assert from "node:assert/strict";
import {
  type FamilyName,
  familyOf,
  METRIC_FAMILIES,
  seriesName,
} from "../../lib/metrics/metric_families.ts";
import { readProjectFile } from "../../tools/project_files.ts";

const DASHBOARD = readProjectFile("docs/operate/grafana.json");
const ALERTS = readProjectFile("docs/operate/alerts.yml");
const PAGE = readProjectFile("docs/operate.md");

/** Labels that Prometheus itself gives to what it reads. */
const ADDED_LABELS = ["instance", "job"];

/** Labels of each series of a node. */
const SERIES = new Map(
  (Object.keys(METRIC_FAMILIES) as FamilyName[]).map((name) => [
    seriesName(name),
    familyOf(name).labels,
  ]),
);

/** Queries of the dashboard, those of its variables included. */
function queriesOf(dashboard: string): string[] {
  const queries: string[] = [];
  JSON.parse(dashboard, (key, value: unknown) => {
    const isQuery = ["expr", "query", "definition"].includes(key);
    if (isQuery && typeof value === "string") queries.push(value);
    return value;
  });
  return queries;
}

/** Conditions of the alert rules. */
function conditionsOf(rules: string): string[] {
  return [...rules.matchAll(/^ +expr: (.+)$/gm)].map(([, text]) => `${text}`);
}

/** Series that queries name, and no node has; and labels that theirs do not have. */
function unknownNames(queries: readonly string[]): string[] {
  return queries.flatMap((query) =>
    [...query.matchAll(/(anonnet_[a-z_]+)(?:\{([^}]*)\})?/g)].flatMap(
      ([, name = "", selector = ""]) => {
        const labels = SERIES.get(name);
        if (labels === undefined) return [name];
        return [...selector.matchAll(/([a-z_]+)=/g)]
          .map(([, label]) => `${label}`)
          .filter((label) => ![...labels, ...ADDED_LABELS].includes(label))
          .map((label) => `${name}{${label}}`);
      },
    )
  );
}

Deno.test("unknownNames() finds series and labels that no node has", () => {
  assert.deepEqual(
    unknownNames([
      "anonnet_hs_reachable == 0",
      'anonnet_hs_gone{service="a"} > 1',
      'anonnet_hs_reachable{port="80"}',
      "rate(anonnet_hs_intro_num[5m])",
    ]),
    ["anonnet_hs_gone", "anonnet_hs_reachable{port}", "anonnet_hs_intro_num"],
  );
});

Deno.test("dashboard and alert rules ask for what nodes tell, and nothing else", () => {
  const queries = queriesOf(DASHBOARD);
  const conditions = conditionsOf(ALERTS);
  assert.ok(queries.length > 30 && conditions.length >= 5);
  assert.deepEqual(unknownNames([...queries, ...conditions]), []);
});

Deno.test("the dashboard shows every metric", () => {
  const text = queriesOf(DASHBOARD).join(" ");
  const missing = [...SERIES.keys()].filter((name) =>
    !new RegExp(`\\b${name}\\b`).test(text)
  );
  assert.deepEqual(missing, []);
});

Deno.test("the operator's page names every alert", () => {
  const names = [...ALERTS.matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
  assert.ok(names.length >= 5);
  const missing = names.filter((name) => !PAGE.includes(`\`${name}\``));
  assert.deepEqual(missing, []);
});

Deno.test("panels of the dashboard do not lie over each other, and have numbers of their own", () => {
  const { panels } = JSON.parse(DASHBOARD);
  const ids = new Set<number>();
  const cells = new Set<string>();
  for (const { id, gridPos: { x, y, w, h } } of panels) {
    assert.ok(!ids.has(id), `two panels ${id}`);
    ids.add(id);
    assert.ok(x + w <= 24, `panel ${id} is too wide`);
    for (let column = x; column < x + w; column++) {
      for (let line = y; line < y + h; line++) {
        const cell = `${column},${line}`;
        assert.ok(!cells.has(cell), `panel ${id} lies over another`);
        cells.add(cell);
      }
    }
  }
});
