import assert from "node:assert/strict";
import { parseNodeAddress } from "../../../lib/auth/node_address.ts";
import { VirtualClock } from "../../../lib/base/virtual_clock.ts";
import { RelayWorkers } from "../../../lib/cli/workers/relay_workers.ts";
import type {
  WorkerEvent,
  WorkerOrder,
} from "../../../lib/cli/workers/worker_messages.ts";
import { planWorkers } from "../../../lib/cli/workers/worker_plan.ts";
import { createDrain } from "../../../lib/sim/world/drain.ts";
import { RecordingLog } from "../../support/recording_log.ts";
import { OPTIONS } from "../flags/fake_terminal.ts";

const ADDRESSES = ["a", "b", "c"].map((letter) =>
  `anon://${letter.repeat(51)}a@192.0.2.1:4001`
);

/** A thread that a test speaks for. */
interface FakeThread {
  readonly orders: WorkerOrder[];
  readonly say: (event: WorkerEvent) => void;
  isEnded: boolean;
}

/** Workers whose threads a test speaks for. */
function world({ count = 3 } = {}) {
  const clock = new VirtualClock({ drain: createDrain() });
  const log = new RecordingLog();
  const threads: FakeThread[] = [];
  const told: string[] = [];
  const stop = new AbortController();
  const plans = planWorkers({ ...OPTIONS, state: "state", workers: count });
  const starting = RelayWorkers.start({
    plans,
    clock,
    log,
    tell: (line) => told.push(line),
    open(say) {
      const thread: FakeThread = { orders: [], say, isEnded: false };
      threads.push(thread);
      return {
        send(order) {
          thread.orders.push(order);
          if (order.type === "stop") say({ type: "ended" });
        },
        end: () => void (thread.isEnded = true),
      };
    },
  }, stop.signal);
  starting.catch(() => {});
  const thread = (index: number) => {
    const found = threads[index];
    assert.ok(found, `thread ${index} was begun`);
    return found;
  };
  /** @param worker Whose address it gives. */
  const ready = async (index: number, worker = index) => {
    const address = ADDRESSES[worker] ?? null;
    const line = JSON.stringify({ address, control: null, metrics: null });
    thread(index).say({ type: "ready", line });
    await createDrain()("event");
  };
  return { clock, log, threads, thread, told, stop, plans, starting, ready };
}

/** By which addresses a thread was told to join. */
function bootstrapOf({ orders: [order] }: FakeThread) {
  assert.equal(order?.type, "start");
  return order.options.bootstrap;
}

async function started() {
  const all = world();
  await all.ready(0);
  await all.ready(1);
  await all.ready(2);
  return { ...all, workers: await all.starting };
}

Deno.test("RelayWorkers has the others join by the first, and is ready when all are", async () => {
  const { threads, thread, ready, starting } = world();
  assert.equal(threads.length, 1);
  assert.deepEqual(bootstrapOf(thread(0)), []);
  await ready(0);
  assert.equal(threads.length, 3);
  const first = parseNodeAddress(ADDRESSES[0] ?? "");
  assert.deepEqual(bootstrapOf(thread(1)), [first]);
  assert.deepEqual(bootstrapOf(thread(2)), [first]);
  await ready(2);
  await ready(1);
  const workers = await starting;
  assert.deepEqual(workers.ready.map(({ address }) => address), ADDRESSES);
});

Deno.test("RelayWorkers starts a worker that ended again, later each time, and leaves the others", async () => {
  const { clock, threads, thread, ready, log } = await started();
  thread(1).say({ type: "ended", message: "out of order" });
  assert.ok(thread(1).isEnded);
  const [line] = log.lines.filter(({ level }) => level === "error");
  assert.deepEqual(line?.fields, {
    worker: 1,
    inMs: 1000,
    reason: "out of order",
  });
  await clock.advance(999);
  assert.equal(threads.length, 3);
  await clock.advance(1);
  assert.equal(threads.length, 4);
  assert.deepEqual(
    bootstrapOf(thread(3)),
    [ADDRESSES[0], ADDRESSES[2]].map((text) => parseNodeAddress(text ?? "")),
  );
  // Again, before it was ready: twice the wait, up to a minute.
  for (const waitMs of [2, 4, 8, 16, 32, 60, 60].map((s) => s * 1000)) {
    const last: number = threads.length;
    thread(last - 1).say({ type: "ended" });
    await clock.advance(waitMs - 1);
    assert.equal(threads.length, last, `${waitMs}`);
    await clock.advance(1);
    assert.equal(threads.length, last + 1, `${waitMs}`);
  }
  // A worker that was well for a minute begins anew.
  await ready(threads.length - 1, 1);
  await clock.advance(60_000);
  const last: number = threads.length;
  thread(last - 1).say({ type: "ended" });
  await clock.advance(1000);
  assert.equal(threads.length, last + 1);
  assert.deepEqual(
    [0, 2].map((index) => thread(index).isEnded),
    [false, false],
  );
});

Deno.test("RelayWorkers stops all, and starts none again", async () => {
  const { clock, threads, thread, workers } = await started();
  thread(2).say({ type: "ended" });
  await workers[Symbol.asyncDispose]();
  assert.deepEqual(threads.map(({ isEnded }) => isEnded), [true, true, true]);
  assert.deepEqual(thread(0).orders.at(-1), { type: "stop" });
  await clock.advance(600_000);
  assert.equal(threads.length, 3);
});

Deno.test("RelayWorkers runs none where one cannot start, and says why", async () => {
  const { thread, threads, ready, starting } = world();
  await ready(0);
  await ready(1);
  thread(2).say({ type: "ended", code: "storage.locked", message: "in use" });
  await assert.rejects(starting, {
    name: "ConfigError",
    code: "storage.locked",
    message: "Cannot start worker 2: in use",
  });
  assert.deepEqual(threads.map(({ isEnded }) => isEnded), [true, true, true]);
});

Deno.test("RelayWorkers refuses to leave the others without a relay to join by", async () => {
  const { ready, starting, threads } = world();
  await ready(0, 9);
  await assert.rejects(starting, {
    code: "cli.workers",
    message: /--advertise/,
  });
  assert.equal(threads.length, 1);
  assert.equal(threads[0]?.isEnded, true);
});

Deno.test("RelayWorkers stops while it starts, when told to", async () => {
  const { ready, starting, stop, threads } = world();
  await ready(0);
  stop.abort(new Error("told to stop"));
  await assert.rejects(starting, /told to stop/);
  assert.ok(threads.every(({ isEnded }) => isEnded));
});

Deno.test("RelayWorkers passes on what workers tell, and what all are told at a reload", async () => {
  const { thread, told, plans, workers } = await started();
  thread(1).say({ type: "told", line: "a word" });
  assert.deepEqual(told, ["a word"]);
  workers.reload(plans.map((plan) => ({ ...plan, logLevel: "debug" })));
  for (const index of [0, 1, 2]) {
    const order = thread(index).orders.at(-1);
    assert.equal(order?.type, "reload");
    assert.equal(order.options.logLevel, "debug");
  }
});
