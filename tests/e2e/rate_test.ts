/**
 * A relay process that is held to a rate carries that much. It is of the clock and of
 * what else runs, so it is run by `deno task long:rate` alone, for a minute, and tells what it
 * saw; `tests/sim/rate_test.ts` has the same in virtual time.
 *
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import { isJsonObject } from "../../lib/control/json.ts";
import { SystemClock } from "../../lib/machine/system_clock.ts";
import { WIRE_FACTOR } from "../../lib/node/relay/accounting.ts";
import { command, isInstalled } from "../support/client_programs.ts";
import { askObject } from "../support/asked_node.ts";
import { ProcessNetwork } from "../support/process_network.ts";

/** How long it is looked at, s. */
const SECONDS = Number(Deno.env.get("RATE_SECONDS") ?? 0);
const RATE = 1_000_000;
/** How far from the rate it may be, as a share of it. */
const MOST_OFF = 0.05;
/** Time until downloads are at their pace, and the burst is used up, ms. */
const BEGIN_MS = 5_000;
/** Downloads at once, over circuits of their own. */
const DOWNLOADS = 4;
/** Time between two looks at an account that moves once a second, ms. */
const LOOK_MS = 20;

const CHUNK = new Uint8Array(64 * 1024);
const CLOCK = new SystemClock();

/** What links of a relay have moved, and when that was read. */
interface Reading {
  readonly atMs: number;
  /** Bytes both ways, with those of packets. */
  readonly bytes: number;
}

/** A site with a file that has no end. */
function serveWithoutEnd(): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () =>
      new Response(
        new ReadableStream({ pull: (sink) => sink.enqueue(CHUNK.slice()) }),
      ),
  );
}

/** Of `anonnet status`, behind `accounting`. */
async function movedBytes(state: string): Promise<number> {
  const { accounting } = await askObject(state, "status");
  assert.ok(isJsonObject(accounting));
  const { bytes } = accounting;
  assert.ok(typeof bytes === "number");
  return bytes;
}

/** The account at the moment at which it moves: a relay counts once a second. */
async function read(state: string): Promise<Reading> {
  const before = await movedBytes(state);
  for (;;) {
    const bytes = await movedBytes(state);
    if (bytes !== before) return { atMs: CLOCK.nowMs(), bytes };
    await sleep(CLOCK, LOOK_MS);
  }
}

Deno.test({
  name: "a relay held to a megabyte a second carries that",
  ignore: SECONDS === 0 || !isInstalled("curl"),
  async fn() {
    await using stack = new AsyncDisposableStack();
    const site = stack.use(serveWithoutEnd());
    // A service's path to where it meets visitors takes all of four relays.
    const network = stack.use(await ProcessNetwork.start({ relays: 3 }));
    const relay = await network.start("relay", "limited", [
      "--listen=127.0.0.1:0",
      "--rate=1MB",
      // Has it count what its links move.
      "--accounting-max=500GB/month",
    ]);
    const service = await network.serve([`80=127.0.0.1:${site.addr.port}`]);
    const proxy = await network.proxy("proxy");
    for (let index = 0; index < DOWNLOADS; index++) {
      const download = command("curl", [
        ...["-q", "-sS", "--proxy", `socks5h://${proxy.socks}`],
        ...["--proxy-user", `${index}:${index}`, "-o", "/dev/null"],
        `http://${service.host}/`,
      ], { stdout: "null", stderr: "null" }).spawn();
      stack.defer(async () => {
        download.kill("SIGKILL");
        await download.status;
      });
    }
    await sleep(CLOCK, BEGIN_MS);
    const first = await read(relay.state);
    await sleep(CLOCK, SECONDS * 1_000);
    const last = await read(relay.state);

    const seconds = (last.atMs - first.atMs) / 1_000;
    const bytes = (last.bytes - first.bytes) / seconds;
    // What comes in goes out again; the rate is that of cells, without packets.
    const carried = bytes / 2 / WIRE_FACTOR;
    const told = `${seconds.toFixed(1)} s: ${Math.round(carried)} bytes/s ` +
      `passed on, ${
        (100 * (carried / RATE - 1)).toFixed(1)
      } % from the rate; ` +
      `links moved ${Math.round(bytes)} bytes/s both ways, packets included`;
    Deno.stdout.writeSync(new TextEncoder().encode(`${told}\n`));
    assert.ok(Math.abs(carried / RATE - 1) <= MOST_OFF, told);
  },
});
