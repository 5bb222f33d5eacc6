import assert from "node:assert/strict";
import { ConfigError, UnreachableError } from "../../lib/base/errors.ts";
import { callControl } from "../../lib/control/control_client.ts";
import type { ControlPlace } from "../../lib/control/control_note.ts";
import { ControlServer } from "../../lib/control/control_server.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";

const TOKEN = "t".repeat(52);
const TCP: ControlPlace = {
  type: "tcp",
  address: { host: "127.0.0.1", port: 0 },
};

interface Failure {
  readonly command: string;
  readonly error: unknown;
}

function open(place: ControlPlace, failures: Failure[] = []): ControlServer {
  return new ControlServer({
    place,
    token: TOKEN,
    onError: (command, error) => failures.push({ command, error }),
  });
}

/** Send bytes as they are, and give back the status line of the answer. */
async function sendRaw(server: ControlServer, text: string): Promise<string> {
  assert.ok(server.place.type === "tcp");
  const { host: hostname, port } = server.place.address;
  using conn = await Deno.connect({ hostname, port });
  await conn.write(new TextEncoder().encode(text));
  const buffer = new Uint8Array(4096);
  const bytes = await conn.read(buffer) ?? 0;
  return new TextDecoder().decode(buffer.subarray(0, bytes)).split("\r\n")[0] ??
    "";
}

Deno.test("ControlServer answers over TCP, with arguments", async () => {
  await using server = open(TCP);
  server.register("echo", (args) => ({ got: args["a"] ?? null }));
  const note = { place: server.place, token: TOKEN };
  assert.deepEqual(await callControl(note, "echo", { a: [1, "b"] }), {
    got: [1, "b"],
  });
  assert.deepEqual(await callControl(note, "echo"), { got: null });
});

Deno.test({
  name: "ControlServer answers over a unix socket, and takes it away with it",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using home = await TemporaryDirectory.create();
    const place = { type: "unix", path: home.pathOf("control.sock") } as const;
    {
      await using server = open(place);
      server.register("status", () => "well");
      assert.equal(
        await callControl({ place, token: TOKEN }, "status"),
        "well",
      );
      await assert.rejects(
        callControl({ place, token: `x${TOKEN.slice(1)}` }, "status"),
        UnreachableError,
      );
    }
    await assert.rejects(Deno.stat(place.path), Deno.errors.NotFound);
    await assert.rejects(callControl({ place, token: TOKEN }, "status"), {
      code: "control.unreachable",
    });
  },
});

Deno.test("ControlServer passes errors on with their code, and reports our own", async () => {
  const failures: Failure[] = [];
  await using server = open(TCP, failures);
  const note = { place: server.place, token: TOKEN };
  server.register("wrong", () => {
    throw new ConfigError("x.wrong", "Cannot read address: too short");
  });
  server.register("gone", () => {
    throw new UnreachableError("x.gone", "Cannot look up: no node answers");
  });
  server.register("bug", () => {
    throw new TypeError("x is undefined");
  });
  await assert.rejects(callControl(note, "wrong"), {
    name: "ConfigError",
    code: "x.wrong",
    message: "Cannot read address: too short",
  });
  await assert.rejects(callControl(note, "gone"), {
    name: "UnreachableError",
    code: "x.gone",
  });
  assert.equal(failures.length, 0);
  await assert.rejects(callControl(note, "bug"), { code: "unknown" });
  assert.equal(failures.length, 1);
  await assert.rejects(callControl(note, "none"), { code: "control.command" });
});

