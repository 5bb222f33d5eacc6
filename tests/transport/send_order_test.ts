import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { SendOrder, type SendPlace } from "../../lib/transport/_send_order.ts";

/** A stream as a connection sends it: the highest order first, whole. */
class FakeStream {
  sendOrder = 0;
  /** When each chunk that waits was written, and its bytes. */
  readonly waiting: { readonly sinceMs: number; bytes: number }[] = [];
  sentBytes = 0;
  longestMs = 0;
}

/** A connection that sends so many bytes a ms. */
class FakeLine {
  nowMs = 1000;
  readonly order = new SendOrder(() => this.nowMs);
  readonly streams: {
    readonly stream: FakeStream;
    readonly place: SendPlace;
  }[] = [];
  readonly #bytesPerMs: number;

  constructor(bytesPerMs: number) {
    this.#bytesPerMs = bytesPerMs;
  }

  open(): number {
    const stream = new FakeStream();
    this.streams.push({ stream, place: this.order.enter(stream) });
    return this.streams.length - 1;
  }

  write(index: number, bytes: number): void {
    const { stream, place } = this.#at(index);
    place.onWrite(bytes);
    stream.waiting.push({ sinceMs: this.nowMs, bytes });
  }

  #at(index: number) {
    const entry = this.streams[index];
    assert.ok(entry !== undefined);
    return entry;
  }

  stream(index: number): FakeStream {
    return this.#at(index).stream;
  }

  /** One ms passes. @returns The streams that sent in it, in order. */
  tick(): number[] {
    const sent: number[] = [];
    let room = this.#bytesPerMs;
    while (room > 0) {
      let first: number | undefined;
      for (const [index, { stream }] of this.streams.entries()) {
        if (stream.waiting.length === 0) continue;
        if (
          first === undefined ||
          stream.sendOrder > this.stream(first).sendOrder
        ) first = index;
      }
      if (first === undefined) break;
      const stream = this.stream(first);
      const [chunk] = stream.waiting;
      assert.ok(chunk !== undefined);
      const bytes = Math.min(room, chunk.bytes);
      sent.push(first);
      room -= bytes;
      chunk.bytes -= bytes;
      stream.sentBytes += bytes;
      if (chunk.bytes > 0) continue;
      stream.waiting.shift();
      const waitedMs = this.nowMs - chunk.sinceMs;
      stream.longestMs = Math.max(stream.longestMs, waitedMs);
    }
    this.nowMs++;
    return sent;
  }
}

Deno.test("SendOrder sends what was written first of equals, whole", () => {
  const line = new FakeLine(1000);
  const streams = Array.from({ length: 5 }, () => line.open());
  for (const index of streams) {
    line.write(index, 4096);
    line.nowMs++;
  }
  const order: number[] = [];
  for (let i = 0; i < 30; i++) {
    for (const index of line.tick()) {
      if (order.at(-1) !== index) order.push(index);
    }
  }
  assert.deepEqual(order, streams);
});

Deno.test("SendOrder lets a quiet stream pass all that loud ones have waiting", () => {
  const line = new FakeLine(1000);
  const loud = Array.from({ length: 8 }, () => line.open());
  // Twice what the line carries, for 3 s: each has much waiting.
  for (let i = 0; i < 3000; i++) {
    if (i % 64 === 0) { for (const index of loud) line.write(index, 16_384); }
    line.tick();
  }
  const quiet = line.open();
  line.write(quiet, 4096);
  for (let i = 0; i < 10; i++) line.tick();
  assert.equal(line.stream(quiet).sentBytes, 4096);
  assert.ok(line.stream(quiet).longestMs <= 5);
});

Deno.test("SendOrder starves none of 100 circuits, however quiet the others are", () => {
  const random = seededRandom(44);
  const line = new FakeLine(10_000);
  const loud = Array.from({ length: 20 }, () => line.open());
  const quiet = Array.from({ length: 80 }, () => line.open());
  const fresh: number[] = [];
  for (let ms = 0; ms < 20_000; ms++) {
    for (const index of loud) {
      // Each writes on when what it wrote has been sent, as a full window makes it.
      if (line.stream(index).waiting.length === 0) line.write(index, 65_536);
    }
    // The quiet ones write a cell each 50 ms on average: two thirds of the line.
    for (const index of quiet) {
      if (random.bytes(1)[0] as number < 5) line.write(index, 4096);
    }
    // And every 100 ms one comes that was never there before.
    if (ms % 100 === 0) {
      fresh.push(line.open());
      line.write(fresh.at(-1) as number, 4096);
    }
    line.tick();
  }
  for (const index of loud) {
    const { longestMs, sentBytes } = line.stream(index);
    // A handicap, and the turns of the other loud ones.
    assert.ok(longestMs < 3500, `a loud one waited ${longestMs} ms`);
    assert.ok(sentBytes > 500_000, `a loud one sent ${sentBytes} bytes`);
  }
  // In the first second all are still quiet.
  for (const index of fresh.slice(10)) {
    assert.ok(line.stream(index).longestMs < 50);
  }
  const shares = loud.map((index) => line.stream(index).sentBytes);
  assert.ok(Math.max(...shares) < 1.5 * Math.min(...shares), `${shares}`);
});

Deno.test("SendOrder forgets within a minute that a stream was loud", () => {
  const line = new FakeLine(100_000);
  const [former, loud] = [line.open(), line.open()];
  for (let i = 0; i < 100; i++) line.write(former, 65_536);
  while (line.tick().length > 0);
  line.nowMs += 90_000;
  for (let i = 0; i < 100; i++) line.write(loud, 65_536);
  line.write(former, 4096);
  line.tick();
  assert.equal(line.stream(former).waiting.length, 0);
});

Deno.test("SendOrder goes on for months: what waits stays before what comes", () => {
  const line = new FakeLine(1000);
  const [old, busy] = [line.open(), line.open()];
  const day = 86_400_000;
  for (let i = 0; i < 100; i++) {
    line.write(old, 1000);
    line.nowMs += 2 * day;
    line.write(busy, 1000);
    const orders = [old, busy].map((index) => line.stream(index).sendOrder);
    for (const order of orders) assert.equal(order, order | 0);
    assert.deepEqual(line.tick(), [old]);
    assert.deepEqual(line.tick(), [busy]);
  }
});

Deno.test("SendPlace says nothing of a stream that has ended", () => {
  const order = new SendOrder(() => 0);
  const place = order.enter({
    set sendOrder(_: number) {
      throw new Deno.errors.BadResource("gone");
    },
  } as { sendOrder: number });
  place.onWrite(1);
  place.leave();
});
