/**
 * A download over a network whose relays stop and fall silent at random, and come
 * back: not a byte is lost, doubled or out of order.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { SocketAddress } from "../../lib/auth/socket_address.ts";
import { concat } from "../../lib/base/bytes.ts";
import { sleep } from "../../lib/base/clock.ts";
import {
  type Random,
  randomBelow,
  randomChoice,
  seededRandom,
} from "../../lib/base/random.ts";
import { parseServiceHost } from "../../lib/service/address.ts";
import {
  inNodeWorld,
  type Machine,
  type NodeWorld,
  type RelayNode,
} from "../node/node_world.ts";
import { NEVER } from "../node/session/service_world.ts";
import { sendSlowly } from "../support/stream_handlers.ts";

const RELAYS = 16;
const BYTES = 2_000_000;
/** How often a relay goes away, and for how long, ms. */
const EVERY_MS = 4_000;
const AWAY_MS = 5_000;
/** With both guards of a side away a transfer waits until they are back. */
const LONGEST_STALL_MS = 30_000;

/** Relays that go away and come back. */
class RestlessRelays implements AsyncDisposable {
  readonly #world: NodeWorld;
  readonly #random: Random;
  readonly #machines: Machine[] = [];
  /** `undefined`: away. */
  readonly #relays: (RelayNode | undefined)[] = [];
  readonly #silent = new Set<RelayNode>();
  readonly #addresses = new Map<string, SocketAddress>();
  readonly #tasks: Promise<void>[] = [];
  #isOver = false;

  constructor(world: NodeWorld, random: Random) {
    this.#world = world;
    this.#random = random;
    world.network.observe = ({ from, to }) => {
      for (const address of [from, to]) {
        this.#addresses.set(`${address.host} ${address.port}`, address);
      }
    };
  }

  async start(): Promise<void> {
    for (let n = 0; n < RELAYS; n++) {
      const machine = this.#world.machine();
      this.#machines.push(machine);
      const bootstrap = this.bootstrap;
      this.#relays.push(await machine.startRelay({ bootstrap }));
    }
  }

  /** Some that are there. */
  get bootstrap() {
    return this.#relays.filter((relay) => relay !== undefined)
      .slice(0, 4).map(({ address }) => address);
  }

  /** Let one relay after the other go away, until it is over. */
  async run(): Promise<void> {
    while (!this.#isOver) {
      await sleep(this.#world.clock, EVERY_MS);
      const index = randomBelow(this.#random, RELAYS);
      const relay = this.#relays[index];
      if (relay === undefined || this.#silent.has(relay)) continue;
      const leave = randomChoice(this.#random, [
        () => this.#restart(index, relay),
        () => this.#fallSilent(relay),
      ]);
      if (leave !== undefined) this.#tasks.push(leave());
    }
  }

  end(): void {
    this.#isOver = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#tasks);
    for (const relay of this.#relays) await relay?.[Symbol.asyncDispose]();
  }

  async #restart(index: number, relay: RelayNode): Promise<void> {
    this.#relays[index] = undefined;
    await relay[Symbol.asyncDispose]();
    await sleep(this.#world.clock, AWAY_MS);
    const { bootstrap } = this;
    const machine = this.#machines[index];
    this.#relays[index] = await machine?.startRelay({ bootstrap });
  }

  async #fallSilent(relay: RelayNode): Promise<void> {
    this.#silent.add(relay);
    const { host } = relay.address.address;
    const all = [...this.#addresses.values()];
    using _cut = this.#world.network.cut(
      all.filter((address) => address.host === host),
      all.filter((address) => address.host !== host),
    );
    await sleep(this.#world.clock, AWAY_MS);
    this.#silent.delete(relay);
  }
}

for (const seed of [1, 2]) {
  Deno.test(`a download is whole while relays come and go, seed ${seed}`, () =>
    inNodeWorld(async (world) => {
      const random = seededRandom(seed);
      await using stack = new AsyncDisposableStack();
      const relays = stack.use(new RestlessRelays(world, random));
      await relays.start();
      await sleep(world.clock, 60_000);
      const { bootstrap } = relays;
      const bytes = random.bytes(BYTES);
      const [service, visitor] = [world.machine(), world.machine()];
      const host = stack.use(
        await service.start({
          bootstrap,
          client: service.client,
          services: [{
            name: "test",
            targets: new Map([[80, {
              type: "handler",
              handle: sendSlowly(world.clock, bytes, {
                pieceBytes: 20_000,
                restMs: 250,
              }),
            }]]),
          }],
        }),
      );
      const node = stack.use(
        await visitor.start({ bootstrap, client: visitor.client }),
      );
      const { crypto } = service.runtime;
      const address = host.services[0]?.host ?? "";
      const stream = await node.client?.visits.connect({
        service: parseServiceHost(crypto, address),
        port: 80,
        isolation: undefined,
      }, { signal: NEVER });
      assert.ok(stream !== undefined);
      await stream.opened;
      const running = relays.run();
      const chunks: Uint8Array[] = [];
      let stallMs = 0;
      for (let lastMs = world.clock.nowMs();;) {
        const chunk = await stream.read();
        stallMs = Math.max(stallMs, world.clock.nowMs() - lastMs);
        lastMs = world.clock.nowMs();
        if (chunk === undefined) break;
        chunks.push(chunk);
      }
      relays.end();
      await running;
      assert.deepEqual(concat(...chunks), bytes, `seed ${seed}`);
      assert.ok(stallMs <= LONGEST_STALL_MS, `${stallMs} ms, seed ${seed}`);
    }));
}
