import assert from "node:assert/strict";
import { checkDemo } from "../../../lib/cli/demo/demo_check.ts";

/** An HTTP proxy that answers every request itself, with this. */
function startProxy(answer: () => Response) {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    answer,
  );
  return {
    place: { host: "127.0.0.1", port: server.addr.port },
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

const HOST = `${"a".repeat(56)}.anon`;

Deno.test("checkDemo() says through which proxy nothing came, and why", async () => {
  await using proxy = startProxy(() => new Response("another page"));
  const deserted = { host: "127.0.0.1", port: 1 };
  await assert.rejects(
    checkDemo({ socks: deserted, http: proxy.place, host: HOST }),
    { code: "cli.demo_fetch", message: /through SOCKS5: no response/ },
  );
});

Deno.test("checkDemo() does not take a response that breaks off for a bug", async () => {
  const broken = () => {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new TextEncoder().encode("It wor"));
      },
      pull(controller) {
        controller.error(new Error("torn"));
      },
    });
    return new Response(body, { headers: { "content-length": "100" } });
  };
  await using site = startProxy(broken);
  await using socks = startSocks(site.place.port);
  await assert.rejects(
    checkDemo({ socks: socks.place, http: site.place, host: HOST }),
    {
      code: "cli.demo_broken",
      message: /through SOCKS5: a response breaks off/,
    },
  );
});

/** A SOCKS5 proxy that leads every client to one port. */
function startSocks(port: number) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    for await (const conn of listener) await lead(conn, port).catch(() => {});
  })();
  return {
    place: { host: "127.0.0.1", port: listener.addr.port },
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving.catch(() => {});
    },
  };
}

async function lead(conn: Deno.TcpConn, port: number): Promise<void> {
  using target = await Deno.connect({ hostname: "127.0.0.1", port });
  using client = conn;
  const buffer = new Uint8Array(512);
  await client.read(buffer);
  await client.write(Uint8Array.of(5, 2)); // user name and password, please
  await client.read(buffer);
  await client.write(Uint8Array.of(1, 0));
  await client.read(buffer);
  await client.write(Uint8Array.of(5, 0, 0, 1, 127, 0, 0, 1, 0, 80));
  const up = client.readable.pipeTo(target.writable).catch(() => {});
  await target.readable.pipeTo(client.writable).catch(() => {});
  await up;
}
