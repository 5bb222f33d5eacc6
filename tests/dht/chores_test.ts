import assert from "node:assert/strict";
import {
  type Chore,
  Chores,
  MAX_CHORES,
  MAX_CHORES_AT_ONCE,
} from "../../lib/dht/chores.ts";
import { point } from "./records/fake_records.ts";

function chore(number: number): Chore {
  return number % 2 === 0
    ? { type: "refresh", target: point(number) }
    : { type: "republish", key: point(number) };
}

/** All chores that may begin now. */
function takeAll(chores: Chores): Chore[] {
  const taken: Chore[] = [];
  for (
    let next = chores.next();
    next !== undefined;
    next = chores.next()
  ) taken.push(next);
  return taken;
}

Deno.test("chores begin a few at a time, in the order in which they came", () => {
  const chores = new Chores();
  for (let number = 0; number < 10; number++) chores.add(chore(number));
  const begun = takeAll(chores);
  assert.equal(begun.length, MAX_CHORES_AT_ONCE);
  assert.equal(chores.length, 10 - MAX_CHORES_AT_ONCE);
  for (let ended = 0; ended < 10; ended++) {
    chores.onEnd();
    const next = takeAll(chores);
    assert.ok(next.length <= 1);
    begun.push(...next);
  }
  assert.deepEqual(begun, Array.from({ length: 10 }, (_, at) => chore(at)));
  assert.equal(chores.length, 0);
});

Deno.test("chores without end do not gather without limit", () => {
  const chores = new Chores();
  for (let number = 0; number < MAX_CHORES + 10; number++) {
    chores.add(chore(number & 255));
  }
  assert.equal(chores.length, MAX_CHORES);
});
