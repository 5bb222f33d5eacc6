import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { DialBackoff } from "../../lib/link/dial_backoff.ts";

/** The first ms at which `key` may be dialled. */
function allowedMs(backoff: DialBackoff, key: string, fromMs: number): number {
  let nowMs = fromMs;
  while (backoff.refusal(key, nowMs) !== undefined) nowMs++;
  return nowMs;
}

Deno.test("DialBackoff waits twice as long after each failure, up to 300 s", () => {
  const backoff = new DialBackoff(seededRandom(1));
  const waits: number[] = [];
  let nowMs = 0;
  for (let count = 0; count < 12; count++) {
    backoff.onFailure("a", "why", nowMs);
    const waitMs = allowedMs(backoff, "a", nowMs) - nowMs;
    waits.push(waitMs);
    nowMs += waitMs;
  }
  for (const [index, waitMs] of waits.entries()) {
    const longest = Math.min(300_000, 1000 * 2 ** index);
    assert.ok(waitMs >= longest / 2 && waitMs <= longest + 1, `${waitMs} ms`);
  }
  assert.ok(new Set(waits).size > 10, "waits are drawn at random");
});

Deno.test("DialBackoff waits no longer than it is told to after an error", () => {
  const backoff = new DialBackoff(seededRandom(4));
  for (let count = 0; count < 12; count++) {
    backoff.onFailure("a", "why", 0, 10_000);
    assert.ok(allowedMs(backoff, "a", 0) <= 10_001);
  }
  backoff.onFailure("a", "why", 0);
  assert.ok(allowedMs(backoff, "a", 0) > 100_000);
});

Deno.test("DialBackoff.refusal() tells the last error, and nothing of other peers", () => {
  const backoff = new DialBackoff(seededRandom(2));
  backoff.onFailure("a", "first", 0);
  backoff.onFailure("a", "second", 0);
  assert.equal(backoff.refusal("a", 0)?.error, "second");
  assert.equal(backoff.refusal("b", 0), undefined);
});

Deno.test("DialBackoff.onSuccess() forgets all failures", () => {
  const backoff = new DialBackoff(seededRandom(3));
  for (let count = 0; count < 9; count++) backoff.onFailure("a", "why", 0);
  backoff.onSuccess("a");
  assert.equal(backoff.refusal("a", 0), undefined);
  backoff.onFailure("a", "why", 0);
  assert.ok(allowedMs(backoff, "a", 0) <= 1001);
});

Deno.test("DialBackoff remembers a bounded number of peers", () => {
  const backoff = new DialBackoff(seededRandom(4), 10);
  for (let peer = 0; peer < 100; peer++) {
    backoff.onFailure(`${peer}`, "why", 0);
  }
  const remembered = Array.from({ length: 100 }, (_, peer) => peer)
    .filter((peer) => backoff.refusal(`${peer}`, 0) !== undefined);
  assert.equal(remembered.length, 10);
});

Deno.test("DialBackoff never waits for longer than it was told", () => {
  const backoff = new DialBackoff(seededRandom(5), 10, 1000);
  for (let count = 0; count < 9; count++) {
    backoff.onFailure("a", "why", 0);
    assert.ok(allowedMs(backoff, "a", 0) <= 1001);
  }
});

Deno.test("DialBackoff.clear() forgets the failures of all peers", () => {
  const backoff = new DialBackoff(seededRandom(6));
  for (const key of ["a", "b"]) backoff.onFailure(key, "why", 0);
  backoff.clear();
  for (const key of ["a", "b"]) {
    assert.equal(backoff.refusal(key, 0), undefined);
  }
});
