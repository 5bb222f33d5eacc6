import assert from "node:assert/strict";
import { Identity } from "../../lib/auth/identity.ts";
import { concat } from "../../lib/base/bytes.ts";
import { sleep } from "../../lib/base/clock.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { repeatableSuite } from "../../lib/crypto/repeatable.ts";
import { formatServiceHost } from "../../lib/service/address.ts";
import { blindedKey, timePeriod } from "../../lib/service/time_period.ts";
import { seeds, sized } from "./seeds.ts";
import { addressMark, bytesMark, hostOf, Taint } from "./taint.ts";
import { Transfer } from "./transfer.ts";
import {
  inWholeWorld,
  WholeWorld,
  type WorldClient,
  type WorldMachine,
  type WorldService,
} from "./whole_world.ts";

const NEVER = new AbortController().signal;
const RELAYS = sized(12, 20);
const CLIENTS = ["client-1", "client-2", "client-3"] as const;
const ENDS = ["service", ...CLIENTS] as const;
/** Sessions of each client, one after the other, with a key of its own each. */
const SESSIONS = sized(2, 80);
/** A client meets three nodes to join by, and its guards. */
const MAX_NEIGHBOURS = 5;

const crypto = repeatableSuite();
const seed = new Uint8Array(32).map((_, index) => 7 * index + 1);
const identity = new Identity(crypto, seed);
const host = formatServiceHost(crypto, identity.publicKey);
/** Stands in all that is said on streams, again and again. */
const content = seededRandom(99).bytes(16);

/** Each machine's clock is off by some seconds, up to minutes: what ties its names together. */
function aheadMs(number: number): number {
  return (number % 2 === 0 ? -1 : 1) * (7_000 * number + 123);
}

/** A network of which each machine's whole view is known. */
async function inTaintedWorld(
  worldSeed: number,
  test: (
    world: WholeWorld,
    taint: Taint,
    service: WorldService,
    clients: readonly WorldClient[],
  ) => Promise<void>,
): Promise<void> {
  const taint = new Taint();
  taint.add(bytesMark("content", content));
  taint.add(bytesMark("service secret", seed));
  const name = host.slice(0, -".anon".length);
  taint.add(bytesMark("service key", identity.publicKey, name));
  for (const [index, name] of ENDS.entries()) {
    taint.add(addressMark(`address of ${name}`, hostOf(RELAYS + 1 + index)));
  }
  await inWholeWorld(
    { seed: worldSeed, relays: RELAYS, aheadMs, ...taint.options },
    async (world) => {
      taint.watch(world);
      const service = await world.addService(
        (stream) => transfer(world).serve(stream, NEVER),
        { seed },
      );
      const clients: WorldClient[] = [];
      for (const name of CLIENTS) clients.push(await world.addClient(name));
      await test(world, taint, service, clients);
    },
  );
}

function transfer({ clock }: WholeWorld): Transfer {
  const sizes = { up: 20_000, down: 20_000 };
  const transfer = new Transfer(clock, seededRandom(1), sizes);
  for (const { sent } of [transfer.up, transfer.down]) {
    for (let at = 0; at + 16 <= sent.length; at += 16) sent.set(content, at);
  }
  return transfer;
}

/** Each client visits the service, some times, over circuits of their own. */
async function visit(
  world: WholeWorld,
  { publicKey }: WorldService,
  clients: readonly WorldClient[],
  sessions: number,
): Promise<void> {
  for (let n = 0; n < sessions; n++) {
    await Promise.all(clients.map(async ({ role: { visits } }) => {
      const target = { service: publicKey, port: 80, isolation: `${n}` };
      const stream = await visits.connect(target, { signal: NEVER });
      const all = transfer(world);
      await all.run(stream);
      assert.ok(all.down.isWhole);
    }));
    await sleep(world.clock, 5_000);
  }
}

for (const worldSeed of seeds(1)) {
  Deno.test(`no machine sees what is not for it (seed ${worldSeed})`, () =>
    inTaintedWorld(worldSeed, async (world, taint, service, clients) => {
      await visit(world, service, clients, SESSIONS);
      for (const machine of world.machines) await taint.inspect(machine);
      const ends = [service, ...clients];
      const circuits = ends.flatMap(({ everTaken }) => everTaken);
      assert.ok(
        circuits.length >= 12 * SESSIONS,
        `${circuits.length} circuits`,
      );

      assert.deepEqual(taint.whoSaw("content"), [...ENDS].sort());
      // Its dates follow from it.
      assert.deepEqual(taint.whoSaw("service secret"), ["service"]);
      assert.deepEqual(taint.whoSaw("service key"), [...ENDS].sort());
      const neighbours = ends.map(({ machine }) =>
        world.relays.map(({ machine: { name } }) => name)
          .filter((name) => taint.view(name).peers.has(machine.host))
      );
      for (const [index, name] of ENDS.entries()) {
        const near = neighbours[index] ?? [];
        assert.ok(near.length <= MAX_NEIGHBOURS, `${name} met ${near}`);
        assert.deepEqual(
          taint.whoSaw(`address of ${name}`),
          [name, ...near].sort(),
        );
      }
    }));
}

