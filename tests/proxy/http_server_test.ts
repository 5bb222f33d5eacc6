import assert from "node:assert/strict";
import net from "node:net";
import { utf8 } from "../../lib/base/bytes.ts";
import { ConfigError, UnreachableError } from "../../lib/base/errors.ts";
import {
  KEEP_ALIVE_MS,
  REQUEST_HEAD_MS,
} from "../../lib/proxy/http_connection.ts";
import {
  HALF_CLOSED_REQUEST_MS,
  RESPONSE_MS,
} from "../../lib/proxy/http_exchange.ts";
import { HttpServer } from "../../lib/proxy/http_server.ts";
import {
  MAX_IDLE_PER_TARGET,
  UPSTREAM_IDLE_MS,
} from "../../lib/proxy/http_upstream.ts";
import {
  authorizationIsolation,
  passwordIsolation,
} from "../../lib/proxy/isolation_key.ts";
import { TUNNEL_IDLE_MS } from "../../lib/proxy/relay.ts";
import { latin1Text } from "../../lib/proxy/latin1.ts";
import { head, SMUGGLING_CORPUS } from "./smuggling_corpus.ts";
import {
  echo,
  HOST,
  httpService,
  httpWorld,
  ok,
  pour,
  readUntil,
  refusal,
  settle,
  until,
} from "./world.ts";

const GET = get("/");

function get(path: string, ...fields: string[]): string {
  return head(`GET http://${HOST}${path} HTTP/1.1`, `Host: ${HOST}`, ...fields);
}

function post(...fields: string[]): string {
  return head(`POST http://${HOST}/ HTTP/1.1`, `Host: ${HOST}`, ...fields);
}

const CONNECT = head(`CONNECT ${HOST}:443 HTTP/1.1`, `Host: ${HOST}:443`);
const ESTABLISHED = "HTTP/1.1 200 Connection established\r\n\r\n";

Deno.test("HttpServer forwards a request without what is between client and proxy", async () => {
  await using world = await httpWorld();
  const heads: string[] = [];
  world.gateway.service = httpService((request) => {
    heads.push(request);
    return ok("hello", "X-Service: 1", "Connection: X-Hop", "X-Hop: 2");
  });
  using client = await world.connect();
  await client.send(head(
    `GET http://${HOST.toUpperCase()}:8080/a?b HTTP/1.1`,
    `hOST: ${HOST}:8080`,
    "Accept: */*",
    "Connection: keep-alive, X-Secret",
    "X-Secret: 1",
    "Proxy-Connection: keep-alive",
    "Proxy-Authorization: Basic YTpi",
    "TE: trailers",
    "Cookie: c=d",
  ));
  const { head: answer, body } = await client.readResponse();
  assert.equal(body, "hello");
  assert.equal(
    answer,
    "HTTP/1.1 200 OK\r\nX-Service: 1\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n",
  );
  assert.deepEqual(heads, [
    `GET /a?b HTTP/1.1\r\nHost: ${HOST}:8080\r\nAccept: */*\r\nCookie: c=d\r\n\r\n`,
  ]);
  assert.deepEqual(world.gateway.asked, [
    { host: HOST, port: 8080, isolation: passwordIsolation("a", "b") },
  ]);
});

Deno.test("HttpServer reuses a connection for the same host, port and isolation key alone", async () => {
  await using world = await httpWorld();
  world.gateway.service = httpService(() => ok("x"));
  using client = await world.connect();
  const ask = async (request: string) => {
    await client.send(request);
    await client.readResponse();
    return world.gateway.opened.length;
  };
  assert.equal(await ask(GET), 1);
  assert.equal(await ask(get("/other")), 1);
  assert.equal(await ask(get("/", "Proxy-Authorization: Basic YTpi")), 2);
  assert.equal(await ask(get("/", "Proxy-Authorization: Basic YTpj")), 3);
  assert.equal(await ask(get("/", "Proxy-Authorization: Basic YTpi")), 3);
  assert.equal(await ask(get("/", "Proxy-Authorization: null")), 4);
  assert.equal(await ask(GET), 4);
  const other = head(`GET http://${HOST}:81/ HTTP/1.1`, `Host: ${HOST}:81`);
  assert.equal(await ask(other), 5);
  assert.equal(await ask(GET.replaceAll(HOST, `www.${HOST}`)), 6);
  // Another client shares what has no key.
  using second = await world.connect();
  await second.send(GET);
  await second.readResponse();
  assert.equal(world.gateway.opened.length, 6);
  assert.deepEqual(world.gateway.asked.map(({ isolation }) => isolation), [
    undefined,
    passwordIsolation("a", "b"),
    passwordIsolation("a", "c"),
    authorizationIsolation("null"),
    undefined,
    undefined,
  ]);
});

