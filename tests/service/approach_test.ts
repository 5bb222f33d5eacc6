import assert from "node:assert/strict";
import fc from "fast-check";
import { randomBelow, seededRandom } from "../../lib/base/random.ts";
import {
  Approach,
  type ApproachAction,
  type AttemptFailure,
  HURRY,
  INTRODUCE_MS,
  MAX_ATTEMPTS,
  MAX_SEARCHES,
  OTHER_HOST_MS,
  SEARCH_AGAIN_MS,
} from "../../lib/service/approach.ts";

type Introduce = Extract<ApproachAction, { type: "introduce" }>;
const introduces = (actions: readonly ApproachAction[]): Introduce[] =>
  actions.filter((action) => action.type === "introduce");
const types = (actions: readonly ApproachAction[]) =>
  actions.map(({ type }) => type);

Deno.test("Approach tries one point after the other, in random order, and then looks for a newer descriptor", () => {
  const approach = new Approach(seededRandom(1), 3, "session");
  const points: number[] = [];
  let actions = approach.start(0);
  while (actions[0]?.type === "introduce") {
    assert.equal(actions.length, 1);
    points.push(actions[0].point);
    actions = approach.onFailed(actions[0].attempt, "unreachable", 0, "free");
  }
  assert.deepEqual(points.sort(), [0, 1, 2]);
  assert.deepEqual(types(actions), ["search"]);
  assert.deepEqual(types(approach.onDescriptor(2, "newer", 0)), ["introduce"]);
});

Deno.test("Approach looks for a newer descriptor as soon as one point does not know the service, and goes on meanwhile", () => {
  const approach = new Approach(seededRandom(1), 3, "session");
  approach.start(0);
  assert.deepEqual(types(approach.onFailed(0, "unknown", 0, "free")), [
    "search",
    "introduce",
  ]);
  assert.deepEqual(types(approach.onFailed(1, "unknown", 0, "free")), [
    "introduce",
  ]);
  assert.deepEqual(approach.onDescriptor(3, "newer", 500), []);
  assert.deepEqual(types(approach.onFailed(2, "unknown", 600, "free")), [
    "introduce",
  ]);
});

Deno.test("Approach waits for the newer descriptor in a crowd when one point does not know the service", () => {
  const approach = new Approach(seededRandom(1), 3, "leg");
  approach.start(0);
  const actions = approach.onFailed(0, "unknown", 10, "crowded");
  assert.deepEqual(types(actions), ["search"]);
  assert.equal(approach.deadlineMs, Infinity);
  assert.deepEqual(approach.onTime(5_000, "crowded"), []);
  const found = approach.onDescriptor(3, "newer", 6_000);
  assert.deepEqual(types(found), ["introduce"]);
  // The other points of the old one may know it after all.
  const other = new Approach(seededRandom(1), 3, "leg");
  other.start(0);
  other.onFailed(0, "unknown", 10, "crowded");
  assert.deepEqual(types(other.onDescriptor(3, "same", 20)), ["introduce"]);
});

Deno.test("Approach tries no point beside a slow one in a crowd, and gives the service longer where all was slow", () => {
  const { secondTryMs, answerMs } = HURRY.leg;
  const approach = new Approach(seededRandom(1), 3, "leg");
  approach.start(0);
  assert.deepEqual(approach.onTime(secondTryMs, "crowded"), []);
  assert.equal(approach.deadlineMs, 2 * secondTryMs);
  approach.onTaken(0, 2_500);
  assert.deepEqual(types(approach.onTime(2_500 + answerMs, "crowded")), []);
  assert.deepEqual(types(approach.onTime(2_500 + 7_500, "crowded")), [
    "abandon",
    "introduce",
  ]);
});

Deno.test("Approach tries all points of a descriptor that turns out to be the newest", () => {
  const approach = new Approach(seededRandom(1), 3, "session");
  approach.start(0);
  approach.onFailed(0, "unknown", 0, "free");
  assert.deepEqual(approach.onDescriptor(3, "same", 0), []);
  assert.deepEqual(types(approach.onFailed(1, "unknown", 0, "free")), [
    "introduce",
  ]);
  assert.deepEqual(types(approach.onFailed(2, "unknown", 0, "free")), [
    "failed",
  ]);
});

