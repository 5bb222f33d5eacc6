import assert from "node:assert/strict";
import { errorCode } from "../../lib/base/errors.ts";
import type { ControlFrame } from "../../lib/session/frames.ts";
import { SessionQuota } from "../../lib/session/quota.ts";
import { assertServed, HostileVisitor } from "./hostile_visitor.ts";

const CELLS = 300;
const PAIRS_PER_CELL = 303;

/** Streams opened and given up at once, stream after stream. */
function* resets(count: number, from: number): Generator<ControlFrame> {
  for (let id = from; id < from + count; id++) {
    yield { type: "streamOpen", id, port: 80 };
    yield { type: "streamReset", id, code: 0 };
  }
}

Deno.test("Streams opened and reset without end reach the target by a few hundred, and end the session", () => {
  const visitor = new HostileVisitor(new SessionQuota());
  let code = "";
  try {
    visitor.send(resets(CELLS * PAIRS_PER_CELL, 1), 0);
  } catch (error) {
    code = errorCode(error) ?? "";
  }
  assert.ok(
    visitor.opened <= 512,
    `${visitor.opened} streams opened by ${visitor.cells} cells`,
  );
  assert.equal(code, "session.reset_flood");
});

Deno.test("Streams opened and never reset reach the target at a bounded pace", () => {
  const visitor = new HostileVisitor(new SessionQuota());
  const opens = Array.from({ length: 4000 }, (_, n): ControlFrame => ({
    type: "streamOpen",
    id: n + 1,
    port: 80,
  }));
  visitor.send(opens, 0);
  for (let nowMs = 0; nowMs <= 10_000; nowMs += 100) visitor.onTime(nowMs);
  assert.ok(visitor.opened <= 512 + 1000 + 1, `${visitor.opened} in 10 s`);
  assert.ok(visitor.opened >= 512 + 999, "and no slower than that");
});

Deno.test("A newcomer is served while others open and reset streams", () => {
  const quota = new SessionQuota();
  let visitor = new HostileVisitor(quota);
  let id = 1;
  assertServed(quota, (nowMs) => {
    try {
      visitor.send(resets(PAIRS_PER_CELL, id), nowMs);
      id += PAIRS_PER_CELL;
    } catch {
      visitor = new HostileVisitor(quota, nowMs);
      id = 1;
    }
  }, new SessionQuota());
});
