/**
 * Machines that sleep, and machines that are carried to another network: lines go
 * dead without a word, and no request waits for their time-outs.
 *
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import {
  inWholeWorld,
  type WholeWorld,
  type WorldClient,
  type WorldMachine,
} from "./whole_world.ts";

const HOUR_MS = 3_600_000;
/** Until the watch looks (5 s), links are probed (2 s), and circuits built anew. */
const BACK_MS = 10_000;

const NEVER = new AbortController().signal;

/** The lines of a machine, which can go dead. */
class Lines {
  readonly #world: WholeWorld;
  readonly #seen = new Set<number>();

  /** Make it before the machine starts a node. */
  constructor(world: WholeWorld, machine: WorldMachine) {
    this.#world = world;
    world.network.observe = ({ connection, from, to }) => {
      if (from.host === machine.host || to.host === machine.host) {
        this.#seen.add(connection);
      }
    };
  }

  /** Nothing comes through those that there are; new ones are good. */
  die(): void {
    const dead = new Set(this.#seen);
    assert.ok(dead.size > 0);
    this.#world.network.intercept = ({ connection }) =>
      dead.has(connection) ? { delayMs: 1_000 * HOUR_MS } : undefined;
  }
}

/** Take a circuit that works. */
async function takeWorking({ role }: WorldClient): Promise<void> {
  for (;;) {
    const circuit = await role.circuits.take({
      purpose: "rendezvous",
      signal: NEVER,
    });
    const isAlive = await circuit.ping({ signal: NEVER })
      .then(() => true, () => false);
    circuit.close();
    if (isAlive) return;
  }
}

const CHANGES = {
  "slept for eight hours": ({ clock }: WholeWorld) => {
    clock.jumpUnix(8 * HOUR_MS);
  },
  "has been carried to another network": (
    _: WholeWorld,
    machine: WorldMachine,
  ) => {
    machine.addresses = ["192.0.2.7"];
  },
};

for (const [what, change] of Object.entries(CHANGES)) {
  Deno.test(`a client that ${what} drops its dead links, and has circuits again within seconds`, () =>
    inWholeWorld({ relays: 9 }, async (world) => {
      const { clock } = world;
      const machine = world.machine("client");
      const lines = new Lines(world, machine);
      const client = await world.addClient("client", machine);
      await takeWorking(client);
      lines.die();
      change(world, machine);
      const startMs = clock.nowMs();
      await takeWorking(client);
      const tookMs = clock.nowMs() - startMs;
      assert.ok(tookMs < BACK_MS, `${tookMs} ms`);
      await sleep(clock, 60_000);
      assert.equal(client.role.links.links.length, 2);
    }));
}

Deno.test("a service whose machine slept can be reached again within seconds", () =>
  inWholeWorld({ relays: 9 }, async (world) => {
    const { clock } = world;
    const machine = world.machine("service");
    const lines = new Lines(world, machine);
    const service = await world.addService(
      undefined,
      { name: "service" },
      machine,
    );
    const client = await world.addClient();
    lines.die();
    clock.jumpUnix(8 * HOUR_MS);
    await sleep(clock, 2 * BACK_MS);
    const stream = await client.role.gateway.connect({
      host: service.driver.host,
      port: 80,
      isolation: "a",
    }, { signal: NEVER });
    await stream.write(new TextEncoder().encode("still here?"));
    const answer = await stream.read();
    assert.equal(new TextDecoder().decode(answer), "still here?");
    stream.abort();
  }));
