import assert from "node:assert/strict";
import fc from "fast-check";
import type { Timer } from "../../lib/base/clock.ts";
import { sleep } from "../../lib/base/clock.ts";
import { VirtualClock } from "../../lib/base/virtual_clock.ts";
import { createDrain } from "../../lib/sim/world/drain.ts";

function newClock(): VirtualClock {
  return new VirtualClock({ drain: createDrain() });
}

Deno.test("VirtualClock fires by time, then in the order of scheduling", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(20), { maxLength: 60 }),
      async (delays) => {
        const clock = newClock();
        const fired: [atMs: number, index: number][] = [];
        for (const [index, delay] of delays.entries()) {
          clock.schedule(delay, () => fired.push([clock.nowMs(), index]));
        }
        await clock.advance(20);
        const expected = delays.map((delay, index) => [delay, index]);
        expected.sort(([a = 0, i = 0], [b = 0, j = 0]) => a - b || i - j);
        assert.deepEqual(fired, expected);
        assert.equal(clock.pending, 0);
      },
    ),
  );
});

Deno.test("VirtualClock fires exactly what was not cancelled, in any mixture", async () => {
  const step = fc.record({ delay: fc.nat(50), cancel: fc.option(fc.nat()) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 100 }),
      fc.array(fc.nat(30), { maxLength: 5 }),
      async (steps, advances) => {
        const clock = newClock();
        const timers: Timer[] = [];
        const fired = new Set<number>();
        const cancelled = new Set<number>();
        for (const [index, { delay, cancel }] of steps.entries()) {
          timers.push(clock.schedule(delay, () => {
            assert.equal(clock.nowMs(), delay);
            assert.equal(fired.has(index), false);
            fired.add(index);
          }));
          if (cancel === null) continue;
          timers[cancel % timers.length]?.cancel();
          cancelled.add(cancel % timers.length);
        }
        assert.equal(clock.pending, steps.length - cancelled.size);
        for (const ms of advances) {
          await clock.advance(ms);
          for (const [index, { delay }] of steps.entries()) {
            const due = delay <= clock.nowMs() && !cancelled.has(index);
            assert.equal(fired.has(index), due);
          }
        }
        for (const timer of timers) timer.cancel();
        assert.equal(clock.pending, 0);
      },
    ),
  );
});

Deno.test("VirtualClock sweeps out the cancelled, and keeps the order of the rest", async () => {
  const clock = newClock();
  const fired: number[] = [];
  for (let round = 0; round < 20; round++) {
    const timers = Array.from(
      { length: 500 },
      (_, i) => clock.schedule(1000 + (i * 37) % 500, () => fired.push(-1)),
    );
    const delay = 100 + (round * 7) % 20;
    clock.schedule(delay, () => fired.push(clock.nowMs()));
    for (const timer of timers) timer.cancel();
  }
  assert.equal(clock.pending, 20);
  await clock.advance(5000);
  assert.equal(fired.length, 20);
  assert.deepEqual(fired, fired.toSorted((a, b) => a - b));
});

Deno.test("VirtualClock lets chains of promises end between two events", async () => {
  const clock = newClock();
  const log: string[] = [];
  const chain = async (name: string) => {
    for (let i = 0; i < 100; i++) await null;
    log.push(name);
  };
  clock.schedule(1, () => void chain("first"));
  clock.schedule(1, () => log.push("second"));
  clock.schedule(2, () => log.push("third"));
  await clock.advance(2);
  assert.deepEqual(log, ["first", "second", "third"]);
});

Deno.test("VirtualClock drains streams between two events", async () => {
  const clock = newClock();
  const { readable, writable } = new TransformStream<number, number>();
  const writer = writable.getWriter();
  const read: number[] = [];
  const done = readable.pipeTo(
    new WritableStream({ write: (chunk) => void read.push(chunk) }),
  );
  const lengths: number[] = [];
  for (let i = 0; i < 5; i++) {
    clock.schedule(i, () => void writer.write(i));
    clock.schedule(i + 0.5, () => lengths.push(read.length));
  }
  await clock.advance(10);
  assert.deepEqual(lengths, [1, 2, 3, 4, 5]);
  await writer.close();
  await done;
});

Deno.test("VirtualClock carries sleeping tasks to their end", async () => {
  const clock = newClock();
  const log: string[] = [];
  const task = async (name: string, ms: number) => {
    for (let i = 0; i < 3; i++) {
      await sleep(clock, ms);
      log.push(`${name}${clock.nowMs()}`);
    }
  };
  void task("a", 10);
  void task("b", 15);
  await clock.runUntil(() => log.length === 6);
  assert.deepEqual(log, ["a10", "b15", "a20", "b30", "a30", "b45"]);
});

Deno.test("VirtualClock.advance() goes to the moment even where nothing happens", async () => {
  const clock = newClock();
  await clock.advance(5);
  await clock.advance(0);
  assert.equal(clock.nowMs(), 5);
  let fired = false;
  clock.schedule(0, () => fired = true);
  await clock.advance(0);
  assert.equal(fired, true);
});

