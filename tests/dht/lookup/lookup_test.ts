import assert from "node:assert/strict";
import fc from "fast-check";
import { customNetwork } from "../../../lib/auth/network.ts";
import type { NodeRecord } from "../../../lib/auth/node_record.ts";
import { equalBytes } from "../../../lib/base/bytes.ts";
import { type Random, seededRandom } from "../../../lib/base/random.ts";
import {
  MAX_PATIENCE_MS,
  MIN_PATIENCE_MS,
  MIN_STALL_MS,
  STALL_MS,
} from "../../../lib/dht/lookup/answer_times.ts";
import {
  Lookup,
  LOOKUP_MS,
  MAX_ASKED_PER_GROUP,
} from "../../../lib/dht/lookup/lookup.ts";
import type { StoredRecord } from "../../../lib/dht/records/stored_record.ts";
import { testBytes } from "../../support/nodes.ts";
import { addressOf, fakeRecord, point } from "../records/fake_records.ts";
import {
  type Answer,
  k,
  MOST_ASKED,
  nearest,
  network,
  randomNodes,
  run,
  SELF,
  TARGET,
} from "./lookup_run.ts";

/** Every node knows the k nodes closest to the target of a random part of all. */
function partialKnowledge(random: Random, nodes: readonly NodeRecord[]) {
  return (_node: NodeRecord): Answer => ({
    nodes: nearest(nodes.filter(() => (random.bytes(1)[0] ?? 0) < 128), k),
  });
}

function stored(publisher: string, sequence: number): StoredRecord {
  return {
    key: TARGET,
    publisher: testBytes(publisher, 32),
    sequence,
    expiry: 1,
    value: new Uint8Array(),
    signature: testBytes("signature", 64),
    encoded: testBytes(`${publisher} ${sequence}`, 40),
  };
}

/** Nodes ever closer to the target, without end. */
function endless(random: Random): () => NodeRecord {
  let shared = 0;
  return () => {
    const id = random.bytes(32);
    shared = Math.min(shared + 1, 29);
    id.set(TARGET.subarray(0, shared));
    return fakeRecord(id);
  };
}

Deno.test("a look-up without contacts ends at once, with nothing", () => {
  const { lookup, steps } = run({}, () => undefined);
  assert.equal(steps, 0);
  assert.deepEqual(lookup.closest, []);
  assert.equal(lookup.hops, 0);
});

Deno.test("a look-up finds the k closest, in order, though each node knows but half of all", () => {
  for (let seed = 0; seed < 10; seed++) {
    const random = seededRandom(seed);
    const nodes = randomNodes(random, 300);
    const seeds = nodes.slice(0, k);
    const answers = partialKnowledge(random, nodes);
    const { lookup, asked } = run({ seeds: nearest(seeds, k) }, answers);
    const ids = lookup.closest.map(({ nodeId }) => String(nodeId));
    const expected = nearest(nodes, k).map(({ nodeId }) => String(nodeId));
    assert.deepEqual(ids, expected);
    assert.ok(asked.length < 45, `${asked.length} asked`);
  }
});

Deno.test("a look-up counts the steps from its own contacts", () => {
  const random = seededRandom(4);
  const chain = randomNodes(random, 5);
  const { lookup } = run(
    { seeds: chain.slice(0, 1) },
    (node) => ({
      nodes: [chain[chain.indexOf(node) + 1]].filter((next) =>
        next !== undefined
      ),
    }),
  );
  assert.equal(lookup.closest.length, 5);
  assert.equal(lookup.hops, 4);
});

Deno.test("a look-up passes over who is silent, and takes no time for it where others answer", () => {
  const random = seededRandom(5);
  const nodes = randomNodes(random, 200);
  const isSilent = (node: NodeRecord) => (node.nodeId[9] ?? 0) % 5 === 0;
  const answers = partialKnowledge(random, nodes);
  const { lookup, endMs } = run(
    { seeds: nearest(nodes.slice(0, k), k) },
    (node) => isSilent(node) ? undefined : answers(node),
  );
  const alive = nodes.filter((node) => !isSilent(node));
  const expected = nearest(alive, k).map(({ nodeId }) => String(nodeId));
  const ids = lookup.closest.map(({ nodeId }) => String(nodeId));
  assert.deepEqual(ids, expected);
  assert.ok(endMs < 4 * STALL_MS, `${endMs} ms`);
});

