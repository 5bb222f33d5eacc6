import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { VirtualClock } from "../../lib/base/virtual_clock.ts";
import { ConfigError } from "../../lib/base/errors.ts";
import type { JsonObject, JsonValue } from "../../lib/control/json.ts";
import { DashboardServer } from "../../lib/dashboard/dashboard_server.ts";
import { LogTail } from "../../lib/log/log_tail.ts";
import { createDrain } from "../../lib/sim/world/drain.ts";

const HOUR_MS = 60 * 60 * 1000;
const NO_TRAFFIC = {
  bytesIn: 0,
  bytesOut: 0,
  bytesForward: 0,
  bytesBackward: 0,
};
const HOST_NAME = `${"a".repeat(56)}.anon`;

const GUARD = "g".repeat(52);

/** A dashboard of a node that is told of, with a browser's view of it. */
class World implements AsyncDisposable {
  readonly clock = new VirtualClock({ drain: createDrain() });
  readonly tail = new LogTail();
  readonly commands: (readonly [string, JsonObject])[] = [];
  readonly errors: unknown[] = [];
  readonly server = new DashboardServer({
    address: { host: "127.0.0.1", port: 0 },
    node: {
      ask: (command, args) => this.#ask(command, args),
      traffic: () => NO_TRAFFIC,
      check: () => {
        this.checks++;
        return Promise.resolve([]);
      },
    },
    tail: this.tail,
    clock: this.clock,
    random: seededRandom(1),
    onError: (error) => this.errors.push(error),
  });
  readonly host = `127.0.0.1:${this.server.address.port}`;
  checks = 0;
  path = "";
  cookie = "";

