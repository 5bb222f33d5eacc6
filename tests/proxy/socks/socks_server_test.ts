import assert from "node:assert/strict";
import { concat, utf8 } from "../../../lib/base/bytes.ts";
import { ConfigError, UnreachableError } from "../../../lib/base/errors.ts";
import { DRAIN_REST_MS } from "../../../lib/proxy/tcp_acceptor.ts";
import { LINGER_MS } from "../../../lib/proxy/client_connection.ts";
import { passwordIsolation } from "../../../lib/proxy/isolation_key.ts";
import { latin1Bytes, latin1Text } from "../../../lib/http/latin1.ts";
import { CONNECT_MS } from "../../../lib/proxy/open_stream.ts";
import {
  HALF_CLOSED_IDLE_MS,
  TUNNEL_IDLE_MS,
} from "../../../lib/proxy/relay.ts";
import { Automap } from "../../../lib/proxy/socks/automap.ts";
import {
  SOCKS_HANDSHAKE_MS,
  SocksServer,
} from "../../../lib/proxy/socks/socks_server.ts";
import {
  echo,
  HOST,
  pour,
  type RawClient,
  refusal,
  settle,
  socksWorld,
  until,
  type World,
} from "../world.ts";

const GREETING = Uint8Array.of(5, 1, 0);
const SUCCESS = reply(0);

function reply(byte: number): Uint8Array {
  return Uint8Array.of(5, byte, 0, 1, 0, 0, 0, 0, 0, 0);
}

function request(host: string, port: number): Uint8Array {
  const name = latin1Bytes(host);
  const head = Uint8Array.of(5, 1, 0, 3, name.length);
  return concat(head, name, Uint8Array.of(port >> 8, port & 0xff));
}

/** Greet, ask, and give back the reply. */
async function ask(client: RawClient, wanted: Uint8Array): Promise<Uint8Array> {
  await client.send(GREETING);
  assert.deepEqual(await client.read(2), Uint8Array.of(5, 0));
  await client.send(wanted);
  return await client.read(10);
}

async function tunnel(world: World<SocksServer>): Promise<RawClient> {
  const client = await world.connect();
  assert.deepEqual(await ask(client, request(HOST, 80)), SUCCESS);
  return client;
}

Deno.test("SocksServer carries bytes both ways, and asks for the name in lower case", async () => {
  await using world = await socksWorld();
  world.gateway.service = echo;
  using client = await world.connect();
  const wanted = request(`WWW.${HOST.toUpperCase()}`, 8080);
  assert.deepEqual(await ask(client, wanted), SUCCESS);
  await client.send("hello");
  assert.equal(latin1Text(await client.read(5)), "hello");
  assert.deepEqual(world.gateway.asked, [
    { host: `www.${HOST}`, port: 8080, isolation: undefined },
  ]);
});

Deno.test("SocksServer takes a handshake in single bytes", async () => {
  await using world = await socksWorld();
  world.gateway.service = echo;
  using client = await world.connect();
  const greeting = Uint8Array.of(5, 2, 0, 2);
  const auth = Uint8Array.of(1, 1, 0x61, 0);
  const wanted = request(HOST, 1);
  for (const byte of concat(greeting, auth, wanted, utf8("x"))) {
    await client.send(Uint8Array.of(byte));
  }
  const answer = Uint8Array.of(5, 2, 1, 0, ...SUCCESS, 0x78);
  assert.deepEqual(await client.read(answer.length), answer);
});

Deno.test("SocksServer takes a handshake and first data all at once", async () => {
  await using world = await socksWorld();
  world.gateway.service = echo;
  using client = await world.connect();
  await client.send(concat(GREETING, request(HOST, 80), utf8("early")));
  assert.deepEqual(await client.read(2), Uint8Array.of(5, 0));
  assert.deepEqual(await client.read(10), SUCCESS);
  assert.equal(latin1Text(await client.read(5)), "early");
});