Deno.test("ControlServer answers 403 to web pages, rebound names and wrong tokens", async () => {
  await using server = open(TCP);
  server.register("status", () => assert.fail("let in"));
  assert.ok(server.place.type === "tcp");
  const host = `127.0.0.1:${server.place.address.port}`;
  const body = "content-length: 2\r\n\r\n{}";
  const token = `authorization: Bearer ${TOKEN}\r\n`;
  const json = "content-type: application/json\r\n";
  const line = "POST /v1/status HTTP/1.1\r\n";
  for (
    const request of [
      `GET / HTTP/1.1\r\nhost: ${host}\r\n\r\n`,
      `OPTIONS /v1/status HTTP/1.1\r\nhost: ${host}\r\norigin: http://a.example\r\n\r\n`,
      `${line}host: ${host}\r\n${json}${body}`,
      `${line}host: ${host}\r\n${json}authorization: Bearer x\r\n${body}`,
      `${line}host: rebound.example\r\n${token}${json}${body}`,
      `${line}host: ${host}\r\norigin: http://a.example\r\n${token}${json}${body}`,
      `${line}host: ${host}\r\n${token}content-type: text/plain\r\n${body}`,
      `POST http://${host}/v1/status HTTP/1.1\r\nhost: a.example\r\n${token}${json}${body}`,
    ]
  ) assert.match(await sendRaw(server, request), / 403 /, request);
});

Deno.test("ControlServer gives a browser's script no answer it could read", async () => {
  await using server = open(TCP);
  assert.ok(server.place.type === "tcp");
  const url = `http://127.0.0.1:${server.place.address.port}/v1/status`;
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization: `Bearer ${TOKEN}`, origin: "null" },
  });
  assert.equal(response.status, 403);
  assert.equal(await response.text(), "");
  assert.equal(response.headers.get("access-control-allow-origin"), null);
});

Deno.test("ControlServer refuses bodies that are too long or no JSON object", async () => {
  await using server = open(TCP);
  server.register("status", () => assert.fail("called"));
  const note = { place: server.place, token: TOKEN };
  await assert.rejects(
    callControl(note, "status", { a: "x".repeat(65_536) }),
    { code: "control.body" },
  );
  assert.ok(server.place.type === "tcp");
  const url = `http://127.0.0.1:${server.place.address.port}/v1/status`;
  for (const body of ["{", "[]", "null", "1", '"a"', "{}x"]) {
    const response = await fetch(url, {
      method: "POST",
      headers: {
        authorization: `Bearer ${TOKEN}`,
        "content-type": "application/json",
      },
      body,
    });
    assert.equal(response.status, 400, body);
    assert.equal((await response.json()).code, "control.body");
  }
});

Deno.test("ControlServer ends commands under way when it closes", async () => {
  const started = Promise.withResolvers<void>();
  const server = open(TCP);
  server.register("wait", (_args, { signal }) => {
    started.resolve();
    const ended = Promise.withResolvers<null>();
    signal.addEventListener("abort", () => ended.resolve(null));
    return ended.promise;
  });
  const call = callControl({ place: server.place, token: TOKEN }, "wait");
  const ended = call.then(() => "answered", () => "cut off");
  await started.promise;
  await server[Symbol.asyncDispose]();
  assert.match(await ended, /answered|cut off/);
});

Deno.test("ControlServer refuses addresses that other machines reach, and ports in use", async () => {
  for (const host of ["0.0.0.0", "::", "192.0.2.7", "2001:db8::7"]) {
    assert.throws(
      () => open({ type: "tcp", address: { host, port: 0 } }),
      { code: "control.public" },
    );
  }
  await using server = open(TCP);
  assert.throws(() => open(server.place), { code: "control.in_use" });
});

Deno.test("callControl() gives up when told to", async () => {
  await using server = open(TCP);
  server.register("wait", (_args, { signal }) => {
    const ended = Promise.withResolvers<null>();
    signal.addEventListener("abort", () => ended.resolve(null));
    return ended.promise;
  });
  const reason = new UnreachableError("test.late", "Too late");
  const stop = new AbortController();
  const call = callControl({ place: server.place, token: TOKEN }, "wait", {}, {
    signal: stop.signal,
  });
  stop.abort(reason);
  await assert.rejects(call, reason);
});
