import assert from "node:assert/strict";
import { ProtocolError } from "../../lib/base/errors.ts";
import {
  ControlQueue,
  MAX_CONTROL_FRAMES,
} from "../../lib/session/control_queue.ts";
import type { ControlFrame } from "../../lib/session/frames.ts";

const open = (id: number): ControlFrame => ({
  type: "streamOpen",
  id,
  port: 80,
});

Deno.test("ControlQueue fills a cell with as many frames as fit, in order", () => {
  const queue = new ControlQueue();
  for (let id = 1; id <= 5; id++) queue.push(open(id));
  const sent: ControlFrame[] = [];
  const cell = new Uint8Array(100);
  assert.equal(queue.fill(cell, 3, 3 + 3 * 7 + 6, sent), 3 + 3 * 7);
  assert.deepEqual(sent, [open(1), open(2), open(3)]);
  assert.equal(queue.length, 2);
  assert.equal(queue.fill(cell, 0, 6, sent), 0);
});

Deno.test("ControlQueue has an end, and room is refused long before", () => {
  const queue = new ControlQueue();
  for (let n = 0; n < MAX_CONTROL_FRAMES; n++) {
    assert.equal(queue.hasRoom, n < MAX_CONTROL_FRAMES / 2);
    queue.push(open(n));
  }
  assert.throws(
    () => queue.push(open(0)),
    (error) =>
      error instanceof ProtocolError && error.code === "session.control_flood",
  );
  queue.replace([open(9)]);
  assert.equal(queue.length, 1);
});
