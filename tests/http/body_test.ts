import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, utf8 } from "../../lib/base/bytes.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import {
  type BodyLength,
  createBodyReader,
  parseContentLength,
} from "../../lib/http/body.ts";
import { latin1Bytes, latin1Text } from "../../lib/http/latin1.ts";

interface Outcome {
  readonly taken: number;
  readonly payload: string;
  readonly isDone: boolean;
  readonly error: string | undefined;
}

/** Read bytes that come in pieces cut at `cuts`. */
function read(
  length: BodyLength,
  bytes: Uint8Array,
  cuts: readonly number[] = [],
): Outcome {
  const reader = createBodyReader(length);
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length]
    .sort((a, b) => a - b);
  const payload: Uint8Array[] = [];
  let taken = 0;
  let error: string | undefined;
  try {
    for (const end of ends) {
      while (taken < end && !reader.isDone) {
        taken += reader.take(
          bytes.subarray(taken, end),
          (part) => payload.push(part.slice()),
        );
      }
    }
  } catch (thrown) {
    assert.ok(thrown instanceof ProtocolError, String(thrown));
    error = thrown.code;
    taken = -1;
  }
  const text = latin1Text(concat(...payload));
  return { taken, payload: text, isDone: reader.isDone, error };
}

function chunked(text: string): Outcome {
  return read({ type: "chunked" }, latin1Bytes(text));
}

Deno.test("createBodyReader() counts a length, and takes no byte of what follows", () => {
  const length = { type: "length", bytes: 5 } as const;
  assert.deepEqual(read(length, utf8("helloGET /")), {
    taken: 5,
    payload: "hello",
    isDone: true,
    error: undefined,
  });
  const reader = createBodyReader(length);
  reader.take(utf8("hell"));
  assert.throws(() => reader.end(), { code: "http.body_cut" });
  assert.equal(createBodyReader({ type: "none" }).isDone, true);
});

Deno.test("createBodyReader() reads to the end where that is the length", () => {
  const reader = createBodyReader({ type: "close" });
  assert.equal(reader.take(new Uint8Array(1000)), 1000);
  assert.equal(reader.isDone, false);
  reader.end();
  assert.equal(reader.isDone, true);
});

Deno.test("createBodyReader() reads chunks, extensions and trailers", () => {
  for (
    const [text, payload] of [
      ["0\r\n\r\n", ""],
      ["5\r\nhello\r\n0\r\n\r\n", "hello"],
      ["1\r\na\r\n00A\r\n0123456789\r\n000\r\n\r\n", "a0123456789"],
      ['3;a=b;c="d"\r\nabc\r\n0;last\r\n\r\n', "abc"],
      ["0\r\nX-Sum: 1\r\nX-B: 2\r\n\r\n", ""],
      ["2\r\n\r\n\r\n0\r\n\r\n", "\r\n"],
    ] as const
  ) {
    assert.deepEqual(chunked(`${text}GET / HTTP/1.1\r\n`), {
      taken: text.length,
      payload,
      isDone: true,
      error: undefined,
    });
    for (let length = 0; length < text.length; length++) {
      const reader = createBodyReader({ type: "chunked" });
      assert.equal(reader.take(latin1Bytes(text.slice(0, length))), length);
      assert.throws(() => reader.end(), { code: "http.body_cut" });
    }
  }
});

