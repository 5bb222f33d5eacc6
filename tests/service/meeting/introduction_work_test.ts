import assert from "node:assert/strict";
import fc from "fast-check";
import { seededRandom } from "../../../lib/base/random.ts";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import { nobleSuite } from "../../../lib/crypto/noble.ts";
import {
  isWorkDone,
  LEAST_EFFORT,
  MAX_EFFORT,
  type Work,
  WORK_EPOCH_MS,
  WorkSearch,
  WorkSeeds,
  type WorkSubject,
} from "../../../lib/service/meeting/introduction_work.ts";

const crypto = nativeSuite();
const random = seededRandom(7);
const seed = random.bytes(32);
const subject: WorkSubject = {
  authentication: random.bytes(32),
  sealed: random.bytes(4208),
};

function workOf(
  effort: number,
  { by = random, to = seed, on = subject } = {},
): { work: Work; hashes: number } {
  const search = new WorkSearch(crypto, by, { seed: to, effort }, on);
  const work = search.run(1e6);
  assert.ok(work !== undefined);
  return { work, hashes: search.hashes };
}

Deno.test("WorkSearch finds what isWorkDone() takes, by another implementation too", () => {
  for (const effort of [LEAST_EFFORT, 3000]) {
    const { work } = workOf(effort);
    assert.equal(work.effort, effort);
    assert.ok(isWorkDone(crypto, seed, subject, work));
    assert.ok(isWorkDone(nobleSuite(), seed, subject, work));
  }
});

Deno.test("WorkSearch takes as many hashes as the effort says, on average", () => {
  let hashes = 0;
  for (let n = 0; n < 60; n++) hashes += workOf(LEAST_EFFORT).hashes;
  const average = hashes / 60 / LEAST_EFFORT;
  assert.ok(average > 0.6 && average < 1.6, `${average}`);
});

Deno.test("WorkSearch computes no more at once than it is told, and goes on where it was", () => {
  const whole = workOf(LEAST_EFFORT, { by: seededRandom(1) });
  const demand = { seed, effort: LEAST_EFFORT };
  const search = new WorkSearch(crypto, seededRandom(1), demand, subject);
  let found: Work | undefined;
  for (let slices = 1; found === undefined; slices++) {
    found = search.run(100);
    assert.ok(search.hashes <= slices * 100);
  }
  assert.deepEqual(found, whole.work);
  assert.equal(search.hashes, whole.hashes);
});

Deno.test("isWorkDone() takes work for its seed, its key and its introduction alone", () => {
  const { work } = workOf(LEAST_EFFORT * 4);
  const sealed = subject.sealed.slice();
  sealed[2000] = (sealed[2000] ?? 0) ^ 1;
  const { authentication } = subject;
  // One in 4096 would pass by chance; these do not, with this seed.
  const wrong: [Uint8Array, WorkSubject, Work][] = [
    [random.bytes(32), subject, work],
    [seed, { authentication, sealed }, work],
    [seed, { ...subject, authentication: random.bytes(32) }, work],
    [seed, subject, { ...work, nonce: random.bytes(16) }],
    [seed, subject, { ...work, effort: work.effort + 1 }],
  ];
  for (const [seed, subject, work] of wrong) {
    assert.ok(!isWorkDone(crypto, seed, subject, work));
  }
});

Deno.test("isWorkDone() refuses efforts and nonces that are none (property)", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.integer({ max: LEAST_EFFORT - 1 }),
        fc.integer({ min: MAX_EFFORT + 1 }),
        fc.double(),
      ),
      fc.uint8Array({ maxLength: 40 }),
      (effort, bytes) => {
        const nonce = new Uint8Array(bytes);
        assert.ok(!isWorkDone(crypto, seed, subject, { effort, nonce }));
      },
    ),
  );
});

Deno.test("WorkSearch refuses to search for what no point may demand", () => {
  for (const effort of [0, LEAST_EFFORT - 1, MAX_EFFORT + 1, NaN]) {
    assert.throws(
      () => new WorkSearch(crypto, random, { seed, effort }, subject),
      RangeError,
    );
  }
});

Deno.test("WorkSeeds takes work for its circuit, for seconds", () => {
  const seeds = new WorkSeeds(crypto, random);
  const binding = random.bytes(32);
  const { authentication } = subject;
  const atMs = 5 * WORK_EPOCH_MS + 1000;
  const to = seeds.seed(authentication, binding, atMs);
  const { work } = workOf(LEAST_EFFORT * 4, { to });
  const isDone = (nowMs: number, by = binding, on = subject) =>
    seeds.isDone(on, work, by, nowMs);
  assert.ok(isDone(atMs));
  assert.ok(isDone(atMs + WORK_EPOCH_MS));
  assert.ok(!isDone(atMs + 2 * WORK_EPOCH_MS));
  assert.ok(!isDone(atMs - WORK_EPOCH_MS));
  assert.ok(!isDone(atMs, random.bytes(32)));
  assert.ok(!isDone(atMs, binding, { ...subject, sealed: random.bytes(4208) }));
  const elsewhere = new WorkSeeds(crypto, random);
  assert.ok(!elsewhere.isDone(subject, work, binding, atMs));
});
