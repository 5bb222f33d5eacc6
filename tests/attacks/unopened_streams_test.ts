import assert from "node:assert/strict";
import { SessionQuota } from "../../lib/session/quota.ts";
import {
  assertServed,
  type DataFrame,
  HostileVisitor,
  isFullSize,
} from "./hostile_visitor.ts";

const QUOTA_BYTES = (isFullSize ? 256 : 16) * 1024 * 1024;
const WINDOW_BYTES = 256 * 1024;
const PIECE = new Uint8Array(3900);

/** Whole windows of data, stream after stream. */
function* windows(from: number): Generator<DataFrame> {
  for (let id = from;; id++) {
    for (let offset = 0; offset + PIECE.length <= WINDOW_BYTES;) {
      yield { type: "data", id, offset, bytes: PIECE };
      offset += PIECE.length;
    }
  }
}

Deno.test("Data for streams that are never opened takes no memory from others", () => {
  const quota = new SessionQuota(QUOTA_BYTES);
  const visitor = new HostileVisitor(quota);
  const frames = windows(2);
  let heldBytes = 0;
  const fill = (nowMs: number) => {
    for (
      let n = 0;
      n < 2 * QUOTA_BYTES / PIECE.length &&
      quota.usedBytes < QUOTA_BYTES - 2 * PIECE.length;
      n++
    ) {
      const { value } = frames.next();
      if (value !== undefined) visitor.send([value], nowMs);
      if (nowMs > 0 && n > 20) break;
    }
    heldBytes = Math.max(heldBytes, quota.usedBytes);
  };
  fill(0);
  const filled = `${(heldBytes / 2 ** 20).toFixed(1)} MiB of ` +
    `${QUOTA_BYTES / 2 ** 20} MiB`;
  try {
    assertServed(quota, fill, new SessionQuota(QUOTA_BYTES));
  } catch (error) {
    throw new Error(`Held for one visitor: ${filled}`, { cause: error });
  }
  assert.ok(heldBytes < QUOTA_BYTES / 2, filled);
});
