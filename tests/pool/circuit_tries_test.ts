import assert from "node:assert/strict";
import { CircuitTries, TAKE_MS, TRIES } from "../../lib/pool/circuit_tries.ts";

/** What begins try `number`. */
function tryOf(number: number) {
  const endMs = TRIES[number - 1]?.endMs;
  return { type: "try", number, endMs };
}

const DOUBT = { type: "doubt" };
const [FIRST, SECOND] = TRIES.map(({ besideMs }) => besideMs);
assert.ok(FIRST && SECOND);

Deno.test("CircuitTries asks for another circuit beside one that does not come", () => {
  const tries = new CircuitTries();
  assert.deepEqual(tries.start(100), [tryOf(1)]);
  assert.equal(tries.deadlineMs, 100 + TAKE_MS);
  assert.deepEqual(tries.onTime("free", 99 + TAKE_MS), []);
  assert.deepEqual(tries.onTime("free", 100 + TAKE_MS), [DOUBT, tryOf(2)]);
  assert.equal(tries.deadlineMs, 100 + 2 * TAKE_MS);
});

Deno.test("CircuitTries waits for an answer as long as each try has patience, and for ever with the last", () => {
  const tries = new CircuitTries();
  tries.start(0);
  tries.onTaken(1, 500);
  assert.equal(tries.deadlineMs, 500 + FIRST);
  assert.deepEqual(tries.onTime("free", 500 + FIRST), [DOUBT, tryOf(2)]);
  tries.onTaken(2, 3000);
  assert.equal(tries.deadlineMs, 3000 + SECOND);
  assert.deepEqual(tries.onTime("free", 3000 + SECOND), [DOUBT, tryOf(3)]);
  assert.equal(tries.deadlineMs, Infinity);
  tries.onTaken(3, 6000);
  assert.equal(tries.deadlineMs, Infinity);
});

Deno.test("CircuitTries does not put the next try off for an earlier one that has its circuit late", () => {
  const tries = new CircuitTries();
  tries.start(0);
  tries.onTime("free", TAKE_MS);
  tries.onTaken(1, TAKE_MS + 1);
  assert.equal(tries.deadlineMs, 2 * TAKE_MS);
});

Deno.test("CircuitTries adds no request where many wait, but looks again", () => {
  const tries = new CircuitTries();
  tries.start(0);
  assert.deepEqual(tries.onTime("crowded", TAKE_MS), [DOUBT]);
  assert.equal(tries.deadlineMs, 2 * TAKE_MS);
  assert.deepEqual(tries.onTime("free", 2 * TAKE_MS), [DOUBT, tryOf(2)]);
});

Deno.test("CircuitTries begins the next try at once when the latest fails, and not for an earlier one", () => {
  const tries = new CircuitTries();
  tries.start(0);
  assert.deepEqual(tries.onFailed(1, 10), [tryOf(2)]);
  tries.onTime("free", 10 + TAKE_MS);
  assert.deepEqual(tries.onFailed(2, 5000), []);
  assert.deepEqual(tries.onFailed(3, 6000), [{ type: "give_up" }]);
});

Deno.test("CircuitTries gives up once all tries have failed, in whatever order", () => {
  const tries = new CircuitTries();
  tries.start(0);
  tries.onTime("free", TAKE_MS);
  tries.onTime("free", 2 * TAKE_MS);
  assert.deepEqual(tries.onFailed(3, 9000), []);
  assert.deepEqual(tries.onFailed(1, 9001), []);
  assert.deepEqual(tries.onFailed(2, 9002), [{ type: "give_up" }]);
  assert.equal(tries.deadlineMs, Infinity);
});
