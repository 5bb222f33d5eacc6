import assert from "node:assert/strict";
import type { NodeRecord } from "../../../lib/auth/node_record.ts";
import { networkParameters } from "../../../lib/auth/network.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { repeatableSuite } from "../../../lib/crypto/repeatable.ts";
import {
  FollowedList,
  type FollowedListOptions,
} from "../../../lib/dht/join/followed_list.ts";
import type { ListAction } from "../../../lib/dht/join/list_action.ts";
import { MAX_PAGES } from "../../../lib/dht/relay_sync.ts";
import { TEST_UNIX_MS, testBytes } from "../../support/nodes.ts";
import { addressOf, fakeRecord, point } from "../records/fake_records.ts";

const CURSOR = testBytes("cursor", 16);
const relay = (number: number) => fakeRecord(point(number));

/** What becomes of a node that is dialled. */
interface Answers {
  /** What it lists; `undefined`: it does not answer. */
  readonly lists?: readonly NodeRecord[];
  /** Code of a lie at the end of its page. */
  readonly lie?: string;
  /** Whether its record is of another time. */
  readonly isOfOtherTime?: boolean;
  /** Whether each page has another one behind it. */
  readonly isEndless?: boolean;
}

/** A list, and nodes that answer it. */
class World {
  readonly machine: FollowedList;
  readonly nodes = new Map<NodeRecord, Answers>();
  /** Nodes that were dialled, in order. */
  dialled: NodeRecord[] = [];
  /** Nodes that were asked for a page, in order. */
  readonly read: NodeRecord[] = [];
  readonly actions: ListAction[] = [];
  nowMs = 0;
  unixMs = TEST_UNIX_MS;
  readonly #byDial = new Map<number, NodeRecord>();

  constructor(options: Partial<FollowedListOptions> = {}) {
    this.machine = new FollowedList({
      crypto: repeatableSuite(),
      random: seededRandom(1),
      network: networkParameters("local"),
      bootstrap: [],
      contacts: [],
      formerGuards: [],
      leastRelays: 1,
      ...options,
    });
  }

  get at() {
    return { nowMs: this.nowMs, unixMs: this.unixMs };
  }

  get types(): string[] {
    return this.actions.map(({ type }) => type);
  }

  /** Ids of listed relays, by their first byte. */
  get listed(): number[] {
    return Array.from(
      this.machine.list.listedRecords(this.unixMs),
      ({ nodeId }) => nodeId[0] ?? 0,
    ).sort((a, b) => a - b);
  }

  start(): void {
    this.carryOut(this.machine.start(this.at));
  }

  /** Call it when it wants to be called. */
  onTime(): void {
    this.nowMs = Math.max(this.nowMs, this.machine.deadlineMs);
    this.carryOut(this.machine.onTime(this.at));
  }

  /** The same until a round has begun and is over. */
  nextRound(): void {
    const overs = () => this.types.filter((type) => type === "over").length;
    const before = overs();
    for (let looks = 0; overs() === before; looks++) {
      assert.ok(looks < 100);
      this.onTime();
    }
  }

  carryOut(actions: readonly ListAction[]): void {
    const waiting = [...actions];
    for (let next; (next = waiting.shift()) !== undefined;) {
      this.actions.push(next);
      waiting.push(...this.#obey(next));
    }
  }

  #obey(action: ListAction): ListAction[] {
    const { machine, at } = this;
    if (action.type === "dial") {
      const node = [...this.nodes.keys()].find(({ publicKey }) =>
        publicKey === action.peer.publicKey
      ) ?? action.peer as NodeRecord;
      this.dialled.push(node);
      this.#byDial.set(action.dialId, node);
      const answers = this.nodes.get(node);
      if (answers?.isOfOtherTime) {
        return machine.onOtherTime(action.dialId, at);
      }
      if (answers?.lists === undefined) {
        return machine.onNoLink(action.dialId, at);
      }
      const [address = assert.fail()] = node.addresses;
      return machine.onLinked(action.dialId, node, address, at);
    }
    if (action.type !== "read") return [];
    const node = this.#byDial.get(action.dialId) ?? assert.fail();
    this.read.push(node);
    const { lists = [], lie, isEndless: more = false } = this.nodes.get(node) ??
      {};
    const page = { records: lists, lie, cursor: CURSOR, more };
    return machine.onPage(action.dialId, page, at);
  }
}

