import assert from "node:assert/strict";
import { concat } from "../../lib/base/bytes.ts";
import {
  endToEndFields,
  fieldOptions,
  parseFields,
} from "../../lib/http/head.ts";
import { latin1Bytes, latin1Text } from "../../lib/http/latin1.ts";

Deno.test("parseFields() keeps names and order, and trims values", () => {
  assert.deepEqual(
    parseFields(["Host: x", "a:b", "X-Y: \t c d \t", "e:"], "strict"),
    [
      { name: "Host", key: "host", value: "x" },
      { name: "a", key: "a", value: "b" },
      { name: "X-Y", key: "x-y", value: "c d" },
      { name: "e", key: "e", value: "" },
    ],
  );
});

Deno.test("parseFields() refuses what a client must not send", () => {
  for (
    const [lines, code] of [
      [["Host : x"], "http.field"],
      [["Host\t: x"], "http.field"],
      [[": x"], "http.field"],
      [["Host"], "http.field"],
      [["Ho st: x"], "http.field"],
      [["Ho\xffst: x"], "http.field"],
      [["Host(): x"], "http.field"],
      [["A: b", " folded"], "http.folded"],
      [["A: b", "\tContent-Length: 5"], "http.folded"],
      [[" A: b"], "http.folded"],
    ] as const
  ) {
    assert.throws(() => parseFields(lines, "strict"), {
      name: "ProtocolError",
      code,
    });
  }
});

Deno.test("parseFields() mends what a service may send", () => {
  assert.deepEqual(
    parseFields(["A : b", "C: d", "  e", "\tf"], "tolerant"),
    [
      { name: "A", key: "a", value: "b" },
      { name: "C", key: "c", value: "d e f" },
    ],
  );
  assert.throws(() => parseFields([" A: b"], "tolerant"), {
    code: "http.folded",
  });
  assert.throws(() => parseFields(["A B: c"], "tolerant"), {
    code: "http.field",
  });
});

Deno.test("fieldOptions() reads lists over several fields", () => {
  const fields = parseFields(
    ["Connection: Close, ,X-A", "connection: upgrade"],
    "strict",
  );
  assert.deepEqual(fieldOptions(fields, "connection"), [
    "close",
    "x-a",
    "upgrade",
  ]);
});

Deno.test("endToEndFields() leaves out what is between neighbours, and what they list", () => {
  const lines = [
    "Host: x",
    "Connection: close, X-Secret",
    "X-Secret: 1",
    "Keep-Alive: 5",
    "Proxy-Authorization: Basic YTpi",
    "Proxy-Connection: keep-alive",
    "Proxy-Authenticate: Basic",
    "TE: trailers",
    "Transfer-Encoding: chunked",
    "Upgrade: websocket",
    "Accept: */*",
  ];
  assert.deepEqual(
    endToEndFields(parseFields(lines, "strict")).map(({ name }) => name),
    ["Host", "Accept"],
  );
});

Deno.test("latin1Text() and latin1Bytes() undo each other for all bytes", () => {
  const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  const many = concat(...new Array<Uint8Array>(40).fill(all));
  assert.deepEqual(latin1Bytes(latin1Text(many)), many);
  assert.equal(latin1Text(all).charCodeAt(0x80), 0x80);
  assert.throws(() => latin1Bytes("\u0100"), RangeError);
});
