import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import {
  DashboardGate,
  isFromHere,
} from "../../lib/dashboard/dashboard_gate.ts";

const HOST = "127.0.0.1:9290";
const HOUR_MS = 60 * 60 * 1000;

function request(
  headers: Readonly<Record<string, string>>,
  method = "GET",
): Request {
  return new Request(`http://${HOST}/`, { method, headers });
}

/** A request with the cookie that a browser would send back. */
function withCookie(setCookie: string | undefined): Request {
  assert.ok(setCookie !== undefined);
  const [cookie = ""] = setCookie.split(";");
  return request({ cookie: `other=1; ${cookie}` });
}

Deno.test("DashboardGate trades a token once, within its time", () => {
  const gate = new DashboardGate(seededRandom(1));
  const token = gate.newToken(HOUR_MS, 0);
  const stale = gate.newToken(HOUR_MS, 0);
  assert.equal(gate.exchange("", 1), undefined);
  assert.equal(gate.exchange("a".repeat(52), 1), undefined);
  assert.equal(gate.exchange(stale, HOUR_MS), undefined);
  const cookie = gate.exchange(token, HOUR_MS - 1);
  assert.match(
    cookie ?? "",
    /^anonnet=[a-z2-7]{52}; Path=\/[a-z2-7]{52}\/; HttpOnly; SameSite=Strict; Max-Age=43200$/,
  );
  assert.ok(!cookie?.includes(token), "the session is not the token");
  assert.equal(gate.exchange(token, HOUR_MS - 1), undefined);
});

Deno.test("DashboardGate lets a session in for twelve hours, and no other", () => {
  const gate = new DashboardGate(seededRandom(1));
  const cookie = gate.exchange(gate.newToken(1, 0), 0);
  const asked = withCookie(cookie);
  assert.ok(gate.sessionOf(asked, 12 * HOUR_MS - 1));
  assert.equal(gate.sessionOf(asked, 12 * HOUR_MS), undefined);
  assert.equal(gate.sessionOf(request({}), 1), undefined);
  assert.equal(gate.sessionOf(request({ cookie: "anonnet=" }), 1), undefined);
  const stranger = new DashboardGate(seededRandom(2));
  const foreign = stranger.exchange(stranger.newToken(1, 0), 0);
  assert.equal(gate.sessionOf(withCookie(foreign), 1), undefined);
});

Deno.test("DashboardGate keeps the last 16 tokens and sessions", () => {
  const gate = new DashboardGate(seededRandom(1));
  const tokens = Array.from({ length: 17 }, () => gate.newToken(HOUR_MS, 0));
  const [first = "", ...rest] = tokens;
  assert.equal(gate.exchange(first, 1), undefined);
  const requests = rest.map((token) => withCookie(gate.exchange(token, 1)));
  requests.push(withCookie(gate.exchange(gate.newToken(HOUR_MS, 0), 1)));
  const isIn = requests.map((request) =>
    gate.sessionOf(request, 2) !== undefined
  );
  assert.deepEqual(isIn, [false, ...Array(16).fill(true)]);
});

const JSON_FROM_HERE = {
  host: HOST,
  origin: `http://${HOST}`,
  "content-type": "application/json",
};

const PASSED: readonly (readonly [string, string, Record<string, string>])[] = [
  ["an address typed in", "GET", { host: HOST, "sec-fetch-site": "none" }],
  ["a file of a page", "GET", { host: HOST, "sec-fetch-site": "same-origin" }],
  ["a script's POST", "POST", JSON_FROM_HERE],
];

const REFUSED: readonly (readonly [string, string, Record<string, string>])[] =
  [
    ["a rebound name", "GET", { host: "evil.example:9290" }],
    ["localhost", "GET", { host: "localhost:9290" }],
    ["no host", "GET", {}],
    ["a foreign origin", "GET", { host: HOST, origin: "http://evil.example" }],
    ["an opaque origin", "GET", { host: HOST, origin: "null" }],
    ["another port of this host", "POST", {
      ...JSON_FROM_HERE,
      origin: "http://127.0.0.1:8000",
    }],
    ["a link of another port", "GET", {
      host: HOST,
      "sec-fetch-site": "same-site",
    }],
    ["a link of another site", "GET", {
      host: HOST,
      "sec-fetch-site": "cross-site",
    }],
    ["a POST without an origin", "POST", {
      host: HOST,
      "content-type": "application/json",
    }],
    ["a form", "POST", {
      ...JSON_FROM_HERE,
      "content-type": "application/x-www-form-urlencoded",
    }],
    ["another method", "PUT", JSON_FROM_HERE],
  ];

for (const [name, method, headers] of PASSED) {
  Deno.test(`isFromHere() passes ${name}`, () => {
    const asked = {
      method,
      url: `http://${HOST}/`,
      headers: new Headers(headers),
    };
    assert.ok(isFromHere(asked, HOST));
  });
}

for (const [name, method, headers] of REFUSED) {
  Deno.test(`isFromHere() refuses ${name}`, () => {
    const asked = {
      method,
      url: `http://${HOST}/`,
      headers: new Headers(headers),
    };
    assert.ok(!isFromHere(asked, HOST));
  });
}