Deno.test("Approach looks for a newer descriptor beside slow points, and tries its points beside them", () => {
  const approach = new Approach(seededRandom(1), 1, "leg");
  approach.start(0);
  const { secondTryMs } = HURRY.leg;
  assert.equal(approach.deadlineMs, secondTryMs);
  assert.deepEqual(types(approach.onTime(secondTryMs, "free")), ["search"]);
  const tries = approach.onDescriptor(2, "newer", secondTryMs + 100);
  assert.deepEqual(types(tries), ["introduce"]);
  assert.equal(approach.deadlineMs, 2 * secondTryMs + 100);
});

Deno.test("Approach gives up on the same descriptor, unless the service was only busy", () => {
  for (
    const [failure, code] of [
      ["unknown", "service.introduction"],
      ["unreachable", "service.unreachable"],
      ["silent", "service.introduction_timeout"],
      ["wrong_answer", "service.rendezvous"],
    ] as const
  ) {
    const approach = new Approach(seededRandom(1), 1, "session");
    approach.start(0);
    assert.deepEqual(types(approach.onFailed(0, failure, 0, "free")), [
      "search",
    ]);
    assert.deepEqual(approach.onDescriptor(1, "same", 0), [{
      type: "failed",
      code,
    }]);
    assert.equal(approach.deadlineMs, Infinity);
  }
  const approach = new Approach(seededRandom(1), 1, "session");
  approach.start(0);
  approach.onFailed(0, "busy", 0, "free");
  assert.deepEqual(approach.onDescriptor(1, "same", 0), []);
  const againMs = approach.deadlineMs;
  assert.ok(againMs >= 1_000 && againMs <= 3_000);
  assert.deepEqual(types(approach.onTime(againMs, "free")), ["introduce"]);
});

Deno.test("Approach tries another point beside a slow one, and no third", () => {
  const approach = new Approach(seededRandom(1), 3, "session");
  approach.start(0);
  assert.equal(approach.deadlineMs, HURRY.session.secondTryMs);
  assert.deepEqual(types(approach.onTime(HURRY.session.secondTryMs, "free")), [
    "introduce",
    "search",
  ]);
  const laterMs = 2 * HURRY.session.secondTryMs;
  assert.deepEqual(approach.onTime(laterMs, "free"), []);
});

Deno.test("Approach looks again and again for a newer descriptor while points are slow, and not for ever", () => {
  const approach = new Approach(seededRandom(1), 1, "session");
  approach.start(0);
  let searches = 0;
  for (let nowMs = 0; nowMs < INTRODUCE_MS; nowMs += 100) {
    if (!types(approach.onTime(nowMs, "free")).includes("search")) continue;
    searches++;
    assert.ok(nowMs >= HURRY.session.secondTryMs);
    const next = nowMs + SEARCH_AGAIN_MS;
    approach.onDescriptor(1, "same", nowMs);
    if (searches < MAX_SEARCHES) assert.equal(approach.deadlineMs, next);
  }
  assert.equal(searches, MAX_SEARCHES);
});

Deno.test("Approach does not wait for slow points of an old descriptor when it has a newer one", () => {
  const approach = new Approach(seededRandom(1), 3, "session");
  approach.start(0);
  approach.onTime(HURRY.session.secondTryMs, "free");
  const atMs = 2 * HURRY.session.secondTryMs;
  assert.deepEqual(types(approach.onDescriptor(3, "newer", atMs)), [
    "introduce",
  ]);
  const laterMs = 3 * HURRY.session.secondTryMs;
  assert.ok(types(approach.onTime(laterMs, "free")).includes("introduce"));
});

Deno.test("Approach tries a newer descriptor as soon as it has it, though another old point was tried beside a slow one just now", () => {
  const approach = new Approach(seededRandom(1), 3, "session");
  approach.start(0);
  const { secondTryMs } = HURRY.session;
  assert.deepEqual(types(approach.onTime(secondTryMs, "free")), [
    "introduce",
    "search",
  ]);
  const newer = approach.onDescriptor(3, "newer", secondTryMs + 300);
  assert.deepEqual(types(newer), ["introduce"]);
  // Both of its points that may be under way at once are the newer one's.
  const laterMs = 2 * secondTryMs + 300;
  assert.deepEqual(introduces(approach.onTime(laterMs, "free")).length, 1);
});

Deno.test("Approach is in more of a hurry for a leg than for a session", () => {
  const approach = new Approach(seededRandom(1), 4, "leg");
  approach.start(0);
  const { secondTryMs } = HURRY.leg;
  for (const tries of [1, 2]) {
    const dueMs = tries * secondTryMs;
    assert.equal(approach.deadlineMs, dueMs);
    assert.equal(types(approach.onTime(dueMs, "free"))[0], "introduce");
  }
  assert.deepEqual(
    approach.onTime(3 * secondTryMs, "free"),
    [],
    "three at once",
  );
});

