import assert from "node:assert/strict";
import { ProtocolError } from "../../lib/base/errors.ts";
import { type RelayKey, relayKey } from "../../lib/path/relay_key.ts";
import {
  DAILY_GROWTH,
  FOUNDING_MS,
  LEAST_SETTLED,
  MAX_REMEMBERED,
  NEWCOMER_MS,
  Tenure,
} from "../../lib/path/tenure.ts";
import { encodeCbor } from "../../lib/wire/cbor.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { TEST_UNIX_MS } from "../support/nodes.ts";

const DAY_MS = 24 * 3600 * 1000;

function keys(seed: number, count: number): RelayKey[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => relayKey(random.bytes(32)));
}

/** Sums of the weights of the first `split` relays and of the others, all of weight 1. */
function sums(tenure: Tenure, listed: readonly RelayKey[], split: number) {
  const weights = new Float64Array(listed.length).fill(1);
  tenure.lower(listed, weights);
  const sum = (part: Float64Array) => part.reduce((a, b) => a + b, 0);
  return [sum(weights.subarray(0, split)), sum(weights.subarray(split))];
}

const old = keys(1, 100);

Deno.test("Tenure leaves all weights alone in the first hour, and in a young network", () => {
  const tenure = new Tenure();
  tenure.note(old.slice(0, 50), TEST_UNIX_MS);
  tenure.note(old, TEST_UNIX_MS + FOUNDING_MS);
  assert.deepEqual(sums(tenure, old, 50), [50, 50]);
  assert.ok(old.every((key) => !tenure.isNewcomer(key)));

  const young = new Tenure();
  young.note(old.slice(0, LEAST_SETTLED - 1), TEST_UNIX_MS);
  young.note(old, TEST_UNIX_MS + DAY_MS);
  assert.deepEqual(sums(young, old, 50), [50, 50]);
  assert.ok(old.every((key) => !young.isNewcomer(key)));
});

Deno.test("Tenure gives a lone newcomer weight with its age, in full after a week", () => {
  const tenure = new Tenure();
  const [newcomer = ""] = keys(2, 1);
  const listed = [...old, newcomer];
  tenure.note(old, TEST_UNIX_MS);
  const cameMs = TEST_UNIX_MS + 30 * DAY_MS;
  tenure.note(listed, cameMs);
  for (const [days, weight] of [[0, 0], [3.5, 0.5], [7, 1], [50, 1]] as const) {
    tenure.note(listed, cameMs + days * DAY_MS);
    assert.deepEqual(sums(tenure, listed, 100), [100, weight]);
    assert.equal(tenure.isNewcomer(newcomer), days * DAY_MS < NEWCOMER_MS);
  }
});

Deno.test("Tenure lets what came in one day grow by 5 % of what came before, each day", () => {
  const tenure = new Tenure();
  const crowd = keys(3, 1000);
  const listed = [...old, ...crowd];
  tenure.note(old, TEST_UNIX_MS);
  const cameMs = TEST_UNIX_MS + 30 * DAY_MS;
  for (const days of [0, 1, 6, 7, 8, 30, 100]) {
    tenure.note(listed, cameMs + days * DAY_MS);
    const [before = 0, after = 0] = sums(tenure, listed, 100);
    assert.equal(before, 100);
    assert.ok(after <= DAILY_GROWTH * (days + 1) * 100 + 1e-9, `${days}`);
  }
  // In the end relays are relays.
  tenure.note(listed, cameMs + 400 * DAY_MS);
  assert.deepEqual(sums(tenure, listed, 100), [100, 1000]);
});

Deno.test("Tenure is the same after a restart", () => {
  const tenure = new Tenure();
  const listed = [...old, ...keys(4, 50)];
  tenure.note(old, TEST_UNIX_MS);
  tenure.note(listed, TEST_UNIX_MS + 20 * DAY_MS);
  const again = Tenure.restore(tenure.snapshot());
  assert.deepEqual(again.snapshot(), tenure.snapshot());
  for (const one of [tenure, again]) {
    one.note(listed, TEST_UNIX_MS + 22 * DAY_MS);
  }
  assert.deepEqual(sums(again, listed, 100), sums(tenure, listed, 100));
  assert.deepEqual(
    listed.filter((key) => again.isNewcomer(key)),
    listed.slice(100),
  );
});

Deno.test("Tenure survives a clock that was ahead", () => {
  const tenure = new Tenure();
  tenure.note(old, TEST_UNIX_MS + 400 * DAY_MS);
  tenure.note(old, TEST_UNIX_MS);
  assert.deepEqual(sums(tenure, old, 50), [50, 50]);
});

Deno.test("Tenure forgets those that are gone before it remembers too many", () => {
  const tenure = new Tenure();
  tenure.note(old, TEST_UNIX_MS);
  for (let day = 1; day <= 5; day++) {
    const crowd = keys(10 + day, MAX_REMEMBERED / 4);
    tenure.note([...old, ...crowd], TEST_UNIX_MS + day * DAY_MS);
  }
  assert.ok(tenure.snapshot().length < 36 * (MAX_REMEMBERED + 2));
  assert.ok(old.every((key) => !tenure.isNewcomer(key)));
});

Deno.test("Tenure is stored when something is new, every 10 min, and at the end", () => {
  const tenure = new Tenure();
  tenure.note(old.slice(0, 1), TEST_UNIX_MS);
  const { revision } = tenure;
  assert.notEqual(revision, new Tenure().revision);
  tenure.note(old.slice(0, 2), TEST_UNIX_MS + 1000);
  assert.equal(tenure.revision, revision);
  tenure.flush();
  assert.equal(tenure.revision, revision + 1);
  tenure.note(old.slice(0, 3), TEST_UNIX_MS + 600_000);
  assert.equal(tenure.revision, revision + 2);
  tenure.flush();
  tenure.note(old.slice(0, 3), TEST_UNIX_MS + 1_200_000);
  assert.equal(tenure.revision, revision + 2);
});

Deno.test("Tenure.restore() refuses what it did not write", () => {
  const good = { version: 1, begun: 0, relays: new Uint8Array(36) };
  Tenure.restore(encodeCbor(good));
  for (
    const bad of [
      { ...good, version: 2 },
      { ...good, relays: new Uint8Array(35) },
      { ...good, begun: -1 },
      { ...good, more: 1 },
      {},
    ]
  ) assert.throws(() => Tenure.restore(encodeCbor(bad)), ProtocolError);
});
