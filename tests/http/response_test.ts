import assert from "node:assert/strict";
import fc from "fast-check";
import { ProtocolError } from "../../lib/base/errors.ts";
import { HeadScanner } from "../../lib/http/head_scanner.ts";
import {
  decodeResponseHead,
  type ResponseHead,
} from "../../lib/http/response.ts";
import { latin1Bytes } from "../../lib/http/latin1.ts";

function decode(lines: readonly string[], method = "GET"): ResponseHead {
  const bytes = latin1Bytes(`${lines.join("\r\n")}\r\n\r\n`);
  const length = new HeadScanner("tolerant").scan(bytes);
  assert.equal(length, bytes.length);
  return decodeResponseHead(bytes, method);
}

const OK = "HTTP/1.1 200 OK";

Deno.test("decodeResponseHead() reads status lines, also sloppy ones", () => {
  for (
    const [line, status, reason] of [
      [OK, 200, "OK"],
      ["HTTP/1.1 404 Not  Found ", 404, "Not  Found "],
      ["HTTP/1.1 200", 200, ""],
      ["HTTP/1.1 200 ", 200, ""],
      ["HTTP/1.0 500 \xe9", 500, "\xe9"],
      ["HTTP/1.9 200 OK", 200, "OK"],
    ] as const
  ) {
    const head = decode([line]);
    assert.equal(head.status, status);
    assert.equal(head.reason, reason);
  }
});

Deno.test("decodeResponseHead() finds the length of the body in the order of RFC 9112", () => {
  for (
    const [lines, method, type] of [
      [[OK], "GET", "close"],
      [[OK, "Content-Length: 5"], "GET", "length"],
      [[OK, "Content-Length: 5", "Content-Length: 5"], "GET", "length"],
      [[OK, "Transfer-Encoding: chunked"], "GET", "chunked"],
      [
        [OK, "Transfer-Encoding: Chunked", "Content-Length: 5"],
        "GET",
        "chunked",
      ],
      [[OK, "Transfer-Encoding: identity"], "GET", "close"],
      [[OK, "Content-Length: 5"], "HEAD", "none"],
      [[OK, "Transfer-Encoding: chunked"], "HEAD", "none"],
      [["HTTP/1.1 204 No Content", "Content-Length: 5"], "GET", "none"],
      [["HTTP/1.1 304 Not Modified", "Content-Length: 5"], "GET", "none"],
      [["HTTP/1.1 100 Continue"], "POST", "none"],
      [["HTTP/1.1 101 Switching Protocols"], "GET", "none"],
    ] as const
  ) assert.equal(decode(lines, method).body.type, type, lines.join());
});

Deno.test("decodeResponseHead() lets a connection be reused only when all is clear", () => {
  const clear = [OK, "Content-Length: 5"];
  assert.equal(decode(clear).canReuse, true);
  for (
    const lines of [
      [OK],
      [...clear, "Connection: close"],
      [...clear, "Connection: x, Close"],
      ["HTTP/1.0 200 OK", "Content-Length: 5"],
      [...clear, "Transfer-Encoding: chunked"],
    ]
  ) assert.equal(decode(lines).canReuse, false, lines.join());
});

Deno.test("decodeResponseHead() refuses what could be read in two ways", () => {
  for (
    const [code, ...lines] of [
      ["status_line", "HTTP/2.0 200 OK"],
      ["status_line", "HTTP/1.1 20 OK"],
      ["status_line", "HTTP/1.1 2000 OK"],
      ["status_line", "HTTP/1.1 099 X"],
      ["status_line", "HTTP/1.1 600 X"],
      ["status_line", "HTTP/1.1  200 OK"],
      ["status_line", "ICY 200 OK"],
      ["status_line", "SSH-2.0-OpenSSH_9.2"],
      ["status", "HTTP/1.1 407 Password please", "Content-Length: 0"],
      ["content_length", OK, "Content-Length: 5", "Content-Length: 6"],
      ["content_length", OK, "Content-Length: 5, 5"],
      ["content_length", OK, "Content-Length: x"],
      ["content_length", OK, "Content-Length: -5"],
      ["transfer_encoding", OK, "Transfer-Encoding: gzip, chunked"],
      ["transfer_encoding", OK, "Transfer-Encoding: chunked, chunked"],
      ["transfer_encoding", OK, "Transfer-Encoding: xchunked"],
      [
        "transfer_encoding",
        OK,
        "Transfer-Encoding: chunked",
        "transfer-encoding: x",
      ],
      ["field", OK, "no colon"],
      ["field", OK, "na me: x"],
      ["folded", OK, " folded: x"],
    ] as const
  ) {
    assert.throws(() => decode(lines), {
      name: "ProtocolError",
      code: `http.${code}`,
    }, lines.join());
  }
});

Deno.test("decodeResponseHead() gives a head or a ProtocolError, for nearly right responses", () => {
  const line = fc.constantFrom(
    ...[OK, "HTTP/1.1 304", "a: b", "Content-Length: 5", "Content-Length: 6"],
    ...["Transfer-Encoding: chunked", " folded", "x", ":", "Connection: close"],
  );
  fc.assert(
    fc.property(
      fc.array(line, { minLength: 1, maxLength: 8 }),
      fc.constantFrom("GET", "HEAD", "POST"),
      (lines, method) => {
        try {
          assert.ok(decode(lines, method).status >= 100);
        } catch (error) {
          assert.ok(error instanceof ProtocolError, String(error));
        }
      },
    ),
    { numRuns: 400 },
  );
});
