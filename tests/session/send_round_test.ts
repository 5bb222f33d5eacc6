import assert from "node:assert/strict";
import {
  DATA_HEADER_BYTES,
  FRAME_SPACE_BYTES,
} from "../../lib/session/frames.ts";
import {
  type CellLoad,
  type SendLane,
  SendRound,
} from "../../lib/session/send_round.ts";
import { SessionStream } from "../../lib/session/stream.ts";

function stream(id: number, bytes: number): SessionStream {
  const stream = new SessionStream(id, 0, "open");
  stream.send.write(new Uint8Array(bytes));
  return stream;
}

function fill(
  round: SendRound,
  options: {
    start?: number;
    lane?: SendLane;
    isThere?: (id: number) => boolean;
  } = {},
): CellLoad & { end: number } {
  const load: CellLoad = { data: [], control: [] };
  const cell = new Uint8Array(FRAME_SPACE_BYTES);
  const { start = 0, lane = "all", isThere = () => true } = options;
  const end = round.fill(cell, start, load, lane, isThere, () => {});
  return { ...load, end };
}

Deno.test("SendRound gives each stream a cell in turn", () => {
  const round = new SendRound();
  for (const id of [1, 2, 3]) round.queue(stream(id, 20_000));
  const turns = Array.from(
    { length: 6 },
    () => fill(round).data.map(({ id }) => id),
  );
  assert.deepEqual(turns, [[1], [2], [3], [1], [2], [3]]);
});

Deno.test("SendRound fills a cell with small pieces of several streams", () => {
  const round = new SendRound();
  for (const id of [1, 2]) round.queue(stream(id, 100));
  round.queue(stream(3, 20_000));
  const { data, end } = fill(round);
  assert.deepEqual(data.map(({ id }) => id), [1, 2, 3]);
  assert.equal(end, FRAME_SPACE_BYTES);
  assert.ok(round.has("all"));
});

Deno.test("SendRound lets young bursts go first, and keeps lanes apart where it is asked to", () => {
  const round = new SendRound();
  const old = stream(1, 1_000_000);
  while (old.send.isYoung) old.send.take(FRAME_SPACE_BYTES);
  round.queue(old);
  assert.ok(round.has("bulk") && !round.has("young"));
  for (const id of [2, 3]) round.queue(stream(id, 100));
  const ids = (lane: SendLane) => fill(round, { lane }).data.map((d) => d.id);
  assert.deepEqual(ids("bulk"), [1]);
  assert.deepEqual(ids("young"), [2, 3]);
  assert.ok(!round.has("young"));
  round.queue(stream(4, 100));
  assert.deepEqual(ids("all"), [4, 1]);
});

Deno.test("SendRound queues a stream once, and only with something to send", () => {
  const round = new SendRound();
  round.queue(new SessionStream(1, 0, "open"));
  assert.ok(!round.has("all"));
  const busy = stream(2, 10);
  round.queue(busy);
  round.queue(busy);
  assert.equal(fill(round).data.length, 1);
  assert.ok(!round.has("all"));
});

Deno.test("SendRound sends the end of a stream behind its last bytes, in the next cell if it must", () => {
  const round = new SendRound();
  const whole = stream(1, FRAME_SPACE_BYTES - DATA_HEADER_BYTES);
  whole.send.finish();
  round.queue(whole);
  assert.deepEqual(fill(round).control, []);
  const { control, data } = fill(round);
  assert.equal(data.length, 0);
  assert.deepEqual(control.map(({ type }) => type), ["streamFin"]);
  assert.ok(!round.has("all"));
});

Deno.test("SendRound passes over streams that are gone", () => {
  const round = new SendRound();
  for (const id of [1, 2]) round.queue(stream(id, 10));
  const { data } = fill(round, { isThere: (id) => id === 2 });
  assert.deepEqual(data.map(({ id }) => id), [2]);
});

Deno.test("SendRound leaves a cell alone that has no room", () => {
  const round = new SendRound();
  round.queue(stream(1, 10));
  const start = FRAME_SPACE_BYTES - DATA_HEADER_BYTES;
  assert.equal(fill(round, { start }).end, start);
  assert.ok(round.has("all"));
  round.clear();
  assert.ok(!round.has("all"));
});

Deno.test("SendRound says whether streams of a lane have so much to send, and may send it", () => {
  const round = new SendRound();
  assert.ok(!round.hasBytes("all", 1));
  for (const id of [1, 2, 3]) round.queue(stream(id, 1000));
  assert.ok(round.hasBytes("all", 3000) && !round.hasBytes("all", 3001));
  assert.ok(round.hasBytes("young", 3000) && !round.hasBytes("bulk", 1));
  const old = stream(4, 100_000);
  while (old.send.isYoung) old.send.take(FRAME_SPACE_BYTES);
  const left = old.send.sendableBytes;
  round.queue(old);
  assert.ok(round.hasBytes("bulk", left) && !round.hasBytes("bulk", left + 1));
  assert.ok(round.hasBytes("all", left + 3000));
  assert.ok(!round.hasBytes("young", 3001));
  // 256 KiB is what a peer grants to begin with.
  const long = new SendRound();
  long.queue(stream(5, 300_000));
  assert.ok(long.hasBytes("all", 262_144) && !long.hasBytes("all", 262_145));
});
