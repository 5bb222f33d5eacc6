import assert from "node:assert/strict";
import fc from "fast-check";
import { ProtocolError } from "../../lib/base/errors.ts";
import { seededRandom } from "../../lib/base/random.ts";
import {
  type ClientBound,
  CLOSE_REASONS,
  decodeClientBound,
  decodeRelayBound,
  encodeControl,
  EXTEND_FAILURES,
  MAX_RECORD_BYTES,
  REJECT_REASONS,
  type RelayBound,
} from "../../lib/circuit/control_messages.ts";
import {
  encodeControlCells,
  MAX_CONTROL_BYTES,
} from "../../lib/circuit/control_stream.ts";
import { CELL_BYTES } from "../../lib/circuit/cell.ts";
import { type CborValue, encodeCbor } from "../../lib/wire/cbor.ts";

const random = seededRandom(1);
const bytes = (length: number) => random.bytes(length);

const EXTEND = {
  type: "extend",
  record: bytes(1024),
  request: bytes(1280),
} as const satisfies RelayBound;

const RELAY_BOUND: readonly RelayBound[] = [
  EXTEND,
  { type: "dht_get", id: 0, key: bytes(32) },
  { type: "dht_put", id: 2 ** 32 - 1, record: bytes(MAX_RECORD_BYTES) },
  { type: "establish_intro", body: bytes(4096) },
  { type: "introduce1", body: bytes(8192) },
  { type: "establish_rendezvous", body: bytes(20) },
  { type: "rendezvous1", body: bytes(0) },
  { type: "ping", id: 5 },
  ...CLOSE_REASONS.map((code) => ({ type: "close", code }) as const),
];

const CLIENT_BOUND: readonly ClientBound[] = [
  { type: "extended", reply: bytes(1152) },
  ...EXTEND_FAILURES.map((code) => ({ type: "extend_failed", code }) as const),
  { type: "dht_found", id: 1, record: bytes(10) },
  { type: "dht_missing", id: 1 },
  { type: "dht_stored", id: 1, copies: 160 },
  ...REJECT_REASONS.map((code) =>
    ({ type: "dht_rejected", id: 1, code }) as const
  ),
  { type: "intro_established", body: bytes(0) },
  { type: "introduce_ack", body: bytes(1) },
  { type: "introduce2", body: bytes(8192) },
  { type: "rendezvous_established", body: bytes(0) },
  { type: "rendezvous2", body: bytes(2000) },
  { type: "pong", id: 5 },
  { type: "close", code: "done" },
];

for (const message of RELAY_BOUND) {
  Deno.test(`decodeRelayBound() undoes encodeControl(): ${JSON.stringify(Object.values(message)).slice(0, 40)}`, () => {
    const encoded = encodeControl(message);
    assert.deepEqual(decodeRelayBound(encoded), message);
    assert(encoded.length <= MAX_CONTROL_BYTES);
    if (message.type !== "close") {
      assert.throws(() => decodeClientBound(encoded), {
        code: "circuit.control_type",
      });
    }
  });
}

for (const message of CLIENT_BOUND) {
  Deno.test(`decodeClientBound() undoes encodeControl(): ${JSON.stringify(Object.values(message)).slice(0, 40)}`, () => {
    const encoded = encodeControl(message);
    assert.deepEqual(decodeClientBound(encoded), message);
    assert(encoded.length <= MAX_CONTROL_BYTES);
    if (message.type !== "close") {
      assert.throws(() => decodeRelayBound(encoded), {
        code: "circuit.control_type",
      });
    }
  });
}

Deno.test("encodeControl() gives the published bytes", () => {
  const hex = (message: RelayBound | ClientBound) =>
    encodeControl(message).toHex();
  // {"id": 5, "type": "ping"}
  assert.equal(
    hex({ type: "ping", id: 5 }),
    "a2626964056474797065" + "6470696e67",
  );
  // {"code": 1, "type": "close"}
  assert.equal(
    hex({ type: "close", code: "protocol" }),
    "a264636f64650164747970656" + "5636c6f7365",
  );
  assert.equal(
    hex({ type: "extend_failed", code: "timeout" }),
    "a264636f646502647479706" + "56d657874656e645f6661696c6564",
  );
});

Deno.test("encodeControl() fits an extension with the longest record into one cell", () => {
  assert.equal(encodeControlCells(encodeControl(EXTEND)).length, CELL_BYTES);
});

Deno.test("encodeControl() refuses a service body over its limit", () => {
  const limits = [
    ["introduce1", 8192],
    ["rendezvous2", 8192],
    ["introduce_ack", 1024],
  ] as const;
  for (const [type, limit] of limits) {
    encodeControl({ type, body: new Uint8Array(limit) });
    const body = new Uint8Array(limit + 1);
    assert.throws(() => encodeControl({ type, body }), RangeError);
  }
});

