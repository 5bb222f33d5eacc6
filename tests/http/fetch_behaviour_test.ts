/**
 * What programs expect of `fetch`, by behaviour: each row is something that the
 * web-platform-tests of fetch/api ask of browsers, as far as it applies to a client
 * without origins, cookies and caches.
 */
import assert from "node:assert/strict";
import { VirtualClock } from "../../lib/base/virtual_clock.ts";
import { HttpClient, type HttpFetchInit } from "../../lib/http/client.ts";
import { latin1Bytes, latin1Text } from "../../lib/http/latin1.ts";
import { createDrain } from "../../lib/sim/world/drain.ts";
import type { PairEnd } from "../proxy/stream_pair.ts";
import { FakeGateway, HOST } from "../proxy/world.ts";
import { runOn } from "../transport/world.ts";

const SITE = `http://${HOST}`;
const OTHER = `http://${"b".repeat(56)}.anon`;

/** One connection, as the service sees it. */
class Call {
  readonly stream: PairEnd;
  #text = "";

  constructor(stream: PairEnd) {
    this.stream = stream;
  }

  /** What has come, up to and with this text. */
  async until(text: string): Promise<string> {
    while (!this.#text.includes(text)) {
      const bytes = await this.stream.read();
      if (bytes === undefined) throw new Error(`the end after ${this.#text}`);
      this.#text += latin1Text(bytes);
    }
    const end = this.#text.indexOf(text) + text.length;
    const found = this.#text.slice(0, end);
    this.#text = this.#text.slice(end);
    return found;
  }

  /** The next request: its head, and its body without chunks. */
  async request(): Promise<{ head: string; body: string }> {
    const head = await this.until("\r\n\r\n");
    const [, length] = /^content-length: (\d+)\r$/im.exec(head) ?? [];
    if (length !== undefined) {
      while (this.#text.length < Number(length)) {
        const bytes = await this.stream.read();
        if (bytes === undefined) throw new Error("the end");
        this.#text += latin1Text(bytes);
      }
      const body = this.#text.slice(0, Number(length));
      this.#text = this.#text.slice(Number(length));
      return { head, body };
    }
    if (!/^transfer-encoding: chunked\r$/im.test(head)) {
      return { head, body: "" };
    }
    let body = "";
    for (;;) {
      const size = parseInt(await this.until("\r\n"), 16);
      while (this.#text.length < size + 2) await this.#more();
      body += this.#text.slice(0, size);
      this.#text = this.#text.slice(size + 2);
      if (size === 0) return { head, body };
    }
  }

  async answer(...lines: readonly string[]): Promise<void> {
    await this.send(`HTTP/1.1 ${lines.join("\r\n")}\r\n\r\n`);
  }

  async send(text: string): Promise<void> {
    await this.stream.write(latin1Bytes(text));
  }

  async #more(): Promise<void> {
    const bytes = await this.stream.read();
    if (bytes === undefined) throw new Error("the end");
    this.#text += latin1Text(bytes);
  }
}

/** What a test has: a client, and what runs at its services. */
interface World {
  fetch(input: RequestInfo | URL, init?: HttpFetchInit): Promise<Response>;
  readonly gateway: FakeGateway;
  /** Aborts all of it. */
  readonly closing: AbortController;
}

async function inWorld(
  service: (call: Call) => Promise<void>,
  test: (world: World) => Promise<void>,
): Promise<void> {
  const clock = new VirtualClock({ drain: createDrain() });
  const gateway = new FakeGateway();
  gateway.service = (stream) => service(new Call(stream)).catch(() => {});
  const closing = new AbortController();
  using client = new HttpClient({ gateway, clock, signal: closing.signal });
  const fetch: World["fetch"] = (input, init) => client.fetch(input, init);
  await runOn(clock, test({ fetch, gateway, closing }));
}

/** A service that tells what it was sent, for any number of requests. */
async function mirror(call: Call): Promise<void> {
  for (;;) {
    const { head, body } = await call.request();
    const text = JSON.stringify({ head, body });
    await call.answer("200 OK", `Content-Length: ${text.length}`);
    await call.send(text);
  }
}

interface Mirrored {
  readonly head: string;
  readonly body: string;
}

async function mirrored(response: Response): Promise<Mirrored> {
  return await response.json();
}

