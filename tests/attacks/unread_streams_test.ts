import assert from "node:assert/strict";
import { SessionQuota } from "../../lib/session/quota.ts";
import { assertServed, HostileVisitor, isFullSize } from "./hostile_visitor.ts";

const QUOTA_BYTES = (isFullSize ? 256 : 16) * 1024 * 1024;
const PIECE = new Uint8Array(3900);
const PIECES = Math.floor(256 * 1024 / PIECE.length);

/** Fills windows of streams that the service's target does not read. */
class Filler {
  readonly visitor: HostileVisitor;
  #id = 1;
  #piece = 0;

  constructor(quota: SessionQuota) {
    this.visitor = new HostileVisitor(quota);
  }

  fill(nowMs: number): void {
    const id = this.#id;
    const offset = this.#piece * PIECE.length;
    if (this.#piece === 0) {
      this.visitor.send([{ type: "streamOpen", id, port: 80 }], nowMs);
    }
    this.visitor.send([{ type: "data", id, offset, bytes: PIECE }], nowMs);
    if (++this.#piece < PIECES) return;
    this.#piece = 0;
    this.#id++;
  }
}

for (const count of [1, 5]) {
  Deno.test(`${count} visitors whose streams are not read take no memory from others`, () => {
    const quota = new SessionQuota(QUOTA_BYTES);
    const fillers = Array.from({ length: count }, () => new Filler(quota));
    const full = QUOTA_BYTES - 2 * PIECE.length;
    const fill = (nowMs: number, most: number) => {
      for (let n = 0; n < most && quota.usedBytes < full; n++) {
        fillers[n % count]?.fill(nowMs);
      }
    };
    fill(0, 2 * QUOTA_BYTES / PIECE.length);
    const before = quota.usedBytes;
    assertServed(
      quota,
      (nowMs) => fill(nowMs, 100),
      new SessionQuota(QUOTA_BYTES),
    );
    assert.ok(
      before >= (count === 1 ? 0.4 : 0.8) * QUOTA_BYTES,
      "it was a try",
    );
    assert.ok(quota.usedBytes <= QUOTA_BYTES);
  });
}
