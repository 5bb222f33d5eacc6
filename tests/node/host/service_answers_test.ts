import assert from "node:assert/strict";
import { sleep } from "../../../lib/base/clock.ts";
import { UnreachableError } from "../../../lib/base/errors.ts";
import { TaskSet } from "../../../lib/base/task_set.ts";
import { VirtualClock } from "../../../lib/base/virtual_clock.ts";
import {
  MAX_ANSWERS,
  MAX_CROWDED_ANSWERS,
  MOST_STALLED_MS,
  ServiceAnswers,
  STALLED_BUILDS,
  STALLED_MS,
} from "../../../lib/node/host/service_answers.ts";
import type { Pressure } from "../../../lib/base/pressure.ts";
import { INTRODUCTION_POINTS } from "../../../lib/service/descriptor.ts";
import {
  ANSWERS_BURST,
  ANSWERS_PER_SECOND,
  MAX_WAITING_PER_POINT,
} from "../../../lib/service/introduction_queue.ts";
import { createDrain } from "../../../lib/sim/world/drain.ts";
import { runOn } from "../../transport/world.ts";

/** An answer under way, as the test ends it. */
interface Begun {
  readonly item: number;
  readonly atMs: number;
  end(): void;
  fail(error: Error): void;
}

const STALLED = "service.meet_stalled";

/** One service's answers, and what became of them. */
class AnswerWorld implements Disposable {
  readonly clock = new VirtualClock({ drain: createDrain(), maxEvents: 1e5 });
  /** How the node's circuits fare. */
  readonly circuits: { pressure: Pressure; buildMs: number } = {
    pressure: "free",
    buildMs: 0,
  };
  /** All that were ever begun. */
  readonly begun: Begun[] = [];
  /** Codes of those that were given up, with the times. */
  readonly givenUp: [item: number, code: string, atMs: number][] = [];
  /** What the owner heard. */
  readonly errors: unknown[] = [];
  /** Whether an answer takes no time. */
  endsAtOnce = false;
  readonly tasks = new TaskSet((error) => this.errors.push(error));
  readonly answers = new ServiceAnswers<number>(
    this.clock,
    this.circuits,
    this.tasks,
    (item, { signal }) => this.#answer(item, signal),
  );

  /** Introductions that come at once, in turn over the points of a service. */
  push(...items: readonly number[]): void {
    for (const item of items) {
      this.answers.push(item % INTRODUCTION_POINTS, item);
    }
  }

  /** Answers that have begun and not ended. */
  get underWay(): number {
    return this.tasks.size;
  }

  [Symbol.dispose](): void {
    this.answers[Symbol.dispose]();
  }

  async #answer(item: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const atMs = this.clock.nowMs();
    this.begun.push({ item, atMs, end: resolve, fail: reject });
    if (this.endsAtOnce) resolve();
    signal.addEventListener("abort", () => {
      const { reason } = signal;
      assert.ok(reason instanceof UnreachableError);
      this.givenUp.push([item, reason.code, this.clock.nowMs()]);
      reject(reason);
    });
    return await promise;
  }
}

function inAnswerWorld(
  test: (world: AnswerWorld) => Promise<void>,
): Promise<void> {
  const world = new AnswerWorld();
  const run = async () => {
    using _ = world;
    await test(world);
  };
  return runOn(world.clock, run());
}

function range(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}

Deno.test("ServiceAnswers answers so many at once, and the next one as each ends", () =>
  inAnswerWorld(async (world) => {
    const { begun, answers, clock } = world;
    world.push(...range(0, MAX_ANSWERS + 3));
    assert.equal(begun.length, MAX_ANSWERS);
    assert.equal(answers.waiting, 3);
    await sleep(clock, STALLED_MS - 1_000);
    assert.equal(begun.length, MAX_ANSWERS);
    begun[7]?.end();
    begun[9]?.end();
    await sleep(clock, 1);
    assert.equal(begun.length, MAX_ANSWERS + 2);
    assert.equal(answers.waiting, 1);
    assert.equal(world.underWay, MAX_ANSWERS);
    assert.deepEqual(world.givenUp, []);
    assert.equal(answers.shed, 0);
  }));

Deno.test("ServiceAnswers answers fewer at once in a crowd, and as many as before once it is gone", () =>
  inAnswerWorld(async (world) => {
    const { begun, circuits, clock } = world;
    for (const pressure of ["crowded", "slow"] as const) {
      circuits.pressure = pressure;
      const before = begun.length;
      world.push(...range(before, MAX_CROWDED_ANSWERS + 1));
      assert.equal(begun.length - before, MAX_CROWDED_ANSWERS, pressure);
      for (const { end } of begun) end();
      await sleep(clock, 1);
      assert.equal(begun.length - before, MAX_CROWDED_ANSWERS + 1);
      for (const { end } of begun) end();
      await sleep(clock, 1);
    }
    const before = begun.length;
    world.push(...range(before, MAX_ANSWERS));
    circuits.pressure = "free";
    begun.at(-1)?.end();
    await sleep(clock, 1);
    assert.equal(begun.length - before, MAX_ANSWERS);
  }));

