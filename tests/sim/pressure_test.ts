/**
 * Promise P8: whatever peers do to a relay, what it keeps for them stays within its
 * limits, and a stream of another client through it keeps half of its pace.
 *
 *     innocent   client ─▶ relay ─▶ … ─▶ service       all the time
 *     hostile    one of the attacks below, at each relay of that leg
 *
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import { CELL_BYTES } from "../../lib/circuit/cell.ts";
import {
  encodeEstablishRendezvous,
  encodeRendezvous1,
} from "../../lib/service/meeting/rendezvous.ts";
import type { RelayedEnd } from "../../lib/node/relay/relay_traffic.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { BareClient, BarePort, sealedBody } from "./bare_client.ts";
import { sized } from "./seeds.ts";
import { Transfer } from "./transfer.ts";
import {
  inWholeWorld,
  type WholeWorld,
  type WorldRelay,
  type WorldService,
} from "./whole_world.ts";

const NEVER = new AbortController().signal;
/** What waits at a relay, bytes: small, so that attacks reach it. */
const QUOTA_BYTES = 4 * 1024 * 1024;
const UPLINK_BYTES_PER_SECOND = 2_000_000;
const WATCH_MS = sized(3_000, 60_000);
/** The innocent: 250 kB/s. */
const PACE = { everyMs: 40, bytes: 10_000 } as const;
const LEAST_SHARE = 0.5;

/** A peer that means no good. Runs until the world ends. */
type Attack = (
  world: WholeWorld,
  victim: WorldRelay,
  others: readonly WorldRelay[],
  service: WorldService,
) => Promise<void>;

/** Go on doing something, whatever becomes of it. */
async function again(
  { clock }: WholeWorld,
  everyMs: number,
  act: () => Promise<void>,
): Promise<void> {
  for (;;) {
    await act().catch(() => {});
    await sleep(clock, everyMs);
  }
}

/** Data flows through the victim to clients that do not read it. */
const readersThatStop: Attack = async (world, victim, meetings) => {
  const reader = await BareClient.open(world, "reader");
  await Promise.all(meetings.map(async (meeting, number) => {
    const sender = await BareClient.open(world, `sender-${number}`);
    const some = Array.from({ length: 10 }, () => sealedBody(world, number));
    await again(world, 500, async () => {
      const one = await reader.build([victim, meeting]);
      const other = await sender.build([meeting]);
      const cookie = world.crypto.sha256(one.binding).slice(0, 20);
      await one.ask("establish_rendezvous", encodeEstablishRendezvous(cookie));
      // No reader is attached at this end: it reads no further than the first cell.
      one.met().catch(() => {});
      other.meet(encodeRendezvous1(cookie, new Uint8Array(0)));
      const port = new BarePort(other);
      port.attach();
      let isOver = false;
      Promise.race([one.closed, other.closed]).then(() => isOver = true);
      while (!isOver) {
        port.send(...some);
        await sleep(world.clock, 200);
      }
      one.close();
      other.close();
    });
  }));
};

/** Circuits begun byte by byte. */
const slowLoris: Attack = async (world, victim) => {
  const client = await BareClient.open(world, "loris");
  const { links } = client.host;
  await Promise.all(
    Array.from({ length: 200 }, () =>
      again(world, 1_000, async () => {
        const stream = await links.openCircuit(victim.role.record.current);
        for (let sent = 0; sent < CELL_BYTES; sent++) {
          await stream.write(new Uint8Array(1));
          await sleep(world.clock, 2_000);
        }
        stream.cancel();
      })),
  );
};

/** Circuits from one client, as many as it can, over as many links as it needs. */
const floodOfCircuits: Attack = async (world, victim) => {
  const client = await BareClient.open(world, "flooder");
  const { links } = client.host;
  const random = seededRandom(3);
  const first = random.bytes(CELL_BYTES);
  let begun = 0;
  while (begun < 10_000) {
    await Promise.all(Array.from({ length: 100 }, async () => {
      begun++;
      try {
        const stream = await links.openCircuit(victim.role.record.current);
        await stream.write(first);
        await sleep(world.clock, 100);
        stream.closeWrite();
        stream.cancel();
      } catch {
        // Turned away.
      }
    }));
    await sleep(world.clock, 50);
  }
};

/** Circuits built well, and kept for nothing. */
const idleCircuits: Attack = async (world, victim, others) => {
  const client = await BareClient.open(world, "hoarder");
  await again(world, 100, async () => {
    await Promise.all(
      others.slice(0, 3).map((other) => client.build([victim, other])),
    );
  });
};

