/**
 * What it costs to choose paths and to hand out circuits.
 *
 *     deno bench bench/path_bench.ts
 *
 * Figures are kept in docs/performance.md.
 *
 * @module
 */
import { avoiding } from "../lib/path/path_avoid.ts";
import { seededRandom } from "../lib/base/random.ts";
import type { NodeRecord } from "../lib/auth/node_record.ts";
import { customNetwork } from "../lib/auth/network.ts";
import { CircuitPool } from "../lib/pool/circuit_pool.ts";
import { GuardSet } from "../lib/path/guard_set.ts";
import { Layer2Set } from "../lib/path/layer2.ts";
import { PathSelector } from "../lib/path/path_selection.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const network = customNetwork({
  name: "bench",
  powDifficulty: 0,
  allowPrivateAddresses: false,
});
const random = seededRandom(1);

/** Relays as selection sees them; selection does not look at their signatures. */
function makeRelays(count: number): NodeRecord[] {
  return Array.from({ length: count }, (_, index) => ({
    network: network.name,
    publicKey: random.bytes(32),
    nodeId: random.bytes(32),
    onionKey: random.bytes(32),
    addresses: [{
      host: `${20 + index % 60}.${(index >> 3) % 256}.0.1`,
      port: 4001,
    }],
    flags: ["relay"],
    bandwidth: 1_000_000 * (1 + index % 40),
    sequence: NOW_MS,
    expiry: NOW_MS + 86_400_000,
    workNonce: new Uint8Array(16),
    place: new Uint8Array(32),
    signature: new Uint8Array(64),
    encoded: new Uint8Array(),
  }));
}

/** A selector over `records`, and a way to change the list. */
function makeSelector(records: readonly NodeRecord[]) {
  const source = { version: 1, snapshot: () => records };
  const selector = new PathSelector({
    network,
    random,
    relays: source,
    guards: GuardSet.create(random),
    layer2: Layer2Set.create(random),
  });
  selector.refresh(0, NOW_MS);
  return { selector, source };
}

const many = makeRelays(5000);
for (const count of [50, 5000]) {
  const { selector } = makeSelector(many.slice(0, count));
  for (const hops of [3, 8]) {
    Deno.bench(`path of ${hops} hops, ${count} relays`, {
      group: "path",
    }, () => {
      selector.select({ hops }, 0);
    });
  }
}

const { selector } = makeSelector(many);
const [last] = many;
const avoid = avoiding([many.slice(100, 103)]);
Deno.bench("path of 3 hops and a last one, disjoint from another", {
  group: "path",
}, () => {
  selector.select({ hops: 3, last, avoid }, 0);
});

const failing = makeSelector(many).selector;
for (const { nodeId } of many.slice(0, 1000)) {
  failing.failures.onFailure(nodeId, 1, 0);
}
Deno.bench("path of 3 hops, a fifth of the relays failing", {
  group: "path",
}, () => {
  failing.select({ hops: 3 }, 0);
});

const changing = makeSelector(many);
let nowMs = 0;
Deno.bench("the list of 5000 weighed anew", { group: "list" }, () => {
  changing.source.version++;
  nowMs += 10_000;
  changing.selector.refresh(nowMs, NOW_MS);
});

const fresh = seededRandom(2);
Deno.bench("the first look at 5000 records", { group: "list" }, (timer) => {
  const records = many.map((record) => ({ ...record }));
  const source = { version: 1, snapshot: () => records };
  const first = new PathSelector({
    network,
    random: fresh,
    relays: source,
    guards: GuardSet.create(fresh),
    layer2: Layer2Set.create(fresh),
  });
  timer.start();
  first.refresh(0, NOW_MS);
  timer.end();
});

Deno.bench("pool: taken, closed and replaced, 500 circuits in use", {
  group: "pool",
}, (timer) => {
  const pool = new CircuitPool({ selector, random });
  const builds = pool.start(0).filter((action) => action.type === "build");
  let nextMs = 0;
  const carryOut = () => {
    for (let build = builds.shift(); build; build = builds.shift()) {
      const actions = pool.onBuilt(build.id, nextMs++);
      builds.push(...actions.filter((action) => action.type === "build"));
    }
  };
  const take = () => {
    const { actions } = pool.take({ purpose: "rendezvous" }, nextMs++);
    builds.push(...actions.filter((action) => action.type === "build"));
    carryOut();
    return actions;
  };
  carryOut();
  for (let i = 0; i < 500; i++) take();
  timer.start();
  for (let i = 0; i < 100; i++) {
    for (const action of take()) {
      if (action.type === "ready") pool.onClosed(action.id, "done", nextMs);
    }
  }
  timer.end();
});