/** A stream that a test feeds. */
function fed() {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  return {
    readable,
    write: (text: string) => writer.write(latin1Bytes(text)),
    close: () => writer.close(),
    fail: (error: unknown) => writer.abort(error),
    closed: writer.closed,
  };
}

// ---- requests ----

Deno.test("fetch() refuses what no request can be with a TypeError, before anything is opened", () =>
  inWorld(mirror, async ({ fetch, gateway }) => {
    const rows: readonly (readonly [string, HttpFetchInit])[] = [
      [SITE, { method: "CONNECT" }],
      [SITE, { method: "trace" }],
      [SITE, { method: "TrAcK" }],
      [SITE, { method: "two words" }],
      [SITE, { method: "GET", body: "x" }],
      [SITE, { method: "HEAD", body: "x" }],
      [SITE, { headers: { "a b": "x" } }],
      [SITE, { headers: { a: "x\ny" } }],
      [`http://user:secret@${HOST}/`, {}],
      [`http://user@${HOST}/`, {}],
      ["/relative", {}],
      ["http://:bad", {}],
    ];
    for (const [url, init] of rows) {
      await assert.rejects(fetch(url, init), TypeError, JSON.stringify(init));
    }
    const used = new Request(SITE, { method: "POST", body: "x" });
    await used.text();
    await assert.rejects(fetch(used), TypeError);
    await assert.rejects(
      fetch(new Request(`http://user:secret@${HOST}/`)),
      (error: unknown) =>
        error instanceof TypeError && !error.message.includes("secret"),
    );
    assert.equal(gateway.asked.length, 0);
  }));

Deno.test("fetch() writes methods as the standard normalises them", () =>
  inWorld(mirror, async ({ fetch }) => {
    for (
      const [method, sent] of [
        ["get", "GET"],
        ["PoSt", "POST"],
        ["delete", "DELETE"],
        ["put", "PUT"],
        ["options", "OPTIONS"],
        ["patch", "patch"],
        ["Purge", "Purge"],
      ] as const
    ) {
      const { head } = await mirrored(await fetch(SITE, { method }));
      assert.equal(head.split(" ")[0], sent);
    }
  }));

Deno.test("fetch() sends every kind of body, those that are there as a whole with their length", () =>
  inWorld(mirror, async ({ fetch }) => {
    const form = new FormData();
    form.set("a", "b");
    const large = "x".repeat(300_000);
    const rows: readonly (readonly [
      string,
      BodyInit,
      RegExp,
      RegExp | undefined,
    ])[] = [
      ["text", "äö", /^äö$/, /^text\/plain;charset=utf-8$/i],
      ["a large text", large, /^x{300000}$/, /^text\/plain;charset=utf-8$/i],
      ["bytes", new Uint8Array([97, 98]), /^ab$/, undefined],
      ["a buffer", new Uint8Array([97]).buffer, /^a$/, undefined],
      ["a view", new DataView(new ArrayBuffer(3), 1, 1), /^\0$/, undefined],
      ["a blob", new Blob(["ab"], { type: "a/b" }), /^ab$/, /^a\/b$/],
      [
        "parameters",
        new URLSearchParams({ a: "b c" }),
        /^a=b\+c$/,
        /^application\/x-www-form-urlencoded/,
      ],
      ["a form", form, /name="a"\r\n\r\nb\r\n/, /^multipart\/form-data; bou/],
    ];
    for (const [name, body, sent, type] of rows) {
      const got = await mirrored(await fetch(SITE, { method: "POST", body }));
      assert.match(got.body, sent, name);
      assert.match(got.head, /^content-length: [1-9]/im, name);
      const [, said] = /^content-type: (.*)\r$/im.exec(got.head) ?? [];
      if (type === undefined) assert.equal(said, undefined, name);
      else assert.match(said ?? "", type, name);
    }
    for (const method of ["POST", "PUT"]) {
      const got = await mirrored(await fetch(SITE, { method }));
      assert.match(got.head, /^content-length: 0\r$/im);
    }
  }));

Deno.test("fetch() takes Request objects, and what is given beside one wins", () =>
  inWorld(mirror, async ({ fetch }) => {
    const request = new Request(`${SITE}/a`, {
      method: "PUT",
      body: "first",
      headers: { "x-a": "1" },
    });
    const plain = await mirrored(await fetch(request.clone()));
    assert.match(plain.head, /^PUT \/a [^]*x-a: 1/);
    assert.match(plain.head, /content-length: 5/i);
    assert.equal(plain.body, "first");
    const given = await mirrored(
      await fetch(request, { body: "second", headers: { "x-b": "2" } }),
    );
    assert.match(given.head, /^PUT \/a [^]*x-b: 2/);
    assert.doesNotMatch(given.head, /x-a/);
    assert.equal(given.body, "second");
  }));

