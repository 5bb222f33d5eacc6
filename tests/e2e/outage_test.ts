/**
 * What programs and operators are told when a node cannot do its work: its guards are
 * dead, too few relays are left, or no other relay reaches it. Over real processes.
 *
 * @module
 */
import assert from "node:assert/strict";
import { deadline } from "../../lib/base/clock.ts";
import { SystemClock } from "../../lib/machine/system_clock.ts";
import { guardsOf } from "../support/asked_node.ts";
import { untilFound } from "../support/polling.ts";
import { logLine, runProgram, startRelay } from "../support/process.ts";
import {
  type NodeProcess,
  ProcessNetwork,
} from "../support/process_network.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";
import { UdpPorts } from "../support/udp_ports.ts";

/** Set by tasks that run a test where nothing else runs; what takes a minute is done there. */
const IS_ALONE = Deno.env.get("ALONE") !== undefined;
/** A program is told by then, ms; beside all other tests processes are slow. */
const TOLD_MS = IS_ALONE ? 20_000 : 40_000;
/** Longest wait of a test for an answer, ms. */
const PATIENCE_MS = 60_000;
const NO_GUARD =
  "Cannot build circuits: none of our guards answers; see whether this machine " +
  "is online. They are tried again";
const TOO_FEW =
  "Cannot build circuits: too few relays are known, or too many " +
  "of them silent; waiting for more (--hops sets how many a circuit takes)";

/** Something that a node was asked for. */
interface Answer<T> {
  readonly value: T;
  readonly tookMs: number;
}

async function timed<T>(work: Promise<T>): Promise<Answer<T>> {
  const startMs = performance.now();
  const value = await work;
  return { value, tookMs: performance.now() - startMs };
}

/** The reply byte of SOCKS5 to a request for a name. */
async function socksReply(proxy: NodeProcess, host: string): Promise<number> {
  const [hostname = "", port] = proxy.socks.split(":");
  using connection = await Deno.connect({ hostname, port: Number(port) });
  using limit = deadline(
    new SystemClock(),
    PATIENCE_MS,
    () => new Error("no reply"),
  );
  limit.signal.addEventListener("abort", () => connection.close());
  const name = new TextEncoder().encode(host);
  const greeting = [5, 1, 0];
  const request = [5, 1, 0, 3, name.length, ...name, 0, 80];
  await connection.write(Uint8Array.from([...greeting, ...request]));
  const read: number[] = [];
  const buffer = new Uint8Array(64);
  while (read.length < 4) {
    const count = await connection.read(buffer);
    assert.ok(count !== null, "the proxy closes without a reply");
    read.push(...buffer.subarray(0, count));
  }
  assert.deepEqual(read.slice(0, 3), [5, 0, 5]);
  return read[3] as number;
}

/** A page by the HTTP proxy. */
async function page(proxy: NodeProcess, host: string): Promise<Response> {
  using client = Deno.createHttpClient({
    proxy: { url: `http://${proxy.http}` },
    poolMaxIdlePerHost: 0,
  });
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const response = await fetch(`http://${host}/`, { client, signal });
  return new Response(await response.text(), response);
}

async function status(node: string, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await runProgram([
    "status",
    `--state=${node}`,
    ...words,
  ]);
  assert.equal(code, 0, stderr);
  return stdout;
}

async function facts(node: string) {
  return JSON.parse(await status(node, "--json"));
}

/** The address of a service that never was. */
async function unusedAddress(home: TemporaryDirectory): Promise<string> {
  const out = home.pathOf("service.key");
  const words = ["keygen", "--service", "--json", "--out", out];
  const { code, stdout, stderr } = await runProgram(words);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout).host;
}

Deno.test("a program is told within 20 s that no guard answers, and is served once one does", async () => {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("hello"),
  );
  using ports = new UdpPorts(5);
  await using network = await ProcessNetwork.start({
    relays: 5,
    relayFlags: (index) => [`--listen=127.0.0.1:${ports.ports[index]}`],
  });
  const proxy = await network.proxy("proxy");
  const service = await network.serve([`80=127.0.0.1:${server.addr.port}`]);
  const { host } = service;
  assert.equal(await (await page(proxy, host)).text(), "hello");
  assert.match(
    await status(proxy.state),
    /^circuits +fine: 5 relays known, 0 of them silent, 4 needed$/m,
  );
  await Promise.all(network.relays.map((relay) => relay.end("kill")));

  const [socks, http] = await Promise.all([
    timed(socksReply(proxy, host)),
    timed(page(proxy, host)),
  ]);
  assert.equal(socks.value, 3);
  assert.equal(http.value.status, 503);
  assert.equal(
    http.value.headers.get("Proxy-Status"),
    'anonnet; details="path.guards_down"',
  );
  assert.match(
    await http.value.text(),
    /None of the relays .* \(its guards\) answers/,
  );
  for (const { tookMs } of [socks, http]) {
    assert.ok(tookMs < TOLD_MS, `told after ${tookMs} ms`);
  }
  const told = await logLine(proxy.process, NO_GUARD);
  assert.deepEqual([told["known"], told["needed"]], [5, 4]);
  const { circuits } = await facts(proxy.state);
  assert.deepEqual(
    [circuits.state, circuits.known, circuits.needed],
    ["guards_down", 5, 4],
  );
  assert.match(
    await status(proxy.state),
    /^circuits +None of the relays by which .* 5 relays known, .* 4 needed/m,
  );

  for (const relay of network.relays) relay.begin();
  await Promise.all(network.relays.map((relay) => relay.becomeReady()));
  await untilFound(
    async () => {
      const again = await page(proxy, host).catch(() => undefined);
      return again?.status === 200 ? true : undefined;
    },
    4 * PATIENCE_MS,
    "the service",
  );
  const log = await proxy.endAndGetLog();
  assert.equal(log.split(NO_GUARD).length, 2, log);
});

