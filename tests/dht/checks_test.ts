import assert from "node:assert/strict";
import { Checks, MAX_VERIFYING } from "../../lib/dht/checks.ts";
import type { CheckAction } from "../../lib/dht/part_action.ts";
import { point } from "./records/fake_records.ts";

function announced(index: number): CheckAction {
  const purpose = { part: "announced", from: point(index) } as const;
  return { type: "check", encoded: [new Uint8Array([index])], purpose };
}

Deno.test("a check is told of once, with what it was for", () => {
  const checks = new Checks();
  const actions = [announced(1), announced(2)];
  const [first, second] = actions.map((action) => checks.check(action));
  assert.deepEqual(first?.encoded, actions[0]?.encoded);
  const verifyId = second?.verifyId ?? assert.fail();
  assert.deepEqual(checks.onVerified(verifyId), actions[1]?.purpose);
  assert.equal(checks.onVerified(verifyId), undefined);
  assert.equal(checks.onVerified(99), undefined);
});

Deno.test("checks under way have a limit, and one that ends makes room", () => {
  const checks = new Checks();
  const first = checks.check(announced(0)) ?? assert.fail();
  for (let count = 1; count < MAX_VERIFYING; count++) {
    assert.ok(checks.check(announced(count & 255)));
  }
  assert.equal(checks.check(announced(1)), undefined);
  checks.onVerified(first.verifyId);
  assert.ok(checks.check(announced(1)));
  assert.equal(checks.check(announced(1)), undefined);
});
