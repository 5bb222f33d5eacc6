import assert from "node:assert/strict";
import { VirtualClock } from "../../lib/base/virtual_clock.ts";
import { sleep } from "../../lib/base/clock.ts";
import {
  SITE_HEAD_MS,
  SITE_KEEP_ALIVE_MS,
  type SiteOptions,
  type SiteStream,
  siteTarget,
} from "../../lib/http/site.ts";
import {
  type ErrorHandler,
  FIRST_BYTE_MS,
  type SiteHandler,
} from "../../lib/http/site_answer.ts";
import { latin1Bytes, latin1Text } from "../../lib/http/latin1.ts";
import { createDrain } from "../../lib/sim/world/drain.ts";
import { SMUGGLING_CORPUS } from "./smuggling_corpus.ts";
import { type PairEnd, streamPair } from "../proxy/stream_pair.ts";
import { HOST } from "../proxy/world.ts";
import { runOn } from "../transport/world.ts";

/** A visitor who speaks bytes, and what the site makes of them. */
class Visitor {
  readonly end: PairEnd;
  readonly served: Promise<void>;
  readonly faults: unknown[] = [];
  readonly stop = new AbortController();
  /** Bytes that this visitor's side keeps the site waiting for. */
  unconfirmedBytes = 0;
  #text = "";

  constructor(options: Pick<SiteOptions, "clock" | "handler" | "onError">) {
    const { client, service } = streamPair();
    this.end = client;
    const unconfirmed = () => this.unconfirmedBytes;
    const stream: SiteStream = {
      get unconfirmedBytes() {
        return unconfirmed();
      },
      opened: service.opened,
      closed: Promise.race([client.aborted, service.aborted]),
      accept: () => client.open(),
      read: () => service.read(),
      write: (bytes) => service.write(bytes),
      closeWrite: () => service.closeWrite(),
      leave: () => service.leave(),
      abort: () => service.abort(),
    };
    const serve = siteTarget(80, {
      ...options,
      host: () => HOST,
      onFault: (error) => this.faults.push(error),
    });
    this.served = serve(stream, this.stop.signal);
    this.served.catch(() => {});
  }

  async send(text: string): Promise<void> {
    await this.end.write(latin1Bytes(text));
  }

  /** What has come, up to and with this text. */
  async until(text: string): Promise<string> {
    while (!this.#text.includes(text)) {
      const bytes = await this.end.read();
      assert.ok(bytes !== undefined, `the end, after ${this.#text}`);
      this.#text += latin1Text(bytes);
    }
    const end = this.#text.indexOf(text) + text.length;
    const found = this.#text.slice(0, end);
    this.#text = this.#text.slice(end);
    return found;
  }

  /** All that is still to come. */
  async rest(): Promise<string> {
    for (;;) {
      const bytes = await this.end.read();
      if (bytes === undefined) return this.#text;
      this.#text += latin1Text(bytes);
    }
  }
}

async function inSite(
  handler: SiteHandler,
  test: (visit: () => Visitor, clock: VirtualClock) => Promise<void>,
  onError?: ErrorHandler,
): Promise<void> {
  const clock = new VirtualClock({ drain: createDrain() });
  const visit = () => new Visitor({ clock, handler, onError });
  await runOn(clock, test(visit, clock));
}

const FIELD = `Host: ${HOST}\r\n`;
const echo: SiteHandler = async (request) =>
  new Response(`${request.method} ${request.url} ${await request.text()}`);

