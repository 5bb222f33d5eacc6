import assert from "node:assert/strict";
import { Identity } from "../../lib/auth/identity.ts";
import { formatInvite, signInvite } from "../../lib/auth/invite.ts";
import { networkParameters } from "../../lib/auth/network.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import { AnonNet } from "../../lib/embed/anonnet.ts";
import { inAnonNet } from "./anonnet_world.ts";

Deno.test("AnonNet.fetch() brings a page from a site of another program", () =>
  inAnonNet(async (net) => {
    const site = await net.site((request) =>
      Response.json({ url: request.url, method: request.method })
    );
    assert.match(site.host, /^[a-z2-7]{56}\.anon$/);
    assert.ok(site.isReachable);
    const visitor = await net.program();
    const response = await visitor.fetch(`http://www.${site.host}/a?b=c#d`);
    assert.equal(response.status, 200);
    assert.equal(response.url, `http://www.${site.host}/a?b=c`);
    assert.deepEqual(await response.json(), {
      url: `http://www.${site.host}/a?b=c`,
      method: "GET",
    });
  }));

/** What a site of many uses answers. */
async function workshop(request: Request): Promise<Response> {
  const url = new URL(request.url);
  switch (url.pathname) {
    case "/echo":
      return new Response(request.body, {
        headers: { "x-length": request.headers.get("content-length") ?? "-" },
      });
    case "/large":
      return new Response(
        ReadableStream.from(
          Array.from({ length: 40 }, (_, i) => new Uint8Array(10_000).fill(i)),
        ),
      );
    case "/away":
      return Response.redirect("http://example.com/", 302);
    case "/loop":
      return Response.redirect(url, 307);
    case "/see-other":
      return Response.redirect(new URL("/echoed", url), 303);
    case "/echoed":
      return new Response(request.method);
    case "/throw":
      throw new Error("a secret of the handler");
    case "/empty":
      return new Response(null, { status: 204 });
    case "/cut":
      return new Response(ReadableStream.from(cutBody()));
    default:
      return new Response(await request.text(), { status: 404 });
  }
}

async function* cutBody() {
  for (let part = 0; part < 3; part++) yield new Uint8Array(100_000);
  await Promise.resolve();
  throw new Error("the source is gone");
}

Deno.test("AnonNet.fetch() carries bodies both ways, short and long, and every method", () =>
  inAnonNet(async (net) => {
    const site = await net.site(workshop);
    const visitor = await net.program();
    const url = (path: string) => `http://${site.host}${path}`;
    const short = await visitor.fetch(url("/echo"), {
      method: "POST",
      body: "äöü",
    });
    assert.equal(short.headers.get("x-length"), "6");
    assert.equal(await short.text(), "äöü");

    const long = new Uint8Array(300_000).map((_, i) => i % 251);
    const back = await visitor.fetch(url("/echo"), {
      method: "PUT",
      body: ReadableStream.from([long.slice(0, 100_000), long.slice(100_000)]),
    });
    assert.equal(back.headers.get("x-length"), "-");
    assert.deepEqual(await back.bytes(), long);

    const large = await (await visitor.fetch(url("/large"))).bytes();
    assert.equal(large.length, 400_000);
    assert.equal(large.at(-1), 39);

    const head = await visitor.fetch(url("/large"), { method: "HEAD" });
    assert.equal(await head.text(), "");
    const empty = await visitor.fetch(url("/empty"));
    assert.deepEqual([empty.status, await empty.text()], [204, ""]);
    const missing = await visitor.fetch(url("/nothing"));
    assert.equal(missing.status, 404);
  }));

Deno.test("AnonNet.fetch() follows redirects within the network, and none out of it", () =>
  inAnonNet(async (net) => {
    const site = await net.site(workshop);
    const visitor = await net.program();
    const url = (path: string) => `http://${site.host}${path}`;
    const seen = await visitor.fetch(url("/see-other"), {
      method: "POST",
      body: "x",
    });
    assert.equal(await seen.text(), "GET");
    assert.ok(seen.redirected);
    assert.equal(seen.url, url("/echoed"));
    await assert.rejects(visitor.fetch(url("/away")), {
      code: "proxy.not_anon",
    });
    await assert.rejects(visitor.fetch(url("/loop")), {
      code: "http.redirects",
    });
    await assert.rejects(
      visitor.fetch(url("/see-other"), { redirect: "error" }),
      { code: "http.redirects" },
    );
    const manual = await visitor.fetch(url("/away"), { redirect: "manual" });
    assert.equal(manual.headers.get("location"), "http://example.com/");
    await manual.body?.cancel();
  }));

