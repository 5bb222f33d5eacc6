/**
 * A party that has many machines, such as a botnet, brings them all in one day: relays
 * that answer where they say, three for each that was there. Nothing is wrong with any
 * of them but that they belong together.
 *
 * @module
 */
import assert from "node:assert/strict";
import { customNetwork } from "../../lib/auth/network.ts";
import type { NodeRecord } from "../../lib/auth/node_record.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { GuardSet } from "../../lib/path/guard_set.ts";
import { Layer2Set } from "../../lib/path/layer2.ts";
import { PathSelector } from "../../lib/path/path_selection.ts";
import { Tenure } from "../../lib/path/tenure.ts";
import { relay } from "../path/_relays.ts";
import { TEST_UNIX_MS } from "../support/nodes.ts";

const DAY_MS = 24 * 3600 * 1000;
const HONEST = 200;
const BOTNET = 600;
const PATHS = 2000;

const network = customNetwork({
  name: "test",
  powDifficulty: 0,
  allowPrivateAddresses: false,
});
const honest = Array.from({ length: HONEST }, (_, n) => relay(1 + n));
const botnet = Array.from({ length: BOTNET }, (_, n) => relay(1001 + n));
const isHostile = (() => {
  const hostile = new Set(botnet.map(({ publicKey }) => publicKey));
  return (record: NodeRecord) => hostile.has(record.publicKey);
})();

/** One client, which has known the honest relays for a month when the others come. */
class Client {
  readonly list = { version: 1, snapshot: () => this.relays };
  relays: readonly NodeRecord[] = honest;
  readonly guards: GuardSet;
  readonly selector: PathSelector;

  constructor(seed: number, tenure: Tenure, guards?: GuardSet) {
    const random = seededRandom(seed);
    this.guards = guards ?? GuardSet.create(random);
    this.selector = new PathSelector({
      network,
      random,
      relays: this.list,
      guards: this.guards,
      layer2: Layer2Set.create(random),
      tenure,
    });
  }

  /** Look at the list on this day. */
  look(day: number, relays: readonly NodeRecord[]): void {
    this.relays = relays;
    this.list.version++;
    this.selector.refresh(day * DAY_MS, TEST_UNIX_MS + day * DAY_MS);
  }

  /** Share of the third hops that are hostile. */
  hostileThird(day: number): number {
    let hostile = 0;
    for (let i = 0; i < PATHS; i++) {
      const found = this.selector.select({ hops: 3 }, day * DAY_MS);
      assert.ok(found.type === "path");
      const third = found.path[2];
      assert.ok(third !== undefined);
      if (isHostile(third)) hostile++;
    }
    return hostile / PATHS;
  }
}

Deno.test("a botnet that comes in one day carries a twentieth of the honest weight on that day, and no more than that more each day", () => {
  const tenure = new Tenure();
  const client = new Client(1, tenure);
  client.look(0, honest);
  client.look(29, honest);
  for (const [days, most] of [[0, 0.01], [1, 0.1], [3, 0.18], [7, 0.3]]) {
    assert.ok(days !== undefined && most !== undefined);
    const day = 30 + days;
    client.look(30, [...honest, ...botnet]);
    client.look(day, [...honest, ...botnet]);
    const share = client.hostileThird(day);
    assert.ok(share <= most, `day ${days}: ${share}`);
  }
});

Deno.test("no relay of a botnet that came this week becomes a guard, also after a restart", () => {
  const tenure = new Tenure();
  new Client(2, tenure).look(0, honest);
  new Client(2, tenure).look(30, [...honest, ...botnet]);
  const later = Tenure.restore(tenure.snapshot());
  for (let seed = 0; seed < 20; seed++) {
    const client = new Client(100 + seed, later);
    // All its guards have gone: it draws anew while the newcomers are there.
    client.look(34, [...honest, ...botnet]);
    const kept = [...client.guards.inUse, ...client.selector.layer2.inUse];
    assert.ok(kept.length >= 6);
    const hostile = kept.filter(({ record }) => isHostile(record));
    assert.equal(hostile.length, 0, `seed ${seed}`);
  }
});

Deno.test("a network that begins, and one that a client meets for the first time, has paths", () => {
  const tenure = new Tenure();
  const client = new Client(3, tenure);
  const few = honest.slice(0, 5);
  client.look(0, few);
  client.hostileThird(0);
  // It grows by a lot in a day.
  client.look(1, honest.slice(0, 25));
  client.hostileThird(1);
  const third = new Set<NodeRecord>();
  for (let i = 0; i < 500; i++) {
    const found = client.selector.select({ hops: 3 }, DAY_MS);
    if (found.type === "path" && found.path[2]) third.add(found.path[2]);
  }
  assert.ok(third.size > 15, `${third.size} of 25 relays used`);
});
