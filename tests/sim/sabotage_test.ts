/**
 * Promise P7 where relays do more than end circuits: whatever relays behind the first
 * hop do with a client's circuits, by chance or to be met as its guards, it meets the
 * first and second hops that it met before. Whole nodes.
 *
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import {
  type Random,
  randomBetween,
  randomFloat,
  seededRandom,
} from "../../lib/base/random.ts";
import type { ByteStream } from "../../lib/transport/transport.ts";
import { Hops } from "./hops.ts";
import { seeds, sized } from "./seeds.ts";
import {
  inWholeWorld,
  type WholeWorld,
  type WorldClient,
} from "./whole_world.ts";

const RELAYS = 12;
/** Until a client has met both guards and all layer-2 guards. */
const SETTLE_MS = 10_000;
/** Deeds of an attack. */
const DEEDS_DONE = sized(40, 2_000);
/** And how long it may go on, ms. */
const ATTACK_MS = sized(600_000, 36_000_000);
/** How long a caller waits for a circuit, and bears with one, ms. */
const PATIENCE_MS = 2_000;
/** Share of the circuits that are left alone: one that works brings more of them. */
const SPARED = 0.2;

const MAX_FIRST_HOPS = 2;
const MAX_SECOND_HOPS = 4;

type Accept = (stream: ByteStream) => void;

/** What relays do with a circuit that another relay extends to them. */
const DEEDS: Readonly<
  Record<
    string,
    (world: WholeWorld, random: Random, stream: ByteStream, go: Accept) => void
  >
> = {
  "refuse them"(_world, _random, stream) {
    end(stream);
  },
  "never answer"({ clock }, _random, stream) {
    clock.schedule(600_000, () => end(stream));
  },
  "fall silent after a while"({ clock }, random, stream, go) {
    let isSilent = false;
    clock.schedule(randomBetween(random, 500, PATIENCE_MS), () => {
      isSilent = true;
    });
    go({
      read: (buffer) => stream.read(buffer),
      write: (bytes) => isSilent ? new Promise(() => {}) : stream.write(bytes),
      closeWrite: () => stream.closeWrite(),
      cancel: () => stream.cancel(),
    });
  },
  "alter what they pass on"(_world, random, stream, go) {
    go({
      async read(buffer) {
        const bytes = await stream.read(buffer);
        if (bytes !== undefined && randomFloat(random) < 0.2) {
          bytes[bytes.length - 1] = 1 ^ (bytes.at(-1) ?? 0);
        }
        return bytes;
      },
      write: (bytes) => stream.write(bytes),
      closeWrite: () => stream.closeWrite(),
      cancel: () => stream.cancel(),
    });
  },
};

function end(stream: ByteStream): void {
  stream.closeWrite();
  stream.cancel();
}

/** Does a deed at every relay, to circuits that come from another one. */
class Saboteurs {
  isActive = false;
  done = 0;

  constructor(world: WholeWorld, random: Random, deed: keyof typeof DEEDS) {
    const ids = new Set(world.relays.map(({ id }) => id));
    for (const { role: { circuits } } of world.relays) {
      const accept = circuits.accept.bind(circuits);
      circuits.accept = (neighbour, stream) => {
        const go = (as: ByteStream) => accept(neighbour, as);
        const isSpared = !this.isActive ||
          !ids.has(neighbour.nodeId.toHex()) || randomFloat(random) < SPARED;
        if (isSpared) return go(stream);
        this.done++;
        DEEDS[deed]?.(world, random, stream, go);
      };
    }
  }
}

/** Ask for circuits and use them, one after the other. @returns How many worked. */
async function insist(
  { clock }: WholeWorld,
  { role: { circuits } }: WorldClient,
  forMs: number,
): Promise<number> {
  const untilMs = clock.nowMs() + forMs;
  let working = 0;
  while (clock.nowMs() < untilMs) {
    const patience = new AbortController();
    clock.schedule(PATIENCE_MS, () => patience.abort());
    const { signal } = patience;
    try {
      const circuit = await circuits.take({ purpose: "rendezvous", signal });
      await circuit.ping({ signal }).finally(() => circuit.close());
      working++;
    } catch {
      await sleep(clock, 100);
    }
  }
  return working;
}

for (const seed of seeds(1)) {
  for (const deed of Object.keys(DEEDS)) {
    Deno.test(`relays that ${deed} show a client to two first and four second hops (seed ${seed})`, () =>
      inWholeWorld({ seed, relays: RELAYS }, async (world) => {
        const random = seededRandom(seed * 23);
        const saboteurs = new Saboteurs(world, random, deed);
        const client = await world.addClient();
        using hops = new Hops(world, client);
        await sleep(world.clock, SETTLE_MS);
        await insist(world, client, 2_000);
        saboteurs.isActive = true;
        const endMs = world.clock.nowMs() + ATTACK_MS;
        while (saboteurs.done < DEEDS_DONE && world.clock.nowMs() < endMs) {
          await insist(world, client, 500);
        }
        saboteurs.isActive = false;
        assert.ok(saboteurs.done >= DEEDS_DONE, `${saboteurs.done} deeds`);
        // Those that are silent are not known for dead until they are used.
        let working = 0;
        for (let round = 0; round < 60 && working < 5; round++) {
          working += await insist(world, client, 1_000);
        }
        assert.ok(working >= 5, `${working} circuits work`);
        assert.equal(hops.first.size, MAX_FIRST_HOPS);
        assert.equal(hops.second.size, MAX_SECOND_HOPS);
      }));
  }
}
