/**
 * Networks that stop as a whole and come back elsewhere, over real processes: every
 * node has its state, and remembers the others where they are no longer.
 *
 * @module
 */
import assert from "node:assert/strict";
import { SystemClock } from "../../lib/machine/system_clock.ts";
import { isInstalled, run } from "../support/client_programs.ts";
import { NodeProcess, ProcessNetwork } from "../support/process_network.ts";

/**
 * Nodes must be back by then, ms. The promise is 30 s; beside all other tests of the
 * suite processes get a part of the machine each.
 */
const BACK_MS = Deno.env.get("ALONE") === undefined ? 90_000 : 30_000;

/** Enough for circuits of services. */
const RELAYS = 5;

const clock = new SystemClock();

/** Start a node anew on the state of another one. */
function again(
  stack: AsyncDisposableStack,
  { name, state }: NodeProcess,
  words: readonly string[],
): NodeProcess {
  return stack.use(new NodeProcess(name, state, words));
}

Deno.test({
  name:
    "relays that were all stopped, and are at other ports, are together again, and so are a service and a proxy that remember them",
  ignore: !isInstalled("curl"),
  async fn() {
    await using stack = new AsyncDisposableStack();
    const site = stack.use(
      Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen() {} },
        () => new Response("still here"),
      ),
    );
    const network = stack.use(await ProcessNetwork.start({ relays: RELAYS }));
    const target = `80=127.0.0.1:${site.addr.port}`;
    const service = await network.serve([target]);
    const proxy = await network.proxy("proxy");
    const { host } = service;
    const { relays } = network;
    await Promise.all([service, proxy, ...relays].map((node) => node.end()));

    // The one that was the first to join by is not the first to come back.
    const [first, ...others] = relays.toReversed();
    assert.ok(first !== undefined);
    const listen = "--listen=127.0.0.1:0";
    const startMs = clock.nowMs();
    const start = await again(stack, first, ["relay", listen]).becomeReady();
    const bootstrap = `--bootstrap=${start.address}`;
    const moved = others.map((relay) =>
      again(stack, relay, ["relay", listen, bootstrap])
    );
    const movedService = again(stack, service, ["serve", bootstrap, target]);
    const movedProxy = again(stack, proxy, [
      ...["proxy", bootstrap, "--socks=127.0.0.1:0", "--http=127.0.0.1:0"],
    ]);
    const tookMs: Record<string, number> = {};
    await Promise.all(
      [...moved, movedService, movedProxy].map(async (node) => {
        await node.becomeReady(2 * BACK_MS);
        tookMs[node.name] = Math.round(clock.nowMs() - startMs);
      }),
    );
    assert.equal(movedService.host, host);
    const { text, stderr } = await run("curl", [
      ...["-q", "-sS", "--max-time", "30"],
      ...["--proxy", `socks5h://${movedProxy.socks}`, `http://${host}/`],
    ]);
    assert.equal(text, "still here", stderr);
    const late = Object.entries(tookMs).filter(([, ms]) => ms > BACK_MS);
    assert.deepEqual(late, [], `ready after ${JSON.stringify(tookMs)} ms`);
  },
});

Deno.test("a first relay whose acquaintances are all dead is up at once, says what it waits for, and others join by it", async () => {
  await using stack = new AsyncDisposableStack();
  const network = stack.use(await ProcessNetwork.start({ relays: 3 }));
  const { relays } = network;
  await Promise.all(relays.map((node) => node.end()));
  const [first, second] = relays;
  assert.ok(first !== undefined && second !== undefined);
  const startMs = clock.nowMs();
  const listen = "--listen=127.0.0.1:0";
  const alone = await again(stack, first, ["relay", listen]).becomeReady();
  const tookMs = clock.nowMs() - startMs;
  assert.ok(tookMs < BACK_MS / 3, `ready after ${tookMs} ms`);
  await alone.process.stderr.until((line) =>
    /remembers answers.*--bootstrap/.test(line)
  );
  const bootstrap = `--bootstrap=${alone.address}`;
  await again(stack, second, ["relay", listen, bootstrap]).becomeReady();
});
