/**
 * Guards by questions. A hostile service, client, introduction point or rendezvous
 * point names last hops whose records claim what it likes (subnets, addresses, the key
 * of a relay), and watches what becomes of the circuit and which relay stands before
 * the end. It wants the subnets, or the keys, of the guards and layer-2 guards.
 *
 * @see protocol §5.8 "Paths"
 */
import assert from "node:assert/strict";
import type { NodeRecord } from "../../lib/auth/node_record.ts";
import type { PathResult } from "../../lib/path/path_selection.ts";
import { type RelayKey, relayKey } from "../../lib/path/relay_key.ts";
import {
  keysOf,
  ownSubnet,
  relay,
  relays,
  testSelector,
} from "../path/_relays.ts";

/** Questions in all; 100,000 with ATTACK_SCALE=full. */
const QUESTIONS = Deno.env.get("ATTACK_SCALE") === "full" ? 100_000 : 12_000;
const RELAYS = 400;

/** What the adversary sees of one circuit that it had built: whether, and the hop before it. */
function seen(result: PathResult): RelayKey | undefined {
  if (result.type === "no_path") return undefined;
  const before = result.path.at(-2);
  return before && relayKey(before.nodeId);
}

/** A last hop that claims four subnets. */
function claimant(questions: number): NodeRecord {
  const addresses = [0, 1, 2, 3].map((index) =>
    ownSubnet((4 * questions + index) % RELAYS)
  );
  return relay(10_000 + questions, { addresses });
}

/** How far a share is from what it should be, in standard deviations. */
function deviations(hits: number, tries: number, share: number): number {
  return (hits - tries * share) / Math.sqrt(tries * share * (1 - share));
}

Deno.test("no claim of subnets keeps a circuit from being built, or shows in the hop before the end", () => {
  for (const seed of [1, 2, 3]) {
    const { selector } = testSelector(relays(RELAYS), { seed });
    const kept = keysOf([...selector.guards.inUse, ...selector.layer2.inUse]);
    let hits = 0;
    const never = keysOf(relays(RELAYS));
    for (let question = 0; question < QUESTIONS; question++) {
      const before = seen(
        selector.select({ hops: 3, last: claimant(question) }, 0),
      );
      assert.ok(before, "an answer that depends on the claim");
      if (kept.has(before)) hits++;
      never.delete(before);
    }
    assert.deepEqual(
      [...never].filter((key) => kept.has(key)),
      [],
      "kept relays are never before the end: they stand out by their absence",
    );
    const off = deviations(hits, QUESTIONS, kept.size / RELAYS);
    assert.ok(
      Math.abs(off) < 4,
      `kept relays before the end: ${off} deviations`,
    );
  }
});

Deno.test("naming a relay as the last hop tells nothing of whether it is kept", () => {
  const list = relays(RELAYS);
  const { selector } = testSelector(list, { seed: 4 });
  const inUse = [...selector.guards.inUse, ...selector.layer2.inUse];
  const kept = keysOf(inUse);
  const each = Math.ceil(QUESTIONS / 12);
  const named = [
    ...inUse.map(({ record }) => record),
    ...list.filter(({ nodeId }) => !kept.has(relayKey(nodeId))).slice(0, 6),
  ];
  for (const last of named) {
    const guards = new Map<RelayKey, number>();
    for (let question = 0; question < each; question++) {
      const result = selector.select({ hops: 3, last }, 0);
      assert.ok(result.type === "path", "an answer that depends on the name");
      const [first] = result.path;
      assert.ok(first);
      const key = relayKey(first.nodeId);
      guards.set(key, (guards.get(key) ?? 0) + 1);
    }
    for (const { key } of selector.guards.inUse) {
      const off = deviations(guards.get(key) ?? 0, each, 0.5);
      assert.ok(Math.abs(off) < 4, `a guard's share: ${off} deviations`);
    }
  }
});

Deno.test("a circuit that stands ready is extended to a kept relay like to any other", () => {
  const list = relays(RELAYS);
  const { selector } = testSelector(list, { seed: 5 });
  const outcomes = new Map<RelayKey, number>();
  const rounds = 2000;
  for (let round = 0; round < rounds; round++) {
    const result = selector.select({ hops: 3 }, 0);
    assert.ok(result.type === "path");
    for (
      const { record, key } of [
        ...selector.guards.inUse,
        ...selector.layer2.inUse,
      ]
    ) {
      const claims = relay(20_000 + round, { addresses: record.addresses });
      assert.ok(selector.mayExtend(result.path, claims));
      if (!selector.mayExtend(result.path, record)) {
        outcomes.set(key, (outcomes.get(key) ?? 0) + 1);
      }
    }
  }
  // Refused as seldom as any relay: where it is the one before the end, by its weight.
  for (const [, refused] of outcomes) {
    const off = deviations(refused, rounds, 1 / RELAYS);
    assert.ok(Math.abs(off) < 5, `${refused} of ${rounds} refused`);
  }
});

Deno.test("the relays that visitors and descriptors show are drawn without a look at the guards", () => {
  for (const seed of [6, 7]) {
    const { selector } = testSelector(relays(RELAYS), { seed });
    const kept = keysOf([...selector.guards.inUse, ...selector.layer2.inUse]);
    let hits = 0;
    for (let draw = 0; draw < QUESTIONS; draw++) {
      const result = selector.select({ hops: 3 }, 0);
      assert.ok(result.type === "path");
      const end = result.path.at(-1);
      if (end !== undefined && kept.has(relayKey(end.nodeId))) hits++;
    }
    const off = deviations(hits, QUESTIONS, kept.size / RELAYS);
    assert.ok(Math.abs(off) < 4, `kept relays at the end: ${off} deviations`);
  }
});
