/**
 * Promise P7: whom a client meets in a month in which an adversary ends its circuits
 * at will. Whole nodes; the machines sleep most of the month.
 *
 *     deno task long:guards      the same under attack for longer
 *
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import {
  type Random,
  randomBetween,
  seededRandom,
} from "../../lib/base/random.ts";
import { decodeBlob } from "../../lib/storage/blob_format.ts";
import { decodeFields } from "../../lib/wire/fields.ts";
import { Hops } from "./hops.ts";
import { seeds, sized } from "./seeds.ts";
import {
  inWholeWorld,
  type WholeWorld,
  type WorldClient,
} from "./whole_world.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MONTH_MS = 30 * DAY_MS;
const RELAYS = 10;
/** The least that a circuit lives, ms: long enough to be built. */
const LIFE_MS = 500;
/** How fast it ends circuits at most, ms. */
const PATIENCE_MS = 2_000;
/** Records live for a day; within so long of waking all are signed anew and known. */
const AWAKE_MS = 11 * 60_000;
const ASLEEP_MS = sized(16, 8) * HOUR_MS;
/** Time of an attack at full speed, on the first day. */
const BURST_MS = sized(6_000, HOUR_MS / 3);
/** Time of an attack each time that the machines are awake. */
const ATTACK_MS = sized(1_000, 120_000);

const NEVER = new AbortController().signal;

const MAX_FIRST_HOPS = 2;
const MAX_SECOND_HOPS = 4;

/** Ends circuits at every relay that is not the first. */
class Killer {
  isActive = false;
  killed = 0;

  constructor({ clock, relays }: WholeWorld, random: Random) {
    const ids = new Set(relays.map(({ id }) => id));
    for (const { role: { circuits } } of relays) {
      const accept = circuits.accept.bind(circuits);
      circuits.accept = (neighbour, stream) => {
        accept(neighbour, stream);
        if (!this.isActive || !ids.has(neighbour.nodeId.toHex())) return;
        const lifeMs = randomBetween(random, LIFE_MS, PATIENCE_MS);
        clock.schedule(lifeMs, () => {
          this.killed++;
          stream.closeWrite();
          stream.cancel();
        });
      };
    }
  }
}

/** The second hops on the client's disk, and when their time is over. */
class Calendar {
  readonly #world: WholeWorld;
  readonly #client: WorldClient;
  /** By key, in hex: unix ms. */
  #kept = new Map<string, number>();
  /** Second hops whose time was over. */
  changes = 0;

  constructor(world: WholeWorld, client: WorldClient) {
    this.#world = world;
    this.#client = client;
  }

  /** Look at the disk: no relay has left before its time, and no other was met. */
  async look({ lately }: Hops): Promise<void> {
    const { files, clock } = this.#client.machine;
    const file = await files.read("state/layer2.blob");
    assert.ok(file !== undefined);
    const content = decodeBlob(this.#world.crypto, "layer2", file);
    assert.ok(content.type === "whole");
    const kept = decodeFields(content.body, "layer2").mapArray("relays", 16)
      .map((relay): [string, number] => [
        relay.bytes("key", { length: 32 }).toHex(),
        relay.uint("expires"),
      ]);
    const now = new Map(kept);
    for (const [key, expiresUnixMs] of this.#kept) {
      if (now.has(key)) continue;
      assert.ok(expiresUnixMs <= clock.unixMs(), "left before its time");
      this.changes++;
    }
    for (const { machine, role } of this.#world.relays) {
      const key = role.identity.publicKey.toHex();
      const isKept = now.has(key) || this.#kept.has(key);
      assert.ok(isKept || !lately.has(machine.host), "met without being kept");
    }
    lately.clear();
    this.#kept = now;
  }
}

/** Ask for circuits as fast as they end. */
async function insist(
  { clock }: WholeWorld,
  { role: { circuits } }: WorldClient,
  forMs: number,
): Promise<void> {
  const untilMs = clock.nowMs() + forMs;
  while (clock.nowMs() < untilMs) {
    const circuit = await circuits.take({
      purpose: "rendezvous",
      signal: NEVER,
    })
      .catch(() => undefined);
    // Circuits of before the attack live on.
    await Promise.race([circuit?.closed, sleep(clock, PATIENCE_MS)]);
    circuit?.close();
  }
}

for (const seed of seeds(1)) {
  Deno.test(`a month of killed circuits shows a client to two first hops, and to second hops by the calendar alone (seed ${seed})`, () =>
    inWholeWorld({
      seed,
      relays: RELAYS,
      // In memory, both ends of a line know when it is dead.
      linkLimits: { keepAliveMs: DAY_MS },
    }, async (world) => {
      const { clock } = world;
      const killer = new Killer(world, seededRandom(seed * 17));
      const client = await world.addClient();
      using hops = new Hops(world, client);
      const calendar = new Calendar(world, client);
      // As fast as can be, on one day: none of it is the calendar's doing.
      killer.isActive = true;
      await insist(world, client, BURST_MS);
      await calendar.look(hops);
      assert.ok(killer.killed > 30, `${killer.killed} killed`);
      assert.equal(hops.first.size, MAX_FIRST_HOPS);
      assert.equal(hops.second.size, MAX_SECOND_HOPS);

      const endUnixMs = clock.unixMs() + MONTH_MS;
      while (clock.unixMs() < endUnixMs) {
        clock.jumpUnix(ASLEEP_MS);
        killer.isActive = false;
        await sleep(clock, AWAKE_MS - ATTACK_MS);
        killer.isActive = true;
        await insist(world, client, ATTACK_MS);
        await calendar.look(hops);
      }
      const seen =
        `${hops.circuits} circuits, ${killer.killed} killed, second hops: ` +
        `${hops.second.size}, changes: ${calendar.changes}`;

      assert.ok(calendar.changes > 0, seen);
      assert.equal(hops.first.size, MAX_FIRST_HOPS, seen);
      assert.ok(hops.second.size <= MAX_SECOND_HOPS + calendar.changes, seen);
    }));
}