Deno.test("fetch() sends a stream as it is written, and the head before its first byte", async () => {
  const seen: string[] = [];
  const heard = [1, 2, 3].map(() => Promise.withResolvers<void>());
  await inWorld(async (call) => {
    seen.push(await call.until("\r\n\r\n"));
    heard[0]?.resolve();
    seen.push(await call.until("one\r\n"));
    heard[1]?.resolve();
    seen.push(await call.until("two\r\n"));
    heard[2]?.resolve();
    seen.push(await call.until("0\r\n\r\n"));
    await call.answer("200 OK", "Content-Length: 0");
  }, async ({ fetch }) => {
    const body = fed();
    const init = { method: "POST", body: body.readable, duplex: "half" };
    const fetching = fetch(SITE, init as HttpFetchInit);
    await heard[0]?.promise;
    await body.write("one");
    await heard[1]?.promise;
    await body.write("two");
    await heard[2]?.promise;
    await body.close();
    assert.equal((await fetching).status, 200);
    assert.match(seen[0] ?? "", /^transfer-encoding: chunked\r$/im);
    assert.deepEqual(seen.slice(1), [
      "3\r\none\r\n",
      "3\r\ntwo\r\n",
      "0\r\n\r\n",
    ]);
  });
});

Deno.test("fetch() rejects with what the body of the request fails with, before the head and after", async () => {
  const reason = new Error("the source is gone");
  await inWorld(async (call) => {
    await call.until("\r\n\r\n");
    await call.until("part\r\n");
  }, async ({ fetch, gateway }) => {
    const body = fed();
    const fetching = fetch(SITE, { method: "POST", body: body.readable });
    await body.write("part");
    body.fail(reason).catch(() => {});
    await assert.rejects(fetching, reason);
    assert.ok(gateway.opened.every(({ client }) => client.isAborted));
  });
  await inWorld(async (call) => {
    await call.until("part\r\n");
    await call.answer("200 OK", "Content-Length: 10");
    await call.send("abc");
  }, async ({ fetch, gateway }) => {
    const body = fed();
    const fetching = fetch(SITE, { method: "POST", body: body.readable });
    await body.write("part");
    const response = await fetching;
    const reading = response.text();
    body.fail(reason).catch(() => {});
    await assert.rejects(reading, reason);
    assert.ok(gateway.last.client.isAborted);
  });
  await inWorld(mirror, async ({ fetch }) => {
    const failed = new ReadableStream({
      start: (controller) => controller.error(reason),
    });
    await assert.rejects(fetch(SITE, { method: "POST", body: failed }), reason);
    const text = ReadableStream.from(["text" as unknown as Uint8Array]);
    await assert.rejects(
      fetch(SITE, { method: "POST", body: text }),
      TypeError,
    );
  });
});

// ---- responses ----

Deno.test("fetch() ends a body that is empty with the head, and uses the connection again", async () => {
  const rows: readonly (readonly [string, string, string, boolean])[] = [
    ["GET", "201 Created", "Content-Length: 0", false],
    ["POST", "200 OK", "Content-Length: 0", false],
    ["GET", "404 Not Found", "Content-Length: 0", false],
    ["GET", "204 No Content", "X: y", true],
    ["GET", "205 Reset Content", "Content-Length: 0", true],
    ["GET", "304 Not Modified", "Content-Length: 5", true],
    ["HEAD", "200 OK", "Content-Length: 5", true],
  ];
  for (const [method, status, field, isNull] of rows) {
    let calls = 0;
    await inWorld(async (call) => {
      calls++;
      for (;;) {
        await call.request();
        await call.answer(status, field);
      }
    }, async ({ fetch }) => {
      const response = await fetch(SITE, { method });
      assert.equal(response.body === null, isNull, status);
      // The connection is free though the program has not read the body.
      await (await fetch(SITE)).body?.cancel();
      assert.equal(calls, 1, `${method} ${status}`);
      assert.equal(await response.text(), "");
    });
  }
});