Deno.test("AnonNet.fetch() tells nothing of what a handler throws, and does not take a cut body for a whole one", () =>
  inAnonNet(async (net) => {
    const site = await net.site(workshop);
    const visitor = await net.program();
    const failed = await visitor.fetch(`http://${site.host}/throw`);
    assert.equal(failed.status, 500);
    assert.doesNotMatch(await failed.text(), /secret/);
    const cut = await visitor.fetch(`http://${site.host}/cut`);
    await assert.rejects(cut.bytes());
    // The site goes on.
    const next = await visitor.fetch(`http://${site.host}/echoed`);
    assert.equal(await next.text(), "GET");
  }));

Deno.test("AnonNet.fetch() refuses what is no address before anything goes out, and says why", () =>
  inAnonNet(async (net) => {
    const site = await net.site(workshop);
    const visitor = await net.program();
    const letter = site.host.startsWith("a") ? "b" : "a";
    const cases: readonly (readonly [string, string])[] = [
      ["http://example.com/", "proxy.not_anon"],
      ["http://127.0.0.1/", "proxy.not_anon"],
      ["http://[::1]/", "proxy.not_anon"],
      [`http://${site.host}./`, "proxy.not_anon"],
      ["http://пример.anon/", "service.address_length"],
      [`http://${letter}${site.host.slice(1)}/`, "service.address_checksum"],
      ["http://short.anon/", "service.address_length"],
      [`https://${site.host}/`, "http.scheme"],
      [`ftp://${site.host}/`, "http.scheme"],
      [`http://${site.host}:0/`, "proxy.port"],
    ];
    for (const [url, code] of cases) {
      await assert.rejects(visitor.fetch(url), { code }, url);
    }
    await assert.rejects(visitor.connect("example.com", 80), {
      code: "proxy.not_anon",
    });
    await assert.rejects(visitor.connect(site.host, 70_000), {
      code: "proxy.port",
    });
    await assert.rejects(visitor.fetch(`http://${site.host}:81/`), {
      code: "service.no_port",
    });
  }));

Deno.test("AnonNet.fetch() gives up when told to: before, on the way, and in the middle of a body", () =>
  inAnonNet(async (net) => {
    const site = await net.site(workshop);
    const visitor = await net.program();
    const reason = new Error("enough");
    const url = `http://${site.host}/large`;
    await assert.rejects(
      visitor.fetch(url, { signal: AbortSignal.abort(reason) }),
      reason,
    );
    const early = new AbortController();
    const waiting = visitor.fetch(url, { signal: early.signal });
    early.abort(reason);
    await assert.rejects(waiting, reason);
    const late = new AbortController();
    const response = await visitor.fetch(url, { signal: late.signal });
    const reader = response.body?.getReader();
    assert.ok((await reader?.read())?.value);
    late.abort(reason);
    await assert.rejects(async () => {
      while (!(await reader?.read())?.done);
    }, reason);
    assert.equal((await visitor.fetch(url)).status, 200);
  }));

Deno.test("AnonNet.connect() opens a stream with two ends", () =>
  inAnonNet(async (net) => {
    const site = await net.site(workshop);
    const visitor = await net.program();
    using connection = await visitor.connect(site.host, 80, { isolate: "a" });
    await connection.opened;
    const writer = connection.writable.getWriter();
    await writer.write(
      new TextEncoder().encode(`GET /echoed HTTP/1.1\r\nHost: x\r\n\r\n`),
    );
    await writer.close();
    const text = await new Response(connection.readable).text();
    assert.match(text, /^HTTP\/1\.1 200 /);
    assert.match(text, /\r\n\r\nGET$/);

    await assert.rejects(async () => {
      using closed = await visitor.connect(site.host, 22);
      await closed.opened;
    }, { code: "service.no_port" });
    const stop = new AbortController();
    const open = await visitor.connect(site.host, 80, { signal: stop.signal });
    await open.opened;
    const reason = new Error("enough");
    stop.abort(reason);
    await assert.rejects(new Response(open.readable).text(), reason);
  }));

