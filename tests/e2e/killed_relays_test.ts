/**
 * What relays that die, or fall silent, take with them: the circuits through them
 * end at both ends, nothing of them is left anywhere, and others are ready soon.
 *
 *     SILENCE_MS=10000 deno task test tests/e2e/killed_relays_test.ts      as relays do
 *
 * @module
 */
import assert from "node:assert/strict";
import type { NodeRecord } from "../../lib/auth/node_record.ts";
import type { OwnCircuit } from "../../lib/node/circuit/own_circuit.ts";
import { relayKey } from "../../lib/path/relay_key.ts";
import { untilFound } from "../support/polling.ts";
import { PooledClient } from "../support/pooled_client.ts";
import { RelayProcess } from "../support/relay_processes.ts";

const RELAYS = 8;
/** Beside all other tests, processes get a small part of the machine (`deno task long:killed`). */
const SLOWNESS = Deno.env.get("ALONE") === undefined ? 8 : 1;
/** Silence after which relays give a neighbour up: 10 s but for the time that tests may take. */
const SILENCE_MS = Number(Deno.env.get("SILENCE_MS") ?? 3_000);
const TRANSPORT = { idleTimeoutMs: SILENCE_MS, keepAliveMs: SILENCE_MS / 3 };
/** From its last word to that of who waited: machines that test are slow. */
const FOUND_OUT_MS = SLOWNESS * 2 * Math.max(SILENCE_MS, 5_000);
/** Time until everything is ready again, once that is known. */
const WARM_MS = SLOWNESS * 5_000;
/** Time until nothing is left of what went away, ms: some of it ends when relays find out. */
const SETTLED_MS = FOUND_OUT_MS + WARM_MS;

const [GUARD, SECOND, LAST] = [0, 1, 2] as const;

/** What happens to a relay, and to the circuit that it is on. */
interface Strike {
  readonly relay: RelayProcess;
  readonly circuit: OwnCircuit;
  readonly signal: Deno.Signal;
}

/** A network of processes, and a client in this one. */
class KillingWorld implements AsyncDisposable {
  readonly client: PooledClient;
  readonly #up: Set<RelayProcess>;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    relays: readonly RelayProcess[],
    client: PooledClient,
    stack: AsyncDisposableStack,
  ) {
    this.#up = new Set(relays);
    this.client = client;
    this.#stack = stack;
  }

  static async start(): Promise<KillingWorld> {
    await using stack = new AsyncDisposableStack();
    const relays = await Promise.all(
      Array.from(
        { length: RELAYS },
        () => RelayProcess.start({ transport: TRANSPORT }),
      ),
    );
    for (const relay of relays) stack.use(relay);
    const records = relays.map(({ record }) => record);
    const client = stack.use(await PooledClient.start(records));
    return new KillingWorld(relays, client, stack.move());
  }

  /**
   * Choose relays by their places on circuits, none on the circuit of the next. In
   * so small a network there may be no such circuit: then the first is enough.
   */
  async choose(
    ...signals: readonly (readonly [hop: number, signal: Deno.Signal])[]
  ): Promise<Strike[]> {
    const strikes: Strike[] = [];
    for (const [hop, signal] of signals) {
      const circuit = await this.#takeAround(
        strikes.map(({ relay }) => relay),
        hop,
      );
      if (circuit === undefined) break;
      const relay = this.#find(circuit.path[hop]);
      assert.ok(relay !== undefined);
      strikes.push({ relay, circuit, signal });
    }
    assert.ok(strikes.length > 0);
    return strikes;
  }

  async #takeAround(
    relays: readonly RelayProcess[],
    hop: number,
  ): Promise<OwnCircuit | undefined> {
    for (let tries = 0; tries < 50; tries++) {
      const circuit = await this.client.take();
      const path = circuit.path.map((hop) => this.#find(hop));
      // A guard may be a later hop too. Without both, others stand in after a minute.
      const isGuard = hop !== GUARD && this.#isGuard(circuit.path[hop]);
      if (!isGuard && !path.some((relay) => relay && relays.includes(relay))) {
        return circuit;
      }
      circuit.close();
    }
    return undefined;
  }

  #isGuard(hop: NodeRecord | undefined): boolean {
    return hop !== undefined &&
      this.client.guards.some((guard) =>
        relayKey(guard) === relayKey(hop.nodeId)
      );
  }

  /** Strike all at once. Resolves when the last of their circuits has ended. */
  async strike(strikes: readonly Strike[]): Promise<void> {
    for (const { relay, signal } of strikes) {
      this.#up.delete(relay);
      relay.process.signal(signal);
    }
    const startMs = performance.now();
    for (const { circuit } of strikes) {
      assert.deepEqual(await circuit.closed, { code: "destroyed" });
    }
    const tookMs = performance.now() - startMs;
    assert.ok(tookMs < FOUND_OUT_MS, `found out after ${tookMs} ms`);
  }

  /** Let relays that were stopped go on. */
  revive(strikes: readonly Strike[]): void {
    for (const { relay, signal } of strikes) {
      if (signal !== "SIGSTOP") continue;
      relay.process.signal("SIGCONT");
      this.#up.add(relay);
    }
  }

  /** Wait until as many circuits are ready as shall be. */
  async warm(): Promise<void> {
    await untilFound(
      () => Promise.resolve(this.client.isWarm || undefined),
      WARM_MS,
      "circuits that are ready",
    );
  }

  /** Wait until relays hold the circuits of the pool, and nothing else. */
  async settled(): Promise<void> {
    await untilFound(
      async () => {
        const reports = await this.#reports();
        for (const { errors } of reports) assert.deepEqual(errors, []);
        const hops = reports.flatMap(({ stats }) => Object.values(stats.states))
          .reduce((sum, count) => sum + count, 0);
        const isIdle = reports.every(({ stats }) => stats.waitingBytes === 0);
        const isSettled = this.client.isWarm && isIdle &&
          hops === this.client.hops;
        return isSettled || undefined;
      },
      SETTLED_MS,
      "relays that hold the circuits of the pool alone",
    );
  }

  #reports() {
    return Promise.all(Array.from(this.#up, (relay) => relay.report()));
  }

  #find(hop: NodeRecord | undefined): RelayProcess | undefined {
    return [...this.#up].find(({ record }) =>
      hop !== undefined && relayKey(record.nodeId) === relayKey(hop.nodeId)
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

Deno.test("relays in any place that stop or die end their circuits at both ends, leave nothing, and others are ready in seconds", async () => {
  await using world = await KillingWorld.start();
  await world.settled();
  const rounds = [
    [[GUARD, "SIGKILL"], [SECOND, "SIGSTOP"], [LAST, "SIGSTOP"]],
    [[SECOND, "SIGKILL"], [LAST, "SIGKILL"]],
  ] as const;
  for (const round of rounds) {
    const strikes = await world.choose(...round);
    await world.strike(strikes);
    await world.warm();
    await world.settled();
    world.revive(strikes);
    await world.settled();
  }
  // The last guard: nothing can be built, until it is back.
  const strikes = await world.choose([GUARD, "SIGSTOP"]);
  await world.strike(strikes);
  assert.equal(world.client.isWarm, false);
  world.revive(strikes);
  await world.settled();
});
