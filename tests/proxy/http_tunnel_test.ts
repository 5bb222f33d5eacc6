/** CONNECT, and connections that change their protocol. */
import assert from "node:assert/strict";
import { utf8 } from "../../lib/base/bytes.ts";
import { TUNNEL_IDLE_MS } from "../../lib/proxy/relay.ts";
import { CONNECT, ESTABLISHED, GET, get } from "../http/http_requests.ts";
import {
  echo,
  HOST,
  httpService,
  httpWorld,
  ok,
  readUntil,
  refusal,
  until,
} from "./world.ts";

Deno.test("HttpServer tunnels, with early data and half-closes", async () => {
  await using world = await httpWorld();
  using client = await world.connect();
  await client.send(`${CONNECT}early`);
  assert.equal(await client.readUntil("\r\n\r\n"), ESTABLISHED);
  const { service, target } = world.gateway.last;
  assert.deepEqual(target, { host: HOST, port: 443, isolation: undefined });
  assert.deepEqual(await service.read(), utf8("early"));
  await client.end();
  assert.equal(await service.read(), undefined);
  await service.write(utf8("late"));
  await service.closeWrite();
  assert.equal(await client.readAll(), "late");
});

Deno.test("HttpServer tells of a tunnel that its target refused, whatever was sent early", async () => {
  await using world = await httpWorld();
  world.gateway.accepts = false;
  for (const early of ["", "early"]) {
    using client = await world.connect();
    await client.send(CONNECT + early);
    const before = world.gateway.opened.length;
    await until(() => world.gateway.opened.length > before);
    const { client: stream, service } = world.gateway.last;
    if (early !== "") assert.deepEqual(await service.read(), utf8(early));
    stream.refuse(refusal());
    const { head: answer } = await client.readResponse();
    assert.match(answer, /^HTTP\/1\.1 502 Bad Gateway\r\n/);
    assert.match(
      answer,
      /\r\nProxy-Status: anonnet; details="service\.refused"/,
    );
    await client.send("more");
    assert.equal(await client.readAll(), "");
  }
});

Deno.test("HttpServer makes a tunnel of a connection that changes its protocol", async () => {
  await using world = await httpWorld();
  world.gateway.service = async (stream) => {
    const text = await readUntil(stream, "\r\n\r\n");
    assert.match(text, /\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n/);
    assert.match(text, /\r\nSec-WebSocket-Key: abc\r\n/);
    await stream.write(utf8(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX: y\r\n\r\nframe",
    ));
    await echo(stream);
  };
  using client = await world.connect();
  await client.send(
    get(
      "/",
      "Connection: keep-alive, Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Key: abc",
    ),
  );
  assert.equal(
    await client.readUntil("\r\n\r\n"),
    "HTTP/1.1 101 Switching Protocols\r\nX: y\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
  );
  assert.equal(await client.readUntil("frame"), "frame");
  // However long it lasts: only silence ends it.
  for (let half = 0; half < 4; half++) {
    await world.clock.advance(TUNNEL_IDLE_MS / 2);
    await client.send("ping");
    assert.equal(await client.readUntil("ping"), "ping");
  }
  await client.send("GET / HTTP/1.1\n\n\0");
  assert.equal(await client.readUntil("\0"), "GET / HTTP/1.1\n\n\0");
  await client.end();
  assert.equal(await client.readAll(), "");
});

Deno.test("HttpServer goes on when a change of protocol is declined, and refuses it unasked", async () => {
  await using world = await httpWorld();
  const heads: string[] = [];
  const responses = [
    ok("no"),
    ok("plain"),
    ok("websocket alone"),
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
  ];
  world.gateway.service = httpService((request) => {
    heads.push(request);
    return responses.shift();
  });
  using client = await world.connect();
  await client.send(get("/", "Connection: Upgrade", "Upgrade: websocket"));
  assert.equal((await client.readResponse()).body, "no");
  await client.send(
    get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"),
  );
  assert.equal((await client.readResponse()).body, "plain");
  assert.doesNotMatch(heads[1] ?? "", /upgrade/i);
  const both = get("/", "Connection: Upgrade", "Upgrade: WebSocket, h2c");
  await client.send(both);
  assert.equal((await client.readResponse()).body, "websocket alone");
  assert.match(heads[2] ?? "", /\r\nUpgrade: websocket\r\n/);
  await client.send(GET);
  assert.match((await client.readResponse()).head, /^HTTP\/1\.1 502 /);
  await client.send(both);
  assert.match((await client.readResponse()).head, /^HTTP\/1\.1 502 /);
});