/** A valid `extend` with fields replaced; `undefined` takes one away. */
function extend(fields: Record<string, CborValue | undefined>): Uint8Array {
  return encodeCbor({
    type: "extend",
    record: EXTEND.record,
    request: EXTEND.request,
    ...fields,
  });
}

const BAD_RELAY_BOUND: readonly [string, string, Uint8Array][] = [
  ["no type", "wire.field", encodeCbor({ id: 1 })],
  ["a type that is a number", "wire.field", encodeCbor({ type: 1 })],
  ["a type too long", "wire.field", encodeCbor({ type: "x".repeat(33) })],
  ["an unknown type", "circuit.control_type", encodeCbor({ type: "exit" })],
  [
    "a type of Object's",
    "circuit.control_type",
    encodeCbor({
      type: "constructor",
    }),
  ],
  [
    "an unknown field",
    "wire.unknown_field",
    encodeCbor({
      type: "ping",
      id: 1,
      extra: 1,
    }),
  ],
  ["no map", "wire.field", encodeCbor([1, 2])],
  [
    "trailing bytes",
    "wire.cbor_trailing",
    Uint8Array.of(
      ...encodeCbor({ type: "ping", id: 1 }),
      0,
    ),
  ],
  ["a ping without id", "wire.field", encodeCbor({ type: "ping" })],
  [
    "a ping id over 2³²",
    "wire.field",
    encodeCbor({
      type: "ping",
      id: 2 ** 32,
    }),
  ],
  ["a negative id", "wire.field", encodeCbor({ type: "ping", id: -1 })],
  [
    "a short DHT key",
    "wire.field",
    encodeCbor({
      type: "dht_get",
      id: 1,
      key: new Uint8Array(31),
    }),
  ],
  [
    "a record too long",
    "wire.field",
    encodeCbor({
      type: "dht_put",
      id: 1,
      record: new Uint8Array(MAX_RECORD_BYTES + 1),
    }),
  ],
  [
    "a service body too long",
    "wire.field",
    encodeCbor({
      type: "introduce1",
      body: new Uint8Array(8193),
    }),
  ],
  [
    "an unknown close code",
    "wire.field",
    encodeCbor({
      type: "close",
      code: CLOSE_REASONS.length,
    }),
  ],
  [
    "a close code in words",
    "wire.field",
    encodeCbor({
      type: "close",
      code: "done",
    }),
  ],
  ["no record", "wire.field", extend({ record: undefined })],
  ["a long record", "wire.field", extend({ record: bytes(1025) })],
  ["a record in text", "wire.field", extend({ record: "anon" })],
  ["an address", "wire.unknown_field", extend({ addresses: [[bytes(4), 1]] })],
  ["a short request", "wire.field", extend({ request: bytes(1279) })],
  ["a long request", "wire.field", extend({ request: bytes(1281) })],
];

for (const [name, code, encoded] of BAD_RELAY_BOUND) {
  Deno.test(`decodeRelayBound() refuses ${name}`, () => {
    assert.throws(() => decodeRelayBound(encoded), { code });
  });
}

const BAD_CLIENT_BOUND: readonly [string, CborValue][] = [
  ["a short reply", { type: "extended", reply: new Uint8Array(1151) }],
  ["an unknown failure", { type: "extend_failed", code: 5 }],
  ["an unknown reason", { type: "dht_rejected", id: 1, code: 4 }],
  ["too many copies", { type: "dht_stored", id: 1, copies: 161 }],
  ["a long acknowledgement", {
    type: "introduce_ack",
    body: new Uint8Array(1025),
  }],
  ["a found record without id", {
    type: "dht_found",
    record: new Uint8Array(1),
  }],
];

for (const [name, value] of BAD_CLIENT_BOUND) {
  Deno.test(`decodeClientBound() refuses ${name}`, () => {
    assert.throws(() => decodeClientBound(encodeCbor(value)), {
      code: "wire.field",
    });
  });
}

Deno.test("decodeRelayBound() and decodeClientBound() turn any bytes into a message or a ProtocolError", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.constantFrom(decodeRelayBound, decodeClientBound),
      (bytes, decode) => {
        try {
          assert.equal(typeof decode(bytes).type, "string");
        } catch (error) {
          assert(error instanceof ProtocolError);
        }
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("decodeRelayBound() takes no message with a bit changed for the one that it was", () => {
  const encoded = encodeControl(EXTEND);
  fc.assert(
    fc.property(fc.nat({ max: 8 * encoded.length - 1 }), (bit) => {
      const changed = new Uint8Array(encoded);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      try {
        assert.notDeepEqual(decodeRelayBound(changed), EXTEND);
      } catch (error) {
        assert(error instanceof ProtocolError);
      }
    }),
    { numRuns: 300 },
  );
});