Deno.test("siteTarget() answers requests one after the other on one connection, also those sent ahead", () =>
  inSite(echo, async (visit) => {
    const visitor = visit();
    await visitor.send(
      `GET /1 HTTP/1.1\r\n${FIELD}\r\n` +
        `POST /2 HTTP/1.1\r\n${FIELD}Content-Length: 3\r\n\r\nabc` +
        `POST /3 HTTP/1.1\r\n${FIELD}Transfer-Encoding: chunked\r\n\r\n` +
        `2\r\nxy\r\n1;a=b\r\nz\r\n0\r\n\r\n` +
        `GET /4 HTTP/1.1\r\n${FIELD}Connection: close\r\n\r\n` +
        `GET /5 HTTP/1.1\r\n${FIELD}\r\n`,
    );
    const text = await visitor.rest();
    const bodies = [...text.matchAll(/\r\n\r\n([A-Z]+ [^H]*?)(?=HTTP|$)/g)]
      .map(([, body]) => body);
    assert.deepEqual(bodies, [
      `GET http://${HOST}/1 `,
      `POST http://${HOST}/2 abc`,
      `POST http://${HOST}/3 xyz`,
      `GET http://${HOST}/4 `,
    ]);
    assert.match(text, /Connection: close\r\n\r\nGET[^]*\/4 $/);
    await visitor.served;
  }));

Deno.test("siteTarget() refuses every request that two readers could understand differently, and asks no handler", () => {
  let asked = 0;
  const handler: SiteHandler = () => {
    asked++;
    return new Response("no");
  };
  return inSite(handler, async (visit) => {
    for (const [code, text] of SMUGGLING_CORPUS) {
      const visitor = visit();
      await visitor.send(text);
      await visitor.end.closeWrite();
      const answer = await visitor.rest();
      assert.match(answer, /^HTTP\/1\.1 4[0-9]{2} /, `${code}: ${text}`);
      assert.match(answer, /Connection: close/, code);
      await visitor.served;
    }
    assert.equal(asked, 0);
  });
});

