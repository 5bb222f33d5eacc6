import assert from "node:assert/strict";
import fc from "fast-check";
import { ProtocolError } from "../../lib/base/errors.ts";
import {
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeRequestStream,
  MAX_BODY_BYTES,
} from "../../lib/link/rpc.ts";
import { encodeCbor } from "../../lib/wire/cbor.ts";
import { DEFAULT_FRAME_BYTES, FrameReader } from "../../lib/wire/framing.ts";

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
        const bytes = encodeRequestStream(method, body);
        assert.equal(bytes[0], 0x01);
        const frame = unframed(bytes.subarray(1), DEFAULT_FRAME_BYTES);
        const request = decodeRequest(frame);
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
    const frame = unframed(encodeAnswer(answer), 1000);
    assert.deepEqual(decodeAnswer(frame), answer);
  }
});

Deno.test("the longest bodies fit into a frame", () => {
  const body = new Uint8Array(MAX_BODY_BYTES);
  const request = encodeRequestStream("y".repeat(32), body);
  assert.ok(request.length - 5 <= DEFAULT_FRAME_BYTES);
  const answer = encodeAnswer({ type: "ok", body });
  assert.ok(answer.length - 4 <= DEFAULT_FRAME_BYTES);
});

Deno.test("longer bodies are refused on both sides", () => {
  const body = new Uint8Array(MAX_BODY_BYTES + 1);
  assert.throws(() => encodeRequestStream("test.long", body), RangeError);
  assert.throws(() => encodeAnswer({ type: "ok", body }), RangeError);
  const frame = encodeCbor({ method: "test.long", body });
  assert.throws(() => decodeRequest(frame), { code: "link.request_size" });
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
    assert.throws(() => decodeRequest(frame), { code });
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
        () => decodeRequest(bytes),
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

Deno.test("encodeRequestStream() refuses impossible names", () => {
  for (const name of ["", "Upper", "a-b", "x".repeat(33)]) {
    assert.throws(
      () => encodeRequestStream(name, new Uint8Array()),
      RangeError,
    );
  }
});
