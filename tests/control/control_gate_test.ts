import assert from "node:assert/strict";
import { admitRequest } from "../../lib/control/control_gate.ts";

const TOKEN = "t".repeat(52);
const TCP = {
  type: "tcp",
  address: { host: "127.0.0.1", port: 4101 },
} as const;
const GOOD = {
  host: "127.0.0.1:4101",
  authorization: `Bearer ${TOKEN}`,
  "content-type": "application/json",
};

function admit(
  headers: Record<string, string>,
  { method = "POST", path = "/v1/status" } = {},
): string | undefined {
  const url = `http://127.0.0.1:4101${path}`;
  return admitRequest(
    { method, url, headers: new Headers(headers) },
    TCP,
    TOKEN,
  );
}

Deno.test("admitRequest() lets a program with the token in", () => {
  assert.equal(admit(GOOD), "status");
  assert.equal(admit(GOOD, { path: "/v1/close-link" }), "close-link");
});

Deno.test("admitRequest() refuses a request with any one thing wrong", () => {
  const { host: _, ...noHost } = GOOD;
  const { authorization: _a, ...noToken } = GOOD;
  const { "content-type": _c, ...noType } = GOOD;
  const cases: Record<string, string>[] = [
    {},
    noHost,
    noToken,
    noType,
    { ...GOOD, host: "127.0.0.1" },
    { ...GOOD, host: "127.0.0.1:4102" },
    { ...GOOD, host: "localhost:4101" },
    { ...GOOD, host: "rebound.example:4101" },
    { ...GOOD, host: "control.anonnet.invalid" },
    { ...GOOD, authorization: TOKEN },
    { ...GOOD, authorization: `Basic ${TOKEN}` },
    { ...GOOD, authorization: `Bearer ${TOKEN.slice(1)}` },
    { ...GOOD, authorization: `Bearer ${TOKEN}t` },
    { ...GOOD, authorization: `Bearer u${TOKEN.slice(1)}` },
    { ...GOOD, authorization: "Bearer " },
    { ...GOOD, "content-type": "text/plain" },
    { ...GOOD, "content-type": "application/x-www-form-urlencoded" },
    { ...GOOD, origin: "https://page.example" },
    { ...GOOD, origin: "null" },
    { ...GOOD, origin: "http://127.0.0.1:4101" },
    { ...GOOD, "sec-fetch-site": "same-origin" },
    { ...GOOD, "sec-fetch-site": "cross-site" },
  ];
  for (const headers of cases) {
    assert.equal(admit(headers), undefined, JSON.stringify(headers));
  }
});

Deno.test("admitRequest() refuses other methods and paths", () => {
  for (const method of ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]) {
    assert.equal(admit(GOOD, { method }), undefined, method);
  }
  for (
    const path of [
      "/",
      "/v1",
      "/v1/",
      "/v2/status",
      "/v1/Status",
      "/v1/status/",
      "/v1/status/x",
      "//v1/status",
      "/v1/%73tatus",
      `/v1/${"a".repeat(33)}`,
    ]
  ) assert.equal(admit(GOOD, { path }), undefined, path);
});

Deno.test("admitRequest() refuses a host that is none, and does not fail", () => {
  const headers = new Headers({ ...GOOD, host: "<" });
  const request = { method: "POST", url: "http://</v1/status", headers };
  assert.equal(admitRequest(request, TCP, TOKEN), undefined);
});