Deno.test("with three relays left a node says once how many are known and needed, and so does its proxy, alone, with one left", async () => {
  await using network = await ProcessNetwork.start({ relays: 7 });
  const proxy = await network.proxy("proxy");
  const [guard] = await guardsOf(proxy, network.relays);
  assert.ok(guard !== undefined, "no guard");
  const [one, two, ...others] = network.relays
    .filter((relay) => relay !== guard);
  assert.ok(one !== undefined && two !== undefined);
  const nowhere = await unusedAddress(network.home);
  await Promise.all(others.map((relay) => relay.end("kill")));
  // Whatever they find: circuits are wanted.
  const asking = Promise.allSettled([page(proxy, nowhere)]);
  const told = await logLine(proxy.process, TOO_FEW);
  assert.deepEqual([told["known"], told["needed"]], [7, 4]);
  assert.ok(Number(told["silent"]) >= 4, JSON.stringify(told));
  const { circuits, relays } = await facts(proxy.state);
  assert.deepEqual([relays, circuits.known, circuits.needed], [7, 7, 4]);
  assert.equal(circuits.state, "too_few_relays");
  assert.match(
    await status(proxy.state),
    /^circuits +Too few relays answer: 7 relays known, [4-6] of them silent, 4 needed/m,
  );
  if (IS_ALONE) {
    await asking;
    await tooFew(proxy, [one, two], nowhere);
  }
  const log = await proxy.endAndGetLog();
  assert.equal(log.split(TOO_FEW).length, 2, log);
  assert.doesNotMatch(log, /Too many circuits have failed/);
});

/** Programs are told as well, once circuits could not be built for long enough. */
async function tooFew(
  proxy: NodeProcess,
  left: readonly NodeProcess[],
  nowhere: string,
): Promise<void> {
  await Promise.all(left.map((relay) => relay.end("kill")));
  const { value, tookMs } = await timed(
    untilFound(
      async () => {
        const { status, headers } = await page(proxy, nowhere);
        const why = headers.get("Proxy-Status") ?? "";
        return status === 503 && why.includes("path.") ? why : undefined;
      },
      2 * PATIENCE_MS,
      "an error that says why",
    ),
  );
  assert.match(value, /path\.too_few_relays/);
  const { tookMs: againMs } = await timed(page(proxy, nowhere));
  assert.ok(againMs < TOLD_MS, `${tookMs} ms, then ${againMs} ms`);
  assert.equal(await socksReply(proxy, nowhere), 3);
}

Deno.test("a proxy that waits for more relays says how many are known and needed, also to who asks", async () => {
  await using network = await ProcessNetwork.start({ relays: 3 });
  const [first] = network.relays;
  assert.ok(first !== undefined);
  const state = network.home.pathOf("proxy");
  const starting = network.start("proxy", "proxy", [
    "--socks=127.0.0.1:0",
    "--http=127.0.0.1:0",
  ]);
  starting.catch(() => {});
  const text = await untilFound(
    async () => {
      const { stdout } = await runProgram(["status", `--state=${state}`]);
      return /^circuits +Too few/m.test(stdout) ? stdout : undefined;
    },
    PATIENCE_MS,
    "the status",
  );
  assert.match(
    text,
    /^circuits +Too few relays answer: 3 relays known, 0 of them silent, 4 needed/m,
  );
  assert.match(text, /^relays +3$/m);
  await network.start("relay", "late", ["--listen=127.0.0.1:0"]);
  await starting;
});

Deno.test("a relay that advertises where it is not learns so within 25 s, and one that is reached learns that", async () => {
  await using home = await TemporaryDirectory.create();
  using ports = new UdpPorts(1);
  await using first = await startRelay(home.pathOf("a"));
  const bootstrap = `--bootstrap=${first.address}`;
  await using second = await startRelay(home.pathOf("b"), [bootstrap]);
  await using lost = await startRelay(home.pathOf("c"), [
    bootstrap,
    `--advertise=127.0.0.1:${ports.ports[0]}`,
  ]);
  const { value, tookMs } = await timed(logLine(
    lost.process,
    "Other relays do not reach this one at the address that it advertises, and " +
      "no client uses it until they do; see that the port is forwarded to this " +
      "machine, that no firewall closes it, and that --advertise is right",
  ));
  assert.ok(tookMs < TOLD_MS + 5_000, `told after ${tookMs} ms`);
  assert.equal(value.level, "warning");
  assert.equal(value["reached"], 0);
  const { reach } = await facts(home.pathOf("c"));
  assert.equal(reach.state, "not_reached");
  assert.match(
    await status(home.pathOf("c")),
    /^reach +not reached: ([12]) of \1 relays tried in vain; see that the port/m,
  );

  await logLine(second.process, "Other relays reach this one");
  assert.match(
    await status(home.pathOf("b")),
    /^reach +reached by 1 of 1 relays that tried$/m,
  );
});