  #ask(command: string, args: JsonObject): Promise<JsonValue> {
    this.commands.push([command, args]);
    const answers: Record<string, JsonValue> = {
      status: { state: "fine", roles: ["client"], relays: 7 },
      circuits: { own: null, relayed: null },
      services: [{ name: "blog", reachable: true }],
      sessions: [],
      visits: [],
      guards: [{ isInUse: true, publicKey: GUARD, addresses: [] }],
      "new-identity": { streams: 2 },
    };
    const answer = answers[command];
    return answer === undefined
      ? Promise.reject(new ConfigError("service.no_session", "There is none"))
      : Promise.resolve(answer);
  }

  /** The commands that change something. */
  get changes(): string[] {
    const looks = ["status", "circuits", "services", "sessions", "visits"];
    return this.commands.map(([name]) => name)
      .filter((name) => !looks.includes(name));
  }

  token(): string {
    return new URL(this.server.newUrl(HOUR_MS)).hash.slice(1);
  }

  /** Come in by a token. */
  async enter(): Promise<this> {
    const answer = await this.post("/session", { token: this.token() });
    const { path } = await answer.json();
    this.path = path;
    this.cookie = answer.headers.get("set-cookie")?.split(";")[0] ?? "";
    return this;
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`http://${this.host}${path}`, {
      headers: { cookie: this.cookie, ...headers },
      redirect: "manual",
    });
  }

  post(
    path: string,
    body: JsonValue,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    return fetch(`http://${this.host}${path}`, {
      method: "POST",
      headers: {
        cookie: this.cookie,
        origin: `http://${this.host}`,
        "content-type": "application/json",
        ...headers,
      },
      body: JSON.stringify(body),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    assert.deepEqual(this.errors, []);
  }
}

/** The status of an answer, whose body is of no interest. */
async function statusOf(answering: Promise<Response>): Promise<number> {
  const answer = await answering;
  await answer.body?.cancel();
  return answer.status;
}

Deno.test("DashboardServer shows all pages, and what the node answers, to who has a cookie", async () => {
  await using world = await new World().enter();
  for (const file of ["", "app.js", "uplot.js", "uplot.css", "style.css"]) {
    assert.equal(await statusOf(world.get(world.path + file)), 200, file);
  }
  world.tail.add(`{"message":"Ready"}`);
  const state = await (await world.get(`${world.path}state`)).json();
  assert.equal(state.snapshot.status.relays, 7);
  assert.equal(state.history.in.length, 360);
  assert.deepEqual(state.log, [{ number: 1, json: `{"message":"Ready"}` }]);
});

Deno.test("DashboardServer tells no word of the node to who has none", async () => {
  await using world = new World();
  assert.match(await (await world.get("/")).text(), /open\.js/);
  assert.equal(await statusOf(world.get("/app.js")), 404);
  await world.enter();
  const { path } = world;
  for (const cookie of ["", "anonnet=", `anonnet=${"a".repeat(52)}`]) {
    for (const name of ["state", "events", "app.js", `qr?text=${HOST_NAME}`]) {
      assert.equal(
        await statusOf(world.get(path + name, { cookie })),
        403,
        name,
      );
    }
    const page = await world.get(path, { cookie });
    await page.body?.cancel();
    assert.deepEqual([page.status, page.headers.get("location")], [303, "/"]);
    assert.equal(
      await statusOf(world.post(`${path}new-identity`, {}, { cookie })),
      403,
    );
  }
  assert.equal(await statusOf(world.get("/state")), 404);
  assert.deepEqual(world.changes, []);
});

Deno.test("DashboardServer refuses tokens that are missing, wrong, used and stale, and stale sessions", async () => {
  await using world = new World();
  const refused = async (body: JsonObject) => {
    const answer = await world.post("/session", body);
    assert.equal(answer.headers.get("set-cookie"), null);
    assert.equal((await answer.json()).code, "dashboard.token");
    return answer.status;
  };
  const used = world.token();
  assert.equal(await statusOf(world.post("/session", { token: used })), 200);
  assert.equal(await refused({ token: used }), 403);
  assert.equal(await refused({}), 403);
  assert.equal(await refused({ token: "a".repeat(52) }), 403);
  assert.equal(await refused({ token: 7 }), 403);
  const stale = world.token();
  await world.clock.advance(HOUR_MS);
  assert.equal(await refused({ token: stale }), 403);
  await world.enter();
  assert.equal(await statusOf(world.get(`${world.path}state`)), 200);
  await world.clock.advance(12 * HOUR_MS);
  assert.equal(await statusOf(world.get(`${world.path}state`)), 403);
});

Deno.test("DashboardServer answers 403 to foreign pages and rebound names, also with the cookie", async () => {
  await using world = await new World().enter();
  const { path } = world;
  const foreign: Record<string, string>[] = [
    { origin: "http://evil.example" },
    { origin: "null" },
    { origin: "http://127.0.0.1:1" },
    { "content-type": "text/plain" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
  ];
  for (const headers of foreign) {
    const name = JSON.stringify(headers);
    assert.equal(
      await statusOf(world.post(`${path}new-identity`, {}, headers)),
      403,
      name,
    );
    if ("content-type" in headers) continue;
    assert.equal(await statusOf(world.get(`${path}state`, headers)), 403, name);
    assert.equal(await statusOf(world.get("/", headers)), 403, name);
  }
  for (
    const host of ["evil.example", `localhost:${world.host.split(":")[1]}`]
  ) {
    const { hostname, port } = new URL(`http://${world.host}`);
    using conn = await Deno.connect({ hostname, port: Number(port) });
    await conn.write(new TextEncoder().encode(
      `GET ${path}state HTTP/1.1\r\nHost: ${host}\r\nCookie: ${world.cookie}\r\n\r\n`,
    ));
    const buffer = new Uint8Array(64);
    const bytes = await conn.read(buffer) ?? 0;
    assert.match(
      new TextDecoder().decode(buffer.subarray(0, bytes)),
      /^HTTP\/1\.1 403 /,
    );
  }
  assert.deepEqual(world.changes, []);
});

Deno.test("DashboardServer changes nothing by GET, and by POST only what it names", async () => {
  await using world = await new World().enter();
  const { path } = world;
  for (
    const name of [
      "new-identity",
      "close-session",
      "guards",
      "dashboard",
      "session",
    ]
  ) {
    assert.equal(await statusOf(world.get(path + name)), 404, name);
  }
  for (const name of ["lookup", "client-key", "dashboard", "state"]) {
    assert.equal(await statusOf(world.post(path + name, {})), 404, name);
  }
  assert.deepEqual(world.changes, []);
  const renewed = await world.post(`${path}new-identity`, {});
  assert.deepEqual(await renewed.json(), { streams: 2 });
  const closed = await world.post(`${path}close-session`, { id: "1234abcd" });
  assert.deepEqual([closed.status, (await closed.json()).code], [
    400,
    "service.no_session",
  ]);
  assert.deepEqual(world.commands.at(-1), ["close-session", {
    id: "1234abcd",
  }]);
});

Deno.test("DashboardServer names guards to who asks by POST, and in no other answer", async () => {
  await using world = await new World().enter();
  const { path } = world;
  const asked = await world.post(`${path}guards`, {});
  const { guards, forMs } = await asked.json();
  assert.deepEqual([guards[0].publicKey, forMs], [GUARD, 300_000]);
  for (
    const headers of [{ origin: "http://evil.example" }, {
      "content-type": "text/plain",
    }, { cookie: "" }]
  ) {
    const refused = await world.post(`${path}guards`, {}, headers);
    assert.equal(refused.status, 403);
    assert.doesNotMatch(await refused.text(), new RegExp(GUARD));
  }
  const state = await (await world.get(`${path}state`)).text();
  assert.doesNotMatch(state, new RegExp(GUARD));
  const stream = await world.get(`${path}events`);
  await world.clock.advance(2_000);
  const text = await readUntil(stream, "event: snapshot");
  assert.doesNotMatch(text, new RegExp(GUARD));
});

Deno.test("DashboardServer looks once for a hundred tabs that ask, and at the machine once a minute", async () => {
  await using world = await new World().enter();
  const looks = () =>
    world.commands.filter(([name]) => name === "status").length;
  for (let tab = 0; tab < 100; tab++) {
    assert.equal(await statusOf(world.get(`${world.path}state`)), 200);
  }
  assert.deepEqual([looks(), world.checks], [1, 1]);
  await world.clock.advance(30_000);
  await statusOf(world.get(`${world.path}state`));
  assert.deepEqual([looks(), world.checks], [2, 1]);
  await world.clock.advance(30_000);
  await statusOf(world.get(`${world.path}state`));
  assert.deepEqual([looks(), world.checks], [3, 2]);
});

Deno.test("DashboardServer holds no more for a tab that does not read a day's events", async () => {
  await using world = await new World().enter();
  const stream = await world.get(`${world.path}events`);
  for (let hour = 0; hour < 24; hour++) {
    for (let line = 0; line < 1000; line++) {
      world.tail.add(`{"message":"${hour} ${line}"}`);
    }
    await world.clock.advance(HOUR_MS);
  }
  assert.ok(stream.body !== null);
  let bytes = 0;
  const reader = stream.body.getReader();
  await world[Symbol.asyncDispose]();
  for (;;) {
    const { value, done } = await reader.read().catch(() => ({
      value: undefined,
      done: true,
    }));
    if (done) break;
    bytes += value?.length ?? 0;
  }
  // What waits in sockets and in eight events, and not 43,200 looks of 1 kB.
  assert.ok(bytes > 0 && bytes < 12_000_000, `${bytes} bytes waited`);
});

Deno.test("DashboardServer takes small JSON objects alone, and draws addresses alone", async () => {
  await using world = await new World().enter();
  const { path } = world;
  for (const body of [[], "x", null, { id: "a".repeat(5000) }]) {
    const answer = await world.post(`${path}close-session`, body);
    assert.deepEqual([answer.status, (await answer.json()).code], [
      400,
      "dashboard.body",
    ]);
  }
  const drawn = await world.get(`${path}qr?text=${HOST_NAME}`);
  assert.match(await drawn.text(), /^<svg /);
  for (const text of ["", "<script>", "x".repeat(9000)]) {
    const url = `${path}qr?text=${encodeURIComponent(text)}`;
    assert.equal(await statusOf(world.get(url)), 400);
  }
});

Deno.test("DashboardServer lets pages load from itself alone, and no page hold them", async () => {
  await using world = await new World().enter();
  for (const path of ["/", world.path, `${world.path}state`, "/nothing"]) {
    const { headers, body } = await world.get(path);
    await body?.cancel();
    const policy = headers.get("content-security-policy") ?? "";
    assert.match(policy, /^default-src 'none'; script-src 'self'; /);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.doesNotMatch(policy, /unsafe|\*|http/);
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.equal(headers.get("referrer-policy"), "no-referrer");
    assert.equal(headers.get("cache-control"), "no-store");
    assert.equal(headers.get("access-control-allow-origin"), null);
  }
});

Deno.test("DashboardServer streams to four tabs of a hundred, and the others can ask", async () => {
  await using world = await new World().enter();
  const streams: Response[] = [];
  const refused: number[] = [];
  for (let tab = 0; tab < 100; tab++) {
    const answer = await world.get(`${world.path}events`);
    if (answer.status === 200) streams.push(answer);
    else {
      assert.equal((await answer.json()).code, "dashboard.too_many_tabs");
      refused.push(answer.status);
    }
  }
  assert.deepEqual([streams.length, new Set(refused)], [4, new Set([503])]);
  assert.equal(await statusOf(world.get(`${world.path}state`)), 200);

  // One look for all of them.
  const before = world.commands.filter(([name]) => name === "status").length;
  await world.clock.advance(2_000);
  for (const stream of streams) {
    const text = await readUntil(stream, "event: snapshot");
    assert.match(text, /"relays":7/);
  }
  const after = world.commands.filter(([name]) => name === "status").length;
  assert.equal(after - before, 1);
});

Deno.test("DashboardServer ends the streams when the node stops", async () => {
  const world = await new World().enter();
  const stream = await world.get(`${world.path}events`);
  await world[Symbol.asyncDispose]();
  await stream.text().catch(() => "cut off");
});

Deno.test("DashboardServer opens on this machine alone, and names a port that is taken", async () => {
  await using world = new World();
  const options = {
    node: {
      ask: () => Promise.resolve(null),
      traffic: () => NO_TRAFFIC,
      check: () => Promise.resolve([]),
    },
    tail: undefined,
    clock: world.clock,
    random: seededRandom(2),
    onError() {},
  };
  const open = (host: string, port: number) => () =>
    new DashboardServer({ ...options, address: { host, port } });
  assert.throws(open("0.0.0.0", 0), { code: "control.public" });
  assert.throws(open("127.0.0.1", world.server.address.port), {
    code: "dashboard.in_use",
  });
});

/** Read a stream until a text has come, and close it. */
async function readUntil(answer: Response, wanted: string): Promise<string> {
  assert.ok(answer.body !== null);
  let text = "";
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.includes(wanted) && text.endsWith("\n\n")) break;
  }
  return text;
}
