import assert from "node:assert/strict";
import type { NodeAddress } from "../../../lib/auth/node_address.ts";
import { concat } from "../../../lib/base/bytes.ts";
import { sleep } from "../../../lib/base/clock.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import type { Node } from "../../../lib/node/node.ts";
import type { StreamHandler } from "../../../lib/node/host/stream_target.ts";
import { parseServiceHost } from "../../../lib/service/address.ts";
import { echo, sendSlowly } from "../../support/stream_handlers.ts";
import { inNodeWorld, type NodeWorld, type RelayNode } from "../node_world.ts";
import { exchange, NEVER } from "./service_world.ts";

const pattern = (length: number, seed = 1) => seededRandom(seed).bytes(length);
const RELAYS = 20;

/** A network, one of whose nodes runs a service. */
interface Network {
  readonly relays: readonly RelayNode[];
  readonly bootstrap: readonly NodeAddress[];
  readonly host: Node;
  /** The service's address. */
  readonly address: string;
}

async function startNetwork(
  world: NodeWorld,
  stack: AsyncDisposableStack,
  handle: StreamHandler,
): Promise<Network> {
  const first = stack.use(await world.machine().startRelay());
  const bootstrap = [first.address];
  const relays = [first];
  for (let n = 1; n < RELAYS; n++) {
    const machine = world.machine();
    relays.push(stack.use(await machine.startRelay({ bootstrap })));
  }
  // They hear of each other.
  await sleep(world.clock, 60_000);
  const machine = world.machine();
  const host = stack.use(
    await machine.start({
      bootstrap,
      client: machine.client,
      services: [{
        name: "test",
        targets: new Map([[80, { type: "handler", handle }]]),
      }],
    }),
  );
  const address = host.services[0]?.host ?? "";
  return { relays, bootstrap, host, address };
}

async function startVisitor(
  world: NodeWorld,
  { bootstrap }: Network,
  stack: AsyncDisposableStack,
): Promise<Node> {
  const machine = world.machine();
  const node = await machine.start({ bootstrap, client: machine.client });
  return stack.use(node);
}

function connect(world: NodeWorld, visitor: Node, { address }: Network) {
  const { visits } = visitor.client ?? assert.fail("not a client");
  const crypto = world.machine().runtime.crypto;
  const service = parseServiceHost(crypto, address);
  return visits.connect({ service, port: 80, isolation: undefined }, {
    signal: NEVER,
  });
}

Deno.test("a service is visited over real circuits, and bytes go both ways", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const network = await startNetwork(world, stack, echo);
    const visitor = await startVisitor(world, network, stack);
    const startMs = world.clock.nowMs();
    const stream = await connect(world, visitor, network);
    await stream.opened;
    // Seven lines of 10 ms each way; circuits to the directory are a line longer.
    const roundTrips = (world.clock.nowMs() - startMs) / 140;
    assert.ok(roundTrips <= 3.5, `cold after ${roundTrips} round trips`);
    const bytes = pattern(1_000_000);
    assert.deepEqual(await exchange(stream, bytes), bytes);
  }));

/** What becomes of a relay. */
const DEATHS: Record<
  string,
  (world: NodeWorld, relay: RelayNode) => void | Promise<void>
> = {
  "which stop": (_world, { node }) => node[Symbol.asyncDispose](),
  "which fall silent": (world, { address: { address } }) => {
    const { network } = world;
    const before = network.intercept;
    const isVictim = ({ host }: { host: string }) => host === address.host;
    network.intercept = (write) =>
      isVictim(write.from) || isVictim(write.to)
        ? { bytes: new Uint8Array(0) }
        : before?.(write);
  },
};

/** The relay with most circuits that it joins, or passes on. */
function busiest(
  relays: Iterable<RelayNode>,
  role: "joined" | "extended",
): RelayNode {
  const count = ({ relay }: RelayNode) => relay.circuits.stats.states[role];
  const [first] = [...relays].sort((a, b) => count(b) - count(a));
  assert.ok(first !== undefined && count(first) > 0, `no relay is ${role}`);
  return first;
}

/**
 * Which relays die, how many of them, and how long a transfer may stand still.
 * Where two sides draw from the same twenty relays, one relay may be on both
 * legs: then the service must be met again, which takes up to five seconds where legs
 * that are apart take two. The busiest relay is a guard, of which no node
 * has more than two.
 */
const ROLES = {
  "three rendezvous points": { role: "joined", deaths: 3, stallMs: 5_500 },
  "the busiest relay": { role: "extended", deaths: 1, stallMs: 4_000 },
} as const;

const CASES = Object.entries(DEATHS).flatMap(([how, die]) =>
  Object.entries(ROLES).map(([what, rest]) => ({ how, die, what, ...rest }))
);

for (const { how, die, what, role, deaths, stallMs: longestMs } of CASES) {
  Deno.test(`a transfer over real circuits survives the death of ${what}, ${how}`, () =>
    inNodeWorld(async (world) => {
      await using stack = new AsyncDisposableStack();
      const bytes = pattern(3_000_000);
      const network = await startNetwork(
        world,
        stack,
        sendSlowly(world.clock, bytes, { pieceBytes: 50_000, restMs: 250 }),
      );
      const visitor = await startVisitor(world, network, stack);
      const stream = await connect(world, visitor, network);
      await stream.opened;
      const alive = new Set(network.relays);
      const killing = (async () => {
        for (let n = 0; n < deaths; n++) {
          await sleep(world.clock, 4_500);
          const victim = busiest(alive, role);
          alive.delete(victim);
          await die(world, victim);
        }
      })();
      const chunks: Uint8Array[] = [];
      let stallMs = 0;
      for (let lastMs = world.clock.nowMs();;) {
        const chunk = await stream.read();
        stallMs = Math.max(stallMs, world.clock.nowMs() - lastMs);
        lastMs = world.clock.nowMs();
        if (chunk === undefined) break;
        chunks.push(chunk);
      }
      await killing;
      assert.deepEqual(concat(...chunks), bytes);
      assert.ok(stallMs <= longestMs, `a stall of ${stallMs} ms`);
    }));
}
