import assert from "node:assert/strict";
import fc from "fast-check";
import { BugError, UnreachableError } from "../../lib/base/errors.ts";
import {
  ByteSource,
  MAX_SOURCE_BYTES,
  streamSource,
} from "../../lib/http/byte_source.ts";
import { streamPair } from "../proxy/stream_pair.ts";

/** Counts up, in pieces of these sizes, then ends. */
function counting(sizes: readonly number[]) {
  const left = [...sizes];
  let next = 0;
  return new ByteSource((into) => {
    const size = left.shift();
    if (size === undefined) return Promise.resolve(null);
    const count = Math.min(size, into.length);
    if (count < size) left.unshift(size - count);
    for (let i = 0; i < count; i++) into[i] = next++ & 0xff;
    return Promise.resolve(count);
  });
}

Deno.test("ByteSource gives all bytes in order, however they come and are taken", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 12_000 }), { maxLength: 20 }),
      fc.array(fc.nat({ max: 30_000 }), { minLength: 1, maxLength: 10 }),
      async (sizes, takes) => {
        const source = counting(sizes);
        const total = sizes.reduce((sum, size) => sum + size, 0);
        let taken = 0;
        for (let turn = 0;; turn++) {
          const { bytes } = source;
          bytes.forEach((byte, i) => {
            if (byte !== ((taken + i) & 0xff)) assert.fail(`byte ${taken + i}`);
          });
          const count = Math.min(bytes.length, takes[turn % takes.length] ?? 0);
          source.take(count);
          taken += count;
          if (source.isFull) {
            taken += source.bytes.length;
            source.take(source.bytes.length);
          }
          if (!await source.more()) break;
        }
        assert.equal(taken + source.bytes.length, total);
      },
    ),
    { numRuns: 30 },
  );
});

Deno.test("ByteSource holds no more than its limit", async () => {
  const source = counting([1 << 20]);
  while (!source.isFull) await source.more();
  assert.equal(source.bytes.length, MAX_SOURCE_BYTES);
  await assert.rejects(source.more(), BugError);
  assert.throws(() => source.take(MAX_SOURCE_BYTES + 1), BugError);
});

Deno.test("ByteSource reads once for all who wait", async () => {
  let reads = 0;
  const gate = Promise.withResolvers<void>();
  const source = new ByteSource(async (into) => {
    reads++;
    await gate.promise;
    into[0] = 7;
    return 1;
  });
  const waiting = [source.more(), source.more()];
  gate.resolve();
  assert.deepEqual(await Promise.all(waiting), [true, true]);
  assert.equal(reads, 1);
  assert.deepEqual(source.bytes, Uint8Array.of(7));
});

Deno.test("ByteSource keeps what was looked at while more is on its way", async () => {
  const source = counting([4, 4]);
  await source.more();
  const view = source.bytes;
  const waiting = source.more();
  assert.deepEqual(view, Uint8Array.of(0, 1, 2, 3));
  await waiting;
  assert.deepEqual(view, Uint8Array.of(0, 1, 2, 3));
  assert.deepEqual(source.bytes, Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7));
});

Deno.test("streamSource() reads a stream, also chunks larger than its buffer", async () => {
  const { client, service } = streamPair();
  const source = streamSource(client);
  await service.write(new Uint8Array(50_000).fill(1));
  await service.write(Uint8Array.of(2));
  await service.closeWrite();
  const taken: number[] = [];
  while (await source.more()) {
    taken.push(...source.bytes);
    source.take(source.bytes.length);
  }
  assert.equal(taken.length, 50_001);
  assert.equal(taken.at(-1), 2);

  const broken = streamPair();
  broken.client.reset(new UnreachableError("service.refused", "No"));
  await assert.rejects(streamSource(broken.client).more(), {
    code: "service.refused",
  });
});