Deno.test("ServiceAnswers begins none when a crowd comes while more are under way than it then has places for", () =>
  inAnswerWorld(async (world) => {
    const { begun, circuits, clock } = world;
    world.push(...range(0, MAX_ANSWERS));
    circuits.pressure = "crowded";
    world.push(1_000);
    for (const { end } of begun.slice(MAX_CROWDED_ANSWERS)) end();
    await sleep(clock, 1);
    assert.equal(begun.length, MAX_ANSWERS);
    assert.equal(world.underWay, MAX_CROWDED_ANSWERS);
    begun[0]?.end();
    await sleep(clock, 1);
    assert.equal(begun.at(-1)?.item, 1_000);
  }));

Deno.test("ServiceAnswers gives up the answer that began first once it has stalled, and only while others wait", () =>
  inAnswerWorld(async (world) => {
    const { begun, clock, givenUp } = world;
    world.push(0);
    await sleep(clock, 1_000);
    world.push(...range(1, MAX_ANSWERS - 1));
    // No introduction waits: a slow answer harms none.
    await sleep(clock, 10 * STALLED_MS);
    assert.deepEqual(givenUp, []);
    const nowMs = clock.nowMs();
    world.push(1_000, 1_001);
    await sleep(clock, 1);
    // One after the other, and no more of them than wait.
    assert.deepEqual(givenUp, [
      [0, STALLED, nowMs],
      [1, STALLED, nowMs],
    ]);
    assert.deepEqual(begun.slice(-2).map(({ item }) => item), [1_000, 1_001]);
    // Those are young yet; and what they failed with is told to their owner.
    assert.equal(world.underWay, MAX_ANSWERS);
    assert.equal(world.errors.length, 2);
  }));

for (
  const [buildMs, patienceMs] of [
    [STALLED_MS / STALLED_BUILDS / 2, STALLED_MS],
    [2_000, 2_000 * STALLED_BUILDS],
    [60_000, MOST_STALLED_MS],
  ] as const
) {
  Deno.test(`ServiceAnswers gives answers ${patienceMs} ms where a build takes ${buildMs} ms`, () =>
    inAnswerWorld(async (world) => {
      const { circuits, clock, givenUp } = world;
      circuits.pressure = "slow";
      circuits.buildMs = buildMs;
      world.push(...range(0, MAX_CROWDED_ANSWERS + 1));
      await sleep(clock, patienceMs - 1);
      assert.deepEqual(givenUp, []);
      await sleep(clock, 1);
      assert.deepEqual(givenUp, [[0, STALLED, patienceMs]]);
    }));
}

Deno.test("ServiceAnswers answers a crowd at its rate, the points in turn, and sheds what no point's queue has room for", () =>
  inAnswerWorld(async (world) => {
    const { answers, begun, clock } = world;
    world.endsAtOnce = true;
    for (let item = 0; item < ANSWERS_BURST; item++) {
      world.push(item);
      await world.tasks.ended();
    }
    const before = begun.length;
    assert.equal(before, ANSWERS_BURST);
    // A flood by one point, and one client that comes by another.
    for (let item = 0; item < 2 * MAX_WAITING_PER_POINT; item++) {
      answers.push(0, 10_000 + item);
    }
    answers.push(1, 20_000);
    assert.ok(answers.shed > 0);
    assert.equal(answers.waiting, MAX_WAITING_PER_POINT + 1);
    await sleep(clock, 4_000 / ANSWERS_PER_SECOND);
    const next = begun.slice(before).map(({ item }) => item);
    assert.ok(next.length <= 5, `${next.length} answers`);
    assert.ok(next.slice(0, 2).includes(20_000), `${next}`);
    await sleep(clock, 5_000);
    assert.equal(answers.waiting, 0);
    assert.equal(
      begun.length - before + answers.shed,
      2 * MAX_WAITING_PER_POINT + 1,
    );
  }));

Deno.test("ServiceAnswers forgets what came by a point that is gone", () =>
  inAnswerWorld(async (world) => {
    const { answers, begun, clock } = world;
    for (const item of range(0, MAX_ANSWERS + 2)) answers.push(1, item);
    answers.push(2, 1_000);
    answers.remove(1);
    assert.equal(answers.waiting, 1);
    assert.equal(answers.shed, 2);
    for (const { end } of begun) end();
    await sleep(clock, 1);
    assert.deepEqual(begun.slice(MAX_ANSWERS).map(({ item }) => item), [1_000]);
  }));

Deno.test("ServiceAnswers has a failed answer make room, and tells its owner", () =>
  inAnswerWorld(async (world) => {
    const { begun, clock, errors } = world;
    world.push(...range(0, MAX_ANSWERS + 1));
    const broken = new UnreachableError("circuit.lost", "Cannot meet client");
    begun[3]?.fail(broken);
    await sleep(clock, 1);
    assert.deepEqual(errors, [broken]);
    assert.equal(begun.at(-1)?.item, MAX_ANSWERS);
  }));

Deno.test("ServiceAnswers that are stopped give up all that is under way, and begin no more", () =>
  inAnswerWorld(async (world) => {
    const { answers, begun, clock, givenUp } = world;
    world.push(...range(0, MAX_ANSWERS + 5));
    answers[Symbol.dispose]();
    assert.equal(givenUp.length, MAX_ANSWERS);
    world.push(1_000);
    await world.tasks.ended();
    await sleep(clock, 10 * STALLED_MS);
    assert.equal(begun.length, MAX_ANSWERS);
  }));
