import assert from "node:assert/strict";
import {
  type Experiment,
  networkOf,
  runExperiment,
} from "../../lib/sim/experiment.ts";
import { formatReport } from "../../lib/sim/report_table.ts";
import {
  SIEGE_PROMISES,
  siegeExperiment,
  siegeFigures,
} from "./siege_promises.ts";

function run(experiment: Experiment) {
  return runExperiment(networkOf(experiment), experiment);
}

for (const promise of SIEGE_PROMISES) {
  Deno.test(`a besieged network keeps its promises: ${promise.name}`, async () => {
    const report = await run(
      siegeExperiment(promise, {
        relays: promise.siege.flood > 0 ? 25 : 50,
        seed: 1,
        clients: promise.siege.liars > 0 ? 900 : 200,
        hours: 0.1,
      }),
    );
    const figures: Record<string, number> = siegeFigures(report);
    assert.ok(report.total.nodeLookups.count >= 300);
    for (const { figure, least = 0, most = 1 } of promise.bounds) {
      const value = figures[figure] ?? NaN;
      assert.ok(
        value >= least && value <= most,
        `${figure}: ${value}, promised ${least} to ${most}`,
      );
    }
  });
}

const SMALL: Experiment = {
  world: "machines",
  relays: 40,
  evil: 0,
  evilKinds: [],
  churn: 0,
  hours: 0.35,
  values: 5,
  loss: 0,
  seed: 1,
  siege: { flood: 3, liars: 0.1, botnet: 48, clients: 20 },
};

Deno.test("a siege has as many relays as it says, and its botnet comes within a day", async () => {
  const { rows } = await run(SMALL);
  // 40 relays, of which 4 boast and 1 invents; 35 honest ones are flooded by 3 each.
  const bots = rows.map(({ siege }) => siege?.bots);
  // 48 · 35 in 24 hours are 70 an hour, and the first one comes at once.
  assert.deepEqual(bots, [12, 24, 25]);
  assert.deepEqual(rows.map(({ siege }) => siege?.told), [105, 105, 105]);
  assert.deepEqual(rows.map(({ hostile }) => hostile), [17, 29, 30]);
  assert.deepEqual(
    rows.map(({ relays }) => relays),
    [40 + 12 + 1, 40 + 24 + 2, 40 + 25 + 3],
  );
});

Deno.test("a botnet weighs little with clients that knew the others before, and much with new ones", async () => {
  const { rows, total: { siege } } = await run({
    ...SMALL,
    hours: 0.7,
    lookupsPerMinute: 0,
    siege: { flood: 0, liars: 0, botnet: 72, clients: 50 },
  });
  const last = rows.at(-1)?.siege;
  assert.ok(last !== undefined && last.bots > 40);
  assert.equal(siege?.circuits.guard, 0);
  // They are on the client's list, as they answer.
  assert.ok((last.circuits.last ?? 1) < 0.1, `${last.circuits.last}`);
  assert.ok((last.newClients.guard ?? 0) > 0.3);
  assert.ok((last.newClients.last ?? 0) > 0.3);
});

Deno.test("a guard that names invented relays gives clients none of them", async () => {
  const { rows } = await run({
    ...SMALL,
    relays: 20,
    hours: 1.2,
    lookupsPerMinute: 0,
    siege: { flood: 10, liars: 0, botnet: 0, clients: 300 },
  });
  assert.equal(rows.length, 8);
  for (const { siege } of rows) {
    assert.ok((siege?.circuits.guard ?? 0) > 0.01);
    assert.equal(siege?.clientLists.real, 1);
    assert.equal(siege?.circuits.failed, 0);
  }
});

Deno.test("the same siege gives the same report, and another seed another", async () => {
  const brief: Experiment = { ...SMALL, relays: 12, hours: 0.05 };
  const first = JSON.stringify(await run(brief));
  assert.equal(JSON.stringify(await run(brief)), first);
  assert.notEqual(JSON.stringify(await run({ ...brief, seed: 2 })), first);
});

Deno.test("runExperiment() besieges no whole nodes", async () => {
  await assert.rejects(run({ ...SMALL, world: "nodes" }), RangeError);
});

Deno.test("formatReport() has other columns for a siege, as wide as the head", async () => {
  const lines = formatReport(await run({ ...SMALL, hours: 0.05 }));
  assert.equal(lines.length, 3);
  assert.equal(new Set(lines.map((line) => line.length)).size, 1);
  assert.match(lines[0] ?? "", /GUARD +LAST HOP +BOTH ENDS/);
  assert.ok(lines.every((line) => !/NaN|undefined|null/.test(line)));
});