Deno.test("siteTarget() tells handlers the names in front of its address, and no others", () => {
  const urls: string[] = [];
  const handler: SiteHandler = ({ url }) => {
    urls.push(url);
    return new Response(null);
  };
  return inSite(handler, async (visit) => {
    for (
      const host of [HOST, `www.${HOST}`, `${HOST}:80`, "evil.example", "", "["]
    ) {
      const visitor = visit();
      await visitor.send(
        `GET /a?b HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      );
      await visitor.rest();
    }
    const absolute = visit();
    await absolute.send(
      `GET http://${HOST}/c HTTP/1.1\r\n${FIELD}Connection: close\r\n\r\n`,
    );
    await absolute.rest();
    assert.deepEqual(urls, [
      `http://${HOST}/a?b`,
      `http://www.${HOST}/a?b`,
      `http://${HOST}/a?b`,
      `http://${HOST}/a?b`,
      `http://${HOST}/a?b`,
      `http://${HOST}/a?b`,
      `http://${HOST}/c`,
    ]);
  });
});

Deno.test("siteTarget() cuts off who is slow with a head, and who stays without asking", () =>
  inSite(echo, async (visit, clock) => {
    const silent = visit();
    const slow = visit();
    await slow.send("GET / HT");
    const kept = visit();
    await kept.send(`GET / HTTP/1.1\r\n${FIELD}\r\n`);
    await kept.until(`GET http://${HOST}/ `);
    await sleep(clock, SITE_HEAD_MS + 1);
    assert.equal(await silent.rest(), "");
    assert.match(await slow.rest(), /^HTTP\/1\.1 400 /);
    await kept.send(`GET /again HTTP/1.1\r\n${FIELD}\r\n`);
    await kept.until("/again ");
    await sleep(clock, SITE_KEEP_ALIVE_MS + 1);
    assert.equal(await kept.rest(), "");
    await Promise.all([silent.served, slow.served, kept.served]);
  }));

Deno.test("siteTarget() asks for a body only when the handler wants it, and closes when it did not", () => {
  const handler: SiteHandler = async (request) =>
    new Response(
      request.url.endsWith("/read") ? await request.text() : "unread",
    );
  return inSite(handler, async (visit) => {
    const post = (path: string) =>
      `POST ${path} HTTP/1.1\r\n${FIELD}Content-Length: 4\r\n` +
      `Expect: 100-continue\r\n\r\n`;
    const reader = visit();
    await reader.send(post("/read"));
    await reader.until("HTTP/1.1 100 Continue\r\n\r\n");
    await reader.send("body");
    assert.match(await reader.until("body"), /keep-alive/);
    await reader.end.closeWrite();
    assert.equal(await reader.rest(), "");

    const other = visit();
    await other.send(post("/not"));
    const answer = await other.rest();
    assert.doesNotMatch(answer, /100 Continue/);
    assert.match(answer, /Connection: close\r\n\r\nunread$/);
  });
});

Deno.test("siteTarget() ends the body for HTTP/1.0 with the connection, and sends none for HEAD", () => {
  const handler: SiteHandler = () =>
    new Response(
      ReadableStream.from(
        Array.from({ length: 3 }, () => new Uint8Array(50_000).fill(97)),
      ),
      { headers: { "x-a": "1", "transfer-encoding": "x", connection: "x-a" } },
    );
  return inSite(handler, async (visit) => {
    const old = visit();
    await old.send("GET / HTTP/1.0\r\n\r\n");
    const text = await old.rest();
    assert.doesNotMatch(text, /transfer-encoding/i);
    assert.equal(text.split("\r\n\r\n")[1]?.length, 150_000);

    const young = visit();
    await young.send(`GET / HTTP/1.1\r\n${FIELD}Connection: close\r\n\r\n`);
    const chunked = await young.rest();
    assert.match(chunked, /Transfer-Encoding: chunked\r\n/);
    assert.match(chunked, /\r\n0\r\n\r\n$/);
    // What the handler calls between two neighbours stays between them.
    assert.doesNotMatch(chunked, /x-a/);

    const head = visit();
    await head.send(`HEAD / HTTP/1.1\r\n${FIELD}Connection: close\r\n\r\n`);
    assert.match(await head.rest(), /^HTTP\/1\.1 200 [^]*\r\n\r\n$/);
  });
});

Deno.test("siteTarget() breaks off where a handler's body fails, so that no visitor takes it for whole", () => {
  const handler: SiteHandler = () =>
    new Response(ReadableStream.from((async function* () {
      for (let part = 0; part < 3; part++) yield new Uint8Array(100_000);
      await Promise.resolve();
      throw new Error("gone");
    })()));
  return inSite(handler, async (visit) => {
    const visitor = visit();
    await visitor.send(`GET / HTTP/1.1\r\n${FIELD}\r\n`);
    // The service resets the stream where this rejects.
    const failing = assert.rejects(visitor.served, {
      name: "UnreachableError",
      code: "site.body_failed",
    });
    await visitor.until("\0".repeat(1000));
    visitor.rest().catch(() => {});
    await failing;
    visitor.end.abort();
    assert.deepEqual(visitor.faults.map(String), ["Error: gone"]);
  });
});

Deno.test("siteTarget() tells a handler that its visitor is gone, or that the service stops", () => {
  const signals: AbortSignal[] = [];
  const started: PromiseWithResolvers<void>[] = [];
  const handler: SiteHandler = (request) => {
    signals.push(request.signal);
    started.shift()?.resolve();
    return new Promise<Response>((resolve) => {
      request.signal.addEventListener("abort", () => resolve(new Response()));
    });
  };
  return inSite(handler, async (visit) => {
    for (const end of ["visitor", "service"] as const) {
      const asked = Promise.withResolvers<void>();
      started.push(asked);
      const visitor = visit();
      await visitor.send(`GET / HTTP/1.1\r\n${FIELD}\r\n`);
      await asked.promise;
      assert.equal(signals.at(-1)?.aborted, false);
      if (end === "visitor") visitor.end.abort();
      else visitor.stop.abort();
      await visitor.served.catch(() => {});
      assert.equal(signals.at(-1)?.aborted, true);
    }
  });
});

Deno.test("siteTarget() tells what it allows for methods that fetch cannot have, and asks no handler", () =>
  inSite(echo, async (visit) => {
    for (const method of ["TRACE", "TRACK", "track", "CONNECT"]) {
      const target = method === "CONNECT" ? `${HOST}:80` : "/";
      const visitor = visit();
      await visitor.send(`${method} ${target} HTTP/1.1\r\n${FIELD}\r\n`);
      const answer = await visitor.rest();
      assert.match(answer, /^HTTP\/1\.1 405 /, method);
      assert.match(answer, /\r\nAllow: GET, HEAD, POST, /, method);
      await visitor.served;
      assert.deepEqual(visitor.faults, []);
    }
    const other = visit();
    await other.send(
      `PURGE / HTTP/1.1\r\n${FIELD}Connection: close\r\n\r\n`,
    );
    assert.match(await other.rest(), /PURGE http/);
  }));

Deno.test("siteTarget() refuses a body where none belongs", () =>
  inSite(echo, async (visit) => {
    const visitor = visit();
    await visitor.send(
      `GET / HTTP/1.1\r\n${FIELD}Content-Length: 1\r\n\r\nx`,
    );
    assert.match(await visitor.rest(), /^HTTP\/1\.1 400 /);
  }));

Deno.test("siteTarget() makes URLs of its own host from whatever the visitor calls it", () => {
  const urls: string[] = [];
  const handler: SiteHandler = ({ url }) => {
    urls.push(url);
    return new Response();
  };
  return inSite(handler, async (visit) => {
    for (const before of ["a@b.", "evil.example/.", "evil.example#.", "a b."]) {
      const visitor = visit();
      await visitor.send(
        `GET / HTTP/1.1\r\nHost: ${before}${HOST}\r\nConnection: close\r\n\r\n`,
      );
      assert.match(await visitor.rest(), /^HTTP\/1\.1 200 /, before);
    }
    assert.deepEqual(new Set(urls), new Set([`http://${HOST}/`]));
  });
});

/** Handlers that give no answer, each in its way. */
const FAILING: readonly (readonly [string, () => unknown])[] = [
  ["throws", () => {
    throw new Error("boom");
  }],
  ["rejects", () => Promise.reject(new Error("boom"))],
  ["returns nothing", () => undefined],
  ["returns text", () => "Hello"],
  ["returns an error response", () => Response.error()],
  ["returns a used response", async () => {
    const response = new Response("x");
    await response.text();
    return response;
  }],
  ["returns a response that is being read", () => {
    const response = new Response("x");
    response.body?.getReader();
    return response;
  }],
  ["returns a body that fails at once", () =>
    new Response(
      new ReadableStream({
        start(controller) {
          controller.error(new Error("boom"));
        },
      }),
    )],
  [
    "returns a body of text",
    () => new Response(ReadableStream.from(["text" as unknown as Uint8Array])),
  ],
];

Deno.test("siteTarget() answers 500 where a handler gives no response that can be sent, and says so", async () => {
  for (const [name, fail] of FAILING) {
    await inSite(fail as SiteHandler, async (visit) => {
      const visitor = visit();
      await visitor.send(
        `GET / HTTP/1.1\r\n${FIELD}Connection: close\r\n\r\n`,
      );
      const answer = await visitor.rest();
      assert.match(answer, /^HTTP\/1\.1 500 /, name);
      assert.doesNotMatch(answer, /boom/, name);
      await visitor.served;
      assert.equal(visitor.faults.length, 1, name);
    });
  }
});

Deno.test("siteTarget() lets onError answer for a handler that fails, and stands in for it where it fails too", async () => {
  for (const [name, fail] of FAILING) {
    const seen: unknown[] = [];
    await inSite(fail as SiteHandler, async (visit) => {
      const visitor = visit();
      await visitor.send(
        `GET / HTTP/1.1\r\n${FIELD}Connection: close\r\n\r\n`,
      );
      const answer = await visitor.rest();
      assert.match(answer, /^HTTP\/1\.1 502 [^]*sorry$/, name);
      assert.equal(seen.length, 1, name);
      assert.deepEqual(visitor.faults, [], name);
    }, (error) => {
      seen.push(error);
      return new Response("sorry", { status: 502 });
    });
  }
  await inSite(() => {
    throw new Error("first");
  }, async (visit) => {
    const visitor = visit();
    await visitor.send(`GET / HTTP/1.1\r\n${FIELD}\r\n`);
    await visitor.until("HTTP/1.1 500 ");
    assert.deepEqual(visitor.faults.map(String), ["Error: second"]);
  }, () => {
    throw new Error("second");
  });
});

Deno.test("siteTarget() sends each part of an answer when it is there, and the head before the first", () => {
  const parts = new TransformStream<Uint8Array, Uint8Array>();
  const writer = parts.writable.getWriter();
  const handler: SiteHandler = () =>
    new Response(parts.readable, {
      headers: { "content-type": "text/event-stream" },
    });
  return inSite(handler, async (visit, clock) => {
    const visitor = visit();
    const askedMs = clock.nowMs();
    await visitor.send(`GET / HTTP/1.1\r\n${FIELD}\r\n`);
    await visitor.until("\r\n\r\n");
    assert.ok(clock.nowMs() - askedMs <= FIRST_BYTE_MS + 1);
    for (const event of ["data: 1\n\n", "data: 2\n\n"]) {
      await writer.write(latin1Bytes(event));
      assert.equal(await visitor.until("\n\r\n"), `9\r\n${event}\r\n`);
    }
    await writer.close();
    await visitor.until("0\r\n\r\n");
  });
});

Deno.test("siteTarget() takes a visitor who leaves for no fault: it aborts the request and cancels the answer", async () => {
  const aborted: unknown[] = [];
  const cancelled: unknown[] = [];
  let asked = Promise.withResolvers<void>();
  const handlers: readonly SiteHandler[] = [
    // Waits, and fails for it.
    (request) =>
      new Promise((_, reject) => {
        request.signal.addEventListener("abort", () => {
          aborted.push(request.signal.reason);
          reject(request.signal.reason);
        });
        asked.resolve();
      }),
    // Reads a body that never comes to its end.
    async (request) => {
      asked.resolve();
      await request.text().catch((error) => {
        aborted.push(error);
        throw error;
      });
      return new Response();
    },
    // Answers without end.
    (request) => {
      request.signal.addEventListener("abort", (event) => aborted.push(event));
      return new Response(
        new ReadableStream({
          pull() {
            asked.resolve();
            return new Promise<void>(() => {});
          },
          cancel(reason) {
            cancelled.push(reason);
          },
        }),
      );
    },
  ];
  for (const handler of handlers) {
    asked = Promise.withResolvers<void>();
    await inSite(handler, async (visit) => {
      const visitor = visit();
      await visitor.send(
        `POST / HTTP/1.1\r\n${FIELD}Content-Length: 5\r\n\r\nab`,
      );
      await asked.promise;
      visitor.end.abort();
      await visitor.served;
      assert.deepEqual(visitor.faults, []);
    });
  }
  assert.equal(aborted.length, handlers.length);
  assert.equal(cancelled.length, 1);
});

Deno.test("siteTarget() tells a visitor whose body is broken, and takes it for no fault of the handler", () => {
  const handler: SiteHandler = async (request) =>
    new Response(await request.text());
  return inSite(handler, async (visit) => {
    for (
      const [framing, body] of [
        ["Transfer-Encoding: chunked", "z\r\n"],
        ["Content-Length: 5", "ab"],
      ]
    ) {
      const visitor = visit();
      await visitor.send(
        `POST / HTTP/1.1\r\n${FIELD}${framing}\r\n\r\n${body}`,
      );
      await visitor.end.closeWrite();
      assert.match(await visitor.rest(), /^HTTP\/1\.1 400 /, framing);
      assert.deepEqual(visitor.faults, []);
    }
  });
});

Deno.test("siteTarget() takes a body that its visitor breaks for no fault of a handler that sends it back", () => {
  const handler: SiteHandler = (request) => new Response(request.body);
  return inSite(handler, async (visit) => {
    for (
      const [framing, begun, broken] of [
        ["Transfer-Encoding: chunked", "2\r\nab\r\n", "z\r\n"],
        ["Content-Length: 5", "ab", ""],
      ] as const
    ) {
      const visitor = visit();
      const failing = assert.rejects(visitor.served, {
        code: "site.body_failed",
      });
      await visitor.send(
        `POST / HTTP/1.1\r\n${FIELD}${framing}\r\n\r\n${begun}`,
      );
      await visitor.until("ab");
      await visitor.send(broken);
      await visitor.end.closeWrite();
      await failing;
      assert.deepEqual(visitor.faults, []);
    }
  });
});

Deno.test("siteTarget() aborts a request's signal for that request alone", () => {
  const signals: AbortSignal[] = [];
  const handler: SiteHandler = ({ signal }) => {
    signals.push(signal);
    return new Response("x");
  };
  return inSite(handler, async (visit) => {
    const visitor = visit();
    await visitor.send(`GET / HTTP/1.1\r\n${FIELD}\r\n`);
    await visitor.until("\r\n\r\nx");
    await visitor.end.closeWrite();
    await visitor.served;
    visitor.end.abort();
    await Promise.resolve();
    assert.deepEqual(signals.map(({ aborted }) => aborted), [false]);
  });
});

Deno.test("siteTarget() sends a stream with the length that its response says, and the connection goes on", () => {
  const parts = [new Uint8Array(70_000).fill(97), new Uint8Array(5).fill(98)];
  const handler: SiteHandler = () =>
    new Response(ReadableStream.from(parts), {
      headers: { "content-length": "70005" },
    });
  return inSite(handler, async (visit) => {
    const visitor = visit();
    for (const version of ["1.1", "1.1"]) {
      await visitor.send(`GET / HTTP/${version}\r\n${FIELD}\r\n`);
      const head = await visitor.until("\r\n\r\n");
      assert.match(head, /Content-Length: 70005\r\n/);
      assert.doesNotMatch(head, /Transfer-Encoding/);
      assert.equal((await visitor.until("bbbbb")).length, 70_005);
    }
    await visitor.end.closeWrite();
    assert.equal(await visitor.rest(), "");
  });
});

Deno.test("siteTarget() breaks off where a body is longer or shorter than its response says, and sends no byte too many", async () => {
  for (const said of [70_004, 70_006]) {
    const handler: SiteHandler = () =>
      new Response(
        ReadableStream.from([new Uint8Array(70_000), new Uint8Array(5)]),
        { headers: { "content-length": String(said) } },
      );
    await inSite(handler, async (visit) => {
      const visitor = visit();
      await visitor.send(`GET / HTTP/1.1\r\n${FIELD}\r\n`);
      await visitor.until("\r\n\r\n");
      const reading = visitor.rest();
      await assert.rejects(visitor.served, { code: "site.body_failed" });
      visitor.end.abort();
      await reading.then(
        (text) => assert.ok(text.length <= said),
        () => {},
      );
      assert.match(String(visitor.faults[0]), /Content-Length/);
    });
  }
  const short: SiteHandler = () =>
    new Response("abc", { headers: { "content-length": "4" } });
  await inSite(short, async (visit) => {
    const visitor = visit();
    await visitor.send(`GET / HTTP/1.1\r\n${FIELD}\r\n`);
    await visitor.until("HTTP/1.1 500 ");
    assert.match(String(visitor.faults[0]), /has not the 4 bytes/);
  });
});

Deno.test("siteTarget() tells a handler when its answer has been confirmed, and not before", () => {
  const log: string[] = [];
  const handler: SiteHandler = (_request, { completed }) => {
    completed.then(() => log.push("confirmed"), () => log.push("broken"));
    return new Response("x".repeat(1_000));
  };
  return inSite(handler, async (visit, clock) => {
    const visitor = visit();
    visitor.unconfirmedBytes = 1;
    await visitor.send(`GET / HTTP/1.1\r\n${FIELD}\r\n`);
    await visitor.until("x".repeat(1_000));
    await sleep(clock, 10_000);
    assert.deepEqual(log, []);
    visitor.unconfirmedBytes = 0;
    await sleep(clock, 200);
    assert.deepEqual(log, ["confirmed"]);
    visitor.unconfirmedBytes = Infinity;
    await visitor.send(`GET / HTTP/1.1\r\n${FIELD}\r\n`);
    await visitor.until("x".repeat(1_000));
    visitor.end.abort();
    await sleep(clock, 200);
    assert.deepEqual(log, ["confirmed", "broken"]);
  });
});