Deno.test("a slow node is waited for where there is no other, in proportion to the others", () => {
  const nodes = randomNodes(seededRandom(6), 4);
  const slowMs = (usualMs: number, afterMs: number) => {
    const { lookup, endMs } = run(
      { seeds: nodes },
      (node) => ({
        nodes: [],
        afterMs: node === nodes[2] ? afterMs : usualMs,
      }),
    );
    return [lookup.closest.length, endMs];
  };
  assert.deepEqual(slowMs(20, 700), [4, 700]);
  assert.deepEqual(slowMs(20, 4000), [3, MIN_PATIENCE_MS]);
  assert.deepEqual(slowMs(60, 1100), [4, 1100]);
  assert.deepEqual(slowMs(60, 4000), [3, 1200]);
  assert.deepEqual(slowMs(700, 1900), [4, 1900]);
  assert.deepEqual(slowMs(700, 4000), [3, MAX_PATIENCE_MS]);
});

Deno.test("while no node answers at all, every one is waited for", () => {
  const nodes = randomNodes(seededRandom(6), 4);
  const { lookup, endMs } = run(
    { seeds: nodes },
    () => ({ nodes: [], afterMs: 4500 }),
  );
  assert.equal(lookup.closest.length, 4);
  assert.equal(endMs, 4500);
});

Deno.test("a third of a small network that died together holds up a look-up by no more than its patience", () => {
  const nodes = randomNodes(seededRandom(21), 24);
  const isDead = (node: NodeRecord) => nodes.indexOf(node) % 3 === 1;
  const alive = nodes.filter((node) => !isDead(node));
  const { lookup, endMs } = run(
    { seeds: nearest(nodes, k) },
    (node) => isDead(node) ? undefined : { nodes: alive, afterMs: 20 },
  );
  assert.equal(lookup.closest.length, 16);
  assert.ok(endMs <= 4 * MIN_STALL_MS, `${endMs} ms`);
});

Deno.test("another is asked in place of a slow node, whose answer still counts", () => {
  const nodes = nearest(randomNodes(seededRandom(22), 40), 40);
  const [slow] = nodes;
  const lookUp = (afterMs: number) =>
    run({ seeds: nodes.slice(0, k) }, (node) => ({
      nodes: nodes.slice(k, 2 * k),
      afterMs: node === slow ? afterMs : 30,
    }));
  // Passed over after 12 × 30 ms; the others are not done by then.
  const late = lookUp(380);
  assert.equal(late.lookup.closest[0], slow);
  assert.ok(late.asked.length > lookUp(30).asked.length);
});

Deno.test("a look-up among the dead ends when its time is up", () => {
  const nodes = randomNodes(seededRandom(7), 60);
  const { lookup, endMs } = run({ seeds: nodes.slice(0, k) }, () => undefined);
  assert.deepEqual(lookup.closest, []);
  assert.ok(endMs <= LOOKUP_MS);
});

Deno.test("failures that are told end a look-up before its time", () => {
  const nodes = randomNodes(seededRandom(8), 9);
  const lookup = new Lookup({
    network,
    selfId: SELF,
    target: TARGET,
    seeds: nodes,
  });
  let waiting = lookup.start(0);
  for (let round = 0; !lookup.isDone; round++) {
    assert.ok(round < 20);
    waiting = waiting.flatMap((action) =>
      action.type === "ask" ? lookup.onFailure(action.record, 10) : []
    );
  }
  assert.deepEqual(lookup.closest, []);
  assert.equal(lookup.askedCount, 9);
});

Deno.test("answers that name the asker, the answerer, or one node twenty times change nothing", () => {
  const random = seededRandom(9);
  const nodes = randomNodes(random, 40);
  const answers = partialKnowledge(random, nodes);
  const twisted = (node: NodeRecord): Answer => {
    const answer = answers(node);
    if (answer === undefined || !("nodes" in answer)) return answer;
    const { nodes: named } = answer;
    const first = named[0] ?? node;
    const nodes = [fakeRecord(SELF), node, first, first, ...named].slice(0, k);
    return { nodes };
  };
  const { lookup, asked } = run({ seeds: nodes.slice(0, 6) }, twisted);
  assert.ok(!asked.some(({ nodeId }) => equalBytes(nodeId, SELF)));
  assert.equal(lookup.closest.length, k);
});

