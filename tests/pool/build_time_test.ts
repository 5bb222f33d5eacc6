import assert from "node:assert/strict";
import fc from "fast-check";
import {
  BUILD_TIMEOUT_MS,
  BuildTime,
  FIRST_BUILD_TIMEOUT_MS,
} from "../../lib/pool/build_time.ts";

/** Circuits built one after the other, each in so many ms. Returns the time after. */
function build(time: BuildTime, times: readonly number[], nowMs = 0): number {
  for (const tookMs of times) {
    time.onBuilt(nowMs, nowMs + tookMs);
    nowMs += tookMs;
  }
  return nowMs;
}

const repeated = (times: number, ms: number) => Array<number>(times).fill(ms);

Deno.test("BuildTime waits long before anything was built, and little on a fast network", () => {
  const time = new BuildTime();
  assert.equal(time.timeoutMs, FIRST_BUILD_TIMEOUT_MS);
  build(time, repeated(20, 30));
  assert.equal(time.timeoutMs, BUILD_TIMEOUT_MS.least);
});

Deno.test("BuildTime waits twice the usual time at least, and longer where times vary", () => {
  const steady = new BuildTime();
  const varied = new BuildTime();
  build(steady, repeated(50, 2000));
  build(varied, repeated(25, 0).flatMap(() => [1000, 3000]));
  assert.ok(steady.timeoutMs >= 4000 && steady.timeoutMs < 4100);
  assert.ok(varied.timeoutMs > 5000);
});

Deno.test("BuildTime stretches with each time-out, and is itself again after a build", () => {
  const time = new BuildTime();
  let nowMs = build(time, repeated(20, 1000));
  const usual = time.timeoutMs;
  const timeOut = () => {
    const startedMs = nowMs;
    nowMs += time.timeoutMs;
    time.onTimeout(startedMs, nowMs);
  };
  timeOut();
  assert.equal(time.timeoutMs, 1.5 * usual);
  for (let i = 0; i < 50; i++) timeOut();
  assert.equal(time.timeoutMs, BUILD_TIMEOUT_MS.most);
  build(time, [1000], nowMs);
  assert.ok(time.timeoutMs <= usual * 1.01);
});

Deno.test("BuildTime takes builds that fail together for one failure, and none for its own while others succeed", () => {
  const time = new BuildTime();
  const startedMs = build(time, repeated(20, 1000));
  const usual = time.timeoutMs;
  const endMs = startedMs + usual;
  time.onBuilt(startedMs, startedMs + 1000);
  time.onTimeout(startedMs, endMs);
  assert.ok(time.timeoutMs <= usual, "another was built meanwhile");
  for (let i = 0; i < 3; i++) time.onTimeout(endMs, endMs + usual);
  assert.ok(time.timeoutMs > usual && time.timeoutMs <= 1.5 * usual);
});

Deno.test("BuildTime stays within its bounds, whatever happens", () => {
  const ms = fc.double({ min: 0, max: 1e7, noNaN: true });
  fc.assert(
    fc.property(
      fc.array(fc.record({ isBuilt: fc.boolean(), agoMs: ms, laterMs: ms })),
      (events) => {
        const time = new BuildTime();
        let nowMs = 0;
        for (const { isBuilt, agoMs, laterMs } of events) {
          nowMs += laterMs;
          if (isBuilt) time.onBuilt(nowMs - agoMs, nowMs);
          else time.onTimeout(nowMs - agoMs, nowMs);
          assert.ok(time.timeoutMs >= BUILD_TIMEOUT_MS.least);
          assert.ok(time.timeoutMs <= BUILD_TIMEOUT_MS.most);
        }
      },
    ),
    { numRuns: 200 },
  );
});
