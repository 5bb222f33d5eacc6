import assert from "node:assert/strict";
import { LogTail } from "../../lib/log/log_tail.ts";

Deno.test("LogTail keeps the last 300 lines, numbered, however many there were", () => {
  const tail = new LogTail();
  for (let n = 1; n <= 100_000; n++) tail.add(`line ${n}`);
  const lines = tail.after(0);
  assert.equal(lines.length, 300);
  assert.deepEqual(lines[0], { number: 99_701, json: "line 99701" });
  assert.deepEqual(tail.after(99_999), [{
    number: 100_000,
    json: "line 100000",
  }]);
  assert.deepEqual(tail.after(100_000), []);
});

Deno.test("LogTail leaves out lines that are too long", () => {
  const tail = new LogTail();
  tail.add("x".repeat(2_001));
  tail.add("short");
  assert.deepEqual(tail.after(0), [{ number: 2, json: "short" }]);
});
