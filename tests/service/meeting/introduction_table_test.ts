import assert from "node:assert/strict";
import { seededRandom } from "../../../lib/base/random.ts";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import {
  INTRODUCTIONS_BURST,
  MAX_QUEUED,
  QUEUE_WAIT_MS,
} from "../../../lib/service/meeting/introduction_gate.ts";
import {
  IntroductionTable,
  MAX_ASKS,
  MAX_QUEUED_IN_ALL,
  type TableAction,
} from "../../../lib/service/meeting/introduction_table.ts";
import {
  LEAST_EFFORT,
  type Work,
  type WorkDemand,
  WorkSearch,
} from "../../../lib/service/meeting/introduction_work.ts";

const crypto = nativeSuite();
const random = seededRandom(5);
const key = (n: number) => crypto.sha256(Uint8Array.of(n >> 8, n));
const sealed = random.bytes(100);
const binding = (circuit: string) =>
  crypto.sha256(new TextEncoder().encode(circuit));

type Actions = readonly TableAction<string>[];

class Bench {
  readonly table = new IntroductionTable<string>(crypto, seededRandom(6));

  /** A service listens, and its gate has let all pass that it may. */
  crowd(n = 1, service = `service ${n}`): void {
    this.table.establish(key(n), service, undefined, 0);
    for (let i = 0; i < INTRODUCTIONS_BURST / 2 + 1; i++) {
      this.ask(`free ${n} ${i}`, n);
    }
    for (let i = 0; i < INTRODUCTIONS_BURST / 2 - 1; i++) {
      this.work(`paid ${n} ${i}`, LEAST_EFFORT, n);
    }
  }

  ask(client: string, n = 1, nowMs = 0, work?: Work): Actions {
    const wanted = { authentication: key(n), sealed, work };
    const asker = { circuit: client, binding: binding(client) };
    return this.table.introduce(wanted, asker, nowMs);
  }

  /** Ask, do what is demanded and more, and ask again. */
  work(client: string, effort: number, n = 1, nowMs = 0): Actions {
    const demand = demandOf(this.ask(client, n, nowMs));
    return this.ask(client, n, nowMs, solve({ ...demand, effort }, n));
  }
}

function demandOf(actions: Actions): WorkDemand {
  const [action] = actions;
  assert.ok(action?.type === "answer" && action.answer.status === "work");
  return action.answer.demand;
}

function solve(demand: WorkDemand, n = 1): Work {
  const subject = { authentication: key(n), sealed };
  const work = new WorkSearch(crypto, random, demand, subject).run(1e6);
  assert.ok(work !== undefined);
  return work;
}

const unknown = (client: string): TableAction<string> => ({
  type: "answer",
  client,
  answer: { status: "unknown" },
});

Deno.test("IntroductionTable passes introductions to who listens", () => {
  const bench = new Bench();
  const { table } = bench;
  assert.deepEqual(table.establish(key(1), "a", undefined, 0), {
    replaced: undefined,
  });
  assert.deepEqual(bench.ask("x"), [
    { type: "pass", service: "a", client: "x", sealed },
  ]);
  assert.deepEqual(bench.ask("y", 2), [unknown("y")]);
  table.withdraw("a");
  assert.deepEqual(bench.ask("z"), [unknown("z")]);
  assert.equal(table.size, 0);
});

Deno.test("IntroductionTable moves a key to a new circuit without a new burst", () => {
  const bench = new Bench();
  bench.crowd();
  const { table } = bench;
  const result = table.establish(key(1), "b", undefined, 0);
  assert.deepEqual(result, { replaced: "service 1" });
  demandOf(bench.ask("x"));
  assert.deepEqual(table.withdraw("service 1"), []);
  const [passed] = bench.work("y", LEAST_EFFORT, 1, 1000);
  assert.ok(passed?.type === "pass" && passed.service === "b");
});

Deno.test("IntroductionTable lets a circuit listen under one key, and say again what it wants", () => {
  const { table } = new Bench();
  table.establish(key(1), "a", undefined, 0);
  assert.equal(table.establish(key(2), "a", undefined, 0), "taken");
  assert.deepEqual(table.establish(key(1), "a", 5, 0), { replaced: undefined });
});

Deno.test("IntroductionTable takes one introduction of a circuit", () => {
  const bench = new Bench();
  bench.table.establish(key(1), "a", undefined, 0);
  bench.ask("x");
  const refusal = [{ type: "refuse", client: "x" }];
  assert.deepEqual(bench.ask("x"), refusal);
  // Even while the first one waits.
  bench.crowd(2);
  bench.work("y", LEAST_EFFORT, 2);
  assert.equal(bench.table.waiting, 1);
  assert.deepEqual(bench.ask("y", 2), [{ type: "refuse", client: "y" }]);
});

