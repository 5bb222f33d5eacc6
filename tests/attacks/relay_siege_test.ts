/**
 * Three hosts without an identity attack a relay, by each way there is and by all of
 * them at once. Meanwhile clients that come for the first time are served, and what
 * the relay holds stays under its quota.
 *
 * `ATTACK_SCALE=full` lets them have all the links that a host may, and tries each way by
 * itself.
 *
 * @see protocol §5.6 "Memory"
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import {
  type CircuitLimits,
  DEFAULT_CIRCUIT_LIMITS,
} from "../../lib/node/relay/circuit_server.ts";
import { startRelay, withCircuits } from "../node/circuit/circuit_world.ts";
import { isFullSize } from "./hostile_visitor.ts";
import { assertServed, Door } from "../siege/newcomers.ts";
import {
  Raider,
  RELAY_ATTACKS,
  type RelayAttack,
} from "../siege/relay_attacks.ts";
import {
  COUNTING_HOSTS,
  inMemorySiege,
  type MemorySiege,
} from "../siege/siege_world.ts";

const HOSTS = ["127.0.251.1", "127.0.252.1", "127.0.253.1"];
const QUOTA_BYTES = 2 * 1024 * 1024;
/** Of each host and attack. */
const LINKS = isFullSize ? 8 : 2;
/** Time until an attack is at its height, ms. */
const BUILD_UP_MS = isFullSize ? 30_000 : 5_000;
const GOODPUT_MS = 1_000;
/** Places are as few as make an attack of seconds fill them. */
const LIMITS = {
  circuits: DEFAULT_CIRCUIT_LIMITS.circuits / 32,
  circuitsPerPeer: DEFAULT_CIRCUIT_LIMITS.circuitsPerPeer / 32,
};

interface Siege {
  readonly name: string;
  /** What is done at once. */
  readonly attacks: readonly RelayAttack[];
  /** Places of the relay; default: as it has them. */
  readonly limits?: Partial<CircuitLimits>;
}

async function besiege(
  world: MemorySiege,
  { attacks, limits }: Siege,
): Promise<void> {
  const node = { network: COUNTING_HOSTS };
  const relay = await startRelay(world, {
    node,
    network: COUNTING_HOSTS,
    verifier: world.verifier(),
    limits: { quotaBytes: QUOTA_BYTES, ...limits },
  });
  const beside = async () => (await startRelay(world)).record;
  const door = await Door.open(world, relay.record, beside, GOODPUT_MS);
  const quiet = await door.measure();
  const end = new AbortController();
  const raids = HOSTS.flatMap((host) =>
    attacks.map((attack) =>
      attack(
        new Raider(world, relay.record, {
          host,
          links: LINKS,
          signal: end.signal,
        }),
      )
    )
  );
  let mostBytes = 0;
  const look = world.clock.schedule(0, function look() {
    mostBytes = Math.max(mostBytes, relay.server.stats.waitingBytes);
    if (!end.signal.aborted) world.clock.schedule(50, look);
  });
  await sleep(world.clock, BUILD_UP_MS);
  const attacked = await door.measure();
  end.abort();
  look.cancel();
  await world.close();
  await Promise.all(raids);
  assertServed(quiet, attacked);
  assert.ok(mostBytes <= QUOTA_BYTES, `${mostBytes} bytes waited`);
  assert.deepEqual(relay.errors, []);
}

const SIEGES: readonly Siege[] = [
  {
    name: "all attacks at once",
    attacks: Object.values(RELAY_ATTACKS),
    limits: LIMITS,
  },
  // Among all of them it is its hosts' share of circuits that holds it back.
  { name: "dead extends alone", attacks: [RELAY_ATTACKS["dead extends"]] },
  ...isFullSize
    ? Object.entries(RELAY_ATTACKS).map(([name, attack]) => ({
      name,
      attacks: [attack],
      limits: LIMITS,
    }))
    : [],
];

for (const siege of SIEGES) {
  Deno.test(`newcomers are served by a relay under ${siege.name} from three hosts`, () =>
    withCircuits<MemorySiege>(inMemorySiege)((world) => besiege(world, siege)));
}
