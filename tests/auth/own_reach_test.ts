import assert from "node:assert/strict";
import {
  decodeReachAnswer,
  describeOwnReach,
  encodeReachAnswer,
  FIRST_ASK_MS,
  OwnReach,
  type ReachAnswer,
  SURE_MS,
  UNSURE_MS,
} from "../../lib/auth/own_reach.ts";

/** A machine that is asked at its deadlines, on a clock of its own. */
class Asked {
  readonly machine = new OwnReach();
  nowMs = 0;

  constructor() {
    this.machine.start(0);
  }

  /** Jump to the next round, and give these answers. @returns What is told. */
  round(...answers: readonly ReachAnswer[]): string[] {
    this.nowMs = this.machine.deadlineMs;
    assert.deepEqual(this.machine.onTime(this.nowMs), [{ type: "ask" }]);
    assert.equal(this.machine.deadlineMs, Infinity);
    return this.machine.onAnswers(answers, this.nowMs).map((action) => {
      assert.ok(action.type === "tell");
      return action.status.state;
    });
  }
}

Deno.test("OwnReach asks first once others had the time to try, and not before", () => {
  const { machine } = new Asked();
  assert.equal(machine.deadlineMs, FIRST_ASK_MS);
  assert.deepEqual(machine.onTime(FIRST_ASK_MS - 1), []);
  assert.equal(machine.status.state, "unknown");
});

Deno.test("OwnReach tells that no relay reached it, and once more when one does", () => {
  const asked = new Asked();
  assert.deepEqual(asked.round("silent"), ["not_reached"]);
  const firstMs = asked.nowMs;
  assert.deepEqual(asked.round("silent", "silent"), []);
  assert.equal(asked.nowMs - firstMs, UNSURE_MS);
  assert.deepEqual(asked.machine.status, {
    state: "not_reached",
    reached: 0,
    silent: 2,
  });
  assert.deepEqual(asked.round("reached", "silent", "reached"), ["reached"]);
  assert.equal(asked.machine.deadlineMs - asked.nowMs, SURE_MS);
});

Deno.test("OwnReach lets most of those that tried decide, so that one liar does not", () => {
  const asked = new Asked();
  assert.deepEqual(asked.round("reached", "silent", "reached"), ["reached"]);
  assert.deepEqual(asked.round("silent", "silent", "reached"), ["not_reached"]);
});

Deno.test("OwnReach asks again soon, then more seldom, while none has tried", () => {
  const asked = new Asked();
  const atMs: number[] = [];
  for (let round = 0; round < 8; round++) {
    assert.deepEqual(
      round % 2 === 0 ? asked.round("untried") : asked.round(),
      [],
    );
    atMs.push(asked.nowMs / 1000);
  }
  assert.deepEqual(atMs, [10, 20, 40, 80, 160, 320, 620, 920]);
  assert.equal(asked.machine.status.state, "unknown");
});

Deno.test("OwnReach keeps what it knows while no relay answers", () => {
  const asked = new Asked();
  asked.round("reached");
  assert.deepEqual(asked.round(), []);
  assert.equal(asked.machine.status.state, "reached");
});

Deno.test("OwnReach forgets what was said of other addresses, answers under way included", () => {
  const asked = new Asked();
  asked.round("silent");
  const { machine } = asked;
  const askedMs = machine.deadlineMs;
  machine.onTime(askedMs);
  machine.start(askedMs + 1);
  assert.deepEqual(machine.onAnswers(["silent"], askedMs + 2), []);
  assert.equal(machine.status.state, "unknown");
  assert.equal(machine.deadlineMs, askedMs + 1 + FIRST_ASK_MS);
});

Deno.test("decodeReachAnswer() undoes encodeReachAnswer(), and refuses all else", () => {
  for (const answer of ["untried", "reached", "silent"] as const) {
    assert.equal(decodeReachAnswer(encodeReachAnswer(answer)), answer);
  }
  for (const bytes of [[], [3], [255], [1, 1]]) {
    assert.throws(() => decodeReachAnswer(Uint8Array.from(bytes)), {
      code: "auth.reach_answer",
    });
  }
});

Deno.test("describeOwnReach() says what an operator can do, and nothing where nothing is wrong", () => {
  const words = (state: "unknown" | "reached" | "not_reached") =>
    describeOwnReach({ state, reached: 1, silent: 2 });
  assert.match(
    words("not_reached"),
    /^not reached: 2 of 3 .*firewall.*--advertise/,
  );
  assert.equal(words("reached"), "reached by 1 of 3 relays that tried");
  assert.match(words("unknown"), /not known yet/);
});
