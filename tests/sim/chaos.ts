/**
 * Chaos: a network in which relays die, lines stall, halves lose sight of each
 * other and calendars jump, while bytes go both ways between a client and a
 * service. One seed decides all of it.
 *
 *     connect ─────────── transfer, both ways ──────────▶ whole
 *        ▲       ▲   ▲         ▲      ▲
 *      crash   stall │      partition  calendar
 *                  kill link
 *
 * @module
 */
import assert from "node:assert/strict";
import type { SocketAddress } from "../../lib/auth/socket_address.ts";
import { sleep } from "../../lib/base/clock.ts";
import {
  type Random,
  randomBelow,
  randomBetween,
  randomChoice,
  seededRandom,
  shuffled,
} from "../../lib/base/random.ts";
import { CELL_BYTES } from "../../lib/circuit/cell.ts";
import type { SessionStreamHandle } from "../../lib/node/session/session_stream.ts";
import type { ObservedWrite } from "../../lib/transport/memory_network.ts";
import {
  inWholeWorld,
  type WholeWorld,
  type WorldClient,
  type WorldRelay,
  type WorldService,
} from "./whole_world.ts";
import { Transfer } from "./transfer.ts";

/** Relays of a role on the way between client and service. */
export const ROLES = [
  "client guard",
  "client middle",
  "rendezvous point",
  "service hop 3",
  "service hop 2",
  "service guard",
  "introduction point",
  "directory",
  "any",
] as const;
export type Role = typeof ROLES[number];

/** What happens. */
const DISASTERS = [
  "crash",
  "crash",
  "crash",
  "stop",
  "cut",
  "kill",
  "partition",
  "calendar",
  "tamper",
] as const;
type Disaster = typeof DISASTERS[number];

/** One thing that happened. */
export interface Event {
  readonly atMs: number;
  readonly what: string;
}

/** What came of a seed. */
export interface ChaosReport {
  readonly seed: number;
  readonly events: readonly Event[];
  /** From the wish to connect to the last byte, ms. */
  readonly tookMs: number;
  readonly bytes: number;
}

/** How hard a seed is. */
export interface ChaosOptions {
  readonly relays?: number;
  /** Bytes each way. */
  readonly bytes?: number;
  /** Disasters, from the wish to connect on. */
  readonly disasters?: number;
}

/** A transfer that has not ended by then never will, ms. */
const LIMIT_MS = 10 * 60_000;
/** Time between the first and the last disaster, ms. */
const SPAN_MS = 20_000;
/** How long something stays broken, ms: shorter than sessions live without a leg. */
const BROKEN_MS = { least: 300, most: 9_000 } as const;
/** How wrong a calendar may be, ms: records count as valid an hour before they begin. */
const MAX_AHEAD_MS = 25 * 60_000;
const NEVER = new AbortController().signal;

/** Live through one seed. @throws when a byte is lost, doubled, moved or late for ever. */
export async function chaos(
  seed: number,
  options: ChaosOptions = {},
): Promise<ChaosReport> {
  const { relays = 12, bytes = 600_000, disasters = 6 } = options;
  const random = seededRandom(seed * 7919);
  const events: Event[] = [];
  let tookMs = NaN;
  try {
    await inWholeWorld({
      seed,
      relays,
      uplinkBytesPerSecond: 150_000 + randomBelow(random, 300_000),
    }, async (world) => {
      const transfer = new Transfer(world.clock, random, {
        up: 1 + randomBelow(random, bytes),
        down: 1 + randomBelow(random, bytes),
      });
      const service = await world.addService(transfer.serve);
      const client = await world.addClient();
      const startMs = world.clock.nowMs();
      const chaos = new Chaos(world, client, service, random, events);
      const raging = chaos.rage(disasters);
      await within(world, connectAndRun(world, client, service, transfer));
      assert.ok(transfer.up.isWhole && transfer.down.isWhole);
      assert.equal(transfer.failure, undefined);
      tookMs = world.clock.nowMs() - startMs;
      chaos.stop();
      await raging;
      await settled(world);
    });
  } catch (error) {
    const story = events.map(({ atMs, what }) => `${atMs.toFixed(0)} ${what}`);
    throw new Error(
      `Chaos of seed ${seed}:\n  ${story.join("\n  ")}`,
      { cause: error },
    );
  }
  return { seed, events, tookMs, bytes };
}