const BAD_CHUNKS: readonly (readonly [string, string])[] = [
  ["\r\n", "http.chunk"],
  [";a\r\n", "http.chunk"],
  ["x\r\n", "http.chunk"],
  ["-1\r\n", "http.chunk"],
  ["+1\r\n", "http.chunk"],
  ["0x1\r\n", "http.chunk"],
  [" 1\r\n", "http.chunk"],
  ["1 \r\n", "http.chunk"],
  ["1\n", "http.chunk"],
  ["1\r", "ok"],
  ["1\rx", "http.chunk"],
  ["1\r\naX", "http.chunk"],
  ["1\r\na\n", "http.chunk"],
  ["1\r\na\r\r", "http.chunk"],
  ["1\r\na\r\n\r\n", "http.chunk"],
  ["1;a\nb\r\n", "http.chunk"], // a bare LF in an extension
  ["1;a\rb\r\n", "http.chunk"],
  ["1;\0\r\n", "http.chunk"],
  ["00000000000001\r\n", "http.chunk"], // 14 digits
  ["ffffffffffffffff\r\n", "http.chunk"],
  ["100000000000000000\r\n", "http.chunk"],
  ["0\r\nContent-Length: 5\r\n\r\n", "http.trailer"],
  ["0\r\nTransfer-Encoding: chunked\r\n\r\n", "http.trailer"],
  ["0\r\nHost: evil\r\n\r\n", "http.trailer"],
  ["0\r\nbad name: x\r\n\r\n", "http.field"],
  ["0\r\n folded\r\n\r\n", "http.folded"],
  ["0\r\nno colon\r\n\r\n", "http.field"],
  ["0\r\nA: b\n\r\n", "http.trailer"],
  [`0\r\n${"A: b\r\n".repeat(3000)}\r\n`, "http.trailer"],
  [`1;${"a".repeat(16 * 1024 + 1)}\r\n`, "http.chunk"],
  ["1;aaaaaaaaa\r\nx\r\n".repeat(2000), "http.chunk"],
];

Deno.test("createBodyReader() refuses chunks that another reader may take differently", () => {
  for (const [text, code] of BAD_CHUNKS) {
    const { error } = chunked(text);
    assert.equal(error ?? "ok", code, JSON.stringify(text.slice(0, 40)));
  }
});

Deno.test("createBodyReader() reads the same wherever the bytes are split", () => {
  const chunkish = fc.array(
    fc.constantFrom(
      ...["5\r\nhello\r\n", "0\r\n", "\r\n", "A: b\r\n", "1;x\r\na\r\n"],
      ...["1", "\r", "\n", "0\r\n\r\n", "f", ";", "z"],
    ),
    { maxLength: 10 },
  ).map((parts) => latin1Bytes(parts.join("")));
  fc.assert(
    fc.property(
      fc.oneof(chunkish, fc.uint8Array({ maxLength: 60 })),
      fc.array(fc.nat(), { maxLength: 5 }),
      fc.constantFrom<BodyLength>(
        { type: "chunked" },
        { type: "length", bytes: 7 },
        { type: "close" },
      ),
      (bytes, cuts, length) => {
        const whole = read(length, bytes);
        const every = Array.from(bytes, (_, index) => index);
        assert.deepEqual(read(length, bytes, cuts), whole);
        assert.deepEqual(read(length, bytes, every), whole);
      },
    ),
    { numRuns: 400 },
  );
});

Deno.test("createBodyReader() gives back what was put into chunks", () => {
  fc.assert(fc.property(
    fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }), { maxLength: 8 }),
    fc.array(fc.nat(), { maxLength: 5 }),
    (parts, cuts) => {
      const body = concat(
        ...parts.flatMap((part) => [
          utf8(`${part.length.toString(16)}\r\n`),
          part,
          utf8("\r\n"),
        ]),
        utf8("0\r\n\r\n"),
      );
      const outcome = read({ type: "chunked" }, body, cuts);
      assert.deepEqual(outcome, {
        taken: body.length,
        payload: latin1Text(concat(...parts)),
        isDone: true,
        error: undefined,
      });
    },
  ));
});

Deno.test("parseContentLength() reads one plain number", () => {
  assert.equal(parseContentLength(["0"]), 0);
  assert.equal(parseContentLength(["999999999999999"]), 999999999999999);
  for (
    const values of [
      [],
      [""],
      ["5", "5"],
      ["5", "6"],
      ["5, 5"],
      ["+5"],
      ["-5"],
      ["5 "],
      ["0x5"],
      ["5e3"],
      ["5.0"],
      ["1000000000000000"],
      ["\u0665"],
    ]
  ) {
    assert.throws(() => parseContentLength(values), {
      code: "http.content_length",
    });
  }
});
