/**
 * The attacks: the file of a host is stolen, storing nodes hand out what was taken back,
 * a host names hosts of its own.
 *
 * @see protocol §7.8 "Several hosts"
 * @module
 */
import assert from "node:assert/strict";
import { networkParameters } from "../../lib/auth/network.ts";
import type { Bytes } from "../../lib/base/bytes.ts";
import { sleep } from "../../lib/base/clock.ts";
import {
  createStoredRecord,
  selfCertifyingKey,
} from "../../lib/dht/records/stored_record.ts";
import { HostFinder } from "../../lib/node/visit/host_finder.ts";
import {
  type Delegation,
  rosterRecords,
} from "../../lib/service/delegation/delegation.ts";
import { encodeRoster } from "../../lib/service/delegation/roster.ts";
import { HostKey } from "../../lib/service/delegation/service_key.ts";
import {
  blindedKey,
  PERIOD_MS,
  timePeriod,
} from "../../lib/service/time_period.ts";
import { delegated } from "../service/delegation/delegations.ts";
import {
  inServiceWorld,
  NEVER,
  type ServiceWorld,
} from "../node/session/service_world.ts";

const network = networkParameters("local");

/** The rosters of now, as a thief of the file can store them, by replica. */
function rostersOf(world: ServiceWorld, delegation: Delegation): Bytes[] {
  const unixMs = world.clock.unixMs();
  const of = delegation.periods.find(({ period }) =>
    period === timePeriod(unixMs)
  );
  assert.ok(of !== undefined);
  const roster = of.rosters.findLast(({ atMs }) => atMs <= unixMs);
  assert.ok(roster !== undefined);
  return rosterRecords(world.crypto, network, delegation, of, roster)
    .map(({ encoded }) => encoded);
}

/** Storing nodes that give the thief's records where the service's are asked for. */
function lie(world: ServiceWorld, records: readonly Bytes[], service: Bytes) {
  const { crypto, clock } = world;
  const blinded = blindedKey(crypto, service, timePeriod(clock.unixMs()));
  const keys = [0, 1, 2, 3].map((replica) =>
    selfCertifyingKey(crypto, blinded, replica).toHex()
  );
  const honest = world.network.get.bind(world.network);
  world.network.answer = (key) => {
    const replica = keys.indexOf(key.toHex());
    if (replica >= 0) return records[replica];
    const { answer } = world.network;
    world.network.answer = undefined;
    const found = honest(key);
    world.network.answer = answer;
    return found;
  };
}

function twoIssues(world: ServiceWorld): [Delegation, Delegation] {
  const unixMs = world.clock.unixMs();
  const [stolen] = delegated(world.crypto, unixMs, {
    hosts: [{ slot: 1, born: 1 }],
  });
  assert.ok(stolen !== undefined);
  const issue = stolen.issue + 1;
  const [next] = delegated(world.crypto, unixMs, {
    issue,
    hosts: [{ slot: 1, born: issue }],
  });
  assert.ok(next !== undefined);
  return [stolen, next];
}

Deno.test("What a later delegation took back, a client that has seen that one takes from no storing node: not now, not the next day", () =>
  inServiceWorld(async (world) => {
    const [stolen, next] = twoIssues(world);
    const { service } = stolen;
    const host = await world.host(next);
    await host.driver.ready;
    const finder = new HostFinder(world.context(), () => undefined);
    await finder.find(service, "a", "newest", { signal: NEVER });
    for (const days of [0, 1]) {
      if (days === 1) {
        await host.driver[Symbol.asyncDispose]();
        await sleep(world.clock, PERIOD_MS);
      }
      lie(world, rostersOf(world, stolen), service);
      // Another isolation key has nothing of the first but what it must refuse.
      for (const isolation of ["a", "b"]) {
        await assert.rejects(
          finder.find(service, isolation, "newest", { signal: NEVER }),
          { code: "service.descriptor_invalid" },
          `${days} days later, ${isolation}`,
        );
      }
      world.network.answer = undefined;
    }
  }));