Deno.test("SocksServer serves a client that has said all and ended its side before there is a session", async () => {
  await using world = await socksWorld();
  const begun = Promise.withResolvers<void>();
  const connect = world.gateway.connect.bind(world.gateway);
  let asked = 0;
  world.gateway.connect = async (target, { signal }) => {
    asked++;
    await begun.promise;
    signal.throwIfAborted();
    return connect(target, { signal });
  };
  using client = await world.connect();
  await client.send(concat(GREETING, request(HOST, 80), utf8("request")));
  await client.end();
  await until(() => asked === 1);
  await settle();
  begun.resolve();
  assert.deepEqual(await client.read(2), Uint8Array.of(5, 0));
  assert.deepEqual(await client.read(10), SUCCESS);
  const { service } = world.gateway.last;
  assert.deepEqual(await service.read(), utf8("request"));
  assert.equal(await service.read(), undefined);
  await service.write(utf8("answer"));
  await service.closeWrite();
  assert.equal(await client.readAll(), "answer");
});

Deno.test("SocksServer keeps half-closes, in both directions", async () => {
  await using world = await socksWorld();
  using client = await tunnel(world);
  const { service } = world.gateway.last;
  await client.send("request");
  await client.end();
  assert.deepEqual(await service.read(), utf8("request"));
  assert.equal(await service.read(), undefined);
  await service.write(utf8("late answer"));
  assert.equal(latin1Text(await client.read(11)), "late answer");
  await service.closeWrite();
  assert.equal(await client.readAll(), "");

  using other = await tunnel(world);
  const second = world.gateway.last.service;
  await second.closeWrite();
  assert.equal(await other.readAll(), "");
  await other.send("still here");
  assert.deepEqual(await second.read(), utf8("still here"));
  await other.end();
  assert.equal(await second.read(), undefined);
  await until(() => world.server.connections === 0);
});

Deno.test("SocksServer makes an isolation key of user name and password", async () => {
  await using world = await socksWorld();
  world.gateway.service = echo;
  for (const [name, password] of [["alice", "x"], ["", ""], ["bob", "\xff"]]) {
    using client = await world.connect();
    await client.send(Uint8Array.of(5, 2, 0, 2));
    assert.deepEqual(await client.read(2), Uint8Array.of(5, 2));
    const parts = [name ?? "", password ?? ""].map(latin1Bytes);
    await client.send(Uint8Array.of(
      1,
      ...parts.flatMap((part) => [part.length, ...part]),
    ));
    assert.deepEqual(await client.read(2), Uint8Array.of(1, 0));
    await client.send(request(HOST, 80));
    assert.deepEqual(await client.read(10), SUCCESS);
  }
  assert.deepEqual(
    world.gateway.asked.map(({ isolation }) => isolation),
    [
      passwordIsolation("alice", "x"),
      passwordIsolation("", ""),
      passwordIsolation("bob", "\xff"),
    ],
  );
});

Deno.test({
  name: "SocksServer refuses what is not .anon without asking any node (P11)",
  // No name can be looked up and no other machine reached: trying would throw.
  permissions: { net: ["127.0.0.1"] },
  async fn() {
    const told: string[] = [];
    await using world = await socksWorld({
      onRefused: (host) => told.push(host),
    });
    const refused = [
      ...[
        "example.com",
        "localhost",
        "127.0.0.1",
        "",
        `${HOST}.`,
        `${HOST}\0.com`,
        "\xd0\xbf.anon",
        `a@${HOST}`,
      ].map((host) => request(host, 80)),
      request(HOST, 0),
      Uint8Array.of(5, 1, 0, 1, 127, 0, 0, 1, 0, 80),
      Uint8Array.of(5, 1, 0, 4, ...new Uint8Array(16), 0, 80),
    ];
    for (const wanted of refused) {
      using client = await world.connect();
      assert.deepEqual(await ask(client, wanted), reply(2), String(wanted));
      assert.equal(await client.readAll(), "");
    }
    assert.deepEqual(world.gateway.asked, []);
    assert.ok(told.includes("example.com"));
    assert.ok(told.includes("127.0.0.1") && told.includes("::"));
  },
});

Deno.test("SocksServer answers commands and addresses that it does not know", async () => {
  await using world = await socksWorld();
  for (
    const [bytes, byte] of [
      [[5, 2, 0, 1, 0, 0, 0, 0, 0, 0], 7],
      [[5, 3, 0, 1, 0, 0, 0, 0, 0, 0], 7],
      [[5, 0xf2, 0, 3], 7],
      [[5, 1, 0, 2], 8],
      [[5, 1, 7, 3], 1],
      [[4, 1, 0, 3], 1],
    ] as const
  ) {
    using client = await world.connect();
    assert.deepEqual(await ask(client, Uint8Array.from(bytes)), reply(byte));
    assert.equal(await client.readAll(), "");
  }
});

