import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { UnreachableError } from "../../lib/base/errors.ts";
import { SystemClock } from "../../lib/machine/system_clock.ts";
import {
  parseStreamTarget,
  type StreamTarget,
} from "../../lib/node/host/stream_target.ts";
import type { TargetConnection } from "../../lib/node/host/target_connection.ts";
import {
  type DialledTarget,
  systemDial,
} from "../../lib/node/host/target_dial.ts";

const dial = systemDial(new SystemClock());
const limit = () => ({ signal: AbortSignal.timeout(10_000) });

function dialled(target: StreamTarget): DialledTarget {
  return target.type === "handler" ? assert.fail("not a socket") : target;
}

/** Sends one byte each way over a connection to `target`. */
async function roundTrip(
  target: StreamTarget,
  accept: () => Promise<Deno.Conn>,
): Promise<void> {
  const [near, far] = await Promise.all([
    dial(dialled(target), limit()),
    accept(),
  ]);
  const buffer = new Uint8Array(4);
  await near.write(Uint8Array.of(1, 2));
  assert.equal(await far.read(buffer), 2);
  await near.closeWrite();
  assert.equal(await far.read(buffer), null);
  await far.write(Uint8Array.of(3));
  assert.equal(await near.read(buffer), 1, "the other direction is open");
  far.close();
  assert.equal(await near.read(buffer), null);
  near.close();
}

Deno.test("systemDial() reaches TCP ports, with an end for each direction", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const target = parseStreamTarget(`127.0.0.1:${port}`);
  await roundTrip(target, () => listener.accept());
});

Deno.test({
  name: "systemDial() reaches unix sockets, with an end for each direction",
  ignore: Deno.build.os === "windows",
  async fn() {
    const directory = await Deno.makeTempDir();
    try {
      const path = `${directory}/site.sock`;
      using listener = Deno.listen({ transport: "unix", path });
      await roundTrip({ type: "unix", path }, () => listener.accept());
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

/** A connection to a target, whose end of it is of `node:net`. */
async function dialSocket(
  test: (near: TargetConnection, far: net.Socket) => Promise<void>,
): Promise<void> {
  const server = net.createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const accepted = once(server, "connection");
  const target = dialled(parseStreamTarget(`127.0.0.1:${port}`));
  const near = await dial(target, limit());
  const [far] = await accepted as [net.Socket];
  far.on("error", () => {});
  try {
    await test(near, far);
  } finally {
    near.close();
    far.destroy();
    const closed = once(server, "close");
    server.close();
    await closed;
  }
}

/** Whether something does not come to its end, though the event loop turns. */
async function isStuck(work: Promise<unknown>): Promise<boolean> {
  let isOver = false;
  work.finally(() => isOver = true);
  for (let turn = 0; turn < 200 && !isOver; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  return !isOver;
}

/** More than the buffers between both ends hold. */
const MUCH = 8_000_000;

/** Write until it fails. */
async function writeForEver(near: TargetConnection): Promise<unknown> {
  const piece = new Uint8Array(64 * 1024);
  try {
    for (;;) await near.write(piece);
  } catch (error) {
    return error;
  }
}

/** @returns How much there was, and what came behind it. */
async function readToEnd(
  near: TargetConnection,
): Promise<{ readonly bytes: number; readonly error?: unknown }> {
  const into = new Uint8Array(10_000);
  for (let bytes = 0;;) {
    try {
      const count = await near.read(into);
      if (count === null) return { bytes };
      bytes += count;
    } catch (error) {
      return { bytes, error };
    }
  }
}

Deno.test("systemDial() tells a target apart what is all and what is cut", async () => {
  for (const how of ["close", "reset"] as const) {
    await dialSocket(async (near, far) => {
      const seen = Promise.withResolvers<string>();
      far.on("end", () => seen.resolve("end"));
      far.on(
        "error",
        (error: Error & { readonly code?: string }) =>
          seen.resolve(error.code ?? ""),
      );
      far.resume();
      await near.write(new Uint8Array(10));
      near[how]();
      assert.equal(await seen.promise, how === "close" ? "end" : "ECONNRESET");
    });
  }
});

Deno.test("systemDial() brings what a target said before it broke off, be it the read or the write that is told", async () => {
  const said = 50_000;
  for (const isWriting of [true, false]) {
    await dialSocket(async (near, far) => {
      far.pause();
      await new Promise((resolve) => far.write(new Uint8Array(said), resolve));
      const writing = isWriting ? writeForEver(near) : undefined;
      // All of it is with the other side: over loopback at once.
      far.resetAndDestroy();
      const failure = await writing;
      const { bytes, error } = await readToEnd(near);
      assert.equal(bytes, said);
      const reset = isWriting ? failure : error;
      assert.ok(reset instanceof Deno.errors.ConnectionReset, String(reset));
    });
  }
});

Deno.test("systemDial() takes an end for an end, though what is written later is not taken", async () => {
  await dialSocket(async (near, far) => {
    far.pause();
    far.end(new Uint8Array(50_000));
    const { bytes, error } = await readToEnd(near);
    assert.deepEqual([bytes, error], [50_000, undefined]);
    far.destroy();
    const failure = await writeForEver(near);
    assert.ok(failure instanceof Deno.errors.BrokenPipe, String(failure));
  });
});

Deno.test("systemDial() holds back a target that is not read, and is held back by one that does not read", async () => {
  await dialSocket(async (near, far) => {
    far.pause();
    let isSent = false;
    far.write(new Uint8Array(2 * MUCH), () => isSent = true);
    const piece = new Uint8Array(64 * 1024);
    let writing: Promise<number>;
    do writing = near.write(piece); while (!await isStuck(writing));
    assert.equal(isSent, false);
    far.resume();
    assert.equal(await writing, piece.length);
  });
});

Deno.test("systemDial() says that a target refuses, whatever stands in the way", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const targets: StreamTarget[] = [
    { type: "tcp", address: { host: "127.0.0.1", port } },
    { type: "unix", path: "/nowhere/at/all.sock" },
  ];
  for (const target of targets) {
    await assert.rejects(
      dial(dialled(target), limit()),
      (error) =>
        error instanceof UnreachableError &&
        error.code === "service.target_refused",
    );
  }
});

Deno.test("systemDial() gives up with the signal's reason", async () => {
  const reason = new Error("enough");
  const target = parseStreamTarget("127.0.0.1:9");
  await assert.rejects(
    dial(dialled(target), { signal: AbortSignal.abort(reason) }),
    reason,
  );
});
