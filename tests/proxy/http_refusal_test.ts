/** What the HTTP proxy refuses, and how it says so. */
import assert from "node:assert/strict";
import { utf8 } from "../../lib/base/bytes.ts";
import { ConfigError, UnreachableError } from "../../lib/base/errors.ts";
import { GET, get, post } from "../http/http_requests.ts";
import { head, SMUGGLING_CORPUS } from "../http/smuggling_corpus.ts";
import {
  HOST,
  httpService,
  httpWorld,
  ok,
  readUntil,
  refusal,
  until,
} from "./world.ts";

Deno.test({
  name: "HttpServer refuses what is not .anon without asking any node (P11)",
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

Deno.test("HttpServer tells a client about errors, and nothing that a client sent", async () => {
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
    ok(
      "x",
      'Alt-Svc: h3=":443"',
      "Proxy-Authenticate: Basic",
      'Proxy-Status: anonnet; details="service.refused"',
      "PROXY-Anything: x",
      "Keep-Alive: 5",
    )
  );
  using client = await world.connect();
  await client.send(GET);
  const { head: answer } = await client.readResponse();
  assert.doesNotMatch(answer, /alt-svc|proxy-|keep-alive:/i);
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

Deno.test("HttpServer says in a 405 which methods it serves", async () => {
  await using world = await httpWorld();
  using client = await world.connect();
  await client.send(head("POST / HTTP/1.1", "Host: localhost"));
  const own = await client.readResponse();
  assert.match(own.head, /^HTTP\/1\.1 405 [^]*\r\nAllow: GET, HEAD\r\n/);
  for (const method of ["TRACE", "TRACK"]) {
    await client.send(GET.replace("GET", method));
    const answer = await client.readResponse();
    assert.match(
      answer.head,
      /^HTTP\/1\.1 405 [^]*\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n/,
    );
  }
});

Deno.test("HttpServer names in its PAC files the host that it was asked by, where other machines are allowed", async () => {
  await using near = await httpWorld();
  await using far = await httpWorld({ allowRemote: true });
  using nearClient = await near.connect();
  using farClient = await far.connect();
  for (const path of ["/proxy.pac", "/strict.pac"]) {
    await nearClient.send(head(`GET ${path} HTTP/1.1`, "Host: proxy.lan:9280"));
    assert.match((await nearClient.readResponse()).head, /^HTTP\/1\.1 403 /);
    for (
      const host of ["proxy.lan:9280", "192.0.2.7:9280", "[2001:db8::7]:1"]
    ) {
      await farClient.send(head(`GET ${path} HTTP/1.1`, `Host: ${host}`));
      const { body } = await farClient.readResponse();
      assert.ok(body.includes(`"PROXY ${host}"`), body);
    }
    await farClient.send(head(`GET ${path} HTTP/1.1`, 'Host: x";alert(1)'));
    assert.match((await farClient.readResponse()).head, /^HTTP\/1\.1 403 /);
  }
});

Deno.test("HttpServer resets a client whose response breaks off, whatever marks its end", async () => {
  for (const fields of ["", "Content-Length: 100\r\n"]) {
    await using world = await httpWorld();
    world.gateway.service = async (stream) => {
      await readUntil(stream, "\r\n\r\n");
      await stream.write(utf8(`HTTP/1.1 200 OK\r\n${fields}\r\npart`));
    };
    using client = await world.connect();
    await client.send(GET.replace("HTTP/1.1", "HTTP/1.0"));
    await client.readUntil("part");
    world.gateway.last.client.reset(refusal());
    await client.readReset();
  }
});

Deno.test("HttpServer tells of hosts outside of .anon that were refused", async () => {
  const refused: string[] = [];
  await using world = await httpWorld({
    onRefused: (host) => refused.push(host),
  });
  using client = await world.connect();
  for (const host of ["example.com", "192.0.2.7", "[2001:db8::7]"]) {
    await client.send(
      head(`GET http://${host}/ HTTP/1.1`, `Host: ${host}`),
    );
    assert.match((await client.readResponse()).head, /^HTTP\/1\.1 403 /);
  }
  assert.deepEqual(refused, ["example.com", "192.0.2.7", "[2001:db8::7]"]);
});
