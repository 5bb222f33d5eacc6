import assert from "node:assert/strict";
import {
  DATA_HEADER_BYTES,
  FRAME_SPACE_BYTES,
} from "../../lib/session/frames.ts";
import { type CellLoad, SendRound } from "../../lib/session/send_round.ts";
import { SessionStream } from "../../lib/session/stream.ts";

function stream(id: number, bytes: number): SessionStream {
  const stream = new SessionStream(id, 0, "open");
  stream.send.write(new Uint8Array(bytes));
  return stream;
}

function fill(
  round: SendRound,
  options: { start?: number; isThere?: (id: number) => boolean } = {},
): CellLoad & { end: number } {
  const load: CellLoad = { data: [], control: [] };
  const cell = new Uint8Array(FRAME_SPACE_BYTES);
  const { start = 0, isThere = () => true } = options;
  const end = round.fill(cell, start, load, isThere, () => {});
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
  assert.ok(!round.isEmpty);
});

Deno.test("SendRound queues a stream once, and only with something to send", () => {
  const round = new SendRound();
  round.queue(new SessionStream(1, 0, "open"));
  assert.ok(round.isEmpty);
  const busy = stream(2, 10);
  round.queue(busy);
  round.queue(busy);
  assert.equal(fill(round).data.length, 1);
  assert.ok(round.isEmpty);
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
  assert.ok(round.isEmpty);
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
  assert.ok(!round.isEmpty);
  round.clear();
  assert.ok(round.isEmpty);
});