/** Visitors that take all that comes, and never say that they have it. */
const neverAcknowledgers: Attack = async (world, _victim, _others, service) => {
  const client = await world.addClient("mute");
  const { circuits, visits } = client.role;
  const take = circuits.take.bind(circuits);
  circuits.take = async (wish) => {
    const circuit = await take(wish);
    const attach = circuit.attach.bind(circuit);
    let words = 0;
    circuit.attach = (port) =>
      attach({
        onCell: (body) => port.onCell(body),
        // Enough to open a stream.
        fill: (body) => words < 4 && port.fill(body) && ++words > 0,
      });
    return circuit;
  };
  await Promise.all(
    ["a", "b", "c"].map((isolation) =>
      again(world, 1_000, async () => {
        const stream = await visits.connect({
          service: service.publicKey,
          port: 80,
          isolation,
        }, { signal: NEVER });
        while (await stream.read() !== undefined);
      })
    ),
  );
};

/** Attacks, and how circuits of theirs end at the relay, where they do. */
const ATTACKS: readonly {
  readonly what: string;
  readonly attack: Attack;
  readonly end?: RelayedEnd;
}[] = [
  { what: "clients that stop reading", attack: readersThatStop, end: "quota" },
  {
    what: "circuits that begin byte by byte",
    attack: slowLoris,
    end: "silent",
  },
  {
    what: "10,000 circuits from one link",
    attack: floodOfCircuits,
    end: "handshake",
  },
  { what: "circuits that are built and left", attack: idleCircuits },
  { what: "visitors that never acknowledge", attack: neverAcknowledgers },
];

/** See that relays keep to their limits. */
function check(relays: readonly WorldRelay[]): void {
  for (const { role } of relays) {
    const { waitingBytes, quotaBytes, states } = role.circuits.stats;
    assert.equal(quotaBytes, QUOTA_BYTES);
    assert.ok(waitingBytes <= quotaBytes, `${waitingBytes} bytes wait`);
    for (const link of role.links.links) {
      assert.ok(link.stats.openStreams <= 2 * 128);
    }
    const circuits = Object.values(states).reduce((sum, n) => sum + n, 0);
    assert.ok(circuits <= 128 * role.links.links.length);
  }
}

for (const { what, attack, end } of ATTACKS) {
  Deno.test(`a relay keeps to its limits, and others keep half of their pace, under ${what}`, () =>
    inWholeWorld({
      relays: 9,
      uplinkBytesPerSecond: UPLINK_BYTES_PER_SECOND,
      circuitLimits: { quotaBytes: QUOTA_BYTES },
    }, async (world) => {
      const { clock } = world;
      const sizes = { up: 0, down: (20 + 2 * WATCH_MS / 1000) * 250_000 };
      const transfer = new Transfer(clock, seededRandom(1), sizes, PACE);
      let visitors = 0;
      const service = await world.addService((handed, signal) =>
        visitors++ === 0
          ? transfer.serve(handed, signal)
          : new Transfer(clock, seededRandom(2), sizes, PACE).serve(
            handed,
            signal,
          )
      );
      const client = await world.addClient();
      const stream = await client.role.visits.connect({
        service: service.publicKey,
        port: 80,
        isolation: undefined,
      }, { signal: NEVER });
      transfer.run(stream).catch(() => {});
      /** Bytes that come in `WATCH_MS`. */
      const pace = async () => {
        const before = transfer.down.bytes;
        for (let ms = 0; ms < WATCH_MS; ms += 100) {
          await sleep(clock, 100);
          check(world.relays);
        }
        return transfer.down.bytes - before;
      };
      await sleep(clock, 2_000);
      const quiet = await pace();
      const ids = new Set(
        client.legs.flatMap(({ circuit }) => circuit.path)
          .map(({ nodeId }) => nodeId.toHex()),
      );
      const victims = world.relays.filter(({ id }) => ids.has(id)).slice(0, 2);
      const others = world.relays.filter(({ id }) => !ids.has(id));
      for (const victim of victims) {
        attack(world, victim, others, service).catch(() => {});
      }
      await sleep(clock, 8_000);
      const pressed = await pace();
      assert.ok(quiet > 0);
      for (const { role } of victims) {
        if (end === undefined) break;
        assert.ok(role.circuits.stats.ends[end], `none ended so: ${end}`);
      }
      assert.ok(
        pressed >= LEAST_SHARE * quiet,
        `${pressed} bytes in place of ${quiet}`,
      );
      stream.abort();
    }));
}