Deno.test("a relay is listed that two sources name, or with which there is a link; no other", () => {
  const [a, b] = [relay(1), relay(2)];
  const world = new World({ bootstrap: [a, b] });
  world.nodes.set(a, { lists: [relay(3), relay(4)] });
  world.nodes.set(b, { lists: [relay(4), relay(5)] });
  world.start();
  assert.deepEqual(world.listed, [1, 2, 4]);
  assert.deepEqual(world.types.slice(-3), ["over", "ready", "save"]);
  assert.equal(world.dialled.length, 2);
});

for (const [network, listed] of [["main", false], ["local", true]] as const) {
  Deno.test(`two sources of one subnet ${listed ? "suffice" : "are one voice"} in network ${network}`, () => {
    const [a = assert.fail(), b = assert.fail()] = [1, 2].map((number) =>
      fakeRecord(point(number), {
        addresses: [{ host: `52.1.0.${number}`, port: 4001 }],
      })
    );
    const far = relay(9);
    const world = new World({
      network: networkParameters(network),
      bootstrap: [a, b, far],
    });
    for (const node of [a, b]) world.nodes.set(node, { lists: [relay(4)] });
    world.nodes.set(far, { lists: [] });
    world.start();
    assert.deepEqual(world.listed, listed ? [1, 2, 4, 9] : [1, 2, 9]);
  });
}

Deno.test("four sources are dialled at most", () => {
  const all = [1, 2, 3, 4, 5, 6].map(relay);
  const world = new World({ bootstrap: all });
  world.start();
  assert.equal(new Set(world.dialled).size, 4);
});

Deno.test("of the only node that was named, three of its relays are asked, and two of four then suffice", () => {
  const a = relay(1);
  const named = [2, 3, 4, 5, 6].map(relay);
  const world = new World({ bootstrap: [a] });
  world.nodes.set(a, { lists: named });
  for (const node of named) world.nodes.set(node, { lists: named });
  world.start();
  assert.equal(world.dialled.length, 4);
  assert.deepEqual(world.listed, [1, 2, 3, 4, 5, 6]);
});

Deno.test("one of several that answers alone is believed in the third round, not before", () => {
  const [a, b] = [relay(1), relay(2)];
  const named = [3, 4, 5].map(relay);
  const world = new World({ bootstrap: [a, b] });
  world.nodes.set(a, { lists: named });
  for (const node of named) world.nodes.set(node, { lists: named });
  world.start();
  assert.deepEqual(world.listed, [1]);
  world.nextRound();
  assert.deepEqual(world.listed, [1]);
  world.nextRound();
  assert.deepEqual(world.listed, [1, 3, 4, 5]);
});

Deno.test("what such relays name counts as that one's word, when others are there again", () => {
  const [a, away] = [relay(1), relay(2)];
  const named = [3, 4, 5].map(relay);
  const world = new World({ bootstrap: [a, away] });
  world.nodes.set(a, { lists: named });
  for (const node of named) world.nodes.set(node, { lists: [] });
  world.nodes.set(named[0] ?? assert.fail(), { lists: [relay(7)] });
  world.start();
  for (let round = 0; round < 2; round++) world.nextRound();
  assert.deepEqual(world.listed, [1, 3, 4, 5]);
  world.nodes.set(a, { lists: [relay(7)] });
  world.nodes.set(away, { lists: [] });
  world.nextRound();
  assert.deepEqual(world.listed, [1, 2, 3, 4, 5]);
  world.nodes.set(away, { lists: [relay(7)] });
  world.nextRound();
  assert.deepEqual(world.listed, [1, 2, 3, 4, 5, 7]);
});

Deno.test("three sources are read to the end, another one in place of one that lies", () => {
  const [liar = assert.fail(), ...honest] = [1, 2, 3, 4].map(relay);
  const pages = Array.from({ length: 8 }, (_, seed) => {
    const random = seededRandom(seed);
    const world = new World({ random, bootstrap: [liar, ...honest] });
    world.nodes.set(liar, { lists: [], lie: "auth.record_signature" });
    for (const node of honest) world.nodes.set(node, { lists: [relay(5)] });
    world.start();
    const read = honest.filter((node) => world.read.includes(node));
    assert.equal(read.length, 3);
    return world.read.length;
  });
  assert.deepEqual(new Set(pages), new Set([3, 4]));
});

Deno.test("while too few are listed, the next round is within 7 s, and listed ones are asked as well", () => {
  const [a, b] = [relay(1), relay(2)];
  const world = new World({ bootstrap: [a, b], leastRelays: 5 });
  const both = { lists: [relay(3), relay(4)] };
  world.nodes.set(a, both);
  world.nodes.set(b, both);
  world.nodes.set(relay(3), { lists: [] });
  world.start();
  // Two that were named, and two of the list: they do not answer.
  assert.equal(world.dialled.length, 4);
  assert.deepEqual(world.listed, [1, 2, 3, 4]);
  assert.ok(world.machine.deadlineMs <= 6_250);
});