Deno.test("fetch() gives each part of a body when it has come", async () => {
  const next = [1, 2].map(() => Promise.withResolvers<void>());
  for (const isChunked of [true, false]) {
    const framing = isChunked ? "Transfer-Encoding: chunked" : "X: y";
    const part = (text: string) => isChunked ? `9\r\n${text}\r\n` : text;
    await inWorld(async (call) => {
      await call.request();
      await call.answer("200 OK", framing);
      await next[0]?.promise;
      await call.send(part("data: 1\n\n"));
      await next[1]?.promise;
      await call.send(part("data: 2\n\n"));
      if (isChunked) await call.send("0\r\n\r\n");
      await call.stream.closeWrite();
    }, async ({ fetch }) => {
      const response = await fetch(SITE);
      const reader = response.body?.getReader();
      next[0]?.resolve();
      const first = await reader?.read();
      assert.equal(latin1Text(first?.value ?? latin1Bytes("")), "data: 1\n\n");
      next[1]?.resolve();
      const second = await reader?.read();
      assert.equal(latin1Text(second?.value ?? latin1Bytes("")), "data: 2\n\n");
      assert.equal((await reader?.read())?.done, true);
    });
  }
});

Deno.test("fetch() gives a response that knows its address, also as a clone, and whose headers stay as they are", async () => {
  await inWorld(async (call) => {
    for (;;) {
      const { head } = await call.request();
      if (head.startsWith("GET /from ")) {
        await call.answer(
          "302 Found",
          "Location: /to#there",
          "Content-Length: 0",
        );
      } else {
        await call.answer(
          "200 Fine",
          "Set-Cookie: a=b",
          "Set-Cookie: c=d",
          "Content-Type: text/plain",
          "Content-Length: 2",
        );
        await call.send("ok");
      }
    }
  }, async ({ fetch }) => {
    for (
      const [path, url, redirected] of [
        ["/to?a=b#c", `${SITE}/to?a=b`, false],
        ["/from#c", `${SITE}/to`, true],
      ] as const
    ) {
      const response = await fetch(SITE + path);
      const copy = response.clone();
      for (const one of [response, copy, copy.clone()]) {
        assert.ok(one instanceof Response);
        assert.equal(one.url, url);
        assert.equal(one.redirected, redirected);
        assert.equal(one.type, "basic");
        assert.deepEqual([one.status, one.statusText, one.ok], [
          200,
          "Fine",
          true,
        ]);
        assert.deepEqual(one.headers.getSetCookie(), ["a=b", "c=d"]);
        for (
          const change of [
            () => one.headers.set("a", "b"),
            () => one.headers.append("a", "b"),
            () => one.headers.delete("content-type"),
          ]
        ) assert.throws(change, TypeError);
        assert.equal(await one.text(), "ok");
        assert.throws(() => one.clone(), TypeError);
        await assert.rejects(one.text(), TypeError);
      }
    }
  });
});

// ---- redirects ----

/** A service that answers `/from` with a redirect, and mirrors all else. */
function redirecting(status: number, location: string) {
  return async (call: Call) => {
    for (;;) {
      const { head, body } = await call.request();
      if (/^[A-Za-z]+ \/from /.test(head)) {
        await call.answer(
          `${status} Over There`,
          `Location: ${location}`,
          "Content-Length: 0",
        );
        continue;
      }
      const text = JSON.stringify({ head, body });
      await call.answer("200 OK", `Content-Length: ${text.length}`);
      if (!head.startsWith("HEAD")) await call.send(text);
    }
  };
}

Deno.test("fetch() follows each redirect with the method and body that the standard says", async () => {
  const large = "x".repeat(200_000);
  const rows: readonly (readonly [number, string, string])[] = [
    [301, "POST", "GET"],
    [302, "POST", "GET"],
    [303, "POST", "GET"],
    [307, "POST", "POST"],
    [308, "POST", "POST"],
    [301, "PUT", "PUT"],
    [302, "PUT", "PUT"],
    [303, "PUT", "GET"],
    [307, "PUT", "PUT"],
    [301, "GET", "GET"],
    [303, "GET", "GET"],
    [308, "GET", "GET"],
  ];
  for (const [status, method, becomes] of rows) {
    await inWorld(redirecting(status, "/to"), async ({ fetch }) => {
      const init = method === "GET" ? { method } : { method, body: large };
      const { head, body } = await mirrored(
        await fetch(`${SITE}/from`, init),
      );
      assert.ok(head.startsWith(`${becomes} /to `), `${status} ${method}`);
      assert.equal(body.length, becomes === "GET" ? 0 : large.length);
      assert.equal(/content-type/i.test(head), becomes !== "GET");
    });
  }
  await inWorld(redirecting(303, "/to"), async ({ fetch, gateway }) => {
    const response = await fetch(`${SITE}/from`, { method: "HEAD" });
    assert.deepEqual([response.status, response.url], [200, `${SITE}/to`]);
    assert.equal(gateway.opened.length, 1);
  });
});

