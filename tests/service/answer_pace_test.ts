import assert from "node:assert/strict";
import fc from "fast-check";
import { AnswerPace, PACE_MS } from "../../lib/service/answer_pace.ts";
import { INTRODUCTIONS_PER_SECOND } from "../../lib/service/meeting/introduction_gate.ts";

/** Introductions come at a pace, for so many periods. */
function run(
  pace: AnswerPace,
  periods: number,
  { waiting = 0, shedEach = 0, everyMs = 20, fromMs = 0 } = {},
): number {
  let told = 0;
  let shed = 0;
  const untilMs = fromMs + periods * PACE_MS;
  for (let nowMs = fromMs; nowMs <= untilMs; nowMs += everyMs) {
    shed += shedEach;
    if (pace.onIntroduction({ waiting, shed }, nowMs)) told++;
  }
  return told;
}

Deno.test("AnswerPace says nothing while a service keeps up with few introductions", () => {
  const pace = new AnswerPace(0);
  const before = pace.perPoint;
  assert.equal(run(pace, 50, { everyMs: 500 }), 0);
  assert.equal(pace.perPoint, before);
});

Deno.test("AnswerPace asks for less while introductions wait, down to one per second", () => {
  const pace = new AnswerPace(0);
  const before = pace.perPoint;
  assert.equal(run(pace, 1, { waiting: 30 }), 1);
  assert.ok(pace.perPoint < before);
  run(pace, 20, { waiting: 30, fromMs: PACE_MS });
  assert.equal(pace.perPoint, 1);
});

Deno.test("AnswerPace asks for less when introductions were shed", () => {
  const pace = new AnswerPace(0);
  const before = pace.perPoint;
  run(pace, 1, { shedEach: 1 });
  assert.ok(pace.perPoint < before);
});

Deno.test("AnswerPace asks for more while a service keeps up with many, up to what a point gives", () => {
  const pace = new AnswerPace(0);
  run(pace, 30, { everyMs: 5 });
  assert.equal(pace.perPoint, INTRODUCTIONS_PER_SECOND);
});

Deno.test("AnswerPace tells the points once per period at most, and stays within bounds (property)", () => {
  const step = fc.record({
    waitMs: fc.nat(3_000),
    waiting: fc.nat(200),
    shed: fc.nat(3),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const pace = new AnswerPace(0);
      let [nowMs, shed, toldMs] = [0, 0, -Infinity];
      for (const step of steps) {
        nowMs += step.waitMs;
        shed += step.shed;
        const { waiting } = step;
        if (pace.onIntroduction({ waiting, shed }, nowMs)) {
          assert.ok(nowMs - toldMs >= PACE_MS);
          toldMs = nowMs;
        }
        const { perPoint } = pace;
        assert.ok(Number.isInteger(perPoint) && perPoint >= 1);
        assert.ok(perPoint <= INTRODUCTIONS_PER_SECOND);
      }
    }),
  );
});