Deno.test("Storing nodes that are honest keep the rosters of a stolen file out, whichever hour the thief takes them from", () =>
  inServiceWorld(async (world) => {
    const [stolen, next] = twoIssues(world);
    const host = await world.host(next);
    await host.driver.ready;
    const period = timePeriod(world.clock.unixMs());
    const of = stolen.periods.find((one) => one.period === period);
    assert.ok(of !== undefined);
    for (const roster of of.rosters) {
      for (
        const { encoded } of rosterRecords(
          world.crypto,
          network,
          stolen,
          of,
          roster,
        )
      ) assert.equal(world.network.put(encoded), 0);
    }
    const { visits } = world.client();
    const target = { service: stolen.service, port: 80, isolation: "x" };
    const stream = await visits.connect(target, { signal: NEVER });
    await stream.opened;
    assert.equal(host.driver.status.sessions, 1);
  }));

Deno.test("A host that signs a roster under its own key names no host, and clients go to the other", () =>
  inServiceWorld(async (world) => {
    const { crypto, clock } = world;
    const [bad, good] = delegated(crypto, clock.unixMs());
    assert.ok(bad !== undefined && good !== undefined);
    const host = await world.host(good);
    await host.driver.ready;
    const period = timePeriod(clock.unixMs());
    using key = new HostKey(
      crypto,
      bad.service,
      bad.seed,
      new Set([period]),
    );
    const signer = key.signer(period);
    const name = {
      publicKey: bad.service,
      blinded: signer.publicKey,
      period,
      revision: 1,
    };
    const accomplice = crypto.signer(new Uint8Array(32).fill(66)).publicKey;
    const value = encodeRoster(
      crypto,
      name,
      { issue: 2 ** 31, hosts: [{ slot: 1, key: accomplice }] },
      new Uint8Array(16),
    );
    for (let replica = 0; replica < 4; replica++) {
      world.network.put(
        createStoredRecord(network, signer, {
          key: selfCertifyingKey(crypto, signer.publicKey, replica),
          sequence: 1,
          expiry: clock.unixMs() + 3_600_000,
          value,
        }).encoded,
      );
    }
    const before = world.network.lookedUp.length;
    for (let n = 0; n < 6; n++) {
      const { visits } = world.client();
      const target = { service: bad.service, port: 80, isolation: "x" };
      const stream = await visits.connect(target, { signal: NEVER });
      await stream.opened;
    }
    assert.equal(host.driver.status.sessions, 6);
    const sought = [0, 1, 2, 3].map((replica) =>
      selfCertifyingKey(crypto, accomplice, replica).toHex()
    );
    const asked = world.network.lookedUp.slice(before);
    assert.ok(sought.every((key) => !asked.includes(key)));
  }));

Deno.test("A stolen file ends by itself: after its last day no client finds what it names", () =>
  inServiceWorld(async (world) => {
    const [stolen] = delegated(world.crypto, world.clock.unixMs(), {
      days: 1,
      hosts: [{ slot: 1, born: 1 }],
    });
    assert.ok(stolen !== undefined);
    const finder = new HostFinder(world.context(), () => undefined);
    const last = stolen.periods.at(-1);
    assert.ok(last !== undefined);
    await sleep(world.clock, 2 * PERIOD_MS);
    assert.ok(timePeriod(world.clock.unixMs()) > last.period);
    const roster = last.rosters.at(-1);
    assert.ok(roster !== undefined);
    const records = rosterRecords(
      world.crypto,
      network,
      stolen,
      last,
      roster,
    );
    // Under the keys of the new day it has nothing to give but what is of the last.
    lie(world, records.map(({ encoded }) => encoded), stolen.service);
    await assert.rejects(
      finder.find(stolen.service, "a", "newest", { signal: NEVER }),
      { code: "service.descriptor_invalid" },
    );
  }));
