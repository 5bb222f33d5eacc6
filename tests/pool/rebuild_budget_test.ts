import assert from "node:assert/strict";
import fc from "fast-check";
import { DEBT_MS, RebuildBudget } from "../../lib/pool/rebuild_budget.ts";

const LIMIT = { perMinute: 30, burst: 10 } as const;

/** Build if allowed; whether it was. */
function build(budget: RebuildBudget, nowMs: number, reserve = 0): boolean {
  if (budget.readyMs(reserve, nowMs) > nowMs) return false;
  budget.onBuild(nowMs);
  return true;
}

Deno.test("RebuildBudget counts no builds while nothing fails", () => {
  const budget = new RebuildBudget(LIMIT);
  for (let i = 0; i < 1000; i++) assert.ok(build(budget, i));
});

Deno.test("RebuildBudget allows its burst, then so many a minute, and says when", () => {
  const budget = new RebuildBudget(LIMIT);
  let built = 0;
  while (build(budget, 0)) {
    built++;
    budget.onLost(0);
  }
  assert.equal(built, LIMIT.burst + 1, "the first one was free");
  const readyMs = budget.readyMs(0, 0);
  assert.equal(readyMs, 2000);
  assert.ok(!build(budget, readyMs - 1));
  assert.ok(build(budget, readyMs));
});

Deno.test("RebuildBudget forgets a debt when nothing has failed for a minute", () => {
  const budget = new RebuildBudget({ perMinute: 0.01, burst: 1 });
  for (let i = 0; i < 100; i++) budget.onLost(0);
  assert.ok(build(budget, 0));
  assert.ok(!build(budget, DEBT_MS - 1));
  assert.equal(budget.readyMs(0, 1), DEBT_MS);
  for (let i = 0; i < 100; i++) assert.ok(build(budget, DEBT_MS));
});

Deno.test("RebuildBudget leaves a reserve to others", () => {
  const budget = new RebuildBudget(LIMIT);
  for (let i = 0; i < 100; i++) budget.onLost(0);
  let warm = 0;
  while (build(budget, 0, 0.5)) warm++;
  assert.equal(warm, 5);
  assert.equal(budget.readyMs(0.5, 0), 2000);
  let waiting = 0;
  while (build(budget, 0)) waiting++;
  assert.equal(waiting, 5);
});

Deno.test("RebuildBudget with a burst of one keeps no reserve that it can never fill", () => {
  const budget = new RebuildBudget({ perMinute: 60, burst: 1 });
  budget.onLost(0);
  assert.ok(build(budget, 0, 0.9));
});

for (const limit of [{ perMinute: 0, burst: 1 }, { perMinute: 1, burst: 0 }]) {
  Deno.test(`RebuildBudget refuses ${limit.perMinute} a minute with a burst of ${limit.burst}`, () => {
    assert.throws(() => new RebuildBudget(limit), RangeError);
  });
}

Deno.test("RebuildBudget never lets more be built than failures, burst and rate allow", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(3000), fc.nat(20), fc.nat(20)), {
        maxLength: 50,
      }),
      (turns) => {
        const budget = new RebuildBudget(LIMIT);
        budget.onLost(0);
        let nowMs = 0;
        let paid = 0;
        for (const [ms, losses, wishes] of turns) {
          nowMs += ms;
          // Never out of debt, so every build is paid for.
          for (let i = 0; i < losses + wishes; i++) budget.onLost(nowMs);
          for (let i = 0; i < wishes; i++) if (build(budget, nowMs)) paid++;
        }
        const most = LIMIT.burst + nowMs * LIMIT.perMinute / 60_000;
        assert.ok(paid <= most + 1e-6, `${paid} of ${most}`);
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("RebuildBudget grows with those whom it is for, and gives nothing away when it changes", () => {
  const budget = new RebuildBudget(LIMIT);
  const builds = (nowMs: number) => {
    for (let i = 0; i < 1_000; i++) budget.onLost(nowMs);
    let built = 0;
    while (build(budget, nowMs)) built++;
    return built;
  };
  budget.scale(5, 0);
  assert.equal(builds(0), LIMIT.burst, "what has gathered");
  const minuteMs = 60_000;
  assert.equal(builds(minuteMs / 6), 5 * LIMIT.perMinute / 6);
  assert.equal(builds(10 * minuteMs), 5 * LIMIT.burst);
  budget.scale(1, 10 * minuteMs);
  assert.equal(builds(20 * minuteMs), LIMIT.burst);
});
