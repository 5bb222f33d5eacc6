/** The commands that have to do with services, as their users meet them. */
import assert from "node:assert/strict";
import { askList } from "../support/asked_node.ts";
import { untilFound } from "../support/polling.ts";
import { runProgram } from "../support/process.ts";
import { ProcessNetwork } from "../support/process_network.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";

/** A web server to put behind a service. */
function startTarget(): { readonly address: string } & AsyncDisposable {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => new Response(`hello from ${new URL(request.url).pathname}`),
  );
  return {
    address: `127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** Fetch by a client that knows nothing of us. */
async function fetchThrough(proxy: string, url: string): Promise<Response> {
  const client = Deno.createHttpClient({
    proxy: { url: proxy },
    poolMaxIdlePerHost: 0,
  });
  const response = await fetch(url, { client });
  const body = await response.bytes();
  client.close();
  return new Response(body, response);
}

const ADDRESS = /^[a-z2-7]{56}\.anon$/;

Deno.test("serve, proxy and what can be asked of them work together in processes of their own", async () => {
  await using target = startTarget();
  await using network = await ProcessNetwork.start({ relays: 4 });
  const hops = ["--hops=2"];
  const service = await network.serve([`80=${target.address}`], [
    "--name=blog",
    ...hops,
  ]);
  const proxy = await network.proxy("proxy", hops);
  assert.match(service.host, ADDRESS);
  for (const url of [`socks5h://${proxy.socks}`, `http://${proxy.http}`]) {
    const page = await fetchThrough(url, `http://${service.host}/a`);
    assert.equal(await page.text(), "hello from /a");
  }

  const asked = (name: string, state: string, ...words: string[]) =>
    runProgram([name, `--state=${state}`, ...words]);
  const services = await asked("services", service.state, "--json");
  const [shown] = JSON.parse(services.stdout);
  assert.deepEqual(
    [shown.name, shown.host, shown.ports, shown.reachable, shown.points],
    ["blog", service.host, [80], true, 3],
  );
  assert.match(
    (await asked("services", service.state)).stdout,
    new RegExp(`^NAME .*\\nblog +${service.host} +80 +yes +3`),
  );
  assert.match(
    (await asked("services", proxy.state)).stderr,
    /hosts no service/,
  );

  const circuits = JSON.parse(
    (await asked("circuits", proxy.state, "--json")).stdout,
  );
  assert.ok(circuits.own.circuits.length > 0);
  assert.equal(circuits.relayed, null);
  const roles = circuits.own.circuits[0].hops
    .map(({ role }: { role: string }) => role);
  assert.deepEqual(roles, ["guard", "layer2"]);
  const [first] = network.relays;
  assert.ok(first !== undefined);
  const carried = JSON.parse(
    (await asked("circuits", first.state, "--json")).stdout,
  );
  assert.equal(carried.own, null);
  assert.ok(carried.relayed.created > 0);
  const table = await asked("circuits", proxy.state);
  assert.match(table.stdout, /^ID +PURPOSE +STATE +HOPS +AGE/);
  assert.match(table.stdout, /guard layer2/);
  assert.match(
    (await asked("circuits", first.state)).stdout,
    /^Carried for others:/,
  );
  // Nothing that is shown names a relay, a service or a key.
  const key = /[a-z2-7]{50,}|[0-9a-f]{40,}|127\.0\.0\.1/;
  assert.doesNotMatch(JSON.stringify(circuits), key);
  assert.doesNotMatch(JSON.stringify(carried), key);

  const url = `http://${service.host}/page`;
  const found = await asked("lookup", proxy.state, url, "--json");
  assert.equal(found.code, 0, found.stderr);
  const facts = JSON.parse(found.stdout);
  assert.equal(facts.host, service.host);
  assert.equal(facts.introductionPoints, 3);
  // No word of the service's clock.
  assert.deepEqual(Object.keys(facts), ["host", "introductionPoints"]);
  assert.match(
    (await asked("lookup", proxy.state, `www.${service.host}`)).stdout,
    /introduction points 3/,
  );
  const letter = service.host.startsWith("a") ? "b" : "a";
  const failures: readonly (readonly [string, readonly string[], RegExp])[] = [
    [proxy.state, [letter + service.host.slice(1)], /mistyped or cut/],
    [proxy.state, ["example.com"], /does not end in \.anon/],
    [proxy.state, [await unusedAddress()], /it has not been announced/],
    [first.state, [service.host], /ask a proxy/],
  ];
  for (const [state, words, message] of failures) {
    const { code, stdout, stderr } = await asked("lookup", state, ...words);
    assert.equal(code, 1, words.join());
    assert.equal(stdout, "");
    assert.match(stderr, message);
  }
  const status = JSON.parse(
    (await asked("status", proxy.state, "--json")).stdout,
  );
  assert.deepEqual(status.roles, ["client", "proxy"]);
  assert.deepEqual([status.publicKey, status.address], [null, null]);
  assert.equal(status.socks, proxy.socks);
  assert.equal(status.visits.sessions, 1);

  using running = await Deno.connect(hostAndPort(proxy.http));
  await running.write(
    new TextEncoder().encode(
      `CONNECT ${service.host}:80 HTTP/1.1\r\nHost: ${service.host}:80\r\n\r\n`,
    ),
  );
  await running.read(new Uint8Array(1000));
  const renewed = await asked("newnym", proxy.state);
  assert.equal(renewed.code, 0, renewed.stderr);
  assert.match(renewed.stdout, /New streams begin new sessions/);
  assert.match(renewed.stdout, /go on as before: 1\n/);
  const page = await fetchThrough(
    `http://${proxy.http}`,
    `http://${service.host}/b`,
  );
  assert.equal(await page.text(), "hello from /b");
  const after = JSON.parse(
    (await asked("status", proxy.state, "--json")).stdout,
  );
  // The one that carries the tunnel, and the new one.
  assert.equal(after.visits.sessions, 2);
  const relayed = await asked("newnym", first.state);
  assert.equal(relayed.code, 1);
  assert.match(relayed.stderr, /this node builds no circuits/);
});