Deno.test("no two relays hold both ends of a connection, and a cell that two know went from one to the other", () =>
  inTaintedWorld(3, async (world, taint, service, clients) => {
    await visit(world, service, clients, 1);
    for (const machine of world.machines) await taint.inspect(machine);
    const relays = world.relays.map(({ machine: { name, host } }) => ({
      host,
      view: taint.view(name),
    }));
    const ends = ["service key", "service secret", "content"];
    const hosts = [service, ...clients].map(({ machine: { name, host } }) =>
      [name, host] as const
    );
    let [cells, common] = [0, 0];
    for (const [index, a] of relays.entries()) {
      for (const ways of a.view.cells.values()) {
        // What it passes on looks different from what it was given.
        assert.equal(ways.size, 1);
        cells++;
      }
      for (const b of relays.slice(index + 1)) {
        const marks = a.view.marks.union(b.view.marks);
        // The two guards of a connection know both hosts, but not what they are to
        // each other: that is in what neither holds.
        for (const end of ends) assert.ok(!marks.has(end), end);
        for (const [name, host] of hosts) {
          const isNear = a.view.peers.has(host) || b.view.peers.has(host);
          assert.equal(marks.has(`address of ${name}`), isNear, name);
        }
        for (const [cell, ways] of a.view.cells) {
          if (!b.view.cells.has(cell)) continue;
          assert.ok(ways.has(b.host));
          common++;
        }
      }
    }
    assert.ok(cells > 1000 && common > 100, `${common} of ${cells} cells`);
  }));

Deno.test("no machine tells another its clock, in records, descriptors or else", () =>
  inTaintedWorld(4, async (world, taint, service, clients) => {
    await visit(world, service, clients, 1);
    assert.ok(taint.timesSeen > RELAYS, `${taint.timesSeen} times`);
    assert.deepEqual(taint.clocksTold, []);
  }));

Deno.test("relays that store descriptors learn neither the service nor who asks", () =>
  inTaintedWorld(2, async (world, taint, service, clients) => {
    const period = timePeriod(world.clock.unixMs());
    const blinded = blindedKey(crypto, identity.publicKey, period);
    taint.add(bytesMark("blinded key", blinded));
    await visit(world, service, clients, 1);
    const storing = world.relays.filter(({ role }) =>
      role.dht.status.records > 0
    );
    assert.ok(storing.length >= 4, `${storing.length} relays store`);
    for (const { machine, node } of storing) {
      await node[Symbol.asyncDispose](); // writes down what it remembers
      await taint.inspect(machine);
    }
    const seen = taint.whoSaw("blinded key");
    for (const { machine } of storing) {
      assert.ok(seen.includes(machine.name), `${machine.name} stores nothing`);
    }
    assert.deepEqual(taint.whoSaw("service key"), [...ENDS].sort());
    assert.deepEqual(
      taint.whoSaw("service secret").filter((name) => name !== "service"),
      [],
    );
  }));

Deno.test("a machine that looks is caught: marks are found wherever they are", async () => {
  const taint = new Taint();
  taint.add(bytesMark("content", content));
  taint.add(bytesMark("service key", identity.publicKey, host));
  taint.add(addressMark("address", hostOf(3)));
  const world = new WholeWorld(taint.options);
  const [spy, other] = [world.machine("spy"), world.machine("other")];
  const message = concat(new Uint8Array(5), content);
  spy.runtime.crypto.counterAead(seed).seal(message, new Uint8Array(37));
  spy.log.debug("linked", { to: hostOf(3) });
  taint.watch(world);
  const note = (machine: WorldMachine, ms: number) => {
    const bytes = new Uint8Array(16);
    new DataView(bytes.buffer).setBigUint64(3, BigInt(ms));
    machine.runtime.crypto.sha256(bytes);
  };
  spy.clock.setAhead(37_123);
  other.clock.setAhead(-37_123);
  const told = spy.clock.unixMs() + 24 * 3_600_000;
  note(spy, told);
  assert.deepEqual(taint.clocksTold, []);
  note(other, told);
  assert.deepEqual(taint.clocksTold, ["spy"]);
  other.files.plant("state/note", concat(seed, identity.publicKey));
  for (const machine of [spy, other]) await taint.inspect(machine);
  assert.deepEqual(taint.whoSaw("content"), ["spy"]);
  assert.deepEqual(taint.whoSaw("address"), ["spy"]);
  assert.deepEqual(taint.whoSaw("service key"), ["other"]);
});
