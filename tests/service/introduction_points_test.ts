import assert from "node:assert/strict";
import fc from "fast-check";
import { randomBelow, seededRandom } from "../../lib/base/random.ts";
import {
  BUILD_BURST,
  CHECK_MS,
  CHECKED_SERVICES,
  IntroductionPoints,
  LINGER_MS,
  type PointAction,
  type PointId,
  RETIRE_AFTER,
  SERVE_MS,
} from "../../lib/service/introduction_points.ts";

const built = (actions: readonly PointAction[]): PointId[] =>
  actions.flatMap((action) => action.type === "build" ? [action.point] : []);

/** Three points that listen. */
function open(nowMs = 0): IntroductionPoints {
  const points = new IntroductionPoints(seededRandom(1), nowMs);
  for (let n = 0; n < 3; n++) {
    for (const id of built(points.onTime(nowMs))) {
      points.onOpen(id, `relay ${id}`, nowMs);
    }
  }
  return points;
}

Deno.test("IntroductionPoints builds three, each when it knows where the one before is", () => {
  const points = new IntroductionPoints(seededRandom(1), 0);
  for (const id of [1, 2, 3]) {
    const [action, ...more] = points.onTime(0);
    assert.deepEqual(more, []);
    assert.ok(action?.type === "build" && action.avoid.length === id - 1);
    points.onOpen(id, `relay ${id}`, 0);
  }
  assert.deepEqual(points.listed, [1, 2, 3]);
  assert.deepEqual(built(points.onTime(1000)), []);
});

Deno.test("IntroductionPoints does not wait long for one that is slow to build", () => {
  const points = new IntroductionPoints(seededRandom(1), 0);
  const begun: number[] = [];
  for (let ms = 0; ms < 10_000; ms += 100) {
    if (built(points.onTime(ms)).length > 0) begun.push(ms);
  }
  assert.deepEqual(begun, [0, 1_000, 2_000]);
  assert.equal(points.building, 3);
});

Deno.test("IntroductionPoints replaces one that is gone, on another relay than those it has", () => {
  const points = open();
  points.onFailed(2, 3_000);
  assert.deepEqual(points.listed, [1, 3]);
  const [action] = points.onTime(3_000);
  assert.deepEqual(action, {
    type: "build",
    point: 4,
    avoid: ["relay 1", "relay 3"],
  });
});

Deno.test("IntroductionPoints waits longer after each failure to build, and not after a success", () => {
  const points = new IntroductionPoints(seededRandom(1), 0);
  let nowMs = 0;
  const waits: number[] = [];
  for (let n = 0; n < 9; n++) {
    const ids = built(points.onTime(nowMs));
    for (const id of ids) points.onFailed(id, nowMs);
    waits.push(points.deadlineMs - nowMs);
    nowMs = points.deadlineMs;
  }
  assert.ok((waits[0] ?? 0) >= 250 && Math.max(...waits) <= 15_000);
  const [id] = built(points.onTime(nowMs));
  points.onOpen(id ?? 0, "relay", nowMs);
  assert.ok(points.deadlineMs - nowMs <= 10_000);
});

Deno.test("IntroductionPoints builds at a bounded rate, whatever happens to them", () => {
  const points = new IntroductionPoints(seededRandom(1), 0);
  let count = 0;
  for (let ms = 0; ms <= 600_000; ms += 100) {
    for (const id of built(points.onTime(ms))) {
      count++;
      points.onOpen(id, `relay ${id}`, ms);
      points.onFailed(id, ms);
    }
  }
  assert.ok(count <= BUILD_BURST + 61, `${count} in ten minutes`);
});

Deno.test("IntroductionPoints checks each circuit every few seconds, one check at a time", () => {
  const points = open();
  const checks: number[] = [];
  for (let ms = 0; ms < 8 * CHECK_MS; ms += 50) {
    for (const action of points.onTime(ms)) {
      assert.equal(action.type, "check");
      if (action.point === 1) checks.push(ms);
      // Point 3 never answers its check, and is not asked again.
      if (action.point !== 3) points.onChecked(action.point, ms);
    }
  }
  assert.ok(checks.length >= 5 && checks.length <= 10, `${checks.length}`);
  for (const [n, ms] of checks.entries()) {
    const wait = ms - (checks[n - 1] ?? 0);
    assert.ok(wait >= CHECK_MS * 0.7 && wait <= CHECK_MS * 1.3, `${wait} ms`);
  }
});