Deno.test("VirtualClock.runUntil() stops at the event that fulfils the condition", async () => {
  const clock = newClock();
  let count = 0;
  for (let i = 1; i <= 10; i++) clock.schedule(i, () => count++);
  assert.equal(await clock.runUntil(() => count === 4), true);
  assert.deepEqual([clock.nowMs(), count, clock.fired], [4, 4, 4]);
  assert.equal(await clock.runUntil(() => count === 4), true);
  assert.equal(clock.nowMs(), 4);
});

Deno.test("VirtualClock.runUntil() tells when nothing can happen any more", async () => {
  const clock = newClock();
  clock.schedule(3, () => {});
  assert.equal(await clock.runUntil(() => false), false);
  assert.equal(clock.nowMs(), 3);
});

Deno.test("VirtualClock.runUntil() never goes back", async () => {
  const clock = newClock();
  await clock.runUntil(10);
  await clock.runUntil(5);
  assert.equal(clock.nowMs(), 10);
});

Deno.test("VirtualClock passes on what an event throws, and can go on", async () => {
  const clock = newClock();
  let count = 0;
  clock.schedule(1, () => {
    throw new Error("broken");
  });
  clock.schedule(2, () => count++);
  await assert.rejects(clock.advance(5), /broken/);
  assert.equal(clock.nowMs(), 1);
  await clock.advance(4);
  assert.deepEqual([clock.nowMs(), count], [5, 1]);
});

Deno.test("VirtualClock refuses to run twice at once", async () => {
  const clock = newClock();
  const running = clock.advance(1);
  await assert.rejects(clock.advance(1), { code: "base.clock_busy" });
  await running;
  await clock.advance(1);
});

Deno.test("VirtualClock gives up on events without end", async () => {
  const clock = new VirtualClock({ drain: createDrain(), maxEvents: 1000 });
  const again = () => void clock.schedule(0, again);
  again();
  await assert.rejects(clock.advance(1), { code: "base.clock_events" });
  assert.equal(clock.nowMs(), 0);
});

Deno.test("VirtualClock.jumpUnix() moves the wall clock alone", async () => {
  const clock = new VirtualClock({ drain: createDrain(), startUnixMs: 1000 });
  let fired = false;
  clock.schedule(10, () => fired = true);
  clock.jumpUnix(3_600_000);
  await clock.advance(5);
  assert.deepEqual(
    [clock.nowMs(), clock.unixMs(), fired],
    [5, 3_601_005, false],
  );
  clock.jumpUnix(-7_200_000);
  assert.equal(clock.unixMs(), 1005 - 3_600_000);
});

Deno.test("VirtualClock.schedule() takes odd delays", async () => {
  const clock = newClock();
  await clock.advance(10);
  const fired: string[] = [];
  clock.schedule(-5, () => fired.push(`negative ${clock.nowMs()}`));
  clock.schedule(Infinity, () => fired.push("never")).cancel();
  clock.schedule(Infinity, () => fired.push("never"));
  clock.schedule(2 ** 40, () => fired.push("far"));
  assert.throws(() => clock.schedule(NaN, () => {}), RangeError);
  assert.equal(clock.pending, 2);
  await clock.runUntil(() => fired.length === 2);
  assert.deepEqual(fired, ["negative 10", "far"]);
  assert.equal(await clock.runUntil(() => false), false);
});

Deno.test("VirtualClock takes cancellations of what has fired or was cancelled", async () => {
  const clock = newClock();
  const twice = clock.schedule(5, () => {});
  twice.cancel();
  twice.cancel();
  const self: Timer = clock.schedule(1, () => self.cancel());
  clock.schedule(9, () => {});
  await clock.advance(2);
  self.cancel();
  assert.equal(clock.pending, 1);
});

Deno.test("VirtualClock.cancel() in an event stops a later one of the same moment", async () => {
  const clock = newClock();
  const fired: string[] = [];
  clock.schedule(1, () => other.cancel());
  const other = clock.schedule(1, () => fired.push("other"));
  await clock.advance(1);
  assert.deepEqual(fired, []);
});

Deno.test("VirtualClock.unixMs() is whole at any moment, as a calendar's is", async () => {
  const clock = new VirtualClock({
    drain: createDrain(),
    startUnixMs: 1000,
  });
  await clock.advance(0.75);
  assert.deepEqual([clock.nowMs(), clock.unixMs()], [0.75, 1000]);
  await clock.advance(0.5);
  assert.equal(clock.unixMs(), 1001);
});

Deno.test("VirtualClock reaches a deadline, however it is compared, at the first attempt", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.double({ min: 0, max: 1e6, noNaN: true }),
      fc.double({ min: 0, max: 1e3, noNaN: true }),
      fc.integer({ min: 0, max: 1000 }),
      async (beforeMs, stepMs, waitMs) => {
        const clock = newClock();
        await sleepOn(clock, beforeMs);
        const sinceMs = clock.nowMs();
        const dueMs = sinceMs + waitMs;
        await sleepOn(clock, Math.min(stepMs, waitMs));
        await sleepOn(clock, dueMs - clock.nowMs());
        assert.ok(clock.nowMs() >= dueMs);
        assert.ok(clock.nowMs() - sinceMs >= waitMs);
      },
    ),
  );
});

async function sleepOn(clock: VirtualClock, ms: number): Promise<void> {
  let isOver = false;
  clock.schedule(ms, () => isOver = true);
  await clock.runUntil(() => isOver);
}