Deno.test("HttpServer drops idle connections in time, and those above the limit", async () => {
  await using world = await httpWorld();
  const answers: PromiseWithResolvers<void>[] = [];
  world.gateway.service = async (stream) => {
    await readUntil(stream, "\r\n\r\n");
    const answer = Promise.withResolvers<void>();
    answers.push(answer);
    await answer.promise;
    await stream.write(utf8(ok("x")));
  };
  const count = MAX_IDLE_PER_TARGET + 1;
  const clients = await Promise.all(
    Array.from({ length: count }, () => world.connect()),
  );
  try {
    for (const client of clients) await client.send(GET);
    await until(() => answers.length === count);
    for (const answer of answers) answer.resolve();
    for (const client of clients) await client.readResponse();
    const aborted = () =>
      world.gateway.opened.filter(({ client }) => client.isAborted).length;
    await until(() => aborted() === 1);
    await world.clock.advance(UPSTREAM_IDLE_MS);
    assert.equal(aborted(), count);
  } finally {
    for (const client of clients) client.close();
  }
});

Deno.test("HttpServer asks again on a new connection when a reused one has ended", async () => {
  await using world = await httpWorld();
  let requests = 0;
  world.gateway.service = async (stream) => {
    const isFirst = world.gateway.opened.length === 1;
    await readUntil(stream, "\r\n\r\n");
    requests++;
    await stream.write(utf8(ok("x")));
    if (!isFirst) return;
    // Ends just as the next request is on its way.
    await readUntil(stream, "\r\n\r\n");
    requests++;
    await stream.closeWrite();
  };
  using client = await world.connect();
  for (let i = 0; i < 2; i++) {
    await client.send(GET);
    assert.equal((await client.readResponse()).body, "x");
  }
  assert.equal(requests, 3);
  assert.equal(world.gateway.opened.length, 2);
});

Deno.test("HttpServer asks only once what may do harm twice", async () => {
  await using world = await httpWorld();
  world.gateway.service = httpService((request) =>
    request.startsWith("GET") ? ok("x") : undefined
  );
  using client = await world.connect();
  await client.send(GET);
  await client.readResponse();
  await client.send(post("Content-Length: 0"));
  assert.match((await client.readResponse()).head, /^HTTP\/1\.1 502 /);
  // Not on the connection that may have ended, and not again.
  assert.equal(world.gateway.opened.length, 2);
});

Deno.test("HttpServer never reuses a connection on which something came unasked", async () => {
  await using world = await httpWorld();
  world.gateway.service = async (stream) => {
    await readUntil(stream, "\r\n\r\n");
    await stream.write(utf8(`${ok("x")}${ok("planted")}`));
  };
  using client = await world.connect();
  for (let i = 1; i <= 3; i++) {
    await client.send(GET);
    assert.equal((await client.readResponse()).body, "x");
    assert.equal(world.gateway.opened.length, i);
    await world.gateway.last.client.aborted;
  }
});

Deno.test("HttpServer answers pipelined requests in their order", async () => {
  await using world = await httpWorld();
  world.gateway.service = httpService((request) =>
    ok(request.split(" ")[1] ?? "")
  );
  using client = await world.connect();
  const paths = ["/a", "/bb", "/ccc", "/d"];
  const bodied = `${post("Content-Length: 3")}abc`.replace("POST", "PUT");
  await client.send(`${paths.map((path) => get(path)).join("")}`);
  for (const path of paths) {
    assert.equal((await client.readResponse()).body, path);
  }
  world.gateway.service = async (stream) => {
    const text = await readUntil(stream, "\r\n\r\nabc");
    await stream.write(utf8(ok(text.slice(-3))));
  };
  await client.send(`${bodied}${bodied}`);
  for (let i = 0; i < 2; i++) {
    assert.equal((await client.readResponse()).body, "abc");
  }
});

