import assert from "node:assert/strict";
import type { Moment } from "../../lib/base/clock.ts";
import {
  type Chore,
  Chores,
  MAX_CHORES,
  MAX_CHORES_AT_ONCE,
} from "../../lib/dht/chores.ts";
import { point } from "./records/fake_records.ts";

const AT: Moment = { nowMs: 0, unixMs: 0 };

/** Chores whose steps end when the test says so. */
function makeChores() {
  const running: { what: string; end: () => void }[] = [];
  const chores = new Chores({
    refresh(target, _at, done) {
      const end = () => done(undefined, AT);
      running.push({ what: `refresh ${target[0]}`, end });
    },
    republish(key, _at, done) {
      running.push({ what: `republish ${key[0]}`, end: () => done(AT) });
    },
  });
  return { chores, running };
}

function chore(number: number): Chore {
  return number % 2 === 0
    ? { type: "refresh", target: point(number) }
    : { type: "republish", key: point(number) };
}

Deno.test("chores run a few at a time, in the order in which they came", () => {
  const { chores, running } = makeChores();
  for (let number = 0; number < 10; number++) chores.add(chore(number));
  assert.equal(running.length, 0);
  chores.run(AT);
  chores.run(AT);
  assert.equal(running.length, MAX_CHORES_AT_ONCE);
  assert.equal(chores.length, 10 - MAX_CHORES_AT_ONCE);
  for (let ended = 0; ended < 10; ended++) running[ended]?.end();
  const kinds = Array.from(
    { length: 10 },
    (_, number) => `${number % 2 === 0 ? "refresh" : "republish"} ${number}`,
  );
  assert.deepEqual(running.map(({ what }) => what), kinds);
  assert.equal(chores.length, 0);
});

Deno.test("chores that end at once do not wait for the next run", () => {
  let done = 0;
  const chores = new Chores({
    refresh: (_target, at, end) => {
      done++;
      end(undefined, at);
    },
    republish: (_key, at, end) => {
      done++;
      end(at);
    },
  });
  for (let number = 0; number < 50; number++) chores.add(chore(number));
  chores.run(AT);
  assert.equal(done, 50);
});

Deno.test("chores without end do not gather without limit", () => {
  const { chores } = makeChores();
  for (let number = 0; number < MAX_CHORES + 10; number++) {
    chores.add(chore(number & 255));
  }
  assert.equal(chores.length, MAX_CHORES);
});
