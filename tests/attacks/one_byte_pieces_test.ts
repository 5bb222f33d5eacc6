import assert from "node:assert/strict";
import { SessionQuota } from "../../lib/session/quota.ts";
import {
  type DataFrame,
  HostileVisitor,
  isFullSize,
} from "./hostile_visitor.ts";

const PIECES = isFullSize ? 1_000_000 : 100_000;
const PER_STREAM = 200_000;
const BYTE = new Uint8Array(1);

/** One byte after the other, in order or from the second on. */
function* pieces(first: number): Generator<DataFrame> {
  for (let n = 0; n < PIECES; n++) {
    const id = 1 + Math.floor(n / PER_STREAM);
    yield { type: "data", id, offset: first + n % PER_STREAM, bytes: BYTE };
  }
}

for (const [what, first] of [["in order", 0], ["behind a gap", 1]] as const) {
  Deno.test(`Pieces of one byte, ${what}, take the memory that is counted for them`, () => {
    const quota = new SessionQuota();
    const visitor = new HostileVisitor(quota);
    for (let id = 1; id <= Math.ceil(PIECES / PER_STREAM); id++) {
      visitor.send([{ type: "streamOpen", id, port: 80 }], 0);
    }
    visitor.send(pieces(first), 0);
    if (first > 0) {
      visitor.send([{ type: "data", id: 1, offset: 0, bytes: BYTE }], 0);
    }
    // What the process holds is arrays: each costs some 500 bytes beside its own.
    const { usedBytes } = quota;
    const chunks = visitor.session.read(1, 0)?.chunks ?? [];
    const read = chunks.reduce((sum, { length }) => sum + length, 0);
    assert.ok(read >= Math.min(PIECES, PER_STREAM));
    assert.ok(
      chunks.length <= read / 4096 + 2,
      `${chunks.length} arrays hold ${read} bytes`,
    );
    const takes = PIECES * (1 + 512 / 4096);
    assert.ok(usedBytes >= PIECES && usedBytes <= 1.2 * takes, `${usedBytes}`);
  });
}
