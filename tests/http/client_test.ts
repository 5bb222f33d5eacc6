import assert from "node:assert/strict";
import { UnreachableError } from "../../lib/base/errors.ts";
import { VirtualClock } from "../../lib/base/virtual_clock.ts";
import { HttpClient } from "../../lib/http/client.ts";
import { latin1Bytes, latin1Text } from "../../lib/http/latin1.ts";
import { createDrain } from "../../lib/sim/world/drain.ts";
import type { PairEnd } from "../proxy/stream_pair.ts";
import { FakeGateway, HOST } from "../proxy/world.ts";
import { runOn } from "../transport/world.ts";

const URL_OF_SITE = `http://${HOST}/a?b`;

/** What one connection was sent, and a way to answer it. */
interface Call {
  readonly stream: PairEnd;
  /** The next request's head. */
  head(): Promise<string>;
  answer(text: string): Promise<void>;
}

async function inClient(
  service: (call: Call) => Promise<void>,
  test: (client: HttpClient, gateway: FakeGateway) => Promise<void>,
): Promise<void> {
  const clock = new VirtualClock({ drain: createDrain() });
  const gateway = new FakeGateway();
  gateway.service = (stream) => {
    let text = "";
    const head = async () => {
      while (!text.includes("\r\n\r\n")) {
        const bytes = await stream.read();
        if (bytes === undefined) throw new Error("the end");
        text += latin1Text(bytes);
      }
      const [first = ""] = text.split("\r\n\r\n");
      text = text.slice(first.length + 4);
      return first;
    };
    const answer = (text: string) => stream.write(latin1Bytes(text));
    service({ stream, head, answer }).catch(() => {});
  };
  const { signal } = new AbortController();
  using client = new HttpClient({ gateway, clock, signal });
  await runOn(clock, test(client, gateway));
}

/** A service that answers every request on a connection with the same text. */
function always(text: string, end: "close" | "stay" = "close") {
  return async ({ stream, head, answer }: Call) => {
    for (;;) {
      await head();
      await answer(text);
      if (end === "close") return await stream.closeWrite();
    }
  };
}

Deno.test("HttpClient.fetch() writes a request that no parser can misread, and nothing about the program that sends it", () => {
  let seen = "";
  return inClient(async ({ head, answer }) => {
    seen = await head();
    await answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  }, async (client, gateway) => {
    const response = await client.fetch(
      new Request(`http://WWW.${HOST.toUpperCase()}:8080/ä b?c#d`, {
        headers: { "x-a": "1", connection: "x-a", upgrade: "h2c" },
      }),
      { isolation: "key" },
    );
    assert.equal(await response.text(), "ok");
    assert.deepEqual(seen.split("\r\n"), [
      "GET /%C3%A4%20b?c HTTP/1.1",
      `Host: www.${HOST}:8080`,
      "Accept: */*",
    ]);
    assert.deepEqual(gateway.asked, [
      { host: `www.${HOST}`, port: 8080, isolation: "key" },
    ]);
  });
});

Deno.test("HttpClient.fetch() uses a connection again, for the same isolation key alone", () =>
  inClient(
    always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "stay"),
    async (client, gateway) => {
      const get = async (isolation?: string) =>
        await (await client.fetch(URL_OF_SITE, { isolation })).text();
      for (let round = 0; round < 3; round++) {
        assert.equal(await get("a"), "ok");
        assert.equal(await get("b"), "ok");
        assert.equal(await get(), "ok");
      }
      assert.equal(gateway.opened.length, 3);
    },
  ));

Deno.test("HttpClient.fetch() asks again, once, where an idle connection has ended meanwhile; never for what changes something", () => {
  let calls = 0;
  return inClient(async ({ stream, head, answer }) => {
    calls++;
    await head();
    await answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    await head();
    stream.reset(new UnreachableError("session.reset_cancelled", "gone"));
  }, async (client) => {
    const send = (method: string) =>
      client.fetch(URL_OF_SITE, { method, isolation: "a" });
    await (await send("GET")).text();
    assert.equal(await (await send("GET")).text(), "ok");
    assert.equal(calls, 2);
    // POST takes a new connection each time.
    await (await send("POST")).text();
    assert.equal(calls, 3);
  });
});

Deno.test("HttpClient.fetch() does not take nonsense for an answer, and gives the connection up", async () => {
  const many = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(20);
  const answers = [
    "",
    "SSH-2.0-OpenSSH\r\n\r\n",
    "HTTP/2 200\r\n\r\n",
    "HTTP/1.1 999 Odd\r\n\r\n",
    "HTTP/1.1 200 OK\r\nBad Name\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "HTTP/1.1 407 Who are you\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    `HTTP/1.1 200 OK\r\nX: ${"a".repeat(70_000)}\r\n\r\n`,
    many,
  ];
  for (const text of answers) {
    await inClient(always(text), async (client, gateway) => {
      await assert.rejects(
        client.fetch(URL_OF_SITE),
        { name: "UnreachableError", code: "service.bad_response" },
        text.slice(0, 40),
      );
      assert.ok(gateway.opened.every(({ client }) => client.isAborted));
    });
  }
});

Deno.test("HttpClient.fetch() fails a body that is cut, and one whose chunks are wrong", async () => {
  const heads = "HTTP/1.1 200 OK\r\n";
  for (
    const text of [
      `${heads}Content-Length: 10\r\n\r\nabc`,
      `${heads}Transfer-Encoding: chunked\r\n\r\n5\r\nabc`,
      `${heads}Transfer-Encoding: chunked\r\n\r\nz\r\nabc\r\n0\r\n\r\n`,
    ]
  ) {
    await inClient(always(text), async (client, gateway) => {
      const response = await client.fetch(URL_OF_SITE);
      await assert.rejects(response.text(), { name: "ProtocolError" }, text);
      assert.ok(gateway.opened.every(({ client }) => client.isAborted));
    });
  }
  await inClient(always(`${heads}\r\nto the end`), async (client) => {
    const response = await client.fetch(URL_OF_SITE);
    assert.equal(await response.text(), "to the end");
  });
});

Deno.test("HttpClient.fetch() takes an answer that comes before the request has been read", () =>
  inClient(async ({ stream, head, answer }) => {
    await head();
    await answer(
      "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n" +
        "Connection: close\r\n\r\nno",
    );
    await stream.closeWrite();
  }, async (client) => {
    const response = await client.fetch(
      URL_OF_SITE,
      {
        method: "POST",
        body: new Uint8Array(1_000_000),
      },
    );
    assert.equal(response.status, 413);
    assert.equal(await response.text(), "no");
  }));

Deno.test("HttpClient.fetch() keeps what is private to a host from the next one", () => {
  const other = `${"b".repeat(56)}.anon`;
  const heads: string[] = [];
  return inClient(async ({ head, answer }) => {
    heads.push(await head());
    await answer(
      heads.length === 1
        ? `HTTP/1.1 307 Over There\r\nLocation: http://${other}/x\r\n` +
          `Content-Length: 0\r\n\r\n`
        : "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    );
  }, async (client) => {
    const response = await client.fetch(
      URL_OF_SITE,
      {
        method: "PUT",
        body: "short",
        headers: { authorization: "secret", cookie: "secret", "x-a": "1" },
      },
    );
    assert.equal(response.url, `http://${other}/x`);
    assert.match(heads[0] ?? "", /secret[^]*secret/);
    assert.match(heads[1] ?? "", /^PUT \/x /);
    assert.match(heads[1] ?? "", /x-a: 1/);
    assert.doesNotMatch(heads[1] ?? "", /secret/);
  });
});
