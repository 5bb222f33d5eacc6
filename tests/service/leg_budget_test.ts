import assert from "node:assert/strict";
import {
  LegBudget,
  LEGS_BURST,
  LEGS_EVERY_MS,
} from "../../lib/service/leg_budget.ts";

Deno.test("LegBudget gives so many at once, and then one by one", () => {
  const budget = new LegBudget(1_000);
  for (let n = 0; n < LEGS_BURST; n++) assert.ok(budget.take(1_000));
  assert.ok(!budget.take(1_000));
  assert.ok(!budget.take(1_000 + LEGS_EVERY_MS - 1));
  assert.ok(budget.take(1_000 + LEGS_EVERY_MS));
  assert.ok(!budget.take(1_000 + LEGS_EVERY_MS));
});

Deno.test("LegBudget saves up no more than one burst", () => {
  const budget = new LegBudget(0);
  let given = 0;
  while (budget.take(1e9)) given++;
  assert.equal(given, LEGS_BURST);
});
