import assert from "node:assert/strict";
import { PROOF_MS, Standstill } from "../../lib/session/standstill.ts";

const MINUTE = 60_000;

Deno.test("Standstill has no doubt after a short one: the other end waits for a minute without a leg, and some seconds more", () => {
  const standstill = new Standstill();
  assert.equal(standstill.deadlineMs, Infinity);
  standstill.onStoodStill(74_000, 100_000);
  assert.equal(standstill.isDoubtful, false);
  assert.equal(standstill.deadlineMs, Infinity);
});

Deno.test("Standstill wants an answer to what was sent after a long one", () => {
  const standstill = new Standstill();
  standstill.onStoodStill(10 * MINUTE, 700_000);
  assert.equal(standstill.isDoubtful, true);
  assert.equal(standstill.deadlineMs, 700_000 + PROOF_MS);
  // It was sent before, and the answer has waited to be read.
  standstill.onAcknowledged(99_000);
  assert.equal(standstill.isDoubtful, true);
  standstill.onAcknowledged(700_000);
  assert.equal(standstill.isDoubtful, false);
  assert.equal(standstill.deadlineMs, Infinity);
});
