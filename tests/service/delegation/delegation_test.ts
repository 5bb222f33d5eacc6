import assert from "node:assert/strict";
import { Identity } from "../../../lib/auth/identity.ts";
import { networkParameters } from "../../../lib/auth/network.ts";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import {
  checkStoredRecord,
  selfCertifyingKey,
} from "../../../lib/dht/records/stored_record.ts";
import type { DescriptorName } from "../../../lib/service/descriptor_box.ts";
import {
  delegationEndMs,
  rosterRecords,
} from "../../../lib/service/delegation/delegation.ts";
import { nextIssue } from "../../../lib/service/delegation/issue.ts";
import { decodeServiceRecord } from "../../../lib/service/delegation/roster.ts";
import {
  HostKey,
  OwnKey,
} from "../../../lib/service/delegation/service_key.ts";
import {
  blindedKey,
  PERIOD_MS,
  timePeriod,
} from "../../../lib/service/time_period.ts";
import { delegated, delegatedIdentity } from "./delegations.ts";

const HOUR_MS = 3_600_000;
const crypto = nativeSuite();
const network = networkParameters("local");
const NOON = 20_000 * PERIOD_MS + 12 * HOUR_MS;

Deno.test("delegate() signs rosters that storing nodes and clients take, for every hour of every day", () => {
  const [first, second] = delegated(crypto, NOON, { days: 1 });
  assert.ok(first !== undefined && second !== undefined);
  assert.deepEqual(first.periods, second.periods);
  assert.equal(delegationEndMs(first), 20_002 * PERIOD_MS);
  for (const of of first.periods) {
    const { period, rosters, hosts } = of;
    const blinded = blindedKey(crypto, first.service, period);
    let last = -1;
    let before = -Infinity;
    for (const roster of rosters) {
      assert.ok(roster.revision > last, "revisions rise");
      const restMs = roster.atMs - before;
      assert.ok(before === -Infinity || restMs >= 54 * 60_000);
      assert.ok(before === -Infinity || restMs <= 66 * 60_000);
      last = roster.revision;
      before = roster.atMs;
      const lifeMs = roster.expiryMs - roster.atMs;
      assert.ok(lifeMs >= 3 * HOUR_MS && lifeMs <= 8 * HOUR_MS);
    }
    const roster = rosters.at(-1);
    assert.ok(roster !== undefined);
    const records = rosterRecords(crypto, network, first, of, roster);
    assert.equal(records.length, 4);
    for (const [replica, record] of records.entries()) {
      const key = selfCertifyingKey(crypto, blinded, replica);
      const read = checkStoredRecord(
        crypto,
        network,
        record.encoded,
        key,
        roster.atMs,
      );
      const name: DescriptorName = {
        publicKey: first.service,
        blinded,
        period,
        revision: read.sequence,
      };
      assert.deepEqual(decodeServiceRecord(crypto, name, read.value), {
        type: "roster",
        issue: first.issue,
        hosts,
      });
    }
  }
});

Deno.test("a host's key is the one that the roster names, in each period another", () => {
  const hosts = delegated(crypto, NOON);
  const keys = new Set<string>();
  for (const { service, seed, slot, periods } of hosts) {
    const named = new Set(periods.map(({ period }) => period));
    using key = new HostKey(crypto, service, seed, named);
    for (const { period, hosts } of periods) {
      const host = hosts.find((host) => host.slot === slot);
      assert.deepEqual(key.blinded(period), host?.key);
      keys.add(key.blinded(period).toHex());
    }
    const lastMs = 20_004 * PERIOD_MS;
    assert.ok(key.dates.periods(NOON).length > 0);
    assert.deepEqual(key.dates.periods(lastMs + 12 * HOUR_MS), []);
    assert.equal(JSON.stringify(key), '"[scrubbed]"');
    assert.equal(Deno.inspect(key), "HostKey([scrubbed])");
  }
  const [first] = hosts;
  assert.equal(keys.size, hosts.length * (first?.periods.length ?? 0));
});

Deno.test("a later issue is above all rosters of an earlier one, and the service's own key above both", () => {
  const born = [{ slot: 1, born: 1 }];
  const issue = nextIssue(0, NOON);
  const [old] = delegated(crypto, NOON, { hosts: born, issue });
  const [next] = delegated(crypto, NOON + 60_000, {
    hosts: born,
    issue: nextIssue(issue, NOON + 60_000),
  });
  assert.ok(old !== undefined && next !== undefined);
  assert.equal(next.issue, issue + 1);
  using own = new OwnKey(crypto, delegatedIdentity(crypto), issue + 2);
  using never = new OwnKey(crypto, delegatedIdentity(crypto));
  assert.deepEqual(own.features, [`issue=${issue + 2}`]);
  assert.deepEqual(never.features, []);
  for (const [index, { period, rosters }] of old.periods.entries()) {
    const highest = Math.max(...rosters.map(({ revision }) => revision));
    const [least] = next.periods[index]?.rosters ?? [];
    assert.ok(least !== undefined && least.revision > highest);
    const [begin] = own.dates.periods(NOON).includes(period) ? [NOON] : [];
    if (begin === undefined) continue;
    const top = Math.max(
      ...(next.periods[index]?.rosters ?? []).map(({ revision }) => revision),
    );
    assert.ok(own.dates.revision(period, begin) > top);
    assert.ok(never.dates.revision(period, begin) < highest);
  }
});

Deno.test("hosts keep their keys from issue to issue, and a moved one has another", () => {
  const seeds = (born: number) =>
    delegated(crypto, NOON, {
      hosts: [{ slot: 1, born: 1 }, { slot: 2, born }],
    }).map(({ seed }) => seed.toHex());
  const [one, two] = seeds(1);
  assert.deepEqual(seeds(1), [one, two]);
  const [same, moved] = seeds(9);
  assert.equal(same, one);
  assert.notEqual(moved, two);
  const stranger = new Identity(crypto, new Uint8Array(32).fill(6));
  const [foreign] = delegated(crypto, NOON, { identity: stranger });
  assert.notEqual(foreign?.seed.toHex(), one);
});

Deno.test("the clock of one issue is in no revision's range: issues of 30 days ago and of now stay in 2⁴⁸ and a little", () => {
  const today = timePeriod(NOON);
  for (const daysAgo of [0, 1, 30]) {
    const issue = nextIssue(0, NOON - daysAgo * PERIOD_MS);
    using key = new OwnKey(crypto, delegatedIdentity(crypto), issue);
    using never = new OwnKey(crypto, delegatedIdentity(crypto));
    const step = key.dates.revision(today, NOON) -
      never.dates.revision(today, NOON);
    assert.ok(step > 0 && step < 2 ** 41, `${daysAgo} days: ${step}`);
  }
});