Deno.test("guards alone are asked, and none of those that they name", () => {
  const [named, guard] = [relay(1), relay(2)];
  const world = new World({ bootstrap: [named] });
  world.machine.onRecalled(guard, 0);
  world.machine.onGuards({ peers: [guard], isLinked: false });
  world.nodes.set(guard, { lists: [relay(3)] });
  world.start();
  assert.deepEqual(world.types, ["ready"]);
  assert.equal(world.machine.deadlineMs, 10_000);
  world.onTime();
  assert.deepEqual(world.dialled, [guard]);
  assert.deepEqual(world.listed, [2]);
});

Deno.test("a source that lies is cut off, what it said before stays heard, and it counts as not read", () => {
  const a = relay(1);
  const world = new World({ bootstrap: [a] });
  world.nodes.set(a, { lists: [relay(2)], lie: "auth.record_signature" });
  world.start();
  assert.deepEqual(world.actions.find(({ type }) => type === "cut_off"), {
    type: "cut_off",
    dialId: 0,
    code: "auth.record_signature",
  });
  assert.equal(world.types.at(-1), "over");
  assert.deepEqual(world.listed, [1]);
});

Deno.test("no source is read without end, whether it was named to us or by another", () => {
  const [a, b] = [relay(1), relay(2)];
  const world = new World({ bootstrap: [a] });
  world.nodes.set(a, { lists: [b], isEndless: true });
  world.nodes.set(b, { lists: [], isEndless: true });
  world.start();
  assert.equal(world.types.at(-1), "save");
  assert.equal(world.read.length, 2 * MAX_PAGES);
});

Deno.test("without an answer it is tried again, and every 13 s at most while the clock seems wrong", () => {
  const a = relay(1);
  const world = new World({ bootstrap: [a] });
  world.nodes.set(a, { isOfOtherTime: true });
  world.start();
  for (let round = 0; round < 8; round++) {
    const beforeMs = world.nowMs;
    world.nextRound();
    assert.ok(world.nowMs - beforeMs <= 12_500);
  }
  assert.equal(world.dialled.length, 9);
  world.nodes.set(a, {});
  const fromMs = world.nowMs;
  for (let round = 0; round < 8; round++) world.nextRound();
  assert.ok(world.nowMs - fromMs > 300_000);
});

Deno.test("on another network a wait is cut short, but neither the first one nor a round", () => {
  const [a, b] = [relay(1), relay(2)];
  const world = new World({ bootstrap: [a, b] });
  for (const node of [a, b]) world.nodes.set(node, { lists: [] });
  world.machine.onRecalled(a, 0);
  world.start();
  assert.deepEqual(world.machine.onNetworkChange(world.at), []);
  world.onTime();
  const before = world.dialled.length;
  const actions = world.machine.onNetworkChange(world.at);
  assert.equal(actions.filter(({ type }) => type === "dial").length, 2);
  assert.deepEqual(world.machine.onNetworkChange(world.at), []);
  assert.equal(world.machine.deadlineMs, Infinity);
  world.carryOut(actions);
  assert.equal(world.dialled.length, before + 2);
  assert.ok(world.machine.deadlineMs < Infinity);
});

Deno.test("when all of the list has expired while the machine slept, it is asked at the next look", () => {
  const [a, b] = [relay(1), relay(2)];
  const world = new World({ bootstrap: [a, b] });
  for (const node of [a, b]) world.nodes.set(node, { lists: [] });
  world.start();
  for (let round = 0; round < 2; round++) world.nextRound();
  const before = world.dialled.length;
  world.onTime();
  assert.equal(world.dialled.length, before);
  world.unixMs += 7 * 24 * 3_600_000;
  world.onTime();
  assert.equal(world.dialled.length, before + 2);
});

Deno.test("where the network has moved, named nodes are asked at once, and none where the last run knew it", () => {
  const [now, stale] = [relay(1), relay(2)];
  const before = fakeRecord(point(1), { addresses: [addressOf(9_000)] });
  const world = new World({ bootstrap: [now] });
  for (const record of [before, stale]) world.machine.onRecalled(record, 0);
  world.nodes.set(now, { lists: [stale] });
  world.start();
  assert.equal(world.types[0], "ready");
  assert.deepEqual(world.dialled, [now]);
  assert.ok(world.machine.deadlineMs <= 6_250);
});