function hostAndPort(place: string): Deno.ConnectOptions {
  const [hostname = "", port] = place.split(":");
  return { hostname, port: Number(port) };
}

/** An address that is right, and that no service has. */
async function unusedAddress(): Promise<string> {
  await using home = await TemporaryDirectory.create();
  const out = home.pathOf("service.key");
  const made = await runProgram([
    "keygen",
    "--service",
    "--json",
    "--out",
    out,
  ]);
  assert.equal(made.code, 0, made.stderr);
  return JSON.parse(made.stdout).host;
}

Deno.test("run does all at once as its file says, and a private service is found by its clients alone", async () => {
  await using target = startTarget();
  await using network = await ProcessNetwork.start({ relays: 4 });
  const config = network.home.pathOf("anonnet.toml");
  const [clientState, strangerState] = ["client", "stranger"]
    .map((name) => network.home.pathOf(name));
  assert.ok(clientState !== undefined && strangerState !== undefined);
  const key = network.home.pathOf("all.key");
  const made = await runProgram([
    "keygen",
    "--vanity=ab",
    "--json",
    "--out",
    key,
  ]);
  const { host } = JSON.parse(made.stdout);
  assert.match(host, /^ab[a-z2-7]{54}\.anon$/);
  const asked = await runProgram([
    "client-key",
    `--state=${clientState}`,
    host,
  ]);
  assert.match(asked.stdout, /^[a-z2-7]{103}\n$/, asked.stderr);

  const state = network.home.pathOf("all");
  await Deno.mkdir(state, { mode: 0o700 });
  await Deno.copyFile(key, `${state}/service-wiki.key`);
  await Deno.chmod(`${state}/service-wiki.key`, 0o600);
  await Deno.writeTextFile(
    config,
    `relay = true
     listen = "127.0.0.1:0"
     hops = 2
     socks = "127.0.0.1:0"
     service = ["wiki,80=${target.address}", "open,8080=${target.address}"]
     authorise = ["wiki=${asked.stdout.trim()}"]`,
  );
  const all = await network.start("run", "all", ["--config", config]);
  assert.match(all.address, /^anon:/);
  const [wiki, open] = all.services;
  assert.deepEqual([wiki?.name, wiki?.host, wiki?.ports], ["wiki", host, [80]]);
  assert.deepEqual([open?.name, open?.ports], ["open", [8080]]);

  const client = await network.proxy("client", ["--hops=2"]);
  const stranger = await network.proxy("stranger", ["--hops=2"]);
  const page = (proxy: string, url: string) =>
    fetchThrough(`http://${proxy}`, url);
  const found = await page(client.http, `http://${host}/`);
  assert.equal(await found.text(), "hello from /");
  const refused = await page(stranger.http, `http://${host}/`);
  assert.equal(refused.status, 403);
  assert.match(await refused.text(), /authorised clients/);
  const other = await page(stranger.http, `http://${open?.host}:8080/b`);
  assert.equal(await other.text(), "hello from /b");
  // Its own proxy reaches its own services.
  const own = await fetchThrough(
    `socks5h://${all.socks}`,
    `http://${open?.host}:8080/c`,
  );
  assert.equal(await own.text(), "hello from /c");
});