Deno.test("IntroductionTable lets a circuit ask so many times", () => {
  const bench = new Bench();
  for (let n = 0; n < MAX_ASKS; n++) {
    assert.deepEqual(bench.ask("x"), [unknown("x")]);
  }
  assert.deepEqual(bench.ask("x"), [{ type: "refuse", client: "x" }]);
  bench.table.withdraw("x");
  assert.deepEqual(bench.ask("x"), [{ type: "refuse", client: "x" }]);
  bench.table.forget("x");
  assert.deepEqual(bench.ask("x"), [unknown("x")]);
});

Deno.test("IntroductionTable counts work of the circuit that asked, once and in time", () => {
  const bench = new Bench();
  bench.crowd();
  const work = solve(demandOf(bench.ask("x")));
  const isTaken = (actions: Actions) => actions.length === 0;
  // Another circuit's; for another service; too late; none at all.
  assert.ok(!isTaken(bench.ask("y", 1, 0, work)));
  bench.crowd(2);
  assert.ok(!isTaken(bench.ask("z", 2, 0, work)));
  assert.ok(!isTaken(bench.ask("u", 1, 0, { ...work, nonce: binding("u") })));
  assert.ok(isTaken(bench.ask("x", 1, 0, work)));
  assert.deepEqual(bench.ask("x", 1, 0, work), [
    { type: "refuse", client: "x" },
  ]);
  const late = solve(demandOf(bench.ask("v")));
  bench.table.onTime(60_000);
  for (let i = 0; i < 100; i++) bench.ask(`again ${i}`, 1, 60_000);
  demandOf(bench.ask("v", 1, 60_000, late));
});

Deno.test("IntroductionTable tells those who are pushed out, and passes the others on by and by", () => {
  const bench = new Bench();
  bench.crowd();
  for (let n = 0; n < MAX_QUEUED; n++) {
    assert.deepEqual(bench.work(`x${n}`, LEAST_EFFORT), []);
  }
  const pushed = bench.work("more", 2 * LEAST_EFFORT);
  const { effort } = demandOf(pushed);
  assert.ok(effort > LEAST_EFFORT);
  const [told] = pushed;
  assert.ok(told?.type === "answer" && told.client === "x0");
  // It may come again, on its circuit.
  const again = solve({ ...demandOf(pushed), effort: 3 * LEAST_EFFORT });
  bench.ask("x0", 1, 0, again);
  const order: string[] = [];
  while (bench.table.deadlineMs < Infinity) {
    for (const action of bench.table.onTime(bench.table.deadlineMs)) {
      if (action.type === "pass") order.push(action.client);
    }
  }
  assert.deepEqual(order.slice(0, 2), ["x0", "more"]);
  assert.equal(order.length, MAX_QUEUED);
  assert.ok(bench.table.deadlineMs === Infinity && bench.table.waiting === 0);
});

Deno.test("IntroductionTable answers those who wait when their service goes, and forgets clients that go", () => {
  const bench = new Bench();
  bench.crowd();
  bench.work("x", LEAST_EFFORT);
  bench.work("y", LEAST_EFFORT);
  assert.deepEqual(bench.table.withdraw("x"), []);
  assert.equal(bench.table.waiting, 1);
  assert.deepEqual(bench.table.withdraw("service 1"), [unknown("y")]);
  assert.equal(bench.table.deadlineMs, Infinity);
});

Deno.test("IntroductionTable tells those who have waited too long", () => {
  const bench = new Bench();
  bench.crowd();
  bench.table.establish(key(1), "service 1", 1, 0);
  for (let n = 0; n < 10; n++) bench.work(`x${n}`, LEAST_EFFORT);
  const actions = bench.table.onTime(QUEUE_WAIT_MS);
  const passed = actions.filter(({ type }) => type === "pass");
  assert.equal(passed.length, 3);
  assert.equal(actions.length, 10);
  assert.equal(bench.table.waiting, 0);
});

Deno.test("IntroductionTable holds so many in all, and gives up those who worked least anywhere", () => {
  const bench = new Bench();
  const services = MAX_QUEUED_IN_ALL / MAX_QUEUED + 1;
  let pushed = 0;
  for (let n = 0; n < services; n++) {
    bench.crowd(n);
    const effort = n === 0 ? 2 * LEAST_EFFORT : LEAST_EFFORT;
    for (let i = 0; i < MAX_QUEUED; i++) {
      const actions = bench.work(`x ${n} ${i}`, effort, n);
      pushed += actions.length;
      for (const action of actions) {
        assert.ok(action.type === "answer" && !action.client.startsWith("x 0"));
      }
    }
  }
  assert.equal(bench.table.waiting, MAX_QUEUED_IN_ALL);
  assert.equal(pushed, MAX_QUEUED);
});
