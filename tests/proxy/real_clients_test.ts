import assert from "node:assert/strict";
import { VirtualClock } from "../../lib/base/virtual_clock.ts";
import { HttpServer } from "../../lib/proxy/http_server.ts";
import { passwordIsolation } from "../../lib/proxy/isolation_key.ts";
import { SocksServer } from "../../lib/proxy/socks/socks_server.ts";
import { createDrain } from "../../lib/sim/world/drain.ts";
import { LoopbackGateway } from "./loopback_gateway.ts";
import { HOST, RawClient } from "./world.ts";

const URL = `http://${HOST}`;
const BIG = new Uint8Array(4 << 20).map((_, i) => (i * 2_654_435_761) >>> 24);

/** A site with what clients find hard, behind both proxies. */
class Site implements AsyncDisposable {
  readonly gateway: LoopbackGateway;
  readonly socks: SocksServer;
  readonly http: HttpServer;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  private constructor(
    gateway: LoopbackGateway,
    socks: SocksServer,
    http: HttpServer,
    server: Deno.HttpServer<Deno.NetAddr>,
  ) {
    this.gateway = gateway;
    this.socks = socks;
    this.http = http;
    this.#server = server;
  }

  static async open(): Promise<Site> {
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      serve,
    );
    const { port } = server.addr;
    const gateway = new LoopbackGateway(new Map([[80, port], [8080, port]]));
    const options = {
      listen: { host: "127.0.0.1", port: 0 },
      gateway,
      clock: new VirtualClock({ drain: createDrain() }),
      onFault: (error: unknown) => {
        throw error;
      },
    };
    const [socks, http] = await Promise.all([
      SocksServer.open(options),
      HttpServer.open(options),
    ]);
    return new Site(gateway, socks, http, server);
  }

  get socksAddress(): string {
    return `127.0.0.1:${this.socks.address.port}`;
  }

  get httpAddress(): string {
    return `127.0.0.1:${this.http.address.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.socks[Symbol.asyncDispose]();
    await this.http[Symbol.asyncDispose]();
    await this.#server.shutdown();
  }
}

async function serve(request: Request): Promise<Response> {
  const { pathname, host } = new globalThis.URL(request.url);
  if (request.headers.get("upgrade") === "websocket") {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onmessage = ({ data }) => socket.send(`echo ${data}`);
    return response;
  }
  switch (pathname) {
    case "/hello":
      return new Response(`hello from ${host}`);
    case "/big":
      return new Response(BIG);
    case "/chunks":
      return new Response(ReadableStream.from(["one ", "two ", "three"].map(
        (text) => new TextEncoder().encode(text),
      )));
    case "/size":
      return new Response(String((await request.bytes()).length));
    default:
      return new Response("nothing here", { status: 404 });
  }
}

interface Run {
  readonly code: number;
  readonly stdout: Uint8Array;
  readonly text: string;
  readonly stderr: string;
}

async function run(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Run> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    clearEnv: true,
    env: { PATH: "/usr/local/bin:/usr/bin:/bin", ...env },
    stdin: "null",
    signal: AbortSignal.timeout(60_000),
  }).output();
  const decoder = new TextDecoder();
  return {
    code,
    stdout,
    text: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

function isInstalled(program: string): boolean {
  try {
    new Deno.Command(program, { stdout: "null", stderr: "null" }).outputSync();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function curl(...args: readonly string[]): Promise<Run> {
  return run("curl", ["-q", "-sS", "--max-time", "30", ...args]);
}

const noCurl = !isInstalled("curl");
const noWget = !isInstalled("wget");
const noNc = !isInstalled("nc");

Deno.test({
  name: "curl fetches through SOCKS5, small and large, up and down",
  ignore: noCurl,
  async fn() {
    await using site = await Site.open();
    const proxy = ["--socks5-hostname", site.socksAddress];
    const hello = await curl(...proxy, `${URL}/hello`, `${URL}:8080/hello`);
    assert.equal(hello.text, `hello from ${HOST}hello from ${HOST}:8080`);
    const big = await curl(...proxy, `${URL}/big`);
    assert.deepEqual(big.stdout, BIG);
    const size = await curl(...proxy, "-d", "x".repeat(100_000), `${URL}/size`);
    assert.equal(size.text, "100000");
    const keyed = await curl(...proxy, "-U", "alice:secret", `${URL}/hello`);
    assert.equal(keyed.code, 0);
    assert.equal(
      site.gateway.asked.at(-1)?.isolation,
      passwordIsolation("alice", "secret"),
    );
  },
});

Deno.test({
  name: "curl says what SOCKS5 refused",
  ignore: noCurl,
  async fn() {
    await using site = await Site.open();
    const proxy = ["--socks5-hostname", site.socksAddress];
    for (
      const [url, reply] of [
        ["http://example.com/", 2],
        ["http://192.0.2.7/", 2],
        [`${URL}:81/`, 5],
      ] as const
    ) {
      const { code, stderr } = await curl(...proxy, url);
      assert.equal(code, 97, stderr);
      assert.match(stderr, new RegExp(`\\(${reply}\\)`));
    }
    const http = await curl("-x", `http://${site.socksAddress}`, `${URL}/`);
    assert.match(http.text, /This is a SOCKS port/);
  },
});