/** Connecting may fail while the network is broken, as it says; a stream may not. */
async function connectAndRun(
  world: WholeWorld,
  client: WorldClient,
  service: WorldService,
  transfer: Transfer,
): Promise<void> {
  const target = {
    service: service.publicKey,
    port: 80,
    isolation: undefined,
  };
  let stream: SessionStreamHandle | undefined;
  while (stream === undefined) {
    try {
      stream = await client.role.visits.connect(target, { signal: NEVER });
    } catch {
      await sleep(world.clock, 1_000);
    }
  }
  await transfer.run(stream);
}

async function within(world: WholeWorld, work: Promise<void>): Promise<void> {
  const over = new AbortController();
  const late = sleep(world.clock, LIMIT_MS, { signal: over.signal })
    .then(() => assert.fail(`not done after ${LIMIT_MS} ms`));
  late.catch(() => {});
  try {
    await Promise.race([work, late]);
  } finally {
    over.abort();
  }
}

/** Nothing waits at any relay once all bytes are where they belong. */
async function settled(world: WholeWorld): Promise<void> {
  await sleep(world.clock, 30_000);
  for (const { role, isUp, machine } of world.relays) {
    if (isUp) assert.equal(role.circuits.stats.waitingBytes, 0, machine.name);
  }
  for (const { log, name } of world.machines) {
    assert.deepEqual(
      log.lines.filter(({ level }) => level === "error"),
      [],
      `errors in the log of ${name}`,
    );
  }
}

/** What befalls one network. */
class Chaos {
  readonly #world: WholeWorld;
  readonly #client: WorldClient;
  readonly #service: WorldService;
  readonly #random: Random;
  readonly #events: Event[];
  readonly #mending = new Set<Promise<void>>();
  readonly #over = new AbortController();

  constructor(
    world: WholeWorld,
    client: WorldClient,
    service: WorldService,
    random: Random,
    events: Event[],
  ) {
    this.#world = world;
    this.#client = client;
    this.#service = service;
    this.#random = random;
    this.#events = events;
  }

