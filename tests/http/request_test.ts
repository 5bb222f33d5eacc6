import assert from "node:assert/strict";
import fc from "fast-check";
import { ProtocolError } from "../../lib/base/errors.ts";
import { HeadScanner } from "../../lib/http/head_scanner.ts";
import { decodeRequestHead, type RequestHead } from "../../lib/http/request.ts";
import { latin1Bytes } from "../../lib/http/latin1.ts";
import { head, SMUGGLING_CORPUS } from "./smuggling_corpus.ts";

const A = `${"a".repeat(56)}.anon`;

/** Read a head as the server does: find it, then decode it. */
function decode(text: string): RequestHead {
  const bytes = latin1Bytes(text);
  const length = new HeadScanner("strict").scan(bytes);
  assert.ok(length !== undefined, `no whole head in ${JSON.stringify(text)}`);
  return decodeRequestHead(bytes.subarray(0, length));
}

Deno.test("decodeRequestHead() reads what is to be forwarded", () => {
  for (
    const [target, host, port, path] of [
      [`http://${A}/`, A, 80, "/"],
      [`http://${A}`, A, 80, "/"],
      [`http://${A}:8080/a/b?c=d`, A, 8080, "/a/b?c=d"],
      [`HTTP://${A}?q`, A, 80, "/?q"],
      [`http://${A}/http://x@y/`, A, 80, "/http://x@y/"],
      [`http://example.com:65535/`, "example.com", 65535, "/"],
      [`http://[2001:db8::1]:1/`, "[2001:db8::1]", 1, "/"],
      [`http://${A}/\xc3\xbc`, A, 80, "/\xc3\xbc"],
    ] as const
  ) {
    const hostField = target.slice(7).split(/[/?]/)[0];
    const request = decode(
      head(`GET ${target} HTTP/1.1`, `Host: ${hostField}`),
    );
    assert.deepEqual(request.target, { type: "absolute", host, port, path });
    assert.deepEqual(request.body, { type: "none" });
  }
  const { target } = decode(head(`OPTIONS http://${A} HTTP/1.1`, `Host: ${A}`));
  assert.ok(target.type === "absolute");
  assert.equal(target.path, "*");
});

Deno.test("decodeRequestHead() reads what is to be tunnelled", () => {
  for (const host of [`${A}:443`, A]) {
    const { target } = decode(
      head(`CONNECT ${A}:443 HTTP/1.1`, `Host: ${host}`),
    );
    assert.deepEqual(target, { type: "authority", host: A, port: 443 });
  }
  assert.equal(
    decode(head(`CONNECT ${A}:22 HTTP/1.0`)).target.type,
    "authority",
  );
});

Deno.test("decodeRequestHead() reads what is for the proxy itself", () => {
  assert.deepEqual(
    decode(head("GET /proxy.pac HTTP/1.1", "Host: 127.0.0.1:80")).target,
    { type: "origin", path: "/proxy.pac", hostField: "127.0.0.1:80" },
  );
  assert.deepEqual(decode(head("GET / HTTP/1.0")).target, {
    type: "origin",
    path: "/",
    hostField: "",
  });
  assert.equal(
    decode(head("OPTIONS * HTTP/1.1", "Host: x")).target.type,
    "origin",
  );
});

Deno.test("decodeRequestHead() reads the length of the body", () => {
  const post = (...fields: string[]) =>
    decode(head(`POST http://${A}/ HTTP/1.1`, `Host: ${A}`, ...fields)).body;
  assert.deepEqual(post(), { type: "none" });
  assert.deepEqual(post("Content-Length: 0"), { type: "none" });
  assert.deepEqual(post("content-length:  42 "), { type: "length", bytes: 42 });
  assert.deepEqual(post("Transfer-Encoding: Chunked"), { type: "chunked" });
});

const GET = `GET http://${A}/ HTTP/1.1`;
const POST = `POST http://${A}/ HTTP/1.1`;
const HOST = `Host: ${A}`;

Deno.test("decodeRequestHead() refuses what two readers could take differently", () => {
  for (const [code, text] of SMUGGLING_CORPUS) {
    assert.throws(() => decode(text), {
      name: "ProtocolError",
      code: `http.${code}`,
    }, JSON.stringify(text));
  }
});

Deno.test("decodeRequestHead() refuses ports that do not exist", () => {
  for (const port of ["0", "65536", "99999", "000000000"]) {
    assert.throws(
      () => decode(head(`GET http://${A}:${port}/ HTTP/1.1`, HOST)),
      { code: "proxy.port" },
    );
    assert.throws(
      () => decode(head(`CONNECT ${A}:${port} HTTP/1.1`, HOST)),
      { code: "proxy.port" },
    );
  }
});

Deno.test("decodeRequestHead() gives a head or a ProtocolError, for nearly right requests", () => {
  const piece = fc.constantFrom(
    ...["GET", "POST", "CONNECT", " ", "  ", `http://${A}/`, `${A}:443`, "/"],
    ...["HTTP/1.1", "HTTP/1.0", "\r\n", HOST, "Content-Length: 5", ":", "\t"],
    ...["Transfer-Encoding: chunked", "\xff", "[", "]", "@", "#", "%"],
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 16 }),
      fc.array(fc.constantFrom(HOST, "Content-Length: 5", "a: b", " c"), {
        maxLength: 4,
      }),
      (start, fields) => {
        try {
          const request = decode(
            `${[start.join(""), ...fields].join("\r\n")}\r\n\r\n`,
          );
          assert.ok(request.method.length > 0);
        } catch (error) {
          assert.ok(error instanceof ProtocolError, String(error));
        }
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("decodeRequestHead() takes time in proportion to what it reads", () => {
  // The shapes that make careless patterns run for ever; far below a second each.
  const shapes = [
    head(`GET http://${"a".repeat(15_000)}/ HTTP/1.1`, HOST),
    head(`GET http://${"a:".repeat(7_000)}/ HTTP/1.1`, HOST),
    head(`GET ${"a".repeat(15_000)} HTTP/1.1`, HOST),
    head(GET, HOST, `A:${" ".repeat(40_000)}b`),
    head(GET, HOST, `A:${" \t".repeat(20_000)}`),
    head(GET, HOST, `${"a".repeat(40_000)}`),
    head(GET, `Host: ${":".repeat(40_000)}`),
    head(POST, HOST, `Content-Length: ${"1".repeat(40_000)}`),
    head(GET, HOST, `Connection: ${",".repeat(40_000)}`),
  ];
  const startMs = performance.now();
  for (const text of shapes) {
    try {
      decode(text);
    } catch (error) {
      assert.ok(error instanceof ProtocolError, String(error));
    }
  }
  assert.ok(performance.now() - startMs < 2_000);
});