Deno.test("SocksServer refuses clients that offer no method it knows", async () => {
  await using world = await socksWorld();
  using client = await world.connect();
  await client.send(Uint8Array.of(5, 2, 1, 0xf0));
  assert.deepEqual(await client.read(2), Uint8Array.of(5, 0xff));
  assert.equal(await client.readAll(), "");
});

Deno.test("SocksServer tells SOCKS4 and HTTP clients where they are", async () => {
  await using world = await socksWorld();
  using old = await world.connect();
  await old.send(Uint8Array.of(4, 1, 0, 80, 0, 0, 0, 1, 0, 0x61, 0));
  assert.deepEqual(await old.read(8), Uint8Array.of(0, 91, 0, 0, 0, 0, 0, 0));
  assert.equal(await old.readAll(), "");

  using browser = await world.connect();
  await browser.send(`GET http://${HOST}/ HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
  const page = await browser.readAll();
  assert.match(page, /^HTTP\/1\.1 400 Bad Request\r\n/);
  assert.match(page, /This is a SOCKS port/);

  using tls = await world.connect();
  await tls.send(Uint8Array.of(0x16, 3, 1, 0));
  assert.equal(await tls.readAll(), "");
});

Deno.test("SocksServer tells why a connection failed, more exactly to those who ask", async () => {
  await using world = await socksWorld();
  world.gateway.error = new UnreachableError("service.not_found", "No");
  using client = await world.connect();
  assert.deepEqual(await ask(client, request(HOST, 80)), reply(4));

  using modern = await world.connect();
  await modern.send(Uint8Array.of(5, 2, 0, 0xf0));
  assert.deepEqual(await modern.read(2), Uint8Array.of(5, 0));
  await modern.send(request(HOST, 80));
  assert.deepEqual(await modern.read(10), reply(0xf0));

  await using strict = await socksWorld({ extendedReplies: "always" });
  strict.gateway.error = new ConfigError("service.address_checksum", "No");
  using unasked = await strict.connect();
  assert.deepEqual(await ask(unasked, request(HOST, 80)), reply(0xf6));
});

Deno.test("SocksServer waits for the target, so that a refusal is told", async () => {
  await using world = await socksWorld();
  world.gateway.accepts = false;
  world.gateway.service = (stream) => stream.closeWrite();
  using client = await world.connect();
  const answer = ask(client, request(HOST, 80));
  await until(() => world.gateway.opened.length === 1);
  world.gateway.last.client.refuse(refusal());
  assert.deepEqual(await answer, reply(5));
});

Deno.test("SocksServer passes early data on before the target has answered, and then tells what it said", async () => {
  await using world = await socksWorld();
  world.gateway.accepts = false;
  using refused = await world.connect();
  await refused.send(concat(GREETING, request(HOST, 80), utf8("first")));
  await until(() => world.gateway.opened.length === 1);
  assert.deepEqual(await world.gateway.last.service.read(), utf8("first"));
  world.gateway.last.client.refuse(refusal());
  assert.deepEqual(
    await refused.read(12),
    concat(Uint8Array.of(5, 0), reply(5)),
  );
  await refused.send("more");
  assert.equal(await refused.readAll(), "");
  refused.close();

  using accepted = await world.connect();
  await accepted.send(concat(GREETING, request(HOST, 80), utf8("first")));
  await until(() => world.gateway.opened.length === 2);
  const { client, service } = world.gateway.last;
  assert.deepEqual(await service.read(), utf8("first"));
  await accepted.end();
  assert.equal(await service.read(), undefined);
  await service.write(utf8("answer"));
  await service.closeWrite();
  client.open();
  assert.equal(
    (await accepted.readAll()).slice(-6),
    "answer",
  );
  await until(() => world.server.connections === 0);
});

Deno.test("SocksServer gives up the stream of a client that leaves before the target has answered", async () => {
  await using world = await socksWorld();
  world.gateway.accepts = false;
  const client = await world.connect();
  await client.send(concat(GREETING, request(HOST, 80)));
  await client.read(2);
  await until(() => world.gateway.opened.length === 1);
  client.close();
  await world.gateway.last.client.aborted;
  await until(() => world.server.connections === 0);
});

Deno.test("SocksServer brings an answer to a client whose upload is not taken", async () => {
  await using world = await socksWorld();
  using client = await tunnel(world);
  const stream = world.gateway.last;
  stream.client.write = () => Promise.reject(refusal());
  await client.send("upload");
  await settle();
  await stream.service.write(utf8("answer"));
  await stream.service.closeWrite();
  const more = client.send(new Uint8Array(4_000_000));
  assert.equal(await client.readAll(), "answer");
  await more;
  await client.end();
  await until(() => world.server.connections === 0);
});

Deno.test("SocksServer cuts off clients that are silent or slow", async () => {
  for (const begun of [[], [5], [5, 1], [5, 1, 0, 5, 1, 0, 3, 60, 0x61]]) {
    await using world = await socksWorld();
    using client = await world.connect();
    await client.send(Uint8Array.from(begun));
    if (begun.length > 2) await client.read(2);
    await until(() => world.clock.pending === 1);
    await world.clock.advance(SOCKS_HANDSHAKE_MS - 1);
    assert.equal(world.server.connections, 1);
    await world.clock.advance(1);
    assert.equal(await client.readAll(), "");
    await until(() => world.server.connections === 0);
    assert.equal(world.clock.pending, 0);
  }
});

Deno.test("SocksServer gives up connecting in time, and when the client leaves", async () => {
  await using world = await socksWorld();
  world.gateway.hangs = true;
  using patient = await world.connect();
  const answer = ask(patient, request(HOST, 80));
  await until(() => world.gateway.asked.length === 1);
  await world.clock.advance(CONNECT_MS);
  assert.deepEqual(await answer, reply(6));
  assert.equal(world.gateway.signals[0]?.aborted, true);

  const leaving = await world.connect();
  await leaving.send(concat(GREETING, request(HOST, 80)));
  await until(() => world.gateway.asked.length === 2);
  leaving.close();
  await until(() => world.gateway.signals[1]?.aborted === true);
});

Deno.test("SocksServer gives up a stream that opens after its client has left", async () => {
  await using world = await socksWorld();
  const late = Promise.withResolvers<void>();
  const connect = world.gateway.connect.bind(world.gateway);
  world.gateway.connect = async (target, _options) => {
    await late.promise;
    return connect(target, { signal: new AbortController().signal });
  };
  const client = await world.connect();
  await client.send(concat(GREETING, request(HOST, 80)));
  await client.read(2);
  client.close();
  await until(() => world.server.connections === 0);
  late.resolve();
  await until(() => world.gateway.opened.length === 1);
  await world.gateway.last.client.aborted;
});

Deno.test("SocksServer resets the stream of a client that vanishes in mid-transfer", async () => {
  await using world = await socksWorld();
  world.gateway.service = (stream) => pour(stream, 1 << 30);
  const client = await tunnel(world);
  await client.read(100_000);
  client.close();
  await world.gateway.last.client.aborted;
  await until(() => world.server.connections === 0);
});

Deno.test("SocksServer resets the client's connection when the stream is reset", async () => {
  await using world = await socksWorld();
  using client = await tunnel(world);
  await world.gateway.last.service.write(utf8("part"));
  await client.read(4);
  world.gateway.last.client.reset(
    new UnreachableError("service.unreachable", "Gone"),
  );
  await client.readReset();
});

Deno.test("SocksServer slows a sender down to the pace of the reader", async () => {
  await using world = await socksWorld();
  let poured = 0;
  world.gateway.service = async (stream) => {
    for (;;) {
      await stream.write(new Uint8Array(1 << 16));
      poured += 1 << 16;
    }
  };
  using client = await tunnel(world);
  // Kernel buffers take a few MiB; then it stands still.
  let before = -1;
  while (poured !== before && poured < 64 << 20) {
    before = poured;
    await settle();
  }
  assert.ok(poured < 64 << 20, `${poured} bytes are under way`);
  await client.read(1 << 20);
});

Deno.test("SocksServer cuts a connection that carries nothing for hours", async () => {
  await using world = await socksWorld();
  using client = await tunnel(world);
  await until(() => world.clock.pending === 1);
  await world.clock.advance(TUNNEL_IDLE_MS - 1);
  await client.send("x");
  assert.deepEqual(await world.gateway.last.service.read(), utf8("x"));
  await world.clock.advance(TUNNEL_IDLE_MS - 1);
  assert.equal(world.server.connections, 1);
  await world.clock.advance(1);
  assert.equal(await client.readAll(), "");
  await world.gateway.last.client.aborted;
});

Deno.test("SocksServer cuts a half-closed connection sooner, when nothing moves", async () => {
  await using world = await socksWorld();
  using client = await tunnel(world);
  const { service } = world.gateway.last;
  await client.end();
  assert.equal(await service.read(), undefined);
  await settle();
  await world.clock.advance(HALF_CLOSED_IDLE_MS - 1);
  await service.write(utf8("late"));
  await client.read(4);
  await world.clock.advance(HALF_CLOSED_IDLE_MS - 1);
  assert.equal(world.server.connections, 1);
  await world.clock.advance(1);
  assert.equal(await client.readAll(), "");
  await world.gateway.last.client.aborted;
});

Deno.test("SocksServer turns away connections above its limit", async () => {
  await using world = await socksWorld({ maxConnections: 2 });
  world.gateway.service = echo;
  using _first = await tunnel(world);
  const second = await tunnel(world);
  using third = await world.connect();
  assert.equal(await third.readAll(), "");
  second.close();
  await until(() => world.server.connections === 1);
  using _fourth = await tunnel(world);
});

Deno.test("SocksServer stops lingering with a refused client that goes on sending", async () => {
  await using world = await socksWorld();
  using client = await world.connect();
  await client.send(Uint8Array.of(4, 1));
  await client.read(8);
  await client.send("more and more");
  await until(() => world.clock.pending === 2);
  await world.clock.advance(LINGER_MS);
  await until(() => world.server.connections === 0);
});

Deno.test("SocksServer listens beyond this machine only when told to", async () => {
  await using world = await socksWorld();
  const { gateway, clock } = world;
  const onFault = () => {};
  for (const host of ["0.0.0.0", "::", "192.0.2.7", "127.evil.example"]) {
    const listen = { host, port: 0 };
    await assert.rejects(
      SocksServer.open({ listen, gateway, clock, onFault }),
      { name: "ConfigError", code: "proxy.public" },
    );
  }
  await using open = await SocksServer.open({
    listen: { host: "0.0.0.0", port: 0 },
    allowRemote: true,
    gateway,
    clock,
    onFault,
  });
  assert.notEqual(open.address.port, 0);
  await assert.rejects(
    SocksServer.open({
      listen: open.address,
      allowRemote: true,
      gateway,
      clock,
      onFault,
    }),
    (error) =>
      error instanceof ConfigError && error.code === "proxy.listen" &&
      /port is in use/.test(error.message),
  );
});

Deno.test("SocksServer ends all connections when disposed of, also those that wait", async () => {
  const world = await socksWorld();
  world.gateway.service = () => {};
  using open = await tunnel(world);
  using silent = await world.connect();
  world.gateway.hangs = true;
  using waiting = await world.connect();
  await waiting.send(concat(GREETING, request(HOST, 80)));
  await until(() => world.gateway.asked.length === 2);
  await world[Symbol.asyncDispose]();
  await open.readReset();
  assert.equal(await silent.readAll(), "");
  assert.deepEqual(utf8(await waiting.readAll()), Uint8Array.of(5, 0));
  assert.equal(world.gateway.signals[1]?.aborted, true);
  await world.gateway.opened[0]?.client.aborted;
  assert.equal(world.server.connections, 0);
  assert.equal(world.clock.pending, 0);
});

Deno.test("SocksServer drains: takes no client, and waits for those that are there", async () => {
  await using world = await socksWorld();
  world.gateway.service = echo;
  const client = await tunnel(world);
  const drained = world.server.drain(60_000);
  await assert.rejects(world.connect());
  await client.send("x");
  await client.read(1);
  client.close();
  await drained;

  await using other = await socksWorld();
  using _stays = await tunnel(other);
  const bounded = other.server.drain(60_000);
  await until(() => other.clock.pending === 2);
  await other.clock.advance(DRAIN_REST_MS);
  assert.equal(await bounded, "rest");
  assert.equal(other.server.connections, 1);
});

Deno.test("SocksServer drains as long as it may while a connection carries something", async () => {
  await using world = await socksWorld();
  world.gateway.service = echo;
  using client = await tunnel(world);
  let outcome: string | undefined;
  const drained = world.server.drain(60_000).then((how) => outcome = how);
  for (let second = 0; second < 60; second++) {
    assert.equal(outcome, undefined);
    await client.send("x");
    await client.read(1);
    await world.clock.advance(1_000);
  }
  await drained;
  assert.equal(outcome, "late");
  assert.equal(world.server.connections, 1);
});

Deno.test("SocksServer reports faults of our own, and lives on", async () => {
  const faults: unknown[] = [];
  await using world = await socksWorld({
    onFault: (error) => faults.push(error),
  });
  world.gateway.service = echo;
  const bug = new TypeError("a bug");
  const connect = world.gateway.connect.bind(world.gateway);
  world.gateway.connect = () => {
    throw bug;
  };
  using client = await world.connect();
  assert.deepEqual(await ask(client, request(HOST, 80)), reply(1));
  client.close();
  await until(() => world.server.connections === 0);
  assert.deepEqual(faults, [bug]);
  world.gateway.connect = connect;
  using _next = await tunnel(world);
});

Deno.test("SocksServer carries a thousand streams at once", async () => {
  await using world = await socksWorld();
  world.gateway.service = echo;
  const clients: RawClient[] = [];
  try {
    for (let i = 0; i < 1000; i++) clients.push(await tunnel(world));
    await Promise.all(clients.map((client, i) => client.send(`stream ${i}`)));
    for (const [i, client] of clients.entries()) {
      const text = `stream ${i}`;
      assert.equal(latin1Text(await client.read(text.length)), text);
    }
  } finally {
    for (const client of clients) client.close();
  }
});

/** RESOLVE or RESOLVE_PTR as user `name`; all bytes of the answer. */
async function resolve(
  world: World<SocksServer>,
  command: number,
  target: Uint8Array,
  name = "a",
): Promise<Uint8Array> {
  using client = await world.connect();
  await client.send(Uint8Array.of(5, 1, 2));
  await client.read(2);
  await client.send(concat(Uint8Array.of(1, 1), utf8(name), Uint8Array.of(0)));
  await client.read(2);
  await client.send(target.with(1, command));
  const head = await client.read(5);
  const isName = head[3] === 3;
  return concat(head, await client.read(isName ? (head[4] ?? 0) + 2 : 5));
}

const RESOLVE = 0xf0;
const RESOLVE_PTR = 0xf1;

Deno.test("SocksServer gives an address for a name, and takes it back as the name, for one isolation key", async () => {
  const refused: string[] = [];
  await using world = await socksWorld({
    automap: new Automap(),
    onRefused: (host) => refused.push(host),
  });
  world.gateway.service = echo;
  const answer = await resolve(world, RESOLVE, request(`WWW.${HOST}`, 0));
  const address = answer.subarray(4, 8);
  assert.deepEqual(
    answer,
    concat(Uint8Array.of(5, 0, 0, 1), address, Uint8Array.of(0, 0)),
  );
  assert.deepEqual([...address.subarray(0, 2)], [198, 18]);
  const byAddress = concat(
    Uint8Array.of(5, 1, 0, 1),
    address,
    Uint8Array.of(0, 80),
  );
  const name = await resolve(world, RESOLVE_PTR, byAddress);
  assert.equal(latin1Text(name.subarray(5, -2)), `www.${HOST}`);
  assert.deepEqual(await resolve(world, 1, byAddress), SUCCESS);
  const isolation = passwordIsolation("a", "");
  assert.deepEqual(world.gateway.last.target, {
    host: `www.${HOST}`,
    port: 80,
    isolation,
  });
  // Another isolation key learns nothing, and no other name is resolved.
  for (const command of [1, RESOLVE_PTR]) {
    assert.deepEqual(await resolve(world, command, byAddress, "b"), reply(4));
  }
  assert.deepEqual(
    await resolve(world, RESOLVE, request("example.com", 0)),
    reply(2),
  );
  assert.deepEqual(refused, ["example.com"]);
  assert.equal(world.gateway.asked.length, 1);
});

Deno.test("SocksServer resolves nothing unless it is told to", async () => {
  await using world = await socksWorld();
  for (const command of [RESOLVE, RESOLVE_PTR]) {
    assert.deepEqual(await resolve(world, command, request(HOST, 0)), reply(7));
  }
  const mapped = Uint8Array.of(5, 1, 0, 1, 198, 18, 0, 0, 0, 80);
  assert.deepEqual(await resolve(world, 1, mapped), reply(2));
  assert.equal(world.gateway.asked.length, 0);
});
