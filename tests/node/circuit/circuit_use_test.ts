import assert from "node:assert/strict";
import { sleep } from "../../../lib/base/clock.ts";
import { ConfigError, UnreachableError } from "../../../lib/base/errors.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { VirtualClock } from "../../../lib/base/virtual_clock.ts";
import { repeatableSuite } from "../../../lib/crypto/repeatable.ts";
import {
  type CircuitUse,
  useCircuit,
  whileAlive,
} from "../../../lib/node/circuit/circuit_use.ts";
import type { WaitLimit } from "../../../lib/node/circuit/circuits.ts";
import { TRIES } from "../../../lib/pool/circuit_tries.ts";
import { createDrain } from "../../../lib/sim/world/drain.ts";
import { runOn } from "../../transport/world.ts";
import { FakeCircuits, FakeNetwork } from "./fake_circuits.ts";

const NEVER = new AbortController().signal;
/** A fake circuit is there after two latencies. */
const BUILD_MS = 80;
const [FIRST, SECOND, THIRD] = TRIES.map(({ besideMs }) => besideMs);

class UseWorld {
  readonly clock = new VirtualClock({ drain: createDrain(), maxEvents: 1e4 });
  readonly network = new FakeNetwork(
    this.clock,
    seededRandom(7),
    repeatableSuite(),
  );
  readonly circuits = new FakeCircuits(this.network);
  /** When each try had its circuit, ms. */
  readonly tries: number[] = [];

  /** Use a circuit: each try by the next of these. */
  use<T>(
    uses: readonly ((limit: WaitLimit) => Promise<T>)[],
    signal = NEVER,
  ): Promise<T> {
    const use: CircuitUse<T> = (_circuit, limit) => {
      const next = uses[this.tries.length];
      this.tries.push(this.clock.nowMs());
      return next?.(limit) ?? assert.fail("no more tries were expected");
    };
    return useCircuit(this, { purpose: "rendezvous", signal }, use);
  }

  silence = ({ signal }: WaitLimit): Promise<never> =>
    sleep(this.clock, 3_600_000, { signal }) as Promise<never>;
  after = <T>(ms: number, value: T) => async () => {
    await sleep(this.clock, ms);
    return value;
  };
  failAfter = (ms: number, error: Error) => async () => {
    await sleep(this.clock, ms);
    throw error;
  };
}

function inUseWorld(test: (world: UseWorld) => Promise<void>): Promise<void> {
  const world = new UseWorld();
  return runOn(world.clock, test(world));
}

function gone(name = "gone"): UnreachableError {
  return new UnreachableError(`circuit.${name}`, "Cannot use circuit");
}

Deno.test("useCircuit() takes one circuit when it answers soon, and leaves it open", () =>
  inUseWorld(async (world) => {
    assert.equal(await world.use([world.after(900, "a")]), "a");
    assert.deepEqual(world.tries, [BUILD_MS]);
    await sleep(world.clock, 60_000);
    assert.equal(world.circuits.taken.length, 1);
    assert.equal(world.circuits.open.size, 1);
  }));

Deno.test("useCircuit() tries another circuit beside a silent one, and closes the silent one", () =>
  inUseWorld(async (world) => {
    const answer = await world.use([world.silence, world.after(100, "b")]);
    assert.equal(answer, "b");
    assert.deepEqual(world.tries, [BUILD_MS, 1_000 + 2 * BUILD_MS]);
    await sleep(world.clock, 1);
    assert.equal(world.circuits.open.size, 1);
  }));

Deno.test("useCircuit() takes the answer of a slow circuit that is faster than those beside it", () =>
  inUseWorld(async (world) => {
    const answer = await world.use([world.after(1_500, "slow"), world.silence]);
    assert.equal(answer, "slow");
    assert.equal(world.clock.nowMs(), BUILD_MS + 1_500);
    await sleep(world.clock, 1);
    assert.equal(world.circuits.open.size, 1);
  }));

Deno.test("useCircuit() closes the circuit of a try that answers after another one", () =>
  inUseWorld(async (world) => {
    const both = world.after(2_000 - BUILD_MS, "both");
    const tries = [both, world.after(1_000 - 2 * BUILD_MS, "both")];
    assert.equal(await world.use(tries), "both");
    await sleep(world.clock, 1);
    assert.equal(world.circuits.open.size, 1);
  }));