Deno.test("HttpServer streams bodies both ways at once", async () => {
  await using world = await httpWorld();
  world.gateway.service = async (stream) => {
    const text = await readUntil(stream, "\r\n\r\n");
    assert.match(text, /\r\nTransfer-Encoding: chunked\r\n/);
    await stream.write(
      utf8("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    );
    await echo(stream);
  };
  using client = await world.connect();
  await client.send(post("Transfer-Encoding: chunked"));
  const answer = await client.readUntil("\r\n\r\n");
  assert.match(answer, /Transfer-Encoding: chunked/);
  for (
    const chunk of ["5\r\nhello\r\n", "1;ext\r\n!\r\n", "0\r\nT: x\r\n\r\n"]
  ) {
    await client.send(chunk);
    assert.equal(await client.readUntil(chunk), chunk);
  }
  assert.equal(await client.readAll(), "");
});

Deno.test("HttpServer passes a large upload on, and only that", async () => {
  await using world = await httpWorld();
  const size = 3_000_000;
  world.gateway.service = async (stream) => {
    const text = await readUntil(stream, "\r\n\r\n");
    let bytes = text.length - text.indexOf("\r\n\r\n") - 4;
    while (bytes < size) bytes += (await stream.read())?.length ?? size;
    await stream.write(utf8(ok(String(bytes))));
    await stream.closeWrite();
  };
  using client = await world.connect();
  await client.send(post(`Content-Length: ${size}`));
  const sent = client.send("a".repeat(size));
  assert.equal((await client.readResponse()).body, String(size));
  await sent;
  world.gateway.service = httpService(() => ok("next"));
  await client.send(GET);
  assert.equal((await client.readResponse()).body, "next");
});

Deno.test("HttpServer passes 100 Continue on, and waits with the body as the client does", async () => {
  await using world = await httpWorld();
  world.gateway.service = async (stream) => {
    const text = await readUntil(stream, "\r\n\r\n");
    assert.match(text, /\r\nExpect: 100-continue\r\n/);
    await stream.write(utf8("HTTP/1.1 100 Continue\r\nX: y\r\n\r\n"));
    await stream.write(utf8(ok(latin1Text(await stream.read() ?? utf8("")))));
  };
  using client = await world.connect();
  await client.send(post("Content-Length: 4", "Expect: 100-continue"));
  assert.equal(
    await client.readUntil("\r\n\r\n"),
    "HTTP/1.1 100 Continue\r\nX: y\r\n\r\n",
  );
  await client.send("body");
  assert.equal((await client.readResponse()).body, "body");
});

Deno.test("HttpServer passes on an answer that comes before the body, and ends the connection", async () => {
  await using world = await httpWorld();
  world.gateway.service = async (stream) => {
    await readUntil(stream, "\r\n\r\n");
    await stream.write(
      utf8("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"),
    );
  };
  using client = await world.connect();
  await client.send(post("Content-Length: 1000000"));
  await client.send("some of it");
  const { head: answer, body } = await client.readResponse();
  assert.match(answer, /^HTTP\/1\.1 413 [^]*\r\nConnection: close\r\n/);
  assert.equal(body, "no");
  assert.equal(await client.readAll(), "");
  await world.gateway.last.client.aborted;
});

Deno.test("HttpServer passes on an answer from a service that takes no more of the body", async () => {
  await using world = await httpWorld();
  world.gateway.service = async (stream) => {
    await readUntil(stream, "\r\n\r\n");
    await stream.write(utf8(ok("enough")));
    world.gateway.last.client.reset(refusal());
  };
  using client = await world.connect();
  const size = 2_000_000;
  await client.send(post(`Content-Length: ${size}`));
  const sending = client.send("a".repeat(size)).catch(() => {});
  assert.equal((await client.readResponse()).body, "enough");
  client.close();
  await sending;
});

Deno.test("HttpServer knows responses without a body", async () => {
  await using world = await httpWorld();
  const responses = [
    "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", // to HEAD
    "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
    ok("end"),
  ];
  world.gateway.service = httpService(() => responses.shift());
  using client = await world.connect();
  await client.send(GET.replace("GET", "HEAD") + GET + GET + GET);
  assert.match(
    await client.readUntil("\r\n\r\n"),
    /^HTTP\/1\.1 200 OK\r\nContent-Length: 1000\r\n/,
  );
  assert.doesNotMatch(await client.readUntil("\r\n\r\n"), /Content-Length/);
  assert.match(await client.readUntil("\r\n\r\n"), /Content-Length: 7/);
  assert.equal((await client.readResponse()).body, "end");
  assert.equal(world.gateway.opened.length, 1);
});

Deno.test("HttpServer puts a response that ends with its connection into chunks", async () => {
  await using world = await httpWorld();
  world.gateway.service = async (stream) => {
    await readUntil(stream, "\r\n\r\n");
    await stream.write(utf8("HTTP/1.0 200 OK\n\nfirst"));
    await stream.write(utf8("second"));
    await stream.closeWrite();
  };
  using client = await world.connect();
  await client.send(GET);
  assert.match(
    await client.readUntil("\r\n\r\n"),
    /\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n/,
  );
  assert.equal(
    await client.readUntil("0\r\n\r\n"),
    "5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n",
  );
});

Deno.test("HttpServer lets a client see that a response was cut", async () => {
  for (
    const framing of [
      "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
      "HTTP/1.1 200 OK\r\n\r\n",
    ]
  ) {
    await using world = await httpWorld();
    world.gateway.service = async (stream) => {
      await readUntil(stream, "\r\n\r\n");
      await stream.write(utf8(`${framing}part`));
    };
    using client = await world.connect();
    await client.send(GET);
    await client.readUntil("part");
    world.gateway.last.client.reset(
      new UnreachableError("service.unreachable", "Gone"),
    );
    const rest = await client.readAll();
    assert.doesNotMatch(rest, /0\r\n\r\n|HTTP/);
  }
});

Deno.test("HttpServer serves clients of HTTP/1.0, once each", async () => {
  await using world = await httpWorld();
  world.gateway.service = async (stream) => {
    const text = await readUntil(stream, "\r\n\r\n");
    assert.equal(text, `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    await stream.write(utf8(
      "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
        "5\r\nhello\r\n1;x\r\n!\r\n0\r\nT: x\r\n\r\n",
    ));
  };
  using client = await world.connect();
  await client.send(
    head(
      `GET http://${HOST}/ HTTP/1.0`,
      "Connection: keep-alive",
      "Expect: 100-continue",
    ),
  );
  assert.equal(
    await client.readAll(),
    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello!",
  );
});

Deno.test("HttpServer answers a client that has ended its side", async () => {
  await using world = await httpWorld();
  world.gateway.service = httpService(() => ok("late"));
  using client = await world.connect();
  await client.send(GET);
  await client.end();
  assert.equal((await client.readResponse()).body, "late");
  assert.equal(await client.readAll(), "");
});

Deno.test("HttpServer gives up a client that has ended its side, when nothing comes", async () => {
  for (const started of ["", "HTTP/1.1 200 OK\r\n\r\npart"]) {
    await using world = await httpWorld();
    world.gateway.service = async (stream) => {
      await readUntil(stream, "\r\n\r\n");
      if (started !== "") await stream.write(utf8(started));
    };
    using client = await world.connect();
    await client.send(GET);
    await client.end();
    await until(() => world.gateway.opened.length === 1);
    if (started !== "") await client.readUntil("part");
    await settle();
    await world.clock.advance(HALF_CLOSED_REQUEST_MS - 1);
    assert.equal(world.gateway.last.client.isAborted, false);
    await world.clock.advance(1);
    await world.gateway.last.client.aborted;
    await until(() => world.server.connections === 0);
  }
});

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

Deno.test("HttpServer tells of a tunnel that its target refused, unless the session is live", async () => {
  await using world = await httpWorld();
  world.gateway.accepts = false;
  using client = await world.connect();
  await client.send(CONNECT);
  await until(() => world.gateway.opened.length === 1);
  world.gateway.last.client.refuse(refusal());
  const { head: answer } = await client.readResponse();
  assert.match(answer, /^HTTP\/1\.1 502 Bad Gateway\r\n/);
  assert.match(answer, /\r\nProxy-Status: anonnet; details="service\.refused"/);

  world.gateway.isLive = true;
  await client.send(CONNECT);
  assert.equal(await client.readUntil("\r\n\r\n"), ESTABLISHED);
  world.gateway.last.client.refuse(refusal());
  assert.equal(await client.readAll(), "");
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
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
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
  await client.send(GET);
  assert.match((await client.readResponse()).head, /^HTTP\/1\.1 502 /);
});

Deno.test({
  name: "HttpServer refuses what is not .anon without asking anybody (P11)",
  // No name can be looked up and no other machine reached: trying would throw.
  permissions: { net: ["127.0.0.1"] },
  async fn() {
    await using world = await httpWorld();
    using client = await world.connect();
    for (
      const host of [
        ...["example.com", "localhost", "127.0.0.1", "[::1]", `${HOST}.`],
        ...["%61.anon", "\xd0\xbf.anon", "xn--p1ai", "anon", ".anon"],
      ]
    ) {
      await client.send(
        head(`GET http://${host}/ HTTP/1.1`, `Host: ${host}`),
      );
      const page = await client.readResponse();
      assert.match(page.head, /^HTTP\/1\.1 403 Forbidden\r\n/);
      assert.match(page.head, /details="proxy\.not_anon"/);
      assert.doesNotMatch(page.body, /example/);
      await client.send(
        head(`CONNECT ${host}:443 HTTP/1.1`, `Host: ${host}:443`),
      );
      assert.match((await client.readResponse()).head, /^HTTP\/1\.1 403 /);
    }
    assert.deepEqual(world.gateway.asked, []);
  },
});

Deno.test("HttpServer refuses smuggled requests, and ends the connection", async () => {
  await using world = await httpWorld();
  for (const [code, text] of SMUGGLING_CORPUS) {
    using client = await world.connect();
    await client.send(`${text}5\r\nhello\r\n0\r\n\r\n${GET}`);
    const answer = await client.readAll();
    assert.match(answer, /^HTTP\/1\.1 (400|505) /, JSON.stringify(text));
    assert.ok(answer.includes(`details="http.${code}"`), answer);
    assert.equal(answer.match(/^HTTP\/1\.1 \d/gm)?.length, 1);
  }
  assert.deepEqual(world.gateway.asked, []);
});

Deno.test("HttpServer refuses a body that breaks its framing, and resets the stream", async () => {
  for (
    const [body, status] of [
      ["5\r\nhello\r\nX\r\n", 400],
      ["5\nhello", 400],
      ["0\r\nContent-Length: 5\r\n\r\n", 400],
    ] as const
  ) {
    await using world = await httpWorld();
    using client = await world.connect();
    await client.send(post("Transfer-Encoding: chunked") + body);
    const answer = await client.readAll();
    assert.ok(answer.startsWith(`HTTP/1.1 ${status} `), answer);
    await world.gateway.last.client.aborted;
  }
});

Deno.test("HttpServer tells a client about errors, and nothing that somebody sent", async () => {
  await using world = await httpWorld();
  using client = await world.connect();
  for (
    const [error, status] of [
      [new ConfigError("service.address_checksum", "x"), 400],
      [new UnreachableError("service.not_found", "x"), 502],
      [new UnreachableError("service.authorisation_missing", "x"), 403],
      [new UnreachableError("service.introduction", "x"), 503],
      [new UnreachableError("service.introduction_timeout", "x"), 504],
      [new UnreachableError("service.refused", "x"), 502],
      [new UnreachableError("service.no_port", "x"), 502],
      [new UnreachableError("service.timeout", "x"), 504],
      [new UnreachableError("proxy.busy", "x"), 503],
      [new UnreachableError("proxy.shutdown", "x"), 503],
    ] as const
  ) {
    world.gateway.error = error;
    await client.send(get("/<script>alert(1)</script>"));
    const page = await client.readResponse();
    assert.ok(page.head.startsWith(`HTTP/1.1 ${status} `), page.head);
    assert.ok(
      page.head.includes(`Proxy-Status: anonnet; details="${error.code}"`),
    );
    assert.match(page.head, /\r\nContent-Security-Policy: default-src 'none'/);
    assert.match(page.head, /\r\nCache-Control: no-store\r\n/);
    assert.match(page.body, /^<!doctype html>[^]*<\/html>\n$/);
    assert.doesNotMatch(page.body, /script|href|src=|aaaa/);
  }
  await client.send(GET.replace("GET", "HEAD"));
  const headAnswer = await client.readUntil("\r\n\r\n");
  assert.match(headAnswer, /^HTTP\/1\.1 503 /);
  await client.send(GET);
  assert.match((await client.readResponse()).head, /^HTTP\/1\.1 503 /);
});

Deno.test("HttpServer tells a refusal that comes after the request was sent", async () => {
  await using world = await httpWorld();
  world.gateway.accepts = false;
  world.gateway.isLive = true;
  using client = await world.connect();
  await client.send(GET);
  await until(() => world.gateway.opened.length === 1);
  world.gateway.last.client.refuse(refusal());
  assert.match(
    (await client.readResponse()).head,
    /^HTTP\/1\.1 502 [^]*details="service\.refused"/,
  );
});

const UNUSABLE: readonly string[] = [
  "",
  "SSH-2.0-OpenSSH_9.2\r\n",
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
  "HTTP/1.1 407 Password\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
  "HTTP/1.1 200 OK\r\nX: \0\r\n\r\n",
  `HTTP/1.1 200 OK\r\nX: ${"y".repeat(70_000)}`,
  "HTTP/1.1 100 Continue\r\n\r\n".repeat(20),
  "\x15\x03\x01",
];

Deno.test("HttpServer shows a page where a service does not speak HTTP", async () => {
  for (const answer of UNUSABLE) {
    await using world = await httpWorld();
    world.gateway.service = async (stream) => {
      await readUntil(stream, "\r\n\r\n");
      if (answer !== "") await stream.write(utf8(answer));
      await stream.closeWrite();
    };
    using client = await world.connect();
    await client.send(GET);
    const text = await client.readUntil("</html>\n");
    assert.match(text, /HTTP\/1\.1 502 Bad Gateway\r\n/);
    assert.match(text, /details="service\.bad_response"/);
    await world.gateway.last.client.aborted;
  }
});

Deno.test("HttpServer drops fields that would lead a browser past it", async () => {
  await using world = await httpWorld();
  world.gateway.service = httpService(() =>
    ok("x", 'Alt-Svc: h3=":443"', "Proxy-Authenticate: Basic", "Keep-Alive: 5")
  );
  using client = await world.connect();
  await client.send(GET);
  const { head: answer } = await client.readResponse();
  assert.doesNotMatch(answer, /alt-svc|proxy-authenticate|keep-alive:/i);
});

Deno.test("HttpServer has a page and a PAC file of its own", async () => {
  await using world = await httpWorld();
  const { port } = world.server.address;
  using client = await world.connect();
  for (
    const host of [`127.0.0.1:${port}`, "localhost:1", "[::1]", "LocalHost"]
  ) {
    await client.send(head("GET / HTTP/1.1", `Host: ${host}`));
    const page = await client.readResponse();
    assert.match(page.head, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(
      page.head,
      /\r\nCross-Origin-Resource-Policy: same-origin\r\n/,
    );
    assert.match(page.body, /AnonNet/);
  }
  for (const path of ["/proxy.pac", "/wpad.dat", "/proxy.pac?1"]) {
    await client.send(head(`GET ${path} HTTP/1.1`, "Host: localhost"));
    const { head: answer, body } = await client.readResponse();
    assert.match(
      answer,
      /\r\nContent-Type: application\/x-ns-proxy-autoconfig/,
    );
    const find: (url: string, host: string) => string = new Function(
      `${body}; return FindProxyForURL;`,
    )();
    for (
      const host of [HOST, `www.${HOST}`, HOST.toUpperCase(), "x.anon.", "anon"]
    ) {
      assert.equal(find(`http://${host}/`, host), `PROXY 127.0.0.1:${port}`);
    }
    for (
      const host of ["example.com", "anon.com", "xanon", "anon.x", "127.0.0.1"]
    ) {
      assert.equal(find(`http://${host}/`, host), "DIRECT");
    }
  }
  await client.send(head("HEAD / HTTP/1.1", "Host: localhost"));
  assert.match(await client.readUntil("\r\n\r\n"), /^HTTP\/1\.1 200 /);
  for (
    const [line, status] of [
      ["GET /other HTTP/1.1", 404],
      ["OPTIONS * HTTP/1.1", 404],
      ["POST / HTTP/1.1", 405],
      [`TRACE http://${HOST}/ HTTP/1.1`, 405],
    ] as const
  ) {
    const host = line.startsWith("TRACE") ? HOST : "localhost";
    await client.send(head(line, `Host: ${host}`));
    const answer = await client.readResponse();
    assert.ok(answer.head.startsWith(`HTTP/1.1 ${status} `), answer.head);
  }
  await client.send(head("GET / HTTP/1.0"));
  assert.match(await client.readAll(), /^HTTP\/1\.1 200 /);
});

Deno.test("HttpServer keeps its own pages from rebound names and foreign sites", async () => {
  await using world = await httpWorld();
  using client = await world.connect();
  for (
    const fields of [
      ["Host: evil.example"],
      ["Host: evil.example:8118"],
      [`Host: ${HOST}`],
      ["Host: localhost.evil.example"],
      ["Host: 127.0.0.1.evil.example"],
      ["Host: 0x7f.1"],
      ["Host: localhost:1:1"],
      ["Host: x@localhost"],
      ["Host: localhost", "Sec-Fetch-Site: cross-site"],
      ["Host: localhost", "Sec-Fetch-Site: same-site"],
    ]
  ) {
    for (const path of ["/", "/proxy.pac"]) {
      await client.send(head(`GET ${path} HTTP/1.1`, ...fields));
      const { head: answer, body } = await client.readResponse();
      assert.match(answer, /^HTTP\/1\.1 403 /, fields.join());
      assert.doesNotMatch(body, /FindProxyForURL|evil/);
    }
  }
});

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

Deno.test("HttpServer drains: ends what is between two requests, and waits for the rest", async () => {
  await using world = await httpWorld();
  const answer = Promise.withResolvers<void>();
  world.gateway.service = async (stream) => {
    await readUntil(stream, "\r\n\r\n");
    await answer.promise;
    await stream.write(utf8(ok("last")));
  };
  using idle = await world.connect();
  await idle.send(head("GET / HTTP/1.1", "Host: localhost"));
  await idle.readResponse();
  using busy = await world.connect();
  await busy.send(GET);
  await until(() => world.gateway.opened.length === 1);
  const drained = world.server.drain(60_000);
  assert.equal(await idle.readAll(), "");
  answer.resolve();
  assert.equal((await busy.readResponse()).body, "last");
  assert.equal(await busy.readAll(), "");
  await drained;
});

Deno.test("HttpServer ends everything when disposed of", async () => {
  const world = await httpWorld();
  world.gateway.service = async (stream) => {
    await readUntil(stream, "\r\n\r\n");
    if (world.gateway.opened.length === 1) await stream.write(utf8(ok("x")));
  };
  using idle = await world.connect();
  await idle.send(GET);
  await idle.readResponse();
  using waiting = await world.connect();
  await waiting.send(post("Content-Length: 1", "Connection: close"));
  await until(() => world.gateway.opened.length === 2);
  using tunnel = await world.connect();
  await tunnel.send(CONNECT);
  await tunnel.readUntil("\r\n\r\n");
  await world[Symbol.asyncDispose]();
  for (const client of [idle, waiting, tunnel]) {
    assert.equal(await client.readAll(), "");
  }
  for (const { client } of world.gateway.opened) await client.aborted;
  assert.equal(world.clock.pending, 0);
});

Deno.test("HttpServer reports faults of our own with a page, and lives on", async () => {
  const faults: unknown[] = [];
  await using world = await httpWorld({
    onFault: (error) => faults.push(error),
  });
  const bug = new TypeError("a bug");
  world.gateway.hasSession = () => {
    throw bug;
  };
  using client = await world.connect();
  await client.send(GET);
  assert.match((await client.readResponse()).head, /^HTTP\/1\.1 500 /);
  assert.equal(await client.readAll(), "");
  assert.deepEqual(faults, [bug]);
});

Deno.test("HttpServer listens beyond this machine only when told to", async () => {
  await using world = await httpWorld();
  const { gateway, clock } = world;
  const listen = { host: "0.0.0.0", port: 0 };
  const options = { listen, gateway, clock, onFault() {} };
  assert.throws(() => new HttpServer(options), { code: "proxy.public" });
  await using open = new HttpServer({ ...options, allowRemote: true });
  assert.notEqual(open.address.port, 0);
});
