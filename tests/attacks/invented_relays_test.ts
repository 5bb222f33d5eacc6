/**
 * The attack: one relay tells all others of relays that do not exist, each in a
 * subnet of its own, many times as many as there are. A node that has them in its list
 * builds paths over them, asks them for lists, and passes them on.
 *
 * `ATTACK_SCALE` multiplies the size: 1 by default, in which it takes seconds.
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import assert from "node:assert/strict";
import { customNetwork } from "../../lib/auth/network.ts";
import type { Bytes } from "../../lib/base/bytes.ts";
import {
  decodeResponse,
  encodeRequest,
  MAX_PAGE_RECORDS,
} from "../../lib/dht/messages.ts";
import { ANNOUNCE_WINDOW_MS, MAX_ANNOUNCED } from "../../lib/dht/gossip.ts";
import { DhtWorld, type WorldNode } from "../dht/dht_world.ts";

const SCALE = Number(Deno.env.get("ATTACK_SCALE") ?? 1);
const HONEST = 30 * SCALE;
/** Invented relays for each honest one. */
const FLOOD = 35;
const SECOND_MS = 1000;

const network = customNetwork({
  name: "public",
  powDifficulty: 0,
  allowPrivateAddresses: false,
});

/** A /16 for each of the first 50,000. */
const hostOf = (index: number) =>
  `${20 + (index >> 8)}.${index & 255}.${1 + (index >> 16)}.1`;

/** All that a node passes on to a client that asks for its list. */
function passedOn(world: DhtWorld, node: WorldNode): Set<string> {
  const listed = new Set<string>();
  const asker = { nodeId: new Uint8Array(32) };
  for (let cursor: Bytes = new Uint8Array(0), more = true; more;) {
    const request = encodeRequest({ type: "list_relays", cursor });
    const { nowMs, unixMs } = world;
    const reply = node.machine.onRequest(asker, request, nowMs, unixMs);
    const page = decodeResponse(network, "list_relays", reply.response);
    assert.ok(page.type === "relays");
    for (const record of page.records) listed.add(record.toHex());
    ({ cursor, more } = page);
  }
  return listed;
}

/** Of what each honest node passes on, the worst share that exists, and of what exists the worst share passed on. */
function survey(world: DhtWorld, honest: readonly WorldNode[]) {
  const real = new Set(
    world.nodes.filter(({ behaviour }) => behaviour === "honest")
      .map(({ record }) => record.encoded.toHex()),
  );
  const shares = honest.map((node) => {
    const listed = passedOn(world, node);
    const known = [...listed].filter((record) => real.has(record)).length;
    return { real: known / listed.size, known: known / real.size };
  });
  return {
    real: Math.min(...shares.map(({ real }) => real)),
    known: Math.min(...shares.map(({ known }) => known)),
  };
}

/** Announce relays to all, as fast as each node looks at them. */
function flood(
  world: DhtWorld,
  liar: WorldNode,
  victims: readonly WorldNode[],
  invented: readonly WorldNode[],
): void {
  for (let at = 0; at < invented.length; at += MAX_ANNOUNCED) {
    for (const victim of victims) {
      for (let page = 0; page < MAX_ANNOUNCED; page += MAX_PAGE_RECORDS) {
        const from = at + page;
        const records = invented.slice(from, from + MAX_PAGE_RECORDS)
          .map(({ record }) => record.encoded);
        if (records.length === 0) continue;
        world.request(victim, liar, { type: "announce", records });
      }
    }
    world.advance(ANNOUNCE_WINDOW_MS);
  }
}

/** The share of look-ups, one from each node, that find the closest of all others. */
function lookUps(world: DhtWorld, nodes: readonly WorldNode[]): number {
  const good = nodes.filter((node) => {
    const target = world.random.bytes(32);
    const taskId = world.begin(
      node,
      (machine, nowMs, unixMs) => machine.findNode(target, nowMs, unixMs),
    );
    const end = world.await(node, taskId);
    assert.ok(end.type === "nodes");
    const [nearest] = world.trueClosest(
      target,
      1,
      (other) => other.behaviour !== "dead" && other !== node,
    );
    return end.closest[0] === nearest?.record;
  });
  return good.length / nodes.length;
}

Deno.test("invented relays do not come into the lists that relays pass on", () => {
  const world = new DhtWorld({
    seed: 1,
    nodes: HONEST + 1,
    network,
    hostOf,
    maxRelays: 3 * HONEST,
  });
  world.settle(200, 300 * SECOND_MS);
  const [liar = assert.fail(), ...honest] = world.nodes;
  const invented = Array.from(
    { length: FLOOD * HONEST },
    () => world.add("dead"),
  );
  flood(world, liar, honest, invented);

  const { real, known } = survey(world, honest);
  assert.ok(real >= 0.99, `${real} of what is passed on is there`);
  assert.ok(known >= 0.99, `${known} of what is there is passed on`);

  const [via = assert.fail()] = honest;
  const newcomer = world.add();
  world.join(newcomer, via);
  world.advance(30 * SECOND_MS);
  assert.ok(newcomer.machine.hasJoined);
  const aware =
    honest.filter((node) =>
      passedOn(world, node).has(newcomer.record.encoded.toHex())
    ).length;
  assert.ok(aware >= 0.9 * honest.length, `${aware} know the newcomer`);

  const found = lookUps(world, honest);
  assert.ok(found >= 0.99, `${found} of look-ups find the closest`);
});
