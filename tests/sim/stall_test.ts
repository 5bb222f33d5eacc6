/**
 * How long a transfer stands still when a relay of the leg that carries it dies
 * and another leg is warm, for each place on the way and both ways to die.
 *
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { relaysOf, type Role } from "./chaos.ts";
import { seeds } from "./seeds.ts";
import { Transfer } from "./transfer.ts";
import {
  inWholeWorld,
  type WholeWorld,
  type WorldClient,
  type WorldRelay,
  type WorldService,
} from "./whole_world.ts";

const NEVER = new AbortController().signal;
/** Longest that a transfer may stand still when a leg dies and another is warm, ms. */
const STALL_MS = 2_000;
/** A cell or two each way, often; a transfer so slow lasts through all deaths. */
const PACE = { everyMs: 100, bytes: 4_000 } as const;
const DEATH_EVERY_MS = 4_000;
const ON_THE_WAY = [
  "client guard",
  "client middle",
  "rendezvous point",
  "service hop 3",
  "service hop 2",
  "service guard",
] as const satisfies readonly Role[];
const DEATHS = ["crash", "stop"] as const;

/** Bytes that left each host lately. */
class Traffic {
  readonly #bytes = new Map<string, number>();

  constructor({ network }: WholeWorld) {
    network.observe = ({ from, bytes }) => {
      this.#bytes.set(from.host, this.of(from.host) + bytes.length);
    };
  }

  of(host: string): number {
    return this.#bytes.get(host) ?? 0;
  }

  clear(): void {
    this.#bytes.clear();
  }
}

/** A leg, all the way: the client's half and the service's. */
type Way = readonly string[];

/** When each relay died last, ms. */
type Deaths = ReadonlyMap<string, number>;

/** All legs, whole; `undefined` while there are not two at least, over relays that live. */
function wholeLegs(
  client: WorldClient,
  service: WorldService,
  deaths: Deaths,
): readonly Way[] | undefined {
  const theirs = service.legs.filter(({ isExtended }) => isExtended);
  const isDead = [...client.legs, ...theirs].some(({ circuit, takenMs }) =>
    circuit.path.some(({ nodeId }) =>
      takenMs < (deaths.get(nodeId.toHex()) ?? 0)
    )
  );
  if (isDead) return undefined;
  // A third one is there for a while after a death.
  const { legs } = client.role.visits.status;
  const isWarm = legs >= 2 && client.legs.length === legs &&
    theirs.length === legs;
  if (!isWarm) return undefined;
  const ways = client.legs.map(({ circuit }) => {
    const ids = circuit.path.map(({ nodeId }) => nodeId.toHex());
    const point = ids.at(-1);
    const other = theirs.find(({ circuit }) =>
      circuit.path.at(-1)?.nodeId.toHex() === point
    );
    return other === undefined
      ? []
      : [...ids, ...other.circuit.path.map(({ nodeId }) => nodeId.toHex())];
  });
  return ways.some((way) => way.length === 0) ? undefined : ways;
}

async function untilWarm(
  world: WholeWorld,
  client: WorldClient,
  service: WorldService,
  deaths: Deaths,
): Promise<void> {
  for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 100) {
    const legs = wholeLegs(client, service, deaths);
    if (legs !== undefined) return;
    await sleep(world.clock, 100);
  }
  assert.fail("the session never has two legs");
}

/** The relay of a role on the leg that carries most, if another leg does without it. */
function victimOf(
  world: WholeWorld,
  client: WorldClient,
  service: WorldService,
  role: Role,
  deaths: Deaths,
  traffic: Traffic,
): WorldRelay | undefined {
  const legs = wholeLegs(client, service, deaths);
  if (legs === undefined) return undefined;
  const load = (way: Way) => {
    const point = world.relays.find(({ id }) => id === way[2]);
    return traffic.of(point?.machine.host ?? "");
  };
  const [busy, ...others] = [...legs].sort((a, b) => load(b) - load(a));
  return relaysOf(world, client, service, role).find(({ id }) =>
    busy?.includes(id) && others.some((other) => !other.includes(id))
  );
}

/** Deaths of a seed, one after the other, and how long each held up the transfer. */
async function stalls(seed: number) {
  const found: { role: Role; death: string; stallMs: number }[] = [];
  await inWholeWorld({
    seed,
    relays: 16,
  }, async (world) => {
    const rounds = ON_THE_WAY.flatMap((role) =>
      DEATHS.map((death) => ({ role, death }))
    );
    const bytes = PACE.bytes * (2 + rounds.length) * 7_000 / PACE.everyMs;
    const transfer = new Transfer(world.clock, seededRandom(seed), {
      up: bytes,
      down: bytes,
    }, PACE);
    const service = await world.addService(transfer.serve);
    const client = await world.addClient();
    const target = {
      service: service.publicKey,
      port: 80,
      isolation: undefined,
    };
    const traffic = new Traffic(world);
    const deaths = new Map<string, number>();
    const stream = await client.role.visits.connect(target, { signal: NEVER });
    const running = transfer.run(stream);
    running.catch(() => {}); // heard of below
    for (const { role, death } of rounds) {
      await untilWarm(world, client, service, deaths);
      traffic.clear();
      await sleep(world.clock, 1_000 + seed * 37 % 500);
      const victim = victimOf(
        world,
        client,
        service,
        role,
        deaths,
        traffic,
      );
      const fromMs = world.clock.nowMs();
      if (victim === undefined || transfer.down.isWhole) continue;
      deaths.set(victim.id, fromMs);
      if (death === "crash") world.crash(victim);
      else await world.stop(victim);
      await sleep(world.clock, DEATH_EVERY_MS);
      const untilMs = world.clock.nowMs();
      const stallMs = Math.max(
        transfer.up.longestGapMs(fromMs, untilMs),
        transfer.down.longestGapMs(fromMs, untilMs),
      );
      found.push({ role, death, stallMs });
      await world.restart(victim);
    }
    await running;
    assert.equal(transfer.failure, undefined);
  });
  return found;
}

for (const seed of seeds(1)) {
  Deno.test(`a transfer with a warm leg stands still for 2 s at most, whichever relay dies (seed ${seed})`, async () => {
    const found = await stalls(seed);
    assert.ok(found.length >= 6, `only ${found.length} relays died`);
    const long = found.filter(({ stallMs }) => stallMs > STALL_MS);
    assert.deepEqual(long, []);
  });
}