Deno.test("fetch() cannot send a stream twice: a TypeError where a redirect asks for it", async () => {
  for (const status of [301, 302, 307, 308]) {
    await inWorld(redirecting(status, "/to"), async ({ fetch }) => {
      const body = ReadableStream.from([latin1Bytes("short")]);
      await assert.rejects(
        fetch(`${SITE}/from`, { method: "POST", body }),
        TypeError,
      );
    });
  }
  await inWorld(redirecting(303, "/to"), async ({ fetch }) => {
    const body = ReadableStream.from([latin1Bytes("short")]);
    const response = await fetch(`${SITE}/from`, { method: "POST", body });
    assert.match((await mirrored(response)).head, /^GET \/to /);
  });
});

Deno.test("fetch() leaves redirects alone where it is told to, and fails on them where it is told to", () =>
  inWorld(redirecting(302, "/to"), async ({ fetch }) => {
    const manual = await fetch(`${SITE}/from`, { redirect: "manual" });
    assert.equal(manual.status, 302);
    assert.equal(manual.headers.get("location"), "/to");
    assert.equal(manual.redirected, false);
    await assert.rejects(fetch(`${SITE}/from`, { redirect: "error" }), {
      code: "http.redirects",
    });
    assert.equal(
      (await fetch(`${SITE}/to`, { redirect: "error" })).status,
      200,
    );
  }));

Deno.test("fetch() follows no redirect out of the network, names where it led, and opens nothing there", async () => {
  for (
    const [location, expected] of [
      ["http://example.com/a?b", {
        code: "proxy.not_anon",
        at: /example\.com/,
      }],
      ["//example.com/", { code: "proxy.not_anon", at: /example\.com/ }],
      ["http://127.0.0.1:8080/", {
        code: "proxy.not_anon",
        at: /127\.0\.0\.1/,
      }],
      [`https://${HOST}/`, { code: "http.redirects", at: /https:/ }],
      ["data:text/plain,x", { code: "http.redirects", at: /data:/ }],
      ["http://:bad", { code: "http.redirects", at: /address/ }],
      [
        `http://user:secret@${HOST}/`,
        { code: "http.redirects", at: /password/ },
      ],
      ["/from", { code: "http.redirects", at: /too many/ }],
    ] as const
  ) {
    await inWorld(redirecting(302, location), async ({ fetch, gateway }) => {
      await assert.rejects(fetch(`${SITE}/from`), {
        code: expected.code,
        message: expected.at,
      }, location);
      assert.deepEqual(
        new Set(gateway.asked.map(({ host }) => host)),
        new Set([HOST]),
      );
    });
  }
});

Deno.test("fetch() reads the address of a redirect as UTF-8, and keeps what is private from other origins", async () => {
  await inWorld(redirecting(302, "/\xc3\xa4"), async ({ fetch }) => {
    const response = await fetch(`${SITE}/from`);
    assert.equal(response.url, `${SITE}/%C3%A4`);
  });
  const headers = { authorization: "secret", cookie: "secret", "x-a": "1" };
  for (
    const [location, isKept] of [
      [`${SITE}/to`, true],
      [`${OTHER}/to`, false],
      [`${SITE}:8080/to`, false],
    ] as const
  ) {
    await inWorld(redirecting(302, location), async ({ fetch }) => {
      const { head } = await mirrored(await fetch(`${SITE}/from`, { headers }));
      assert.match(head, /x-a: 1/);
      assert.equal(head.includes("secret"), isKept, location);
    });
  }
});

// ---- giving up ----

