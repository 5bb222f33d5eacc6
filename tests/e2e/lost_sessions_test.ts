/**
 * Sessions that are lost, and programs that hold connections by them: a service
 * that crashes or is restarted, and processes that stand still for a while.
 *
 *     STILL_SECONDS=600 deno task test tests/e2e/lost_sessions_test.ts      or: deno task long:asleep
 *
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import { SystemClock } from "../../lib/machine/system_clock.ts";
import { EchoTarget, HeldConnection } from "../support/held_connection.ts";
import {
  type EndManner,
  type NodeProcess,
  ProcessNetwork,
} from "../support/process_network.ts";

/** Beside all other tests, processes get a small part of the machine (`deno task long:asleep`). */
const SLOWNESS = Deno.env.get("STILL_SECONDS") === undefined ? 8 : 1;
/** Within this time from a service's return, or from waking up, a program knows, ms. */
const TOLD_MS = SLOWNESS * 5_000;
/** Links to guards are lost by then, and no session is, ms. */
const SHORT_MS = 12_000;
/** Sessions are lost by then, ms. Only where there is time for it. */
const LONG_MS = 1_000 * Number(Deno.env.get("STILL_SECONDS") ?? 0);
/** A session without a leg is given up after a minute, and some seconds pass until it has none, ms. */
const GIVEN_UP_MS = 75_000;

const CAN_STOP = Deno.build.os !== "windows";
const WORDS = "still here?";

/** Two connections: on one the program speaks, on one it waits. */
interface HeldConnections {
  readonly speaking: HeldConnection;
  readonly waiting: HeldConnection;
}

/** A service, a proxy, and the connections between them. */
class HeldNetwork implements AsyncDisposable {
  readonly target: EchoTarget;
  readonly service: NodeProcess;
  readonly proxy: NodeProcess;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    parts: Pick<HeldNetwork, "target" | "service" | "proxy">,
    stack: AsyncDisposableStack,
  ) {
    this.target = parts.target;
    this.service = parts.service;
    this.proxy = parts.proxy;
    this.#stack = stack;
  }

  static async start(): Promise<HeldNetwork> {
    await using stack = new AsyncDisposableStack();
    const target = stack.use(new EchoTarget());
    const network = stack.use(await ProcessNetwork.start({ relays: 5 }));
    const [service, proxy] = await Promise.all([
      network.serve([`80=${target.address}`]),
      network.proxy("proxy"),
    ]);
    return new HeldNetwork({ target, service, proxy }, stack.move());
  }

  /** Open two connections, held until the network ends. */
  async hold(): Promise<HeldConnections> {
    const { socks } = this.proxy;
    const { host } = this.service;
    const open = async () => {
      const held = await HeldConnection.open(socks, host, "a");
      this.#stack.use(held);
      assert.equal((await held.say(WORDS)).how, "echoed");
      return held;
    };
    return { speaking: await open(), waiting: await open() };
  }

  /** Open one more connection, by the same session or another one, and speak on it. @returns ms. */
  async openAnother(): Promise<number> {
    const startMs = performance.now();
    const { socks } = this.proxy;
    const { host } = this.service;
    using another = await HeldConnection.open(socks, host, "a");
    assert.equal((await another.say(WORDS)).how, "echoed");
    return performance.now() - startMs;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

/** Say what was measured, and see that it is soon enough. */
function assertSoon(what: string, ms: number, limitMs: number): void {
  assert.ok(ms <= limitMs, `${what}: ${Math.round(ms)} ms`);
}

Deno.test("connections to a service that goes and is started again are reset, and another is there within seconds", async (t) => {
  await using network = await HeldNetwork.start();
  const { service } = network;
  for (const manner of ["kill", "stop"] as const satisfies EndManner[]) {
    await t.step(`by ${manner}`, async () => {
      const { speaking, waiting } = await network.hold();
      const resets = [waiting.listen()];
      if (manner === "stop") resets.push(speaking.listen());
      await service.restart(manner);
      const readyMs = performance.now();
      if (manner === "kill") resets.push(speaking.say(WORDS));
      const opening = network.openAnother();
      for (const { how } of await Promise.all(resets)) {
        assert.equal(how, "reset");
      }
      assertSoon("told", performance.now() - readyMs, TOLD_MS);
      assertSoon("another", await opening, TOLD_MS);
      assertSoon("one more", await network.openAnother(), TOLD_MS);
    });
  }
});

for (const who of ["proxy", "service"] as const) {
  Deno.test({
    name: `connections go on within seconds after the ${who} was stopped for ${
      SHORT_MS / 1000
    } s`,
    // Simulations do the same beside the other tests (tests/sim/asleep_test.ts).
    ignore: !CAN_STOP || LONG_MS === 0,
    async fn() {
      await using network = await HeldNetwork.start();
      const { speaking, waiting } = await network.hold();
      await standStill(network[who], SHORT_MS);
      const answers = await Promise.all([
        speaking.say(WORDS),
        waiting.say(WORDS),
      ]);
      for (const { how, ms } of answers) {
        assert.equal(how, "echoed");
        assertSoon("answered", ms, TOLD_MS);
      }
      assert.equal(network.target.open, 2);
    },
  });
}

Deno.test({
  name:
    "a program whose proxy was stopped for minutes is told within seconds that its connection is lost",
  ignore: !CAN_STOP || LONG_MS < GIVEN_UP_MS,
  async fn() {
    await using network = await HeldNetwork.start();
    const { proxy, target } = network;
    const { speaking, waiting } = await network.hold();
    await standStill(proxy, LONG_MS);
    assert.equal(target.open, 0, "the service has given them up");
    const wokeMs = performance.now();
    const opening = network.openAnother();
    const answers = await Promise.all([speaking.say(WORDS), waiting.listen()]);
    for (const { how } of answers) assert.equal(how, "reset");
    assertSoon("told", performance.now() - wokeMs, TOLD_MS);
    assertSoon("another", await opening, TOLD_MS);
  },
});

Deno.test({
  name:
    "a target whose service was stopped for minutes is told within seconds that its connections are lost",
  ignore: !CAN_STOP || LONG_MS < GIVEN_UP_MS,
  async fn() {
    await using network = await HeldNetwork.start();
    const { service, target } = network;
    const { speaking, waiting } = await network.hold();
    const resets = Promise.all([speaking.listen(), waiting.listen()]);
    await standStill(service, LONG_MS);
    for (const { how, ms } of await resets) {
      assert.equal(how, "reset");
      assertSoon("given up", ms, GIVEN_UP_MS);
    }
    assert.equal(target.open, 2, "the service has not");
    const wokeMs = performance.now();
    await target.allClosed;
    assertSoon("told", performance.now() - wokeMs, TOLD_MS);
  },
});

/** Stop a process, and let it go on after a while. */
async function standStill({ process }: NodeProcess, ms: number): Promise<void> {
  process.signal("SIGSTOP");
  await sleep(new SystemClock(), ms);
  process.signal("SIGCONT");
}
