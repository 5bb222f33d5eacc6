import assert from "node:assert/strict";
import fc from "fast-check";
import { networkParameters } from "../../lib/auth/network.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import {
  decodeRequest,
  decodeResponse,
  type DhtRequest,
  type DhtResponse,
  encodeRequest,
  encodeResponse,
  MAX_CURSOR_BYTES,
  MAX_PAGE_RECORDS,
  MAX_VALUE_ANSWER_BYTES,
} from "../../lib/dht/messages.ts";
import { maxStoredRecordBytes } from "../../lib/dht/records/stored_record.ts";
import { encodeCbor } from "../../lib/wire/cbor.ts";
import { DEFAULT_FRAME_BYTES } from "../../lib/wire/framing.ts";
import { testBytes } from "../support/nodes.ts";
import { point } from "./records/fake_records.ts";

const network = networkParameters("local");
const RECORD = testBytes("record", 300);

const REQUESTS: readonly DhtRequest[] = [
  { type: "ping" },
  { type: "find_node", target: point(1) },
  { type: "store", record: RECORD },
  { type: "find_value", key: point(2) },
  { type: "find_value", key: point(2), publisher: point(3) },
  { type: "list_relays", cursor: new Uint8Array() },
  { type: "list_relays", cursor: testBytes("cursor", MAX_CURSOR_BYTES) },
  { type: "announce", records: [] },
  { type: "announce", records: [RECORD, RECORD] },
];

const RESPONSES: readonly (readonly [DhtRequest["type"], DhtResponse])[] = [
  ["ping", { type: "done" }],
  ["store", { type: "done" }],
  ["announce", { type: "done" }],
  ["find_node", { type: "nodes", records: [] }],
  ["find_value", { type: "nodes", records: [RECORD] }],
  ["find_value", { type: "value", records: [RECORD, RECORD] }],
  ["list_relays", {
    type: "relays",
    records: [RECORD],
    cursor: testBytes("cursor", 16),
    more: true,
  }],
  ["store", { type: "refused", code: "quota" }],
  ["ping", { type: "refused", code: "busy" }],
];

function throwsProtocol(run: () => unknown): void {
  assert.throws(run, ProtocolError);
}

Deno.test("decodeRequest() undoes encodeRequest()", () => {
  for (const request of REQUESTS) {
    assert.deepEqual(decodeRequest(network, encodeRequest(request)), request);
  }
});

Deno.test("lists of records are the deterministic CBOR that they would be as values", () => {
  const sizes = fc.array(
    fc.constantFrom(0, 1, 23, 24, 255, 256, 300, 1024, 16_640),
    { maxLength: 48 },
  );
  const cursor = testBytes("cursor", MAX_CURSOR_BYTES);
  fc.assert(
    fc.property(sizes, (lengths) => {
      const records = lengths.map((length) => testBytes("record", length));
      const page = { records, cursor, more: false };
      const pairs = [
        [encodeRequest({ type: "announce", records }), { m: 6, records }],
        [encodeResponse({ type: "nodes", records }), { r: 1, records }],
        [encodeResponse({ type: "value", records }), { r: 2, records }],
        [encodeResponse({ type: "relays", ...page }), { r: 3, ...page }],
      ] as const;
      for (const [bytes, value] of pairs) {
        assert.deepEqual(bytes, encodeCbor(value));
      }
    }),
    { numRuns: 40 },
  );
});

Deno.test("lists that no message holds are not encoded", () => {
  const empty = new Uint8Array();
  for (const records of [Array(256).fill(empty), [new Uint8Array(65_536)]]) {
    assert.throws(() => encodeResponse({ type: "nodes", records }), RangeError);
  }
});

Deno.test("decodeResponse() undoes encodeResponse()", () => {
  for (const [type, response] of RESPONSES) {
    const bytes = encodeResponse(response);
    assert.deepEqual(decodeResponse(network, type, bytes), response);
  }
});

Deno.test("decodeResponse() refuses the answer to another question", () => {
  const types = [
    "ping",
    "find_node",
    "store",
    "find_value",
    "list_relays",
    "announce",
  ] as const;
  for (const [, response] of RESPONSES) {
    const allowed = new Set(
      RESPONSES.filter(([, { type }]) => type === response.type)
        .map(([type]) => type),
    );
    if (response.type === "refused") continue;
    for (const type of types) {
      if (allowed.has(type)) continue;
      assert.throws(
        () => decodeResponse(network, type, encodeResponse(response)),
        { code: "dht.response" },
        `${response.type} to ${type}`,
      );
    }
  }
});

Deno.test("requests cut short anywhere are refused", () => {
  for (const request of REQUESTS) {
    const bytes = encodeRequest(request);
    for (let length = 0; length < bytes.length; length++) {
      throwsProtocol(() => decodeRequest(network, bytes.subarray(0, length)));
    }
    throwsProtocol(() => decodeRequest(network, new Uint8Array([...bytes, 0])));
  }
});

