import assert from "node:assert/strict";
import { UnreachableError } from "../../lib/base/errors.ts";
import { SystemClock } from "../../lib/machine/system_clock.ts";
import {
  parseStreamTarget,
  type StreamTarget,
} from "../../lib/node/host/stream_target.ts";
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
