import assert from "node:assert/strict";
import { utf8 } from "../../lib/base/bytes.ts";
import { VirtualClock } from "../../lib/base/virtual_clock.ts";
import {
  MAX_IDLE,
  Upstream,
  UPSTREAM_IDLE_MS,
  UpstreamPool,
} from "../../lib/http/upstream.ts";
import { createDrain } from "../../lib/sim/world/drain.ts";
import { streamPair } from "../proxy/stream_pair.ts";
import { HOST, until } from "../proxy/world.ts";

function createPool() {
  const clock = new VirtualClock({ drain: createDrain() });
  return { clock, pool: new UpstreamPool(clock) };
}

function target(port: number, isolation?: string) {
  return { host: HOST, port, isolation };
}

Deno.test("UpstreamPool lends the connection used last, to its target alone", () => {
  const { pool } = createPool();
  using _pool = pool;
  const upstreams = [1, 2].map(() => new Upstream(streamPair().client));
  for (const upstream of upstreams) pool.give(target(80, "a"), upstream);
  assert.equal(pool.take(target(80)), undefined);
  assert.equal(pool.take(target(80, "b")), undefined);
  assert.equal(pool.take(target(81, "a")), undefined);
  assert.equal(pool.take({ ...target(80, "a"), host: "x.anon" }), undefined);
  assert.equal(pool.take(target(80, "a")), upstreams[1]);
  assert.equal(pool.take(target(80, "a")), upstreams[0]);
  assert.equal(pool.take(target(80, "a")), undefined);
});

Deno.test("UpstreamPool drops the one idle for longest when it is full", () => {
  const { pool } = createPool();
  using _pool = pool;
  const pairs = Array.from({ length: MAX_IDLE + 3 }, () => streamPair());
  for (const [port, { client }] of pairs.entries()) {
    pool.give(target(port + 1), new Upstream(client));
  }
  assert.equal(pool.size, MAX_IDLE);
  assert.deepEqual(
    pairs.map(({ client }) => client.isAborted),
    pairs.map((_, index) => index < 3),
  );
});

Deno.test("UpstreamPool drops connections that end, speak, or wait too long", async () => {
  const { pool, clock } = createPool();
  using _pool = pool;
  const [ends, speaks, waits] = [streamPair(), streamPair(), streamPair()];
  for (const { client } of [ends, speaks, waits]) {
    pool.give(target(80), new Upstream(client));
  }
  await ends.service.closeWrite();
  await speaks.service.write(utf8("HTTP/1.1 408 Timeout\r\n\r\n"));
  await until(() => pool.size === 1);
  await clock.advance(UPSTREAM_IDLE_MS - 1);
  assert.equal(pool.size, 1);
  await clock.advance(1);
  assert.equal(pool.size, 0);
  for (const { client } of [ends, speaks, waits]) {
    await client.aborted;
    assert.ok(client.hasLeft, "all is said: the service sees an end");
  }
});

Deno.test("UpstreamPool lends nothing of before once it is renewed, not even what was on loan", () => {
  const { pool } = createPool();
  using _pool = pool;
  const [idle, lent, later] = [streamPair(), streamPair(), streamPair()];
  pool.give(target(80), new Upstream(idle.client, pool.generation));
  const onLoan = new Upstream(lent.client, pool.generation);
  pool.renew();
  assert.equal(pool.take(target(80)), undefined);
  assert.ok(idle.client.isAborted);
  assert.ok(!lent.client.isAborted);
  pool.give(target(80), onLoan);
  assert.ok(lent.client.isAborted);
  const fresh = new Upstream(later.client, pool.generation);
  pool.give(target(80), fresh);
  assert.equal(pool.take(target(80)), fresh);
});

Deno.test("UpstreamPool keeps nothing once it is disposed of", () => {
  const { pool, clock } = createPool();
  const [before, after] = [streamPair(), streamPair()];
  pool.give(target(80), new Upstream(before.client));
  pool[Symbol.dispose]();
  pool.give(target(80), new Upstream(after.client));
  assert.ok(before.client.isAborted && after.client.isAborted);
  assert.equal(pool.size, 0);
  assert.equal(clock.pending, 0);
});
