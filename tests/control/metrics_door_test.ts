import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { callControl } from "../../lib/control/control_client.ts";
import { ControlServer } from "../../lib/control/control_server.ts";
import {
  MetricsDoor,
  newMetricsToken,
  parseMetricsToken,
} from "../../lib/control/metrics_door.ts";
import { MetricsServer } from "../../lib/control/metrics_server.ts";

const TOKEN = "m".repeat(52);
const CONTROL_TOKEN = "t".repeat(52);
const TYPE = "text/plain; charset=utf-8";
const PLACE = {
  type: "tcp",
  address: { host: "127.0.0.1", port: 9101 },
} as const;
const GOOD = { host: "127.0.0.1:9101", authorization: `Bearer ${TOKEN}` };

function door(): MetricsDoor {
  return new MetricsDoor({ token: TOKEN, type: TYPE, page: () => "a 1\n" });
}

function ask(
  headers: Record<string, string>,
  { method = "GET", path = "/metrics" } = {},
): Response | undefined {
  const url = `http://127.0.0.1:9101${path}`;
  const request = { method, url, headers: new Headers(headers) };
  return door().answer(request, PLACE);
}

Deno.test("MetricsDoor gives the page to who has the token", async () => {
  const response = ask(GOOD);
  assert.equal(response?.status, 200);
  assert.equal(response?.headers.get("content-type"), TYPE);
  assert.equal(await response?.text(), "a 1\n");
});

Deno.test("MetricsDoor answers 403, and nothing else, to a request with any one thing wrong", async () => {
  const { host: _, ...noHost } = GOOD;
  const { authorization: _a, ...noToken } = GOOD;
  const cases: Record<string, string>[] = [
    {},
    noHost,
    noToken,
    { ...GOOD, host: "localhost:9101" },
    { ...GOOD, host: "rebound.example:9101" },
    { ...GOOD, authorization: TOKEN },
    { ...GOOD, authorization: `Bearer ${TOKEN.slice(1)}` },
    { ...GOOD, authorization: `Bearer x${TOKEN.slice(1)}` },
    { ...GOOD, authorization: `Bearer ${CONTROL_TOKEN}` },
    { ...GOOD, authorization: "Bearer " },
    { ...GOOD, origin: "https://page.example" },
    { ...GOOD, origin: "null" },
    { ...GOOD, "sec-fetch-site": "same-origin" },
  ];
  for (const headers of cases) {
    const response = ask(headers);
    assert.equal(response?.status, 403, JSON.stringify(headers));
    assert.equal(await response?.text(), "");
  }
  for (const method of ["HEAD", "POST", "PUT", "OPTIONS", "DELETE"]) {
    assert.equal(ask(GOOD, { method })?.status, 403, method);
  }
});

Deno.test("MetricsDoor leaves other paths to others", () => {
  for (const path of ["/", "/metrics/", "/v1/status", "/METRICS"]) {
    assert.equal(ask(GOOD, { path }), undefined, path);
  }
});

Deno.test("ControlServer gives metrics to their token alone, which opens nothing else", async () => {
  const place = {
    type: "tcp",
    address: { host: "127.0.0.1", port: 0 },
  } as const;
  await using server = new ControlServer({
    place,
    token: CONTROL_TOKEN,
    metrics: door(),
    onError: (_, error) => assert.fail(`${error}`),
  });
  let asked = 0;
  server.register("status", () => {
    asked++;
    return "well";
  });
  assert.ok(server.place.type === "tcp");
  const url = `http://127.0.0.1:${server.place.address.port}/metrics`;
  const get = async (token: string) => {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(url, { headers });
    return [response.status, await response.text()];
  };
  assert.deepEqual(await get(TOKEN), [200, "a 1\n"]);
  assert.deepEqual(await get(CONTROL_TOKEN), [403, ""]);
  await assert.rejects(
    callControl({ place: server.place, token: TOKEN }, "status"),
    { code: "control.unreachable" },
  );
  assert.equal(asked, 0);
  const note = { place: server.place, token: CONTROL_TOKEN };
  assert.equal(await callControl(note, "status"), "well");
});

Deno.test("MetricsServer serves metrics, and nothing else", async () => {
  const address = { host: "127.0.0.1", port: 0 };
  await using server = new MetricsServer(address, door());
  const get = async (path: string, token = TOKEN) => {
    const response = await fetch(
      `http://127.0.0.1:${server.address.port}${path}`,
      { headers: { authorization: `Bearer ${token}` } },
    );
    return [response.status, await response.text()];
  };
  assert.deepEqual(await get("/metrics"), [200, "a 1\n"]);
  assert.deepEqual(await get("/metrics", CONTROL_TOKEN), [403, ""]);
  for (const path of ["/", "/v1/status", "/metrics/x"]) {
    assert.deepEqual(await get(path), [403, ""], path);
  }
  assert.throws(() => new MetricsServer(server.address, door()), {
    code: "control.metrics_in_use",
  });
});

Deno.test("MetricsServer refuses addresses that other machines reach", () => {
  for (const host of ["0.0.0.0", "::", "192.0.2.7", "2001:db8::7"]) {
    assert.throws(() => new MetricsServer({ host, port: 0 }, door()), {
      code: "control.metrics_public",
      message: /they are for this machine alone/,
    });
  }
});

Deno.test("parseMetricsToken() reads what a file holds, and refuses what is no token", () => {
  const token = newMetricsToken(seededRandom(1));
  for (const end of ["", "\n", "\r\n"]) {
    assert.equal(parseMetricsToken(token + end, "a"), token);
  }
  for (const text of ["", "\n", token.slice(1), `${token}\n\n`, ` ${token}`]) {
    assert.throws(() => parseMetricsToken(text, "state/metrics-token"), {
      code: "control.metrics_token",
      message: /"state\/metrics-token" does not hold one; remove it/,
    });
  }
});