Deno.test("an answer of hundreds is looked at no further than k", () => {
  const random = seededRandom(10);
  const [seed] = randomNodes(random, 1);
  const crowd = randomNodes(random, 500);
  const { asked } = run(
    { seeds: [seed as NodeRecord] },
    (node) => ({ nodes: node === seed ? crowd : [] }),
  );
  const beyond = crowd.slice(k);
  assert.ok(!asked.some((node) => beyond.includes(node)));
});

Deno.test("clients are not asked", () => {
  const [seed] = randomNodes(seededRandom(11), 1);
  const client = fakeRecord(point(0xaa, 0x55, 1), { flags: [] });
  const { asked } = run(
    { seeds: [seed as NodeRecord] },
    () => ({ nodes: [client] }),
  );
  assert.deepEqual(asked, [seed]);
});

Deno.test("endless closer nodes come to an end", () => {
  for (let seed = 0; seed < 5; seed++) {
    const random = seededRandom(seed);
    const closer = endless(random);
    const { asked } = run(
      { seeds: randomNodes(random, k) },
      () => ({ nodes: Array.from({ length: k }, closer) }),
    );
    assert.ok(asked.length <= MOST_ASKED);
  }
});

Deno.test("a liar who names nodes that do not exist costs a few questions", () => {
  const random = seededRandom(12);
  const nodes = randomNodes(random, 200);
  const seeds = nearest(nodes.slice(0, k), k);
  const liar = seeds[0];
  const closer = endless(random);
  const ghosts = Array.from({ length: k }, closer);
  const answers = partialKnowledge(random, nodes);
  const { lookup, asked } = run({ seeds }, (node) => {
    if (ghosts.includes(node)) return undefined;
    return node === liar ? { nodes: ghosts } : answers(node);
  });
  const waste = asked.filter((node) => ghosts.includes(node)).length;
  assert.ok(waste <= 6, `${waste} ghosts asked`);
  const expected = nearest(nodes, k).map(({ nodeId }) => String(nodeId));
  assert.deepEqual(
    lookup.closest.map(({ nodeId }) => String(nodeId)),
    expected,
  );
});

Deno.test("who names the dead along with the living is still believed, and who names one often is not", () => {
  const nodes = nearest(randomNodes(seededRandom(24), 60), 60);
  const dead = nodes.slice(0, 6);
  const alive = nodes.slice(6, 20);
  const { lookup } = run(
    { seeds: alive.slice(0, 7) },
    (node) => dead.includes(node) ? undefined : { nodes: nodes.slice(0, k) },
  );
  assert.deepEqual(lookup.closest, alive);
  const ghosts = nearest(randomNodes(seededRandom(25), 400), 40);
  const [liar] = alive;
  const { asked } = run({ seeds: alive.slice(0, 6) }, (node) => {
    if (ghosts.includes(node)) return undefined;
    const friend = alive[1] ?? node;
    return node === liar
      ? { nodes: [node, ...Array(9).fill(friend), ...ghosts.slice(0, 10)] }
      : { nodes: alive };
  });
  const waste = asked.filter((node) => ghosts.includes(node)).length;
  assert.ok(waste <= 6, `${waste} ghosts asked`);
});

Deno.test("liars who name each other do not hide the true closest, while one path is free", () => {
  let found = 0;
  for (let seed = 0; seed < 40; seed++) {
    const random = seededRandom(100 + seed);
    const nodes = randomNodes(random, 300);
    const liars = nodes.filter((node) => (node.nodeId[9] ?? 0) < 51);
    const answers = partialKnowledge(random, nodes);
    const { lookup } = run(
      { seeds: nearest(nodes.slice(0, 2 * k), k) },
      (node) =>
        liars.includes(node) ? { nodes: nearest(liars, k) } : answers(node),
    );
    const got = new Set(lookup.closest.map(({ nodeId }) => String(nodeId)));
    const truth = nearest(nodes, k).map(({ nodeId }) => String(nodeId));
    if (truth.filter((id) => got.has(id)).length >= k - 2) found++;
  }
  assert.ok(found >= 39, `${found} of 40`);
});

