import assert from "node:assert/strict";
import fc from "fast-check";
import { randomBelow, seededRandom } from "../../lib/base/random.ts";
import {
  GIVE_UP_MS,
  IN_USE_MS,
  LEG_BURST,
  LEG_EVERY_MS,
  type LegAction,
  LegPlan,
  LET_GO_MS,
  PARK_MS,
  STORM_MS,
  WARM_AFTER_MS,
} from "../../lib/service/leg_plan.ts";

/**
 * Let the plan run until `untilMs`. Data moves all the time, unless it `rests`.
 *
 * @returns What it wanted, and when.
 */
function run(
  plan: LegPlan,
  fromMs: number,
  untilMs: number,
  data: "moves" | "rests" = "moves",
): { ms: number; action: LegAction }[] {
  const wanted: { ms: number; action: LegAction }[] = [];
  for (let ms = fromMs, turns = 0;; turns++) {
    assert.ok(turns < 10_000, "it looks at the clock without end");
    const dataMs = data === "moves" ? ms + 500 : Infinity;
    ms = Math.max(ms, Math.min(plan.deadlineMs, dataMs));
    if (ms > untilMs) return wanted;
    const actions = data === "moves" ? plan.onData(ms) : plan.onTime(ms);
    for (const action of actions) wanted.push({ ms, action });
  }
}

function inUse(): LegPlan {
  const plan = new LegPlan(seededRandom(1), 0, 0);
  plan.onStreams(1, 0);
  return plan;
}

Deno.test("LegPlan wants a second leg for a session that lasts, and one only", () => {
  const plan = inUse();
  const wanted = run(plan, 0, 60_000);
  assert.deepEqual(wanted.map(({ action }) => action.type), ["build"]);
  const [first] = wanted;
  assert.ok((first?.ms ?? 0) >= WARM_AFTER_MS);
  assert.ok((first?.ms ?? 0) <= WARM_AFTER_MS + 1_000);
  plan.onAdded(1, 10_000);
  assert.deepEqual(run(plan, 10_000, 600_000), []);
});

Deno.test("LegPlan builds nothing for a session that no caller uses, and parks it", () => {
  const plan = new LegPlan(seededRandom(1), 0, 0);
  const park = { type: "drop", leg: 0 } as const;
  assert.deepEqual(run(plan, 0, 1e6, "rests"), [{ ms: PARK_MS, action: park }]);
  const used = inUse();
  run(used, 0, 5_000);
  used.onAdded(1, 5_000);
  used.onStreams(0, 6_000);
  used.onGone(1, 6_000 + IN_USE_MS);
  assert.deepEqual(run(used, 6_000 + IN_USE_MS, 1e6, "rests"), [
    { ms: 6_000 + PARK_MS, action: park },
  ]);
});

Deno.test("LegPlan lets go of the second leg of a session that rests, and keeps the first while streams are open", () => {
  const plan = inUse();
  run(plan, 0, 5_000);
  plan.onAdded(1, 5_000);
  plan.onData(8_000);
  assert.deepEqual(run(plan, 8_000, 3_600_000, "rests"), [
    { ms: 8_000 + LET_GO_MS, action: { type: "drop", leg: 1 } },
  ]);
});

Deno.test("LegPlan wants one leg for short requests again and again, and lets go of one that came in place of a slow one", () => {
  const plan = inUse();
  const actions: LegAction[] = [];
  const request = (ms: number) => {
    for (let part = 0; part < 4; part++) {
      actions.push(...plan.onData(ms + part * 500));
    }
  };
  for (let ms = 0; ms < 600_000; ms += 10_000) {
    run(plan, ms - 8_000, ms - 1, "rests");
    request(ms);
  }
  assert.deepEqual(actions, []);
  plan.onSuspect(0, 600_000);
  const builds = run(plan, 600_000, 601_000, "rests");
  assert.deepEqual(builds.map(({ action }) => action.type), ["build"]);
  plan.onAdded(1, 602_000);
  plan.onHealed(0);
  for (let ms = 610_000; ms <= 630_000; ms += 10_000) request(ms);
  assert.deepEqual(run(plan, 631_500, 640_000, "rests"), [
    { ms: 602_000 + LET_GO_MS, action: { type: "drop", leg: 1 } },
  ]);
});

