import assert from "node:assert/strict";
import fc from "fast-check";
import {
  BUILD_TIMEOUT_MS,
  BuildTime,
  FIRST_BUILD_TIMEOUT_MS,
} from "../../lib/path/build_time.ts";

Deno.test("BuildTime waits long before anything was built, and little on a fast network", () => {
  const time = new BuildTime();
  assert.equal(time.timeoutMs, FIRST_BUILD_TIMEOUT_MS);
  for (let i = 0; i < 20; i++) time.onBuilt(30);
  assert.equal(time.timeoutMs, BUILD_TIMEOUT_MS.least);
});

Deno.test("BuildTime waits twice the usual time at least, and longer where times vary", () => {
  const steady = new BuildTime();
  const varied = new BuildTime();
  for (let i = 0; i < 50; i++) {
    steady.onBuilt(2000);
    varied.onBuilt(i % 2 === 0 ? 1000 : 3000);
  }
  assert.ok(steady.timeoutMs >= 4000 && steady.timeoutMs < 4100);
  assert.ok(varied.timeoutMs > 5000);
});

Deno.test("BuildTime stretches with each time-out, and is itself again after a build", () => {
  const time = new BuildTime();
  for (let i = 0; i < 20; i++) time.onBuilt(1000);
  const usual = time.timeoutMs;
  time.onTimeout();
  assert.equal(time.timeoutMs, 1.5 * usual);
  for (let i = 0; i < 50; i++) time.onTimeout();
  assert.equal(time.timeoutMs, BUILD_TIMEOUT_MS.most);
  time.onBuilt(1000);
  assert.ok(time.timeoutMs <= usual * 1.01);
});

Deno.test("BuildTime stays within its bounds, whatever happens", () => {
  fc.assert(
    fc.property(
      fc.array(fc.option(fc.double({ min: 0, max: 1e7, noNaN: true }))),
      (events) => {
        const time = new BuildTime();
        for (const event of events) {
          if (event === null) time.onTimeout();
          else time.onBuilt(event);
          assert.ok(time.timeoutMs >= BUILD_TIMEOUT_MS.least);
          assert.ok(time.timeoutMs <= BUILD_TIMEOUT_MS.most);
        }
      },
    ),
    { numRuns: 200 },
  );
});