Deno.test("requests with fields missing, extra or out of range are refused", () => {
  const bad = [
    {},
    { m: 0 },
    { m: 7 },
    { m: -1 },
    { m: "1" },
    { m: 1, extra: 1 },
    { m: 2 },
    { m: 2, target: new Uint8Array(31) },
    { m: 2, target: new Uint8Array(33) },
    { m: 2, target: "text" },
    { m: 3 },
    { m: 3, record: new Uint8Array(2 * maxStoredRecordBytes(network) + 1) },
    { m: 4, key: new Uint8Array(32), publisher: new Uint8Array(31) },
    { m: 4, key: new Uint8Array(32), publisher: null },
    { m: 5 },
    { m: 5, cursor: new Uint8Array(MAX_CURSOR_BYTES + 1) },
    { m: 6, records: new Uint8Array(1) },
    { m: 6, records: ["text"] },
    { m: 6, records: [[RECORD]] },
    { m: 6, records: [new Uint8Array(network.maxNodeRecordBytes + 1)] },
    {
      m: 6,
      records: Array.from({ length: MAX_PAGE_RECORDS + 1 }, () => RECORD),
    },
  ];
  for (const value of bad) {
    throwsProtocol(() => decodeRequest(network, encodeCbor(value)));
  }
});

Deno.test("responses with too much in them are refused", () => {
  const many = (count: number, bytes = 10) =>
    Array.from({ length: count }, () => new Uint8Array(bytes));
  const bad: readonly (readonly [
    DhtRequest["type"],
    Parameters<typeof encodeCbor>[0],
  ])[] = [
    ["find_node", { r: 1, records: many(network.k + 1) }],
    ["find_node", { r: 1, records: many(500) }],
    ["find_node", { r: 1, records: many(1, network.maxNodeRecordBytes + 1) }],
    ["find_value", { r: 2, records: [] }],
    ["find_value", { r: 2, records: many(network.maxPublishers + 1) }],
    ["find_value", {
      r: 2,
      records: many(1, maxStoredRecordBytes(network) + 1),
    }],
    ["list_relays", {
      r: 3,
      records: many(MAX_PAGE_RECORDS + 1),
      cursor: new Uint8Array(),
      more: false,
    }],
    ["list_relays", {
      r: 3,
      records: [],
      cursor: new Uint8Array(33),
      more: false,
    }],
    ["list_relays", { r: 3, records: [], cursor: new Uint8Array(), more: 1 }],
    ["list_relays", { r: 3, records: [], cursor: new Uint8Array() }],
    ["ping", { r: 5 }],
    ["ping", { r: 0, extra: true }],
    ["store", { r: 4, code: "x".repeat(33) }],
    ["store", { r: 4 }],
  ];
  for (const [type, value] of bad) {
    throwsProtocol(() => decodeResponse(network, type, encodeCbor(value)));
  }
});

Deno.test("a refusal for a reason of a later version is a refusal", () => {
  const bytes = encodeCbor({ r: 4, code: "moon_phase" });
  assert.deepEqual(decodeResponse(network, "store", bytes), {
    type: "refused",
    code: "busy",
  });
});

Deno.test("any bytes give a request or a ProtocolError, and so do responses", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
    const decoders = [
      () => decodeRequest(network, bytes),
      () => decodeResponse(network, "find_value", bytes),
    ];
    for (const decode of decoders) {
      try {
        decode();
      } catch (error) {
        assert.ok(error instanceof ProtocolError, String(error));
      }
    }
  }));
});

Deno.test("a request with any byte changed is another request, or a ProtocolError", () => {
  fc.assert(fc.property(
    fc.constantFrom(...REQUESTS),
    fc.nat(),
    fc.integer({ min: 1, max: 255 }),
    (request, at, flip) => {
      const bytes = encodeRequest(request);
      const index = at % bytes.length;
      bytes[index] = (bytes[index] as number) ^ flip;
      let changed: DhtRequest;
      try {
        changed = decodeRequest(network, bytes);
      } catch (error) {
        assert.ok(error instanceof ProtocolError, String(error));
        return;
      }
      assert.notDeepEqual(changed, request);
    },
  ));
});

Deno.test("the longest messages fit a frame", () => {
  const full = (count: number, bytes: number) =>
    Array.from({ length: count }, () => new Uint8Array(bytes));
  const page = full(MAX_PAGE_RECORDS, network.maxNodeRecordBytes);
  const values = Math.floor(
    MAX_VALUE_ANSWER_BYTES / maxStoredRecordBytes(network),
  );
  const small = MAX_VALUE_ANSWER_BYTES / network.maxPublishers;
  const messages = [
    encodeRequest({ type: "announce", records: page }),
    encodeRequest({
      type: "store",
      record: new Uint8Array(maxStoredRecordBytes(network)),
    }),
    encodeResponse({
      type: "relays",
      records: page,
      cursor: new Uint8Array(MAX_CURSOR_BYTES),
      more: true,
    }),
    encodeResponse({ type: "nodes", records: full(network.k, 1024) }),
    encodeResponse({
      type: "value",
      records: full(values, maxStoredRecordBytes(network)),
    }),
    encodeResponse({
      type: "value",
      records: full(network.maxPublishers, small),
    }),
  ];
  for (const message of messages) {
    assert.ok(message.length <= DEFAULT_FRAME_BYTES, `${message.length} bytes`);
  }
});