Deno.test("LegPlan wants one leg for a visitor who asks every four seconds, and two for a transfer that pauses as long", () => {
  const asks = (everyMs: number, untilMs: number) => {
    const plan = inUse();
    const actions: LegAction[] = [];
    for (let ms = 0; ms < untilMs; ms += everyMs) {
      const resting = run(plan, ms - everyMs + 600, ms - 1, "rests");
      actions.push(...resting.map(({ action }) => action));
      actions.push(...plan.onData(ms), ...plan.onData(ms + 500));
    }
    return actions;
  };
  assert.deepEqual(asks(4_000, 600_000), []);
  assert.deepEqual(asks(1_000, 10_000), [{ type: "build" }]);
  const transfer = inUse();
  run(transfer, 0, 10_000);
  transfer.onAdded(1, 10_000);
  transfer.onData(14_000);
  transfer.onGone(1, 14_100);
  const wanted = run(transfer, 14_100, 15_500, "rests");
  assert.deepEqual(wanted.map(({ action }) => action.type), ["build", "build"]);
});

Deno.test("LegPlan begins no build that has waited until the slow leg was heard of again", () => {
  const plan = inUse();
  plan.onSuspect(0, 500_000);
  const wanted = run(plan, 500_000, 501_000, "rests");
  assert.equal(wanted.length, 1);
  assert.ok(plan.mayBegin(501_000));
  plan.onHealed(0);
  assert.ok(!plan.mayBegin(505_000));
  // It was none: the next one is wanted as soon as there is need.
  plan.onSuspect(0, 506_000);
  assert.equal(run(plan, 506_000, 507_000, "rests").length, 1);
});

Deno.test("LegPlan wants one leg for a byte each 30 s, and two again once data goes on moving", () => {
  const plan = inUse();
  const actions: LegAction[] = [];
  for (let ms = 30_000; ms <= 3_600_000; ms += 30_000) {
    run(plan, ms - 30_000, ms - 1, "rests");
    actions.push(...plan.onData(ms));
  }
  assert.deepEqual(actions, []);
  const wanted = run(plan, 3_600_000, 3_610_000);
  assert.deepEqual(wanted.map(({ action }) => action.type), ["build"]);
  assert.ok((wanted[0]?.ms ?? 0) >= 3_600_000 + WARM_AFTER_MS);
});

Deno.test("LegPlan replaces the one leg of a session that rests, by one", () => {
  const plan = inUse();
  run(plan, 0, 2_000, "rests");
  plan.onData(2_000);
  plan.onSuspect(0, 500_000);
  const wanted = run(plan, 500_000, 520_000, "rests");
  assert.deepEqual(wanted.map(({ action }) => action.type), ["build"]);
});

Deno.test("LegPlan wants a leg at once when none is left and streams are open", () => {
  const plan = inUse();
  plan.onGone(0, 500);
  const [first] = run(plan, 500, 5_000);
  assert.equal(first?.action.type, "build");
  assert.ok((first?.ms ?? Infinity) <= 600);
});

Deno.test("LegPlan wants another leg for a suspect one, and gives that up while others carry", () => {
  const plan = inUse();
  run(plan, 0, 5_000);
  plan.onAdded(1, 5_000);
  assert.deepEqual(run(plan, 5_000, 10_000), []);
  plan.onSuspect(0, 10_000);
  const wanted = run(plan, 10_000, 12_000);
  assert.deepEqual(wanted.map(({ action }) => action.type), ["build", "build"]);
  plan.onAdded(2, 12_000);
  plan.onAdded(3, 12_000);
  assert.deepEqual(run(plan, 12_000, 60_000), [{
    ms: 10_000 + GIVE_UP_MS,
    action: { type: "drop", leg: 0 },
  }]);
});

