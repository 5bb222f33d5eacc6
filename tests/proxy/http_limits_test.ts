/** Slow, silent, vanished and too many clients of the HTTP proxy. */
import assert from "node:assert/strict";
import net from "node:net";
import { utf8 } from "../../lib/base/bytes.ts";
import {
  KEEP_ALIVE_MS,
  REQUEST_HEAD_MS,
} from "../../lib/proxy/http_connection.ts";
import { RESPONSE_MS } from "../../lib/proxy/http_exchange.ts";
import { GET, get, post } from "../http/http_requests.ts";
import { head } from "../http/smuggling_corpus.ts";
import { httpWorld, pour, readUntil, settle, until } from "./world.ts";

Deno.test("HttpServer cuts off clients that are silent or slow", async () => {
  for (const begun of ["", "G", "GET http://x", `${GET.slice(0, -2)}`]) {
    await using world = await httpWorld();
    using client = await world.connect();
    await client.send(begun);
    await until(() => world.clock.pending === 1);
    await settle();
    await world.clock.advance(REQUEST_HEAD_MS - 1);
    assert.equal(world.server.connections, 1);
    await world.clock.advance(1);
    const answer = await client.readAll();
    if (begun === "") assert.equal(answer, "");
    else assert.match(answer, /^HTTP\/1\.1 408 Request Timeout\r\n/);
    client.close();
    await until(() => world.server.connections === 0);
    assert.equal(world.clock.pending, 0);
  }
});

Deno.test("HttpServer waits longer for a next request than for the first", async () => {
  await using world = await httpWorld();
  using client = await world.connect();
  await client.send(head("GET / HTTP/1.1", "Host: localhost"));
  await client.readResponse();
  await until(() => world.clock.pending === 1);
  await world.clock.advance(KEEP_ALIVE_MS - 1);
  assert.equal(world.server.connections, 1);
  await world.clock.advance(1);
  assert.equal(await client.readAll(), "");
});

Deno.test("HttpServer gives up bodies and responses that do not come", async () => {
  await using world = await httpWorld();
  world.gateway.service = (stream) => readUntil(stream, "never");
  using slow = await world.connect();
  await slow.send(post("Content-Length: 5"));
  await until(() => world.gateway.opened.length === 1);
  await world.clock.advance(RESPONSE_MS);
  assert.match(await slow.readAll(), /^HTTP\/1\.1 408 /);
  await world.gateway.last.client.aborted;

  using patient = await world.connect();
  await patient.send(GET);
  await until(() => world.gateway.opened.length === 2);
  await world.clock.advance(RESPONSE_MS);
  const { head: answer } = await patient.readResponse();
  assert.match(answer, /^HTTP\/1\.1 504 [^]*details="service\.timeout"/);
  await world.gateway.last.client.aborted;
});

Deno.test("HttpServer holds heads to their limits", async () => {
  await using world = await httpWorld();
  for (
    const [text, status] of [
      [get(`/${"a".repeat(17_000)}`), 414],
      [get("/", `X: ${"y".repeat(66_000)}`), 431],
      [get("/", ...new Array<string>(200).fill("X: y")), 431],
    ] as const
  ) {
    using client = await world.connect();
    await client.send(text);
    const answer = await client.readAll();
    assert.ok(answer.startsWith(`HTTP/1.1 ${status} `), answer);
  }
});

Deno.test("HttpServer resets the stream of a client that vanishes", async () => {
  await using world = await httpWorld();
  // In the middle of a download.
  world.gateway.service = async (stream) => {
    await readUntil(stream, "\r\n\r\n");
    await stream.write(
      utf8("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"),
    );
    await pour(stream, 1_000_000_000);
  };
  const loading = await world.connect();
  await loading.send(GET);
  await loading.read(100_000);
  loading.close();
  await world.gateway.last.client.aborted;
  // In the middle of an upload.
  world.gateway.service = (stream) => readUntil(stream, "never");
  const sending = await world.connect();
  await sending.send(`${post("Content-Length: 100000")}some`);
  await until(() => world.gateway.opened.length === 2);
  sending.close();
  await world.gateway.last.client.aborted;
  // While it waits for the answer.
  world.gateway.service = (stream) => readUntil(stream, "never");
  const waiting = net.connect(world.server.address.port, "127.0.0.1");
  waiting.write(GET);
  await until(() => world.gateway.opened.length === 3);
  waiting.resetAndDestroy();
  await world.gateway.last.client.aborted;
  await until(() => world.server.connections === 0);
});

Deno.test("HttpServer slows a service down to the pace of its client", async () => {
  await using world = await httpWorld();
  let poured = 0;
  world.gateway.service = async (stream) => {
    await readUntil(stream, "\r\n\r\n");
    await stream.write(utf8("HTTP/1.1 200 OK\r\n\r\n"));
    for (;;) {
      await stream.write(new Uint8Array(1 << 16));
      poured += 1 << 16;
    }
  };
  using client = await world.connect();
  await client.send(GET);
  await client.readUntil("\r\n\r\n");
  let before = -1;
  while (poured !== before && poured < 64 << 20) {
    before = poured;
    await settle();
  }
  assert.ok(poured < 64 << 20, `${poured} bytes are under way`);
});

Deno.test("HttpServer tells connections above its limit that it is busy", async () => {
  await using world = await httpWorld({ maxConnections: 1 });
  using first = await world.connect();
  await first.send(head("GET / HTTP/1.1", "Host: localhost"));
  await first.readResponse();
  using second = await world.connect();
  assert.match(await second.readAll(), /^HTTP\/1\.1 503 [^]*proxy\.busy/);
});