Deno.test("AnonNet keeps a service's address over a restart, and its visitors find it again", () =>
  inAnonNet(async (net) => {
    const machine = net.world.machine();
    const visitor = await net.program();
    const hosts: string[] = [];
    for (let start = 0; start < 2; start++) {
      await using host = await net.program({}, machine);
      const site = await host.serve({ name: "blog" }, () => new Response("hi"));
      hosts.push(site.host);
      const response = await visitor.fetch(`http://${site.host}/`);
      assert.equal(await response.text(), "hi");
    }
    assert.equal(hosts[0], hosts[1]);
  }));

Deno.test("AnonNet hosts several services, with keys of its own or of the program's, each name once", () =>
  inAnonNet(async (net) => {
    const host = await net.program();
    const visitor = await net.program();
    const key = new Uint8Array(32).fill(7);
    const named = (text: string) => () => new Response(text);
    const first = await host.serve({ name: "one" }, named("1"));
    const second = await host.serve(
      { name: "two", key, port: 8080 },
      named("2"),
    );
    assert.notEqual(first.host, second.host);
    const text = async (url: string) => await (await visitor.fetch(url)).text();
    assert.equal(await text(`http://${first.host}/`), "1");
    assert.equal(await text(`http://${second.host}:8080/`), "2");
    await assert.rejects(host.serve({ name: "one" }, named("3")), {
      code: "service.twice",
    });
    await assert.rejects(host.serve({ name: "No Name" }, named("3")), {
      code: "service.name",
    });
    await assert.rejects(
      host.serve({ name: "three", key: new Uint8Array(31) }, named("3")),
      { code: "service.key" },
    );
    await assert.rejects(host.forward({ 80: "example.com:80" }), {
      code: "service.target",
    });
    await first[Symbol.asyncDispose]();
    await first[Symbol.asyncDispose]();
    assert.equal(await text(`http://${second.host}:8080/`), "2");
    const again = await host.serve({ name: "one" }, named("4"));
    assert.equal(again.host, first.host);
  }));

Deno.test("AnonNet.serve() stops the service when it is told to give up waiting", () =>
  inAnonNet(async (net) => {
    const host = await net.program();
    const reason = new Error("enough");
    const stop = new AbortController();
    const serving = host.serve(
      { signal: stop.signal },
      () => new Response("x"),
    );
    stop.abort(reason);
    await assert.rejects(serving, reason);
    const site = await host.serve({}, () => new Response("x"));
    assert.ok(site.isReachable);
  }));

Deno.test("AnonNet.start() says what is missing", () =>
  inAnonNet(async (net) => {
    await assert.rejects(net.program({ bootstrap: [] }), {
      name: "ConfigError",
      code: "node.no_bootstrap",
    });
    await assert.rejects(net.program({ network: "mian" }), {
      code: "auth.unknown_network",
    });
    await assert.rejects(net.program({ bootstrap: ["192.0.2.7:4001"] }), {
      name: "ConfigError",
    });
    await assert.rejects(net.program({ hops: 8 }), RangeError);
    const reason = new Error("enough");
    await assert.rejects(
      net.program({ signal: AbortSignal.abort(reason) }),
      reason,
    );
  }));

Deno.test("AnonNet.start() takes an invite where an address goes, and needs no more later", () =>
  inAnonNet(async (net) => {
    const crypto = nobleSuite();
    using key = new Identity(crypto, new Uint8Array(32).fill(3));
    const line = formatInvite(
      crypto,
      signInvite(crypto, key, {
        network: networkParameters("local"),
        relays: net.relays.slice(0, 3).map(({ address }) => address),
        expiryMs: net.world.clock.unixMs() + 3_600_000,
      }),
    );
    await assert.rejects(net.program({ bootstrap: [line.slice(0, 90)] }), {
      code: "auth.invite_cut",
    });
    const site = await net.site(() => new Response("in"));
    const machine = net.world.machine();
    const dialFrom = `${machine.client.dialFrom.host}:0`;
    for (const bootstrap of [[line], []]) {
      await using program = await AnonNet.startOn(machine.runtime, {
        state: "state",
        bootstrap,
        dialFrom,
      });
      const response = await program.fetch(`http://${site.host}/`);
      assert.equal(await response.text(), "in");
    }
  }));