Deno.test({
  name: "curl fetches through the HTTP proxy, in all its ways",
  ignore: noCurl,
  async fn() {
    await using site = await Site.open();
    const proxy = ["-x", `http://${site.httpAddress}`];
    const hello = `hello from ${HOST}`;
    for (
      const args of [
        [],
        ["-p"], // a tunnel
        ["-0"], // HTTP/1.0
        ["-p", "--proxy1.0", site.httpAddress],
        ["--proxy-anyauth", "-U", "alice:secret"],
        ["--proxy-basic", "-U", "alice:secret"],
        ["--http2"],
      ]
    ) {
      const { text, stderr } = await curl(...proxy, ...args, `${URL}/hello`);
      assert.equal(text, hello, `${args} ${stderr}`);
    }
    assert.deepEqual(
      new Set(site.gateway.asked.map(({ isolation }) => isolation)),
      new Set([undefined, passwordIsolation("alice", "secret")]),
    );
    const twice = await curl(...proxy, "-v", `${URL}/hello`, `${URL}/chunks`);
    assert.equal(twice.text, `${hello}one two three`);
    assert.match(twice.stderr, /Re-using existing connection/);
    assert.deepEqual((await curl(...proxy, `${URL}/big`)).stdout, BIG);
    const old = await curl(...proxy, "-0", `${URL}/chunks`);
    assert.equal(old.text, "one two three");
    const top = await curl(...proxy, "-I", `${URL}/big`);
    assert.match(top.text, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n$/);
  },
});

Deno.test({
  name: "curl uploads through the HTTP proxy, with a length and in chunks",
  ignore: noCurl,
  async fn() {
    await using site = await Site.open();
    const proxy = ["-x", `http://${site.httpAddress}`];
    const file = await Deno.makeTempFile();
    try {
      await Deno.writeFile(file, BIG);
      for (
        const args of [
          ["--data-binary", `@${file}`, "-H", "Expect: 100-continue"],
          ["-T", file],
          ["-T", file, "-H", "Transfer-Encoding: chunked"],
          ["-T", file, "-p"],
        ]
      ) {
        const { text, stderr } = await curl(...proxy, ...args, `${URL}/size`);
        assert.equal(text, String(BIG.length), `${args} ${stderr}`);
      }
    } finally {
      await Deno.remove(file);
    }
  },
});

Deno.test({
  name: "curl shows the pages of the HTTP proxy",
  ignore: noCurl,
  async fn() {
    await using site = await Site.open();
    const proxy = ["-x", `http://${site.httpAddress}`];
    const refused = await curl(
      ...proxy,
      "-w",
      "%{http_code}",
      "http://example.com/",
    );
    assert.match(refused.text, /Only \.anon addresses[^]*403$/);
    const port = await curl(...proxy, "-w", "%{http_code}", `${URL}:81/`);
    assert.match(port.text, /Nothing at this port[^]*502$/);
    const tls = await curl(...proxy, "https://example.com/");
    assert.notEqual(tls.code, 0);
    assert.match(tls.stderr, /response 403/);
    const pac = await curl(`http://${site.httpAddress}/proxy.pac`);
    assert.match(pac.text, new RegExp(`PROXY ${site.httpAddress}`));
  },
});

