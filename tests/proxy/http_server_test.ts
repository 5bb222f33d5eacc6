import assert from "node:assert/strict";
import { utf8 } from "../../lib/base/bytes.ts";
import { UnreachableError } from "../../lib/base/errors.ts";
import { HALF_CLOSED_REQUEST_MS } from "../../lib/proxy/http_exchange.ts";
import { HttpServer } from "../../lib/proxy/http_server.ts";
import {
  MAX_IDLE_PER_TARGET,
  UPSTREAM_IDLE_MS,
} from "../../lib/http/upstream.ts";
import {
  authorizationIsolation,
  passwordIsolation,
} from "../../lib/proxy/isolation_key.ts";
import { latin1Text } from "../../lib/http/latin1.ts";
import { CONNECT, GET, get, post } from "../http/http_requests.ts";
import { head } from "../http/smuggling_corpus.ts";
import {
  echo,
  HOST,
  httpService,
  httpWorld,
  ok,
  readUntil,
  refusal,
  settle,
  until,
} from "./world.ts";

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
  world.gateway.connect = () => {
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
  await assert.rejects(HttpServer.open(options), { code: "proxy.public" });
  await using open = await HttpServer.open({ ...options, allowRemote: true });
  assert.notEqual(open.address.port, 0);
});
