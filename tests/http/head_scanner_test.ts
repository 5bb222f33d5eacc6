import assert from "node:assert/strict";
import fc from "fast-check";
import { ProtocolError } from "../../lib/base/errors.ts";
import {
  HeadScanner,
  type HeadStrictness,
  MAX_FIELDS,
  MAX_HEAD_BYTES,
  MAX_START_LINE_BYTES,
} from "../../lib/http/head_scanner.ts";
import { latin1Bytes } from "../../lib/http/latin1.ts";

function scan(text: string, strictness: HeadStrictness = "strict") {
  return new HeadScanner(strictness).scan(latin1Bytes(text));
}

/** What a scanner says of bytes that come in these pieces. */
function scanPieces(
  bytes: Uint8Array,
  cuts: readonly number[],
  strictness: HeadStrictness,
): number | undefined | string {
  const scanner = new HeadScanner(strictness);
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length]
    .sort((a, b) => a - b);
  try {
    for (const end of ends) {
      const length = scanner.scan(bytes.subarray(0, end));
      if (length !== undefined) return length;
    }
    return undefined;
  } catch (error) {
    assert.ok(error instanceof ProtocolError, String(error));
    return error.code;
  }
}

/** Bytes that are often nearly a head. */
const HEADISH = fc.array(
  fc.constantFrom(
    ...["GET / HTTP/1.1", "a: b", "\r\n", "\r\n", "\n", "\r", " ", "\t", ":"],
    ...["\0", "\x7f", "\xff", "\r\n\r\n", "Host: x"],
  ),
  { maxLength: 14 },
).map((parts) => latin1Bytes(parts.join("")));

Deno.test("HeadScanner finds the empty line, and nothing before it", () => {
  const head = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  assert.equal(scan(head), head.length);
  assert.equal(scan(`${head}body`), head.length);
  assert.equal(scan(`\r\n${head}`), head.length + 2);
  for (let length = 0; length < head.length; length++) {
    assert.equal(scan(head.slice(0, length)), undefined);
  }
});

Deno.test("HeadScanner says the same wherever the bytes are split", () => {
  fc.assert(
    fc.property(
      HEADISH,
      fc.array(fc.nat(), { maxLength: 6 }),
      fc.constantFrom<HeadStrictness>("strict", "tolerant"),
      (bytes, cuts, strictness) => {
        const every = Array.from(bytes, (_, index) => index);
        const whole = scanPieces(bytes, [], strictness);
        assert.equal(scanPieces(bytes, cuts, strictness), whole);
        assert.equal(scanPieces(bytes, every, strictness), whole);
      },
    ),
    { numRuns: 400 },
  );
});

Deno.test("HeadScanner refuses line ends that another reader may take differently", () => {
  for (
    const [text, code] of [
      ["GET / HTTP/1.1\nHost: x\n\n", "http.line_end"],
      ["GET / HTTP/1.1\r\nHost: x\n\r\n", "http.line_end"],
      ["GET / HTTP/1.1\r\nHost: x\r\r\n", "http.line_end"],
      ["GET / HTTP/1.1\r\nA: b\rHost: x\r\n\r\n", "http.line_end"],
      ["\r\n\r\nGET / HTTP/1.1\r\n", "http.line_end"],
      ["GET / HTTP/1.1\r\nA: b\0\r\n", "http.character"],
      ["GET / HTTP/1.1\r\nA: \x0b\r\n", "http.character"],
      ["GET / HTTP/1.1\r\nA: \x7f\r\n", "http.character"],
      ["\x16\x03\x01\x00", "http.character"],
      ["\x05\x01\x00", "http.character"],
    ] as const
  ) assert.throws(() => scan(text), { code }, JSON.stringify(text));
});

Deno.test("HeadScanner takes bare LF from services, and no bare CR", () => {
  const head = "HTTP/1.1 200 OK\nA: b\r\nC: d\n\n";
  assert.equal(scan(head, "tolerant"), head.length);
  assert.equal(scan("HTTP/1.1 200 OK\n\r\n", "tolerant"), 18);
  for (const text of ["HTTP/1.1 200 OK\rA: b\n\n", "HTTP/1.1\r\r\n\n"]) {
    assert.throws(() => scan(text, "tolerant"), { code: "http.line_end" });
  }
});

Deno.test("HeadScanner holds heads to their limits, before the end is seen", () => {
  const line = "GET /";
  const longest = MAX_START_LINE_BYTES - line.length;
  const full = `${line}${"a".repeat(longest)}`;
  assert.equal(scan(`${full}\r\n\r\n`), full.length + 4);
  assert.throws(() => scan(line + "a".repeat(longest + 1)), {
    code: "http.target_too_long",
  });
  const many = (count: number) =>
    "GET / HTTP/1.1\r\n" + "a:\r\n".repeat(count) + "\r\n";
  assert.equal(scan(many(MAX_FIELDS)), many(MAX_FIELDS).length);
  assert.throws(() => scan(many(MAX_FIELDS + 1)), {
    code: "http.head_too_large",
  });
  const wide = `GET / HTTP/1.1\r\na: ${"b".repeat(MAX_HEAD_BYTES)}`;
  assert.throws(() => scan(wide), { code: "http.head_too_large" });
  assert.equal(scan(wide.slice(0, MAX_HEAD_BYTES - 1)), undefined);
});

Deno.test("HeadScanner looks at each byte once, in however many pieces they come", () => {
  let looks = 0;
  const bytes = latin1Bytes(`GET / HTTP/1.1\r\na: ${"b".repeat(60_000)}`);
  const watched = new Proxy(bytes, {
    get(target, key) {
      if (typeof key === "string" && /^\d+$/.test(key)) looks++;
      return Reflect.get(target, key, target);
    },
  });
  const scanner = new HeadScanner("strict");
  for (let end = 1; end <= bytes.length; end += 7) {
    Object.defineProperty(watched, "length", {
      value: end,
      configurable: true,
    });
    assert.equal(scanner.scan(watched), undefined);
  }
  // Each byte, and the one before it.
  assert.ok(looks <= 2 * bytes.length, `${looks} looks`);
});