Deno.test({
  name: "wget fetches through the HTTP proxy",
  ignore: noWget,
  async fn() {
    await using site = await Site.open();
    const env = { http_proxy: `http://${site.httpAddress}` };
    const args = ["--no-config", "-q", "-t", "1", "-T", "30", "-O", "-"];
    const hello = await run("wget", [...args, `${URL}/hello`], env);
    assert.equal(hello.text, `hello from ${HOST}`, hello.stderr);
    const big = await run("wget", [...args, `${URL}/big`], env);
    assert.deepEqual(big.stdout, BIG);
    const lost = await run("wget", [...args, `${URL}/lost`], env);
    assert.equal(lost.code, 8);
  },
});

Deno.test({
  name: "nc reaches a port through SOCKS5 and through CONNECT",
  ignore: noNc,
  async fn() {
    await using site = await Site.open();
    for (
      const [protocol, address] of [
        ["5", site.socksAddress],
        ["connect", site.httpAddress],
      ] as const
    ) {
      const process = new Deno.Command("nc", {
        args: ["-X", protocol, "-x", address, HOST, "80"],
        stdin: "piped",
        stdout: "piped",
        stderr: "null",
        signal: AbortSignal.timeout(30_000),
      }).spawn();
      const writer = process.stdin.getWriter();
      await writer.write(new TextEncoder().encode(
        `GET /hello HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`,
      ));
      await writer.close();
      const { stdout } = await process.output();
      assert.match(
        new TextDecoder().decode(stdout),
        /hello from [a-z]+\.anon$/,
      );
    }
  },
});

Deno.test("Deno's fetch goes through both proxies", async () => {
  await using site = await Site.open();
  for (
    const url of [
      `http://${site.httpAddress}`,
      `socks5h://${site.socksAddress}`,
    ]
  ) {
    using client = Deno.createHttpClient({ proxy: { url } });
    const hello = await fetch(`${URL}/hello`, { client });
    assert.equal(await hello.text(), `hello from ${HOST}`);
    const big = await fetch(`${URL}/big`, { client });
    assert.deepEqual(await big.bytes(), BIG);
    const size = await fetch(`${URL}/size`, {
      client,
      method: "POST",
      body: new Blob([BIG]).stream(),
    });
    assert.equal(await size.text(), String(BIG.length));
  }
});

/** One text frame of a WebSocket client (RFC 6455 §5.2), masked with zeros. */
function textFrame(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  return Uint8Array.of(0x81, 0x80 | bytes.length, 0, 0, 0, 0, ...bytes);
}

const WEBSOCKET = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
].join("\r\n");

Deno.test("a WebSocket works through CONNECT and through a forwarded upgrade", async () => {
  await using site = await Site.open();
  const open = [
    [
      `CONNECT ${HOST}:80 HTTP/1.1\r\nHost: ${HOST}:80\r\n\r\n`,
      `GET / HTTP/1.1\r\nHost: ${HOST}\r\n${WEBSOCKET}\r\n\r\n`,
    ],
    [`GET ${URL}/ HTTP/1.1\r\nHost: ${HOST}\r\n${WEBSOCKET}\r\n\r\n`],
  ];
  for (const requests of open) {
    using client = await RawClient.connect(site.http.address.port);
    let answer = "";
    for (const request of requests) {
      await client.send(request);
      answer = await client.readUntil("\r\n\r\n");
    }
    assert.match(answer, /^HTTP\/1\.1 101 /);
    // What RFC 6455 §1.3 says belongs to this key.
    assert.match(answer, /s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/);
    for (const text of ["one", "two"]) {
      await client.send(textFrame(text));
      const [first = 0, length = 0] = await client.read(2);
      assert.equal(first, 0x81);
      const payload = new TextDecoder().decode(await client.read(length));
      assert.equal(payload, `echo ${text}`);
    }
    await client.send(Uint8Array.of(0x88, 0x80, 0, 0, 0, 0));
    const [close] = await client.read(2);
    assert.equal(close, 0x88);
  }
});
