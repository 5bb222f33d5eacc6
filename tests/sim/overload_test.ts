/**
 * More to do than the processors of the relays can: when it is over, everything goes
 * on as before, within seconds.
 *
 * @module
 */
import assert from "node:assert/strict";
import { deadline, raceSignal, sleep } from "../../lib/base/clock.ts";
import { AnonNetError, UnreachableError } from "../../lib/base/errors.ts";
import { readAll } from "../node/session/service_world.ts";
import { SlowProcessors } from "./slow_processors.ts";
import {
  inWholeWorld,
  type WholeWorld,
  type WorldClient,
  type WorldService,
} from "./whole_world.ts";

const VISITORS = 60;
const BYTES = 10 * 1024;
/** Between two requests of a visitor, ms. */
const THINK_MS = 12_000;
/** How long a visitor waits for an answer, ms. */
const PATIENCE_MS = 30_000;
/** Six relays so bear some 8 visitors who come in a second. */
const COSTS = { handshakeMs: 50, messageMs: 2 } as const;
/** How many times as long everything takes while other programs need the machines. */
const SLOWNESS = 5;
const CALM_MS = 30_000;
const OVERLOAD_MS = 40_000;
/** From so long after the end of that everything is as quick as ever, ms. */
const RECOVERED_MS = 20_000;
const QUICK_ANSWER_MS = 3_000;
const AFTER_MS = 40_000;
/** Wishes for circuits that wait at a client when it is over. */
const MOST_WAITING = 64;

/** One request, as it went. */
interface Outcome {
  readonly atMs: number;
  readonly tookMs: number;
  readonly error: string | undefined;
}

class Visitor {
  readonly #world: WholeWorld;
  readonly #service: WorldService;
  readonly #client: WorldClient;
  readonly #isolation: string;

  constructor(
    world: WholeWorld,
    service: WorldService,
    client: WorldClient,
    isolation: string,
  ) {
    this.#world = world;
    this.#service = service;
    this.#client = client;
    this.#isolation = isolation;
  }

  /** Ask again and again. */
  async visit(untilMs: number, outcomes: Outcome[]): Promise<void> {
    const { clock } = this.#world;
    while (clock.nowMs() < untilMs) {
      const atMs = clock.nowMs();
      const error = await this.#ask();
      outcomes.push({ atMs, tookMs: clock.nowMs() - atMs, error });
      await sleep(clock, THINK_MS);
    }
  }

  async #ask(): Promise<string | undefined> {
    const { clock } = this.#world;
    using limit = deadline(clock, PATIENCE_MS, impatient);
    const { signal } = limit;
    try {
      const { publicKey } = this.#service;
      const isolation = this.#isolation;
      const target = { service: publicKey, port: 80, isolation };
      const stream = await this.#client.role.visits.connect(target, { signal });
      try {
        const all = await raceSignal(readAll(stream), signal);
        assert.equal(all.length, BYTES);
      } finally {
        stream.abort();
      }
      return undefined;
    } catch (error) {
      if (error instanceof AnonNetError) return error.code;
      throw error;
    }
  }
}

function impatient(): UnreachableError {
  return new UnreachableError("test.impatient", "No answer in time");
}

function failuresOf(outcomes: readonly Outcome[]): (string | undefined)[] {
  return outcomes.map(({ error }) => error).filter((error) =>
    error !== undefined
  );
}

function slowest(outcomes: readonly Outcome[]): number {
  return Math.max(...outcomes.map(({ tookMs }) => tookMs));
}

Deno.test("A network whose processors had too much to do for a while recovers within seconds", () => {
  const processors = new SlowProcessors(COSTS);
  return inWholeWorld({
    relays: 6,
    maxEvents: 1e9,
    cryptoOf: (name, suite) => processors.cryptoOf(name, suite),
  }, async (world) => {
    const { clock } = world;
    const service = await world.addService(async (stream) => {
      await stream.write(new Uint8Array(BYTES));
      await stream.closeWrite();
    });
    const clients = [
      await world.addClient("one"),
      await world.addClient("two"),
    ];
    await sleep(clock, 30_000);
    processors.begin(world);
    const startMs = clock.nowMs();
    const overMs = startMs + CALM_MS + OVERLOAD_MS;
    const endMs = overMs + AFTER_MS;
    const outcomes: Outcome[] = [];
    const visits = Array.from({ length: VISITORS }, async (_, number) => {
      // The last of them come while there is too much to do.
      await sleep(clock, (CALM_MS + OVERLOAD_MS) * number / VISITORS);
      const client = clients[number % clients.length];
      assert.ok(client !== undefined);
      const visitor = new Visitor(world, service, client, `${number}`);
      await visitor.visit(endMs, outcomes);
    });
    await sleep(clock, CALM_MS);
    processors.slowness = SLOWNESS;
    await sleep(clock, OVERLOAD_MS);
    processors.slowness = 1;
    const waiting = clients.map(({ role }) => role.circuits.waiting);
    await Promise.all(visits);
    const of = (fromMs: number, toMs: number) =>
      outcomes.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
    assert.deepEqual(failuresOf(of(startMs, startMs + CALM_MS - 5_000)), []);
    const most = Math.max(...waiting);
    assert.ok(most <= MOST_WAITING, `${most} wishes for circuits wait`);
    // Late, but answered.
    assert.deepEqual(failuresOf(of(overMs, Infinity)), []);
    const latest = of(overMs + RECOVERED_MS, Infinity);
    assert.ok(slowest(latest) < QUICK_ANSWER_MS, `${slowest(latest)} ms`);
  });
});