  /** Let things happen. Resolves when all is mended again. */
  async rage(disasters: number): Promise<void> {
    const { clock } = this.#world;
    const times = Array.from(
      { length: disasters },
      () => randomBetween(this.#random, 0, SPAN_MS),
    ).sort((a, b) => a - b);
    let before = 0;
    for (const time of times) {
      await sleep(clock, time - before, { signal: this.#over.signal })
        .catch(() => {});
      if (this.#over.signal.aborted) break;
      before = time;
      this.#strike(randomChoice(this.#random, DISASTERS) ?? "crash");
    }
    await Promise.all(this.#mending);
  }

  /** No more of it. */
  stop(): void {
    this.#over.abort();
  }

  #strike(disaster: Disaster): void {
    switch (disaster) {
      case "crash":
      case "stop": {
        const { relay, role } = this.#victim();
        if (relay === undefined || !relay.isUp) return;
        this.#note(`${disaster} ${relay.machine.name}, ${role}`);
        return this.#mend(this.#restart(relay, disaster));
      }
      case "cut": {
        const [a, b] = this.#neighbours();
        if (a === undefined || b === undefined) return;
        return this.#cut([a], [b], `cut ${a.host} ${b.host}`);
      }
      case "kill": {
        const { relay, role } = this.#victim();
        const endpoint = relay?.machine.endpoints.at(-1);
        if (relay === undefined || endpoint === undefined) return;
        this.#note(`kill connections of ${relay.machine.name}, ${role}`);
        return this.#world.network.kill(endpoint);
      }
      case "partition": {
        const all = this.#world.machines.flatMap(({ endpoints }) =>
          endpoints.map(({ localAddress }) => localAddress)
        );
        const mixed = shuffled(this.#random, all);
        const half = 1 + randomBelow(this.#random, mixed.length - 1);
        return this.#cut(
          mixed.slice(0, half),
          mixed.slice(half),
          `partition ${mixed.slice(0, half).map(({ host }) => host).join(" ")}`,
        );
      }
      case "calendar": {
        const machine = randomChoice(this.#random, this.#world.machines);
        const byMs = Math.round(
          randomBetween(this.#random, -MAX_AHEAD_MS, MAX_AHEAD_MS),
        );
        this.#note(`calendar of ${machine?.name} ${byMs}`);
        return machine?.clock.setAhead(byMs);
      }
      case "tamper": {
        const { relay, role } = this.#victim();
        if (relay === undefined) return;
        this.#note(`tamper at ${relay.machine.name}, ${role}`);
        return this.#tamper(relay.machine.host);
      }
    }
  }

  /** Flip a bit in the next cells that a machine writes. */
  #tamper(host: string): void {
    const { network } = this.#world;
    const intercept = ({ from, bytes }: ObservedWrite) => {
      if (from.host !== host || bytes.length < CELL_BYTES) return undefined;
      network.intercept = undefined;
      const changed = bytes.slice();
      const at = randomBelow(this.#random, changed.length);
      changed[at] = (changed[at] ?? 0) ^ (1 << randomBelow(this.#random, 8));
      return { bytes: changed };
    };
    network.intercept = intercept;
  }

  async #restart(relay: WorldRelay, how: "crash" | "stop"): Promise<void> {
    if (how === "crash") this.#world.crash(relay);
    else await this.#world.stop(relay);
    await this.#awhile();
    await this.#world.restart(relay);
    this.#note(`restart ${relay.machine.name}`);
  }

  #cut(some: SocketAddress[], others: SocketAddress[], what: string): void {
    this.#note(what);
    const cut = this.#world.network.cut(some, others);
    this.#mend(
      this.#awhile().then(() => {
        cut.heal();
        this.#note(`heal ${what}`);
      }),
    );
  }

  #awhile(): Promise<void> {
    const { least, most } = BROKEN_MS;
    return sleep(this.#world.clock, randomBetween(this.#random, least, most));
  }

  #mend(work: Promise<void>): void {
    const task = work.finally(() => this.#mending.delete(task));
    this.#mending.add(task);
  }

  #victim(): { relay: WorldRelay | undefined; role: Role } {
    const role = randomChoice(this.#random, ROLES) ?? "any";
    const relays = relaysOf(this.#world, this.#client, this.#service, role);
    const found = randomChoice(this.#random, relays);
    if (found !== undefined) return { relay: found, role };
    const anyRelay = randomChoice(this.#random, this.#world.relays);
    return { relay: anyRelay, role: "any" };
  }

  /** Two machines that a circuit leads over one after the other. */
  #neighbours(): readonly (SocketAddress | undefined)[] {
    const owner = randomChoice(this.#random, [this.#client, this.#service]);
    const taken = randomChoice(this.#random, [...owner?.taken ?? []]);
    const own = owner?.machine.endpoints.at(-1)?.localAddress;
    const way = [
      own,
      ...taken?.circuit.path.map(({ addresses }) => addresses[0]) ?? [],
    ];
    const at = randomBelow(this.#random, Math.max(1, way.length - 1));
    return way.slice(at, at + 2);
  }

  #note(what: string): void {
    this.#events.push({ atMs: this.#world.clock.nowMs(), what });
  }
}

/** Relays that have a role now. */
export function relaysOf(
  world: WholeWorld,
  client: WorldClient,
  service: WorldService,
  role: Role,
): WorldRelay[] {
  const at = (
    paths: Iterable<
      {
        readonly circuit: {
          readonly path: readonly { readonly nodeId: Uint8Array }[];
        };
      }
    >,
    index: number,
  ) =>
    [...paths].flatMap(({ circuit }) => {
      const hop = circuit.path.at(index);
      return hop === undefined ? [] : world.relayOf(hop.nodeId) ?? [];
    });
  const serviceLegs = service.legs.filter(({ isExtended }) => isExtended);
  const points = [...service.taken].filter(({ purpose, isExtended }) =>
    purpose === "introduction" && !isExtended
  );
  const directory = [...client.taken, ...service.taken].filter(({ purpose }) =>
    purpose === "directory"
  );
  switch (role) {
    case "client guard":
      return at(client.legs, 0);
    case "client middle":
      return at(client.legs, 1);
    case "rendezvous point":
      return at(client.legs, -1);
    case "service hop 3":
      return at(serviceLegs, 2);
    case "service hop 2":
      return at(serviceLegs, 1);
    case "service guard":
      return at(serviceLegs, 0);
    case "introduction point":
      return at(points, -1);
    case "directory":
      return at(directory, -1);
    case "any":
      return world.relays;
  }
}