Deno.test("a proxy that cannot start ends with code 1, or 2 for a wrong word, and says what to change", async () => {
  await using home = await TemporaryDirectory.create();
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const state = `--state=${home.pathOf("a")}`;
  const lost = await runProgram(["proxy", "--network=local", state]);
  assert.equal(lost.code, 1);
  assert.match(lost.stderr, /no node of it is known yet; give .* --bootstrap/);
  await using network = await ProcessNetwork.start({ relays: 4 });
  const bootstrap = network.relays.map(({ address }) =>
    `--bootstrap=${address}`
  );
  const common = ["--network=local", "--hops=2", state, ...bootstrap];
  const { port } = taken.addr;
  const busy = await runProgram([
    "proxy",
    ...common,
    `--socks=127.0.0.1:${port}`,
    "--http=127.0.0.1:0",
  ]);
  assert.equal(busy.code, 1, busy.stderr);
  assert.match(busy.stderr, /the port is in use; give another one/);
  const open = await runProgram(["proxy", ...common, "--socks=0.0.0.0:0"]);
  // Words that are wrong whatever the machine is like (protocol §9.4 "Command line").
  assert.equal(open.code, 2);
  assert.match(open.stderr, /other machines could use the proxy/);
});

Deno.test("services add and remove host services of a node that runs, also after a restart", async () => {
  await using target = startTarget();
  await using network = await ProcessNetwork.start({ relays: 4 });
  const hops = ["--hops=2"];
  const node = await network.proxy("node", hops);
  const visitor = await network.proxy("visitor", hops);
  const services = (...words: string[]) =>
    runProgram(["services", ...words, `--state=${node.state}`]);
  const listed = () => askList(node.state, "services");
  const visit = async (host: string) => {
    const page = await fetchThrough(
      `http://${visitor.http}`,
      `http://${host}/x`,
    );
    return page.status === 200 ? await page.text() : page.status;
  };
  /** Wait until the node hosts these services, and all of them can be reached. */
  const reachable = async (names: readonly string[]) => {
    const all = await untilFound(
      async () => {
        const all = await askList(node.state, "services");
        return all.every(({ reachable }) => reachable === true)
          ? all
          : undefined;
      },
      60_000,
      "services that can be reached",
    );
    assert.deepEqual(all.map(({ name }) => name).toSorted(), names);
  };

  const port = `80=${target.address}`;
  const added = await services("add", "blog", port);
  assert.equal(added.code, 0, added.stderr);
  const host = added.stdout.trim();
  assert.match(host, ADDRESS);
  const brief = await services("add", "brief", port, "--ephemeral");
  assert.match(brief.stdout.trim(), ADDRESS);
  await reachable(["blog", "brief"]);
  assert.equal(await visit(host), "hello from /x");
  assert.equal(await visit(brief.stdout.trim()), "hello from /x");
  const twice = await services("add", "blog", port);
  assert.equal(twice.code, 1);
  assert.match(twice.stderr, /there is one of that name/);

  await node.restart();
  await reachable(["blog"]);
  assert.equal(await visit(host), "hello from /x");

  const unknown = await services("remove", "brief");
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /hosts none of that name/);
  assert.match((await services("remove", host)).stdout, /Removed .*blog/);
  assert.deepEqual(await listed(), []);
  await node.restart();
  assert.deepEqual(await listed(), []);
});
