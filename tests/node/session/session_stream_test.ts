import assert from "node:assert/strict";
import { UnreachableError } from "../../../lib/base/errors.ts";
import { SessionStreamHandle } from "../../../lib/node/session/session_stream.ts";
import { RESET_CODE } from "../../../lib/session/stream.ts";

/** A stream whose session has nothing more to read. */
function atItsEnd(): SessionStreamHandle {
  return new SessionStreamHandle({
    accept() {},
    write: () => "gone",
    read: () => undefined,
    unconfirmed: () => undefined,
    finish() {},
    breakOff() {},
    reset() {},
  });
}

Deno.test("SessionStreamHandle.read() sees the end that comes together with the last acknowledgement", async () => {
  const stream = atItsEnd();
  const reading = stream.read();
  // One cell: the peer's end, and that it has ours.
  stream.onReadable();
  stream.onFinished();
  assert.equal(await reading, undefined);
  assert.equal(await stream.read(), undefined);
});

Deno.test("SessionStreamHandle.read() throws when the stream was reset", async () => {
  const stream = atItsEnd();
  const reading = stream.read();
  stream.onReset(RESET_CODE.failed);
  await assert.rejects(reading, { code: "session.reset_failed" });
  await assert.rejects(stream.read(), { code: "session.reset_failed" });
});

Deno.test("SessionStreamHandle.write() says of a stream that ended well that it has ended, not that it was given up", async () => {
  const stream = atItsEnd();
  await stream.closeWrite();
  stream.onFinished();
  await assert.rejects(stream.write(new Uint8Array(1)), {
    code: "session.finished",
  });
  assert.deepEqual(await stream.closed, { how: "finished", code: 0 });
});

Deno.test("SessionStreamHandle.write() that waits for room ends with its stream, however that ends", async () => {
  for (
    const [end, code] of [
      [
        (stream: SessionStreamHandle) => stream.onFinished(),
        "session.finished",
      ],
      [
        (stream: SessionStreamHandle) => stream.onReset(RESET_CODE.cancelled),
        "session.reset_cancelled",
      ],
    ] as const
  ) {
    const stream = new SessionStreamHandle({
      accept() {},
      write: () => "full",
      read: () => undefined,
      unconfirmed: () => undefined,
      finish() {},
      reset() {},
      breakOff() {},
    });
    const writing = stream.write(new Uint8Array(1));
    end(stream);
    await assert.rejects(writing, { code });
  }
});

Deno.test("SessionStreamHandle.giveUp() fails all that waits with its own reason, and resets the stream once", async () => {
  const resets: number[] = [];
  const stream = new SessionStreamHandle({
    accept() {},
    write: () => "taken",
    read: () => undefined,
    unconfirmed: () => undefined,
    finish() {},
    breakOff() {},
    reset: (code) => void resets.push(code),
  });
  const reading = stream.read();
  const why = new UnreachableError("path.guards_down", "No guard answers");
  stream.giveUp(why);
  stream.giveUp(why);
  await assert.rejects(stream.opened, why);
  await assert.rejects(reading, why);
  await assert.rejects(stream.write(new Uint8Array(1)), why);
  assert.deepEqual(resets, [RESET_CODE.cancelled]);
});

Deno.test("SessionStreamHandle.awaitAnswer() watches until bytes come, or the stream ends", async () => {
  const log: string[] = [];
  let isThere = false;
  const stream = new SessionStreamHandle({
    accept() {},
    write: () => "taken",
    read: () =>
      isThere ? { chunks: [new Uint8Array(1)], isEnd: false } : undefined,
    unconfirmed: () => 0,
    finish() {},
    breakOff() {},
    reset() {},
  });
  stream.onAwait(() => {
    log.push("begun");
    return { [Symbol.dispose]: () => void log.push("over") };
  });
  stream.awaitAnswer();
  stream.awaitAnswer();
  isThere = true;
  await stream.read();
  assert.deepEqual(log, ["begun", "over"]);
  stream.awaitAnswer();
  stream.abort();
  stream.awaitAnswer();
  assert.deepEqual(log, ["begun", "over", "begun", "over"]);
});

Deno.test("SessionStreamHandle.unconfirmedBytes tells what is on its way, none after a good end, and what was lost with a reset", () => {
  let unconfirmed: number | undefined = 7;
  const stream = () =>
    new SessionStreamHandle({
      accept() {},
      write: () => "taken",
      read: () => undefined,
      unconfirmed: () => unconfirmed,
      finish() {},
      breakOff() {},
      reset() {},
    });
  const [finished, reset, lost] = [stream(), stream(), stream()];
  assert.equal(finished.unconfirmedBytes, 7);
  unconfirmed = undefined;
  finished.onFinished();
  reset.onReset(RESET_CODE.cancelled, { unconfirmed: 3 });
  lost.onReset(RESET_CODE.failed);
  assert.equal(finished.unconfirmedBytes, 0);
  assert.equal(reset.unconfirmedBytes, 3);
  assert.equal(lost.unconfirmedBytes, Infinity);
});

/** A stream that takes note of what its session is asked for. */
function noted(said: string[]): SessionStreamHandle {
  return new SessionStreamHandle({
    accept() {},
    write: (bytes) => {
      said.push(`write ${bytes.length}`);
      return "taken";
    },
    read: () => undefined,
    unconfirmed: () => undefined,
    finish: () => void said.push("finish"),
    breakOff() {},
    reset: (code) => void said.push(`reset ${code}`),
  });
}

Deno.test("SessionStreamHandle.goOnAs() has the other stream carry what is said meanwhile and afterwards, and hears what becomes of it", async () => {
  const [before, after]: string[][] = [[], []];
  assert.ok(before && after);
  const [stream, other] = [noted(before), noted(after)];
  assert.equal(stream.isUntouched, true);
  stream.beginMove();
  const saying = stream.write(new Uint8Array(3)).then(() =>
    stream.closeWrite()
  );
  const reading = stream.read();
  stream.goOnAs(other);
  await saying;
  assert.deepEqual([before, after], [[], ["write 3", "finish"]]);
  other.onAccepted();
  await stream.opened;
  other.onFinished();
  assert.equal(await reading, undefined);
  assert.equal((await stream.closed).how, "finished");
});

Deno.test("SessionStreamHandle.goOnAs() takes over what has become of the other stream already, and a stream moves once", async () => {
  for (const code of [RESET_CODE.refused, undefined]) {
    const [stream, other] = [noted([]), noted([])];
    stream.beginMove();
    if (code === undefined) other.onAccepted();
    else other.onReset(code);
    const writing = stream.write(new Uint8Array(1));
    stream.goOnAs(other);
    assert.equal(other.isUntouched, false);
    if (code === undefined) await Promise.all([writing, stream.opened]);
    else await assert.rejects(writing, { code: "service.refused" });
  }
});

Deno.test("SessionStreamHandle gives up the other stream when it was given up before that was there", async () => {
  const [before, after]: string[][] = [[], []];
  assert.ok(before && after);
  const [stream, other] = [noted(before), noted(after)];
  stream.beginMove();
  const writing = stream.write(new Uint8Array(1));
  stream.abort(RESET_CODE.cancelled);
  await assert.rejects(writing, { code: "session.reset_cancelled" });
  stream.goOnAs(other);
  assert.deepEqual([before, after], [[], ["reset 0"]]);
});
