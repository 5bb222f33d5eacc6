import assert from "node:assert/strict";
import type { Clock } from "../../lib/base/clock.ts";
import { MachineTimer } from "../../lib/base/machine_timer.ts";
import { VirtualClock } from "../../lib/base/virtual_clock.ts";

function world() {
  const clock = new VirtualClock({ drain: () => Promise.resolve() });
  const calls: number[] = [];
  const startMs = clock.nowMs();
  const timer = new MachineTimer(
    clock,
    () => calls.push(clock.nowMs() - startMs),
  );
  const set = (afterMs: number) => timer.set(startMs + afterMs);
  return { clock, calls, timer, set };
}

Deno.test("MachineTimer calls back once, when its deadline has come", async () => {
  const { clock, calls, set } = world();
  set(100);
  await clock.advance(99);
  assert.deepEqual(calls, []);
  await clock.advance(1000);
  assert.deepEqual(calls, [100]);
});

Deno.test("MachineTimer keeps to the last deadline, earlier or later", async () => {
  const { clock, calls, set } = world();
  set(100);
  set(300);
  set(200);
  await clock.advance(1000);
  assert.deepEqual(calls, [200]);
  set(1500);
  set(1200);
  await clock.advance(1000);
  assert.deepEqual(calls, [200, 1200]);
});

Deno.test("MachineTimer calls back at once for a deadline that has passed", async () => {
  const { clock, calls, set } = world();
  await clock.advance(50);
  set(10);
  await clock.advance(0);
  assert.deepEqual(calls, [50]);
});

Deno.test("MachineTimer does not call back once stopped or set to never", async () => {
  const { clock, calls, timer, set } = world();
  set(100);
  timer.stop();
  set(200);
  set(Infinity);
  await clock.advance(1000);
  assert.deepEqual(calls, []);
});

Deno.test("MachineTimer keeps a process alive only for an owner that says so", () => {
  const asked: (boolean | undefined)[] = [];
  const clock: Clock = {
    nowMs: () => 0,
    unixMs: () => 0,
    schedule(_delayMs, _wake, options) {
      asked.push(options?.keepAlive);
      return { cancel() {} };
    },
  };
  new MachineTimer(clock, () => {}).set(1);
  new MachineTimer(clock, () => {}, { keepAlive: true }).set(1);
  assert.deepEqual(asked, [false, true]);
});
