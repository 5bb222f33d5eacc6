import assert from "node:assert/strict";
import { networkParameters } from "../../lib/auth/network.ts";
import { type Experiment, runExperiment } from "../../lib/sim/experiment.ts";
import { formatReport } from "../../lib/sim/report_table.ts";
import { DHT_PROMISES, experimentOf, foundIn } from "./dht_promises.ts";

const network = networkParameters("local");

const EXPERIMENT: Experiment = {
  world: "machines",
  relays: 20,
  evil: 0.2,
  evilKinds: ["dropper", "liar"],
  churn: 0.5,
  hours: 1 / 3,
  values: 10,
  loss: 0.001,
  seed: 1,
};

/** Of each kind: what a promise of 99.9 % is seen by. */
const LOOKUPS = 1_100;

function run(changes: Partial<Experiment> = {}) {
  return runExperiment(network, { ...EXPERIMENT, ...changes });
}

for (const world of ["nodes", "machines"] as const) {
  Deno.test(`${world}: the same experiment gives the same report, and another seed another`, async () => {
    const changes: Partial<Experiment> = {
      world,
      relays: 8,
      hours: 0.1,
      churn: 2,
      splitMinutes: 1,
    };
    const first = JSON.stringify(await run(changes));
    assert.equal(JSON.stringify(await run(changes)), first);
    assert.notEqual(JSON.stringify(await run({ ...changes, seed: 2 })), first);
  });
}

Deno.test("runExperiment() keeps the number of relays and of hostile ones, in rows of ten minutes", async () => {
  const told: number[] = [];
  const { rows, total } = await runExperiment(
    network,
    EXPERIMENT,
    (nowMs, totalMs) => told.push(nowMs / totalMs),
  );
  assert.equal(rows.length, 2);
  for (const row of [...rows, total]) {
    assert.deepEqual([row.relays, row.hostile], [20, 4]);
    assert.ok(row.nodeLookups.count > 0 && row.valueLookups.count > 0);
    assert.ok(row.requestsPerRelayMinute > 1);
  }
  assert.equal(
    total.nodeLookups.count,
    rows.reduce((sum, { nodeLookups }) => sum + nodeLookups.count, 0),
  );
  assert.ok(told.every((share, at) => share > (told[at - 1] ?? 0)));
  assert.equal(told.at(-1), 1);
});

Deno.test("all look-ups of a network without faults succeed, and all relays are known to all", async () => {
  const { total } = await run({ evil: 0, churn: 0, relays: 30 });
  assert.equal(total.nodeLookups.found, 1);
  assert.equal(total.nodeLookups.recall, 1);
  assert.equal(total.valueLookups.found, 1);
  assert.equal(total.deadContacts, 0);
  assert.ok((total.listed ?? 0) >= 0.999);
  assert.ok(total.copies !== null && total.copies >= 20);
});

for (const promise of DHT_PROMISES) {
  const percent = 100 * promise.least;
  Deno.test(`${percent} % of the look-ups succeed: ${promise.name}`, async () => {
    const size = { relays: 50, seed: 1 };
    const experiment = experimentOf(promise, size);
    // As long as it takes to make enough look-ups; `deno task long:dht-sim` goes on.
    const minutes = LOOKUPS / (experiment.lookupsPerMinute ?? 1);
    const hours = Math.min(experiment.hours, minutes / 60);
    const report = await runExperiment(network, { ...experiment, hours });
    const found = foundIn(report);
    for (const kind of promise.about) {
      const { count, found: right } = found[kind];
      assert.ok(count >= 0.9 * LOOKUPS, `${count} look-ups of ${kind}`);
      assert.ok(right / count >= promise.least, `${right} of ${count} ${kind}`);
    }
  });
}

Deno.test("who eclipses one place of a value takes that place, and no more", async () => {
  const { total } = await run({
    relays: 100,
    evil: 0.25,
    evilKinds: ["eclipser"],
    churn: 0,
    replicas: 4,
  });
  const { found, firstTry } = total.valueLookups;
  assert.ok((found ?? 0) >= 0.95, `${found} found`);
  // The attack is one: the place that it is aimed at is lost.
  assert.ok((firstTry ?? 1) < 0.9, `${firstTry} at the first place`);
});

Deno.test("formatReport() gives a line for each row, and one for all, as wide as the head", async () => {
  const report = await run({ churn: 0, evil: 0 });
  const lines = formatReport(report);
  assert.equal(lines.length, 1 + report.rows.length + 1);
  assert.equal(new Set(lines.map((line) => line.length)).size, 1);
  assert.match(lines[0] ?? "", /^MINUTE {2}RELAYS /);
  assert.match(lines.at(-1) ?? "", /^ {3}ALL {6}20 /);
  assert.ok(lines.every((line) => !/NaN|undefined|null/.test(line)));
});
