/** What a proxy can do where it may reach nothing but its peers. */
import assert from "node:assert/strict";
import { ProcessNetwork } from "../support/process_network.ts";

/** Places that are not `.anon` services, as programs ask for them. */
const ELSEWHERE = [
  "example.com",
  "localhost",
  "127.0.0.1",
  "[::1]",
  "192.0.2.1",
  "anon",
  "xn--nxasmq6b.anon",
  "example.anon",
];

/** Fetch through a proxy. @returns The status, or that there was no answer. */
async function outcomeOf(proxy: string, url: string): Promise<string> {
  using client = Deno.createHttpClient({ proxy: { url: proxy } });
  try {
    const response = await fetch(url, { client });
    await response.body?.cancel();
    return `${response.status}`;
  } catch (error) {
    if (error instanceof TypeError) return "none";
    throw error;
  }
}

Deno.test("a proxy that may reach its peers alone reaches services, and nothing else", async () => {
  // What a request outside would reach.
  let strangers = 0;
  await using outside = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => {
      strangers++;
      return new Response("outside");
    },
  );
  await using target = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("hello"),
  );
  await using network = await ProcessNetwork.start({
    relays: 4,
    flags: [],
    program: (command) =>
      command === "proxy"
        ? {
          permissions: [
            "--allow-read",
            "--allow-write",
            "--allow-net=127.0.0.1,[::]:0",
          ],
        }
        : {},
  });
  const hops = ["--hops=2"];
  const [service, proxy] = await Promise.all([
    network.serve([`80=127.0.0.1:${target.addr.port}`], hops),
    network.proxy("proxy", hops),
  ]);
  const proxies = [`socks5h://${proxy.socks}`, `http://${proxy.http}`];
  for (const url of proxies) {
    assert.equal(await outcomeOf(url, `http://${service.host}/`), "200");
    for (const host of ELSEWHERE) {
      const outcome = await outcomeOf(
        url,
        `http://${host}:${outside.addr.port}/`,
      );
      assert.match(outcome, /^(none|[45]..)$/, `${host}: ${outcome}`);
    }
    assert.equal(await outcomeOf(url, `http://${service.host}/`), "200");
  }
  assert.equal(strangers, 0);
});
