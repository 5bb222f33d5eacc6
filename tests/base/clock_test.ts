import assert from "node:assert/strict";
import { deadline, raceSignal, sleep } from "../../lib/base/clock.ts";
import { VirtualClock } from "../../lib/base/virtual_clock.ts";
import { createDrain } from "../../lib/sim/world/drain.ts";

function newClock(): VirtualClock {
  return new VirtualClock({ drain: createDrain() });
}

Deno.test("sleep() resolves when its time has come, not before", async () => {
  const clock = newClock();
  let wokenAtMs: number | undefined;
  const sleeping = sleep(clock, 50).then(() => wokenAtMs = clock.nowMs());
  await clock.advance(49.9);
  assert.equal(wokenAtMs, undefined);
  await clock.advance(1);
  await sleeping;
  assert.equal(wokenAtMs, 50);
});

Deno.test("sleep() rejects with the signal's reason and forgets its timer", async () => {
  const clock = newClock();
  const controller = new AbortController();
  const sleeping = sleep(clock, 50, { signal: controller.signal });
  const reason = new Error("enough");
  controller.abort(reason);
  await assert.rejects(sleeping, reason);
  assert.equal(clock.pending, 0);
  await assert.rejects(
    sleep(clock, 50, { signal: controller.signal }),
    reason,
  );
  assert.equal(clock.pending, 0);
});

Deno.test("sleep() is deaf to a signal that aborts after it", async () => {
  const clock = newClock();
  const controller = new AbortController();
  const sleeping = sleep(clock, 5, { signal: controller.signal });
  await clock.advance(5);
  controller.abort(new Error("late"));
  await sleeping;
});

Deno.test("deadline() aborts with its error when the time is up", async () => {
  const clock = newClock();
  using late = deadline(clock, 10, () => new Error("late"));
  await clock.advance(9);
  assert.equal(late.signal.aborted, false);
  await clock.advance(1);
  assert.equal(late.signal.reason.message, "late");
});

Deno.test("deadline() aborts with its parent, before and after", () => {
  const clock = newClock();
  const parent = new AbortController();
  using running = deadline(clock, 10, () => new Error("late"), parent.signal);
  parent.abort(new Error("stop"));
  assert.equal(running.signal.reason.message, "stop");
  using aborted = deadline(clock, 10, () => new Error("late"), parent.signal);
  assert.equal(aborted.signal.reason.message, "stop");
});

Deno.test("deadline() holds no timer once disposed of", async () => {
  const clock = newClock();
  const parent = new AbortController();
  const done = deadline(clock, 10, () => new Error("late"), parent.signal);
  done[Symbol.dispose]();
  assert.equal(clock.pending, 0);
  parent.abort(new Error("stop"));
  await clock.advance(100);
  assert.equal(done.signal.aborted, false);
});

Deno.test("raceSignal() gives the work's outcome when that comes first", async () => {
  const { signal } = new AbortController();
  assert.equal(await raceSignal(Promise.resolve(1), signal), 1);
  assert.equal(await raceSignal(Promise.resolve(2), undefined), 2);
  const error = new Error("failed");
  await assert.rejects(raceSignal(Promise.reject(error), signal), error);
});

Deno.test("raceSignal() gives the reason when that comes first, and swallows the rest", async () => {
  const controller = new AbortController();
  const { promise, reject } = Promise.withResolvers<never>();
  const racing = raceSignal(promise, controller.signal);
  const reason = new Error("stop");
  controller.abort(reason);
  await assert.rejects(racing, reason);
  await assert.rejects(
    raceSignal(Promise.reject(new Error("unheard")), controller.signal),
    reason,
  );
  reject(new Error("unheard too"));
});