Deno.test("Approach abandons a point that takes nothing, and a service that does not answer", () => {
  const approach = new Approach(seededRandom(1), 1, "session");
  approach.start(0);
  assert.deepEqual(types(approach.onTime(INTRODUCE_MS - 1, "free")), [
    "search",
  ]);
  assert.deepEqual(types(approach.onTime(INTRODUCE_MS, "free")), ["abandon"]);
  const other = new Approach(seededRandom(1), 1, "session");
  other.start(0);
  other.onTaken(0, 1_000);
  other.onTime(HURRY.session.secondTryMs, "free");
  assert.equal(other.deadlineMs, 1_000 + HURRY.session.answerMs);
  const abandoned = other.onTime(1_000 + HURRY.session.answerMs, "free");
  assert.deepEqual(types(abandoned), ["abandon"]);
  assert.deepEqual(
    other.onFailed(0, "unknown", 20_000, "free"),
    [],
    "too late",
  );
});

Deno.test("Approach ends after a bounded number of tries, whatever comes (property)", () => {
  const failures: AttemptFailure[] = [
    "unknown",
    "busy",
    "unreachable",
    "wrong_answer",
    "silent",
  ];
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 0, max: 5 }), (seed, count) => {
      const random = seededRandom(seed);
      const approach = new Approach(seededRandom(seed), count, "session");
      const open = new Set<number>();
      let nowMs = 0;
      let tries = 0;
      let ends = 0;
      let searches = 0;
      const take = (actions: readonly ApproachAction[]) => {
        for (const { attempt } of introduces(actions)) {
          open.add(attempt);
          tries++;
        }
        for (const action of actions) {
          if (action.type === "abandon") assert.ok(open.delete(action.attempt));
          if (action.type === "failed") ends++;
          if (action.type === "search") searches++;
        }
        assert.ok(open.size <= MAX_ATTEMPTS);
      };
      take(approach.start(0));
      let searched = 0;
      for (let step = 0; step < 300 && ends === 0; step++) {
        nowMs += randomBelow(random, 8_000);
        if (searches > searched && randomBelow(random, 2) === 0) {
          searched++;
          const news = randomBelow(random, 2) === 0 ? "newer" : "same";
          take(approach.onDescriptor(randomBelow(random, 6), news, nowMs));
        } else if (randomBelow(random, 2) === 0) {
          take(approach.onTime(nowMs, "free"));
          // A driver that obeyed the deadline would else ask without end.
          assert.ok(approach.deadlineMs > nowMs);
        } else {
          const [attempt] = open;
          const failure = failures[randomBelow(random, 5)] ?? "busy";
          if (attempt !== undefined) {
            open.delete(attempt);
            take(approach.onFailed(attempt, failure, nowMs, "free"));
          }
        }
      }
      assert.equal(ends, 1);
      assert.ok(tries <= MAX_ATTEMPTS && searches <= MAX_SEARCHES);
    }),
  );
});

Deno.test("Approach tries the points of another host in turn with those of the first, and sooner", () => {
  const approach = new Approach(seededRandom(1), 3, "session");
  const [first] = approach.start(0);
  assert.ok(first?.type === "introduce" && first.point < 3);
  assert.deepEqual(approach.onMore(3, 600), []);
  assert.equal(approach.deadlineMs, OTHER_HOST_MS);
  const points: number[] = [];
  for (let ms = OTHER_HOST_MS; points.length < 4; ms += OTHER_HOST_MS) {
    // The first one is still under way; what is left is tried beside it.
    const [next] = introduces(approach.onTime(ms, "free"));
    assert.ok(next !== undefined);
    points.push(next.point);
    approach.onFailed(next.attempt, "unreachable", ms, "free");
  }
  const hosts = points.map((point) => point < 3 ? 1 : 2);
  assert.deepEqual(hosts.slice(0, 4), [2, 1, 2, 1]);
  assert.equal(new Set(points).size, points.length);
});

Deno.test("Approach goes to another host at once where the first one's points do not know it", () => {
  const approach = new Approach(seededRandom(2), 1, "session");
  const [first] = approach.start(0);
  assert.ok(first?.type === "introduce");
  const waiting = approach.onFailed(first.attempt, "unknown", 10, "free");
  assert.deepEqual(waiting, [{ type: "search" }]);
  const [other] = approach.onMore(1, 20);
  assert.ok(other?.type === "introduce" && other.point === 1);
});
