import assert from "node:assert/strict";
import fc from "fast-check";
import { randomBelow, seededRandom } from "../../lib/base/random.ts";
import {
  ASK_MS,
  DescriptorSearch,
  HEDGE_MS,
  type SearchAction,
  type SearchAnswer,
} from "../../lib/service/descriptor_search.ts";

type Ask = Extract<SearchAction, { type: "ask" }>;
const asks = (actions: readonly SearchAction[]): Ask[] =>
  actions.filter((action) => action.type === "ask");

/** Answer everything the same way. @returns What was asked, and the end. */
function runAll(answer: SearchAnswer, seed = 1) {
  const search = new DescriptorSearch(seededRandom(seed));
  const all: Ask[] = [];
  let failure: string | undefined;
  const queue = [...search.start(0)];
  for (let action = queue.shift(); action; action = queue.shift()) {
    if (action.type === "failed") failure = action.code;
    else {
      all.push(action);
      queue.push(...search.onAnswer(action.replica, action.route, answer, 0));
    }
  }
  return { all, failure };
}

Deno.test("DescriptorSearch asks every place by one route and then by another, in random order", () => {
  const { all, failure } = runAll("missing");
  assert.equal(failure, "service.not_found");
  assert.deepEqual(all.map(({ route }) => route), [0, 0, 0, 0, 1, 1, 1, 1]);
  for (const route of [0, 1]) {
    const replicas = all.filter((ask) => ask.route === route)
      .map(({ replica }) => replica);
    assert.deepEqual(replicas.sort(), [0, 1, 2, 3]);
  }
  const orders = new Set(
    [1, 2, 3, 4, 5, 6].map((seed) =>
      runAll("missing", seed).all.map(({ replica }) => replica).join()
    ),
  );
  assert.ok(orders.size > 2);
});

Deno.test("DescriptorSearch asks one place while it answers soon", () => {
  const search = new DescriptorSearch(seededRandom(1));
  const [first, ...others] = asks(search.start(0));
  assert.ok(first !== undefined);
  assert.deepEqual(others, []);
  const next = search.onAnswer(first.replica, first.route, "missing", 50);
  assert.equal(asks(next).length, 1);
});

Deno.test("DescriptorSearch says the most telling of what it heard", () => {
  assert.equal(runAll("invalid").failure, "service.descriptor_invalid");
  assert.equal(runAll("unreachable").failure, "service.unreachable");
  const { all, failure } = runAll("unauthorised");
  assert.equal(failure, "service.unauthorised");
  assert.ok(all.length <= 2, "no other copy opens to the key");
});

Deno.test("DescriptorSearch leaves a route whose circuit has failed", () => {
  const { all } = runAll("unreachable");
  assert.ok(all.filter(({ route }) => route === 0).length <= 2);
});

Deno.test("DescriptorSearch asks others beside slow ones, and gives up on silent ones", () => {
  const search = new DescriptorSearch(seededRandom(1));
  assert.equal(asks(search.start(0)).length, 1);
  assert.equal(search.deadlineMs, HEDGE_MS);
  let asked = 1;
  let ended = 0;
  for (let ms = search.deadlineMs; ms !== Infinity && ended === 0;) {
    const actions = search.onTime(ms);
    asked += asks(actions).length;
    ended += actions.filter(({ type }) => type === "failed").length;
    assert.ok(search.deadlineMs > ms, "it looks at the clock without end");
    ms = search.deadlineMs;
  }
  assert.equal(ended, 1);
  assert.equal(asked, 8);
});

Deno.test("DescriptorSearch ends, once, whatever comes in whatever order (property)", () => {
  const answers: SearchAnswer[] = [
    "missing",
    "invalid",
    "unreachable",
    "unauthorised",
  ];
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = seededRandom(seed);
      const search = new DescriptorSearch(seededRandom(seed));
      const open = asks(search.start(0));
      let nowMs = 0;
      let ends = 0;
      const take = (actions: SearchAction[]) => {
        open.push(...asks(actions));
        ends += actions.filter(({ type }) => type === "failed").length;
      };
      for (let step = 0; step < 200 && ends === 0; step++) {
        nowMs += randomBelow(random, ASK_MS / 2);
        if (randomBelow(random, 2) === 0) take(search.onTime(nowMs));
        else {
          const [one] = open.splice(randomBelow(random, open.length + 1), 1);
          const answer = answers[randomBelow(random, 4)] ?? "missing";
          if (one !== undefined) {
            take(search.onAnswer(one.replica, one.route, answer, nowMs));
          }
        }
      }
      assert.equal(ends, 1);
      for (const { replica, route } of open) {
        assert.deepEqual(search.onAnswer(replica, route, "missing", nowMs), []);
      }
    }),
  );
});
