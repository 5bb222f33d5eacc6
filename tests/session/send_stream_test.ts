import assert from "node:assert/strict";
import fc from "fast-check";
import { BugError } from "../../lib/base/errors.ts";
import { randomBelow, seededRandom } from "../../lib/base/random.ts";
import { SendStream, YOUNG_BYTES } from "../../lib/session/send_stream.ts";

const bytesFrom = (start: number, length: number) =>
  Uint8Array.from({ length }, (_, n) => (start + n) % 251);

function takeAll(stream: SendStream, size = 100): [number, number][] {
  const taken: [number, number][] = [];
  for (;;) {
    const next = stream.take(size);
    if (next === undefined) return taken;
    taken.push([next.offset, next.length]);
  }
}

Deno.test("SendStream hands out bytes in order, up to the peer's window", () => {
  const stream = new SendStream(250);
  stream.write(bytesFrom(0, 180));
  stream.write(bytesFrom(180, 200));
  assert.deepEqual(takeAll(stream), [[0, 100], [100, 100], [200, 50]]);
  assert.ok(!stream.hasData);
  assert.equal(stream.unsentBytes, 130);
  stream.raiseLimit(200); // old news
  assert.ok(!stream.hasData);
  stream.raiseLimit(1000);
  assert.deepEqual(takeAll(stream), [[250, 100], [350, 30]]);
});

Deno.test("SendStream announces its end once all bytes are on their way, and again when it was lost", () => {
  const stream = new SendStream(100);
  stream.write(bytesFrom(0, 150));
  stream.finish();
  stream.finish();
  takeAll(stream);
  assert.equal(stream.finToSend, undefined);
  stream.raiseLimit(200);
  takeAll(stream);
  assert.equal(stream.finToSend, 150);
  stream.onFinSent();
  assert.equal(stream.finToSend, undefined);
  stream.onFinLost();
  assert.equal(stream.finToSend, 150);
  stream.onFinSent();
  stream.onFinAcknowledged();
  assert.ok(!stream.isDone, "bytes are missing still");
  stream.onAcknowledged(0, 150);
  assert.ok(stream.isDone);
});

Deno.test("SendStream sends again what a leg took with it, but for what is known to have arrived", () => {
  const stream = new SendStream(1000);
  stream.write(bytesFrom(0, 400));
  takeAll(stream);
  stream.onAcknowledged(100, 50);
  stream.onLost(0, 200);
  assert.deepEqual(takeAll(stream), [[0, 100], [150, 50]]);
  stream.onAcknowledged(0, 400);
  stream.onLost(0, 400);
  assert.ok(!stream.hasData);
  assert.equal(stream.bufferedBytes, 0);
});

Deno.test("SendStream refuses bytes after its end", () => {
  const stream = new SendStream(10);
  stream.finish();
  assert.throws(() => stream.write(bytesFrom(0, 1)), BugError);
});

Deno.test("SendStream refuses to copy what it no longer keeps", () => {
  const stream = new SendStream(10);
  stream.write(bytesFrom(0, 5));
  const out = new Uint8Array(100);
  assert.throws(() => stream.copy(0, 50, out, 0), BugError);
});

Deno.test("SendStream copies the right bytes through any order of sending, losing and acknowledging (property)", () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = seededRandom(seed);
      const stream = new SendStream(1e6);
      const flying: { offset: number; length: number }[] = [];
      const received = new Map<number, number>();
      let written = 0;
      for (let step = 0; step < 300; step++) {
        switch (randomBelow(random, 4)) {
          case 0: {
            const length = 1 + randomBelow(random, 90);
            stream.write(bytesFrom(written, length));
            written += length;
            break;
          }
          case 1: {
            const taken = stream.take(1 + randomBelow(random, 60));
            if (taken === undefined) break;
            const out = new Uint8Array(taken.length + 3);
            stream.copy(taken.offset, taken.length, out, 3);
            assert.deepEqual(
              out.subarray(3),
              bytesFrom(taken.offset, taken.length),
            );
            flying.push(taken);
            break;
          }
          case 2: {
            const [at] = flying.splice(
              randomBelow(random, flying.length + 1),
              1,
            );
            if (at === undefined) break;
            for (let n = 0; n < at.length; n++) received.set(at.offset + n, 1);
            stream.onAcknowledged(at.offset, at.length);
            break;
          }
          default: {
            const [at] = flying.splice(
              randomBelow(random, flying.length + 1),
              1,
            );
            if (at !== undefined) stream.onLost(at.offset, at.length);
          }
        }
      }
      // What is left gets through in the end.
      for (const at of flying) stream.onAcknowledged(at.offset, at.length);
      for (const at of flying) {
        for (let n = 0; n < at.length; n++) received.set(at.offset + n, 1);
      }
      for (const [offset, length] of takeAll(stream)) {
        for (let n = 0; n < length; n++) received.set(offset + n, 1);
        stream.onAcknowledged(offset, length);
      }
      assert.equal(received.size, written);
      assert.equal(stream.bufferedBytes, 0);
    }),
    { numRuns: 60 },
  );
});

Deno.test("SendStream forgets everything when it is dropped", () => {
  const stream = new SendStream(1000);
  stream.write(bytesFrom(0, 400));
  stream.take(100);
  stream.onLost(0, 100);
  stream.drop();
  assert.equal(stream.bufferedBytes, 0);
  assert.ok(!stream.hasData);
  stream.onLost(0, 100);
  assert.ok(!stream.hasData, "a late loss is no news");
});

Deno.test("SendStream has a young burst again once all that it sent has arrived", () => {
  const stream = new SendStream(10_000_000);
  stream.write(new Uint8Array(YOUNG_BYTES + 1));
  assert.ok(stream.isYoung);
  stream.take(YOUNG_BYTES - 1);
  assert.ok(stream.isYoung);
  stream.take(1);
  assert.ok(!stream.isYoung);
  stream.take(1);
  stream.write(new Uint8Array(1));
  assert.ok(!stream.isYoung, "still the same burst");
  stream.take(1);
  stream.onAcknowledged(0, YOUNG_BYTES + 2);
  stream.write(new Uint8Array(1));
  assert.ok(stream.isYoung);
});