Deno.test("fetch() rejects with the reason of its signal at every moment, and gives the connection up", async () => {
  const reason = new Error("enough");
  const rows: readonly (readonly [string, (call: Call) => Promise<void>])[] = [
    ["while it waits for the head", async (call) => {
      await call.request();
    }],
    ["in the middle of the head", async (call) => {
      await call.request();
      await call.send("HTTP/1.1 200 OK\r\nContent-");
    }],
  ];
  for (const [name, service] of rows) {
    const started = Promise.withResolvers<void>();
    await inWorld(async (call) => {
      await service(call);
      started.resolve();
    }, async ({ fetch, gateway }) => {
      const stop = new AbortController();
      const fetching = fetch(SITE, { signal: stop.signal });
      await started.promise;
      stop.abort(reason);
      await assert.rejects(fetching, reason, name);
      assert.ok(gateway.last.client.isAborted, name);
    });
  }
  await inWorld(mirror, async ({ fetch, gateway }) => {
    const signal = AbortSignal.abort(reason);
    const untouched = fed();
    await assert.rejects(
      fetch(SITE, { method: "POST", body: untouched.readable, signal }),
      reason,
    );
    await assert.rejects(fetch(new Request(SITE, { signal })), reason);
    await assert.rejects(fetch(SITE, { signal: AbortSignal.abort() }), {
      name: "AbortError",
    });
    assert.equal(gateway.asked.length, 0);
    gateway.hangs = true;
    const stop = new AbortController();
    const connecting = fetch(SITE, { signal: stop.signal });
    stop.abort(reason);
    await assert.rejects(connecting, reason);
  });
});

Deno.test("fetch() fails a body with the reason of its signal, whether it is being read or not", async () => {
  const reason = new Error("enough");
  for (const isReading of [true, false]) {
    await inWorld(async (call) => {
      await call.request();
      await call.answer("200 OK", "Content-Length: 10");
      await call.send("abc");
    }, async ({ fetch, gateway }) => {
      const stop = new AbortController();
      const response = await fetch(SITE, { signal: stop.signal });
      const reader = response.body?.getReader();
      assert.equal((await reader?.read())?.value?.length, 3);
      const reading = isReading ? reader?.read() : undefined;
      reading?.catch(() => {});
      stop.abort(reason);
      await assert.rejects(async () => {
        await (reading ?? reader?.read());
      }, reason);
      assert.ok(gateway.last.client.isAborted);
    });
  }
});

Deno.test("fetch() gives up an upload that is slow, and cancels its stream", async () => {
  const reason = new Error("enough");
  const heard = Promise.withResolvers<void>();
  await inWorld(async (call) => {
    await call.until("one\r\n");
    heard.resolve();
  }, async ({ fetch, gateway }) => {
    const stop = new AbortController();
    const cancelled = Promise.withResolvers<unknown>();
    const parts = [latin1Bytes("one")];
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const part = parts.shift() ?? await new Promise<never>(() => {});
        controller.enqueue(part);
      },
      cancel: (reason) => cancelled.resolve(reason),
    }, { highWaterMark: 0 });
    const { signal } = stop;
    const fetching = fetch(SITE, { method: "POST", body, signal });
    await heard.promise;
    stop.abort(reason);
    await assert.rejects(fetching, reason);
    assert.equal(await cancelled.promise, reason);
    assert.ok(gateway.last.client.isAborted);
  });
});

Deno.test("fetch() gives the connection up when its body is cancelled, and keeps it when it has been read", async () => {
  await inWorld(async (call) => {
    for (;;) {
      await call.request();
      await call.answer("200 OK", "Content-Length: 4");
      await call.send("body");
    }
  }, async ({ fetch, gateway }) => {
    const stop = new AbortController();
    const read = await fetch(SITE, { signal: stop.signal });
    assert.equal(await read.text(), "body");
    stop.abort(); // too late to matter
    const cancelled = await fetch(SITE);
    assert.equal(gateway.opened.length, 1);
    await cancelled.body?.cancel();
    assert.ok(gateway.last.client.isAborted);
    await (await fetch(SITE)).text();
    assert.equal(gateway.opened.length, 2);
  });
});

Deno.test("fetch() rejects with the reason of its client, under way and afterwards", () =>
  inWorld(async (call) => {
    await call.request();
    await call.answer("200 OK", "Content-Length: 4");
  }, async ({ fetch, closing, gateway }) => {
    const reason = new Error("closed");
    const response = await fetch(SITE);
    closing.abort(reason);
    await assert.rejects(response.text(), reason);
    await assert.rejects(fetch(SITE), reason);
    assert.equal(gateway.asked.length, 1);
  }));