Deno.test("where subnets count, one subnet gives few answers, whatever it lists", () => {
  const publicNetwork = customNetwork({
    name: "public",
    powDifficulty: 0,
    allowPrivateAddresses: false,
  });
  const random = seededRandom(13);
  const honest = randomNodes(random, 30);
  const sybils = Array.from({ length: 30 }, (_, index) => {
    const id = random.bytes(32);
    id.set(TARGET.subarray(0, 2));
    const host = `52.7.7.${index + 1}`;
    return fakeRecord(id, { addresses: [{ host, port: 4001 }] });
  });
  const all = [...honest, ...sybils];
  const { lookup } = run(
    { network: publicNetwork, seeds: honest.slice(0, 9) },
    () => ({ nodes: nearest(all, k) }),
  );
  const among = lookup.closest.filter((node) => sybils.includes(node));
  assert.equal(among.length, MAX_ASKED_PER_GROUP);
  assert.ok(lookup.closest.length >= 9);
});

Deno.test("a value ends its path, and the newest of all paths wins", () => {
  const nodes = nearest(randomNodes(seededRandom(14), 30), 30);
  const holders = new Map([[nodes[0], 3], [nodes[1], 9], [nodes[2], 5]]);
  const { lookup, asked } = run({ seeds: nodes.slice(0, k) }, (node) => {
    const sequence = holders.get(node);
    return sequence === undefined
      ? { nodes: [] }
      : { values: [stored("a", sequence)] };
  });
  assert.deepEqual(lookup.values, [stored("a", 9)]);
  assert.ok(asked.length <= 9, `${asked.length} asked`);
});

Deno.test("values of several publishers are gathered, the newest of each", () => {
  const nodes = nearest(randomNodes(seededRandom(15), 12), 12);
  const answers = [
    [stored("a", 1), stored("b", 7)],
    [stored("a", 2)],
    [stored("b", 6), stored("c", 1)],
  ];
  const { lookup } = run({ seeds: nodes }, (_node, count) => {
    const values = answers[count];
    return values === undefined ? { nodes: [] } : { values };
  });
  const found = lookup.values.map(({ encoded }) => String(encoded)).sort();
  const expected = [stored("a", 2), stored("b", 7), stored("c", 1)];
  assert.deepEqual(
    found,
    expected.map(({ encoded }) => String(encoded)).sort(),
  );
});

Deno.test("a liar cannot flood a look-up with publishers", () => {
  const nodes = nearest(randomNodes(seededRandom(16), 9), 9);
  const { lookup } = run({ seeds: nodes }, (_node, count) => ({
    values: Array.from(
      { length: 500 },
      (_, index) => stored(`${count} ${index}`, 1),
    ),
  }));
  assert.ok(lookup.values.length <= 3 * network.maxPublishers);
});

Deno.test("once there is a value, slow paths have little time left", () => {
  const nodes = nearest(randomNodes(seededRandom(17), 9), 9);
  const { lookup, endMs } = run(
    { seeds: nodes },
    (node) =>
      node === nodes[0]
        ? { values: [stored("a", 1)], afterMs: 100 }
        : undefined,
  );
  assert.equal(lookup.values.length, 1);
  assert.ok(endMs <= 100 + MAX_PATIENCE_MS, `${endMs} ms`);
});

Deno.test("once there is a value, no slow node is waited for where no other is asked", () => {
  const nodes = nearest(randomNodes(seededRandom(23), 9), 9);
  const { endMs } = run({ seeds: nodes }, (node) => {
    const index = nodes.indexOf(node);
    if (index % 3 !== 0) return undefined;
    return index === 6
      ? { values: [stored("a", 1)], afterMs: 60 }
      : { nodes: [], afterMs: 20 };
  });
  assert.ok(endMs <= STALL_MS, `${endMs} ms`);
});

Deno.test("closestWithout is the closest node that was asked and had no value", () => {
  const nodes = nearest(randomNodes(seededRandom(18), 12), 12);
  const { lookup } = run(
    { seeds: nodes },
    (node) =>
      node === nodes[3] || node === nodes[4] || node === nodes[5]
        ? { values: [stored("a", 1)] }
        : { nodes: [] },
  );
  assert.equal(lookup.closestWithout, nodes[0]);
});

