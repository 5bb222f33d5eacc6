import assert from "node:assert/strict";
import fc from "fast-check";
import { ProtocolError } from "../../lib/base/errors.ts";
import {
  decodeAnswer,
  decodeRequest,
  DEFAULT_BODY_BYTES,
  encodeAnswer,
  encodeRequestStream,
  ENVELOPE_BYTES,
  RpcSizes,
} from "../../lib/link/rpc.ts";
import { encodeCbor } from "../../lib/wire/cbor.ts";
import { DEFAULT_FRAME_BYTES, FrameReader } from "../../lib/wire/framing.ts";

const SIZES = new RpcSizes({
  "test.long": { requestBytes: 100_000, answerBytes: 300_000 },
  "test.short": { requestBytes: 8, answerBytes: 8 },
});

/** The body of the only frame in `bytes`. */
function unframed(bytes: Uint8Array, maxBytes: number): Uint8Array {
  const reader = new FrameReader(maxBytes);
  reader.push(bytes);
  const frame = reader.next();
  assert.ok(frame !== undefined && reader.buffered === 0);
  return frame;
}

Deno.test("decodeRequest() undoes encodeRequestStream()", () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[a-z0-9_.]{1,32}$/),
      fc.uint8Array({ maxLength: 500 }),
      (method, body) => {
        const bytes = encodeRequestStream(method, body, SIZES);
        assert.equal(bytes[0], 0x01);
        const frame = unframed(bytes.subarray(1), SIZES.requestFrameBytes);
        const request = decodeRequest(frame, SIZES);
        assert.equal(request.method, method);
        assert.deepEqual(request.body, new Uint8Array(body));
      },
    ),
  );
});

Deno.test("decodeAnswer() undoes encodeAnswer()", () => {
  const body = Uint8Array.of(1, 2, 3);
  for (
    const answer of [
      { type: "ok", body },
      { type: "ok", body: new Uint8Array() },
      { type: "error", code: "busy" },
      { type: "error", code: "unknown_method" },
      { type: "error", code: "failed" },
    ] as const
  ) {
    const frame = unframed(encodeAnswer("test.ping", answer, SIZES), 1000);
    assert.deepEqual(decodeAnswer(frame), answer);
  }
});

Deno.test("the longest bodies fit into the frames made for them", () => {
  const name = "x".repeat(32);
  const sizes = new RpcSizes({ [name]: { requestBytes: 99, answerBytes: 99 } });
  const body = new Uint8Array(DEFAULT_BODY_BYTES);
  const request = encodeRequestStream("y".repeat(32), body, sizes);
  assert.ok(request.length - 5 <= DEFAULT_FRAME_BYTES);
  assert.equal(sizes.requestFrameBytes, DEFAULT_FRAME_BYTES);
  const answer = encodeAnswer(name, {
    type: "ok",
    body: new Uint8Array(99),
  }, sizes);
  assert.ok(answer.length - 4 <= 99 + ENVELOPE_BYTES);
  assert.equal(SIZES.requestFrameBytes, 100_000 + ENVELOPE_BYTES);
  assert.equal(SIZES.answerFrameBytes("test.long"), 300_000 + ENVELOPE_BYTES);
});

Deno.test("bodies over a method's limit are refused on both sides", () => {
  const nine = new Uint8Array(9);
  assert.throws(
    () => encodeRequestStream("test.short", nine, SIZES),
    RangeError,
  );
  assert.throws(
    () => encodeAnswer("test.short", { type: "ok", body: nine }, SIZES),
    RangeError,
  );
  const frame = encodeCbor({ method: "test.short", body: nine });
  assert.throws(() => decodeRequest(frame, SIZES), {
    code: "link.request_size",
  });
});

Deno.test("decodeRequest() refuses what is not a request", () => {
  const body = new Uint8Array();
  const cases: [Uint8Array, string][] = [
    [encodeCbor({ body }), "wire.field"],
    [encodeCbor({ method: "a.b" }), "wire.field"],
    [encodeCbor({ method: "a.b", body: "text" }), "wire.field"],
    [encodeCbor({ method: "a.b", body, more: 1 }), "wire.unknown_field"],
    [encodeCbor({ method: "", body }), "link.method"],
    [encodeCbor({ method: "A.b", body }), "link.method"],
    [encodeCbor({ method: "a b", body }), "link.method"],
    [encodeCbor({ method: "a".repeat(33), body }), "wire.field"],
    [encodeCbor({ method: 7, body }), "wire.field"],
    [new Uint8Array(), "wire.cbor"],
  ];
  for (const [frame, code] of cases) {
    assert.throws(() => decodeRequest(frame, SIZES), { code });
  }
});

Deno.test("decodeAnswer() refuses what is not an answer", () => {
  const body = new Uint8Array();
  const cases: [Uint8Array, string][] = [
    [encodeCbor({}), "wire.field"],
    [encodeCbor({ body, error: "busy" }), "wire.unknown_field"],
    [encodeCbor({ error: "sorry" }), "link.answer"],
    [encodeCbor({ error: "x".repeat(17) }), "wire.field"],
    [encodeCbor({ body: null }), "wire.field"],
  ];
  for (const [frame, code] of cases) {
    assert.throws(() => decodeAnswer(frame), { code });
  }
});

Deno.test("decodeRequest() and decodeAnswer() give a value or a ProtocolError for any bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
    for (
      const decode of [
        () => decodeRequest(bytes, SIZES),
        () => decodeAnswer(bytes),
      ]
    ) {
      try {
        decode();
      } catch (error) {
        assert.ok(error instanceof ProtocolError);
      }
    }
  }));
});

Deno.test("encodeRequestStream() and RpcSizes refuse impossible names and sizes", () => {
  const body = new Uint8Array();
  for (const name of ["", "Upper", "a-b", "x".repeat(33)]) {
    assert.throws(() => encodeRequestStream(name, body, SIZES), RangeError);
    assert.throws(() => new RpcSizes({ [name]: {} }), RangeError);
  }
  const tooLong = { requestBytes: 10 * 1024 * 1024 };
  assert.throws(() => new RpcSizes({ "a.b": tooLong }), RangeError);
  const nonsense = { answerBytes: NaN };
  assert.throws(() => new RpcSizes({ "a.b": nonsense }), RangeError);
});