Deno.test("useCircuit() asks for no second circuit while many wait for one", () =>
  inUseWorld(async (world) => {
    world.circuits.pressure = "crowded";
    world.clock.schedule(10_000, () => world.circuits.pressure = "free");
    const { silence } = world;
    const uses = [silence, world.after(10, "late")];
    assert.equal(await world.use(uses), "late");
    const [, second = 0] = world.tries;
    assert.ok(second >= 8_000, "the first is given up then");
  }));

Deno.test("useCircuit() gives a circuit that came late as much time as any other", () =>
  inUseWorld(async (world) => {
    world.circuits.pressure = "crowded";
    const take = world.circuits.take.bind(world.circuits);
    world.circuits.take = async (wish) => {
      await sleep(world.clock, 7_500);
      return await take(wish);
    };
    assert.equal(await world.use([world.after(3_000, "whole")]), "whole");
    assert.equal(world.tries.length, 1);
  }));

Deno.test("useCircuit() goes on at once when the latest try has failed", () =>
  inUseWorld(async (world) => {
    const fails = world.failAfter(10, gone());
    assert.equal(await world.use([fails, fails, world.after(1, "c")]), "c");
    assert.deepEqual(world.tries, [80, 170, 260]);
  }));

Deno.test("useCircuit() leaves it at those under way when an earlier try fails", () =>
  inUseWorld(async (world) => {
    const fails = world.failAfter(1_500, gone());
    assert.equal(await world.use([fails, world.after(1_000, "d")]), "d");
    assert.equal(world.tries.length, 2);
  }));

Deno.test("useCircuit() fails when all tries have, with what the last one met", () =>
  inUseWorld(async (world) => {
    const fails = (name: string) => world.failAfter(10, gone(name));
    await assert.rejects(world.use([fails("a"), fails("b"), fails("c")]), {
      code: "circuit.c",
    });
    assert.equal(world.circuits.open.size, 0);
  }));

Deno.test("useCircuit() gives up circuits that never answer, and leaves none open", () =>
  inUseWorld(async (world) => {
    const { silence } = world;
    await assert.rejects(world.use([silence, silence, silence]), {
      code: "circuit.slow",
    });
    const startsMs = (FIRST ?? 0) + (SECOND ?? 0) + 3 * BUILD_MS;
    assert.equal(THIRD, Infinity);
    assert.equal(world.clock.nowMs(), startsMs + (TRIES.at(-1)?.endMs ?? 0));
    assert.equal(world.circuits.open.size, 0);
  }));

Deno.test("useCircuit() passes on other errors at once", () =>
  inUseWorld(async (world) => {
    const error = new ConfigError("test.wrong", "Cannot be");
    await assert.rejects(world.use([world.failAfter(1, error)]), error);
    assert.equal(world.tries.length, 1);
    assert.equal(world.circuits.open.size, 0);
  }));

Deno.test("useCircuit() ends with its signal, and closes what it has taken", () =>
  inUseWorld(async (world) => {
    const control = new AbortController();
    world.clock.schedule(1_500, () => control.abort(gone("over")));
    const { silence } = world;
    await assert.rejects(world.use([silence, silence], control.signal), {
      code: "circuit.over",
    });
    await sleep(world.clock, 1);
    assert.equal(world.circuits.open.size, 0);
    assert.equal(world.tries.length, 2);
  }));

Deno.test("useCircuit() takes no circuit when its signal is aborted already", () =>
  inUseWorld(async (world) => {
    const signal = AbortSignal.abort(gone("over"));
    await assert.rejects(world.use([], signal), { code: "circuit.over" });
    await sleep(world.clock, 60_000);
    assert.equal(world.tries.length, 0);
    assert.equal(world.circuits.open.size, 0);
  }));

Deno.test("whileAlive() asks for a sign of life only where the answer takes long", () =>
  inUseWorld(async (world) => {
    const { clock, circuits } = world;
    const limit = { signal: NEVER };
    const circuit = await circuits.take({ purpose: "directory", ...limit });
    let pings = 0;
    let isSilent = false;
    circuit.ping = async ({ signal } = limit) => {
      pings++;
      await sleep(clock, isSilent ? 3_600_000 : 80, { signal });
      return 80;
    };
    const ask = (ms: number) =>
      whileAlive(clock, circuit, limit, async (within) => {
        await sleep(clock, ms, within);
        return "answer";
      });
    assert.equal(await ask(400), "answer");
    assert.equal(pings, 0);
    assert.equal(await ask(3_000), "answer");
    assert.equal(pings, 1);
    isSilent = true;
    const beganMs = clock.nowMs();
    await assert.rejects(ask(60_000), { code: "circuit.silent" });
    assert.equal(clock.nowMs() - beganMs, 5_000);
  }));