Deno.test("LegPlan keeps a third leg for a while after one was lost, and then two again", () => {
  const plan = inUse();
  run(plan, 0, 5_000);
  plan.onAdded(1, 5_000);
  assert.deepEqual(run(plan, 5_000, 10_000), []);
  plan.onGone(0, 10_000);
  const builds = run(plan, 10_000, 12_000);
  assert.deepEqual(builds.map(({ action }) => action.type), ["build", "build"]);
  plan.onAdded(2, 12_000);
  plan.onAdded(3, 12_000);
  assert.deepEqual(run(plan, 12_000, 10_000 + STORM_MS), []);
  // The storm is over: the next loss leaves two, and is one of its own.
  assert.deepEqual(run(plan, 10_000 + STORM_MS, 600_000), []);
  plan.onGone(1, 600_000);
  assert.equal(run(plan, 600_000, 602_000).length, 1);
});

Deno.test("LegPlan keeps a suspect leg that is the last one, and one that was heard of again", () => {
  const plan = inUse();
  plan.onSuspect(0, 1_000);
  const drops = run(plan, 1_000, 600_000).filter(({ action }) =>
    action.type === "drop"
  );
  assert.deepEqual(drops, []);
  const healed = inUse();
  run(healed, 0, 5_000);
  healed.onAdded(1, 5_000);
  healed.onSuspect(0, 6_000);
  healed.onHealed(0);
  assert.deepEqual(run(healed, 6_000, 600_000).map(({ action }) => action), []);
});

Deno.test("LegPlan waits longer after each failure", () => {
  const plan = inUse();
  plan.onGone(0, 0);
  const times: number[] = [];
  for (let ms = 0, n = 0; n < 8; n++) {
    const [build] = run(plan, ms, 1e6);
    ms = build?.ms ?? assert.fail("it gives up");
    times.push(ms);
    plan.onFailed(ms);
  }
  const waits = times.map((ms, n) => ms - (times[n - 1] ?? 0)).slice(1);
  assert.ok((waits[0] ?? Infinity) <= 600);
  assert.ok(Math.max(...waits) <= 8_100);
  assert.ok((waits[5] ?? 0) > (waits[0] ?? 0));
});

Deno.test("LegPlan builds at a bounded rate while every leg is killed at once", () => {
  const plan = inUse();
  let builds = 0;
  let leg = 0;
  plan.onGone(0, 0);
  for (let ms = 0; ms < 600_000; ms += 50) {
    for (const action of plan.onTime(ms)) {
      if (action.type !== "build") continue;
      builds++;
      plan.onAdded(++leg, ms);
      plan.onGone(leg, ms);
    }
  }
  const most = LEG_BURST + 600_000 / LEG_EVERY_MS + 1;
  assert.ok(builds <= most, `${builds} in ten minutes`);
});

Deno.test("LegPlan never wants more than three legs, and never without end (property)", () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = seededRandom(seed);
      const plan = new LegPlan(seededRandom(seed), 0, 0);
      const legs = new Set([0]);
      let building = 0;
      let next = 1;
      let nowMs = 0;
      const take = (actions: readonly LegAction[]) => {
        for (const action of actions) {
          if (action.type === "build") building++;
          else assert.ok(legs.delete(action.leg));
        }
        assert.ok(building <= 3, `${building} being built`);
      };
      for (let step = 0; step < 300; step++) {
        nowMs += randomBelow(random, 3_000);
        const [leg] = legs;
        const what = randomBelow(random, 7);
        if (what === 0) take(plan.onStreams(randomBelow(random, 3), nowMs));
        else if (what === 1 && leg !== undefined) {
          legs.delete(leg);
          take(plan.onGone(leg, nowMs));
        } else if (what === 2 && leg !== undefined) {
          take(plan.onSuspect(leg, nowMs));
        } else if (what === 3 && leg !== undefined) plan.onHealed(leg);
        else if (what === 4 && building > 0) {
          building--;
          legs.add(next);
          take(plan.onAdded(next++, nowMs));
        } else if (what === 5 && building > 0) {
          building--;
          take(plan.onFailed(nowMs));
        } else take(plan.onTime(nowMs));
      }
    }),
  );
});
