import assert from "node:assert/strict";
import { UnreachableError } from "../../../lib/base/errors.ts";
import { StreamWatch } from "../../../lib/node/torcontrol/stream_watch.ts";
import { FakeGateway } from "../../proxy/world.ts";

const TARGET = { host: "x.anon", port: 80, isolation: undefined };
const NEVER = new AbortController().signal;

function open() {
  const gateway = new FakeGateway();
  const seen: string[] = [];
  const watch = new StreamWatch(
    gateway,
    ({ host, port }) => `${host}:${port}`,
    ({ id, status, target }) => seen.push(`${id} ${status} ${target}`),
  );
  return { gateway, watch, seen };
}

Deno.test("StreamWatch tells of a stream that comes, succeeds and goes, once each", async () => {
  const { watch, seen } = open();
  const stream = await watch.connect(TARGET, { signal: NEVER });
  await stream.opened;
  assert.deepEqual(watch.streams.map(({ status }) => status), ["SUCCEEDED"]);
  stream.leave();
  stream.abort();
  assert.deepEqual(seen, [
    "1 NEW x.anon:80",
    "1 SUCCEEDED x.anon:80",
    "1 CLOSED x.anon:80",
  ]);
  assert.deepEqual(watch.streams, []);
});

Deno.test("StreamWatch tells of a stream that came to nothing, and keeps none of it", async () => {
  const { gateway, watch, seen } = open();
  gateway.error = new UnreachableError("service.not_found", "No");
  await assert.rejects(watch.connect(TARGET, { signal: NEVER }));
  assert.deepEqual(seen, ["1 NEW x.anon:80", "1 FAILED x.anon:80"]);
  assert.deepEqual(watch.streams, []);
});

Deno.test("StreamWatch takes a stream for open until both directions have ended", async () => {
  const { gateway, watch } = open();
  const stream = await watch.connect(TARGET, { signal: NEVER });
  await stream.closeWrite();
  assert.equal(watch.streams.length, 1);
  await gateway.last.service.closeWrite();
  assert.equal(await stream.read(), undefined);
  assert.deepEqual(watch.streams, []);
});