Deno.test("IntroductionPoints retires a point in its time, once another stands in its place", () => {
  const points = open();
  let retired = 0;
  for (let ms = 0; ms < SERVE_MS.high + 1000; ms += 1000) {
    for (const action of points.onTime(ms)) {
      if (action.type === "check") points.onChecked(action.point, ms);
      if (action.type !== "build") continue;
      assert.ok(ms >= SERVE_MS.low, `${ms} ms`);
      retired++;
      // The old ones are in the descriptor until the new one listens.
      assert.equal(points.listed.length, 3);
      points.onOpen(action.point, `relay ${action.point}`, ms);
      assert.equal(points.listed.length, 3);
      assert.ok(points.listed.includes(action.point));
      points.onPublished(points.listed, ms);
    }
  }
  assert.equal(retired, 3);
});

Deno.test("IntroductionPoints lets a point that was replaced listen a while, and closes it then", () => {
  const points = open();
  for (let n = 0; n < RETIRE_AFTER; n++) points.onIntroduction(1, 1_000);
  assert.deepEqual(built(points.onTime(1_000)), [4]);
  points.onOpen(4, "relay 4", 2_000);
  assert.deepEqual(points.listed, [2, 3, 4]);
  assert.equal(points.stateOf(1), "retiring");
  points.onPublished([2, 3, 4], 3_000);
  assert.equal(points.stateOf(1), "leaving");
  const closing = (ms: number) =>
    points.onTime(ms).some(({ type }) => type === "close");
  assert.ok(!closing(3_000 + LINGER_MS - 1));
  assert.ok(closing(3_000 + LINGER_MS));
  assert.equal(points.stateOf(1), undefined);
});

Deno.test("IntroductionPoints checks everything at once after an upheaval, and builds without waiting", () => {
  const points = open();
  points.onFailed(3, 100);
  const [id] = built(points.onTime(100));
  points.onFailed(id ?? 0, 100);
  assert.deepEqual(points.onTime(200), []);
  points.onUpheaval(200);
  const actions = points.onTime(200);
  assert.deepEqual(actions.map(({ type }) => type).sort(), [
    "build",
    "check",
    "check",
  ]);
});

Deno.test("IntroductionPoints keeps its numbers through any order of events (property)", () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = seededRandom(seed);
      const points = new IntroductionPoints(seededRandom(seed), 0);
      const alive = new Set<PointId>();
      let nowMs = 0;
      for (let step = 0; step < 300; step++) {
        nowMs += randomBelow(random, 30_000);
        for (const action of points.onTime(nowMs)) {
          if (action.type === "build") alive.add(action.point);
          if (action.type === "close") assert.ok(alive.delete(action.point));
        }
        const ids = [...alive];
        const id = ids[randomBelow(random, ids.length + 1)];
        if (id !== undefined) {
          switch (randomBelow(random, 4)) {
            case 0:
              points.onFailed(id, nowMs);
              alive.delete(id);
              break;
            case 1:
              points.onChecked(id, nowMs);
              break;
            case 2:
              points.onPublished(points.listed, nowMs);
              break;
            default:
              points.onOpen(id, `relay ${randomBelow(random, 9)}`, nowMs);
          }
        }
        assert.ok(points.listed.length <= 3 && points.building <= 3);
        assert.ok(alive.size <= 3 + 3 + 3, `${alive.size} points`);
        for (const listed of points.listed) assert.ok(alive.has(listed));
      }
    }),
    { numRuns: 60 },
  );
});

Deno.test("IntroductionPoints asks its circuits less often, the more services share the guards", () => {
  const checksIn = (services: number, ms: number) => {
    const points = open();
    points.onServices(services);
    let checks = 0;
    for (let nowMs = 0; nowMs < ms; nowMs += 250) {
      for (const action of points.onTime(nowMs)) {
        if (action.type !== "check") continue;
        checks++;
        points.onChecked(action.point, nowMs);
      }
    }
    return checks;
  };
  const span = 120 * CHECK_MS;
  const few = checksIn(1, span);
  assert.equal(checksIn(CHECKED_SERVICES, span), few);
  const many = checksIn(10 * CHECKED_SERVICES, span);
  assert.ok(many > few / 13 && many < few / 8, `${many} of ${few}`);
  // What is suspect is asked at once, however many there are.
  const points = open();
  points.onServices(200);
  points.onDoubt(10_000);
  assert.equal(
    points.onTime(10_000).filter(({ type }) => type === "check").length,
    3,
  );
});
