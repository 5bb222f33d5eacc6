import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import { SystemClock } from "../../lib/machine/system_clock.ts";

Deno.test("SystemClock.schedule() wakes not before its time", async () => {
  const clock = new SystemClock();
  for (const delayMs of [0, 0.3, 1, 2.5]) {
    const startMs = clock.nowMs();
    await sleep(clock, delayMs);
    assert.ok(clock.nowMs() >= startMs + delayMs);
  }
});

Deno.test("SystemClock.schedule() waits longer than a platform timer can", async () => {
  const clock = new SystemClock();
  const fired: string[] = [];
  const timers = [2 ** 31 + 5, 2 ** 40, Infinity].map((delayMs) =>
    clock.schedule(delayMs, () => fired.push(String(delayMs)))
  );
  // A timer that overflowed would come within a millisecond, before this one.
  await sleep(clock, 5);
  for (const timer of timers) timer.cancel();
  assert.deepEqual(fired, []);
});

Deno.test("SystemClock.schedule() fires once, in order of time, unless cancelled", async () => {
  const clock = new SystemClock();
  const fired: string[] = [];
  clock.schedule(30, () => fired.push("two"));
  clock.schedule(1, () => fired.push("one"));
  const timer = clock.schedule(1, () => fired.push("cancelled"));
  timer.cancel();
  timer.cancel();
  await sleep(clock, 60);
  assert.deepEqual(fired, ["one", "two"]);
  await sleep(clock, -5);
  assert.throws(() => clock.schedule(NaN, () => {}), RangeError);
});

Deno.test("SystemClock.schedule() lets a process end that only keeps house", async () => {
  const clockUrl = new URL(
    "../../lib/machine/system_clock.ts",
    import.meta.url,
  );
  const program = `
    import { SystemClock } from ${JSON.stringify(clockUrl.href)};
    new SystemClock().schedule(1e9, () => {}, { keepAlive: false });
    new SystemClock().schedule(1e12, () => {}, { keepAlive: false });`;
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", program],
    signal: AbortSignal.timeout(60_000),
  }).output();
  assert.equal(code, 0);
});

Deno.test("SystemClock tells the time of day", () => {
  const clock = new SystemClock();
  assert.ok(Math.abs(clock.unixMs() - Date.now()) < 1000);
});