Deno.test("records that we hold ourselves are results too, and lose to newer ones", () => {
  const nodes = nearest(randomNodes(seededRandom(19), 5), 5);
  const nothing = (): Answer => ({ nodes: [] });
  const held = [stored("a", 4)];
  assert.deepEqual(run({ seeds: nodes, held }, nothing).lookup.values, held);
  assert.deepEqual(run({ held }, nothing).lookup.values, held);
  const newer = (): Answer => ({ values: [stored("a", 5)] });
  const { lookup } = run({ seeds: nodes, held }, newer);
  assert.deepEqual(lookup.values, [stored("a", 5)]);
});

Deno.test("a look-up for a value asks one node on each path first, and then as many as others do", () => {
  const seeds = nearest(randomNodes(seededRandom(21), 30), k);
  const found = run(
    { kind: "value", seeds },
    () => ({ values: [stored("a", 1)] }),
  );
  assert.equal(found.asked.length, network.disjointPaths);
  assert.equal(found.lookup.values.length, 1);
  const none = (): Answer => ({ nodes: [] });
  const missing = run({ kind: "value", seeds }, none);
  const nodes = run({ seeds }, none);
  assert.equal(missing.asked.length, nodes.asked.length);
  assert.ok(missing.endMs <= nodes.endMs + 50, "one more round at most");
  // Who does not answer at all holds nothing up for long.
  const silent = run(
    { kind: "value", seeds },
    (_, count) =>
      count < network.disjointPaths ? undefined : { values: [stored("a", 1)] },
  );
  assert.equal(silent.lookup.values.length, 1);
  assert.ok(silent.endMs < 1_000, `ended after ${silent.endMs} ms`);
});

Deno.test("answers that were not asked for, and second answers, are not heard", () => {
  const nodes = nearest(randomNodes(seededRandom(20), 30), 30);
  const stranger = nodes[29] as NodeRecord;
  const lookup = new Lookup({
    network,
    selfId: SELF,
    target: TARGET,
    seeds: nodes.slice(0, 9),
  });
  const [first] = lookup.start(0);
  const asked = first?.type === "ask" ? first.record : assert.fail();
  const address = addressOf(1);
  const value = [stored("a", 1)];
  assert.deepEqual(lookup.onValue(stranger, value, address, 1), []);
  assert.deepEqual(lookup.values, []);
  lookup.onNodes(asked, [], address, 2);
  assert.deepEqual(lookup.onValue(asked, value, address, 3), []);
  assert.deepEqual(lookup.onFailure(asked, 4), []);
  assert.deepEqual(lookup.values, []);
  assert.deepEqual(lookup.closest, [asked]);
});

Deno.test("whatever is answered, a look-up ends within its bounds", () => {
  const pool: NodeRecord[] = Array.from(
    { length: 256 },
    (_, index) => fakeRecord(point(index, 7, index ^ 0x5a)),
  );
  const answer = fc.record({
    kind: fc.constantFrom("nodes", "value", "silent", "closer"),
    named: fc.array(fc.nat(255), { maxLength: 24 }),
    afterMs: fc.constantFrom(0, 10, 700, 3000, 40_000),
  });
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat(255), { maxLength: k }),
      fc.array(answer, { minLength: 1, maxLength: 40 }),
      fc.nat(1000),
      (seeds, script, seed) => {
        const closer = endless(seededRandom(seed));
        const { endMs, steps } = run(
          { seeds: seeds.map((index) => pool[index] as NodeRecord) },
          (_node, count) => {
            const { kind, named, afterMs } = script[count % script.length] ??
              assert.fail();
            const nodes = named.map((index) => pool[index] as NodeRecord);
            if (kind === "silent") return undefined;
            if (kind === "closer") return { nodes: named.map(closer), afterMs };
            return kind === "nodes"
              ? { nodes, afterMs }
              : { values: [stored(`${count}`, count)], afterMs };
          },
        );
        assert.ok(endMs <= LOOKUP_MS);
        assert.ok(steps <= 3 * MOST_ASKED + 100, `${steps} steps`);
      },
    ),
    { numRuns: 150 },
  );
});
