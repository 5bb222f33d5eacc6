import assert from "node:assert/strict";
import { networkParameters } from "../../lib/auth/network.ts";
import type { NodeRecord } from "../../lib/auth/node_record.ts";
import type { SocketAddress } from "../../lib/auth/socket_address.ts";
import { type Bytes, equalBytes } from "../../lib/base/bytes.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { CALL_MS } from "../../lib/dht/calls.ts";
import { COPY_PATIENCE_MS } from "../../lib/dht/copies.ts";
import type { DhtAction } from "../../lib/dht/dht_action.ts";
import { DhtNode } from "../../lib/dht/dht_node.ts";
import { MAX_TASKS } from "../../lib/dht/errands.ts";
import {
  decodeRequest,
  decodeResponse,
  type DhtRequest,
  type DhtResponse,
  encodeRequest,
  encodeResponse,
} from "../../lib/dht/messages.ts";
import { createStoredRecord } from "../../lib/dht/records/stored_record.ts";
import { encodeCbor } from "../../lib/wire/cbor.ts";
import { TEST_UNIX_MS, testBytes, testRecord } from "../support/nodes.ts";
import { addressOf, point } from "./records/fake_records.ts";

const crypto = nativeSuite();
const network = networkParameters("local");
const HOUR_MS = 3_600_000;

const RECORDS = Array.from(
  { length: 40 },
  (_, index) =>
    testRecord(crypto, 500 + index, { addresses: [addressOf(index)] }),
);

function record(index: number): NodeRecord {
  return RECORDS[index] ?? assert.fail();
}

function addressIn({ addresses }: NodeRecord): SocketAddress {
  return addresses[0] ?? assert.fail();
}

type Of<Type extends DhtAction["type"]> = Extract<DhtAction, { type: Type }>;

/** A node, and its driver in the hands of the test. */
class Bench {
  readonly self = record(0);
  readonly node = new DhtNode({
    crypto,
    network,
    random: seededRandom(1),
    selfId: record(0).nodeId,
    selfPlace: record(0).place,
  });
  nowMs = 0;
  actions: DhtAction[] = [];
  /** Requests seen by `sent`, by type. */
  readonly counts = new Map<DhtRequest["type"], number>();

  get unixMs(): number {
    return TEST_UNIX_MS + this.nowMs;
  }

  /** Actions of a type so far, which are taken. */
  take<Type extends DhtAction["type"]>(type: Type): Of<Type>[] {
    const isWanted = (action: DhtAction): action is Of<Type> =>
      action.type === type;
    const found = this.actions.filter(isWanted);
    this.actions = this.actions.filter((action) => !isWanted(action));
    return found;
  }

  /** Requests sent so far, decoded. */
  sent(): { rpcId: number; to: NodeRecord; request: DhtRequest }[] {
    return this.take("send").map(({ rpcId, to, request: bytes }) => {
      const request = decodeRequest(network, bytes);
      this.counts.set(request.type, (this.counts.get(request.type) ?? 0) + 1);
      return { rpcId, to, request };
    });
  }

  do(actions: readonly DhtAction[]): void {
    this.actions.push(...actions);
  }

  start(): void {
    this.do(this.node.start(this.self, [], this.nowMs, this.unixMs));
  }

  /** Let a peer link to us, and answer the ping. */
  admit(index: number): void {
    const peer = record(index);
    this.do(this.node.onLink(peer, this.nowMs, this.unixMs));
    for (const { rpcId, request } of this.sent()) {
      if (request.type === "ping") this.respond(rpcId, peer, { type: "done" });
    }
  }

  respond(
    rpcId: number,
    from: NodeRecord,
    response: DhtResponse | Bytes,
  ): void {
    const bytes = response instanceof Uint8Array
      ? response
      : encodeResponse(response);
    const address = addressIn(from);
    this.do(
      this.node.onResponse(rpcId, bytes, address, this.nowMs, this.unixMs),
    );
  }

  fail(rpcId: number): void {
    this.do(this.node.onFailure(rpcId, this.nowMs, this.unixMs));
  }

  /** Answer what is to be verified: all are right, but those named as lies. */
  verify(lie?: string): void {
    for (const { verifyId, encoded } of this.take("verify")) {
      const records = lie === undefined
        ? RECORDS.filter((known) =>
          encoded.some((bytes) => equalBytes(bytes, known.encoded))
        )
        : [];
      const { nowMs, unixMs } = this;
      this.do(
        this.node.onVerified(verifyId, { records, lie }, nowMs, unixMs),
      );
    }
  }

  advance(ms: number): void {
    this.nowMs += ms;
    this.do(this.node.onTime(this.nowMs, this.unixMs));
  }

  ask(index: number, request: DhtRequest): DhtResponse {
    const peer = { nodeId: record(index).nodeId, record: record(index) };
    const { response, actions } = this.node.onRequest(
      peer,
      encodeRequest(request),
      this.nowMs,
      this.unixMs,
    );
    this.do(actions);
    return decodeResponse(network, request.type, response);
  }
}

/** A node with contacts 1 to `count`, and nothing under way. */
function joined(count: number): Bench {
  const bench = new Bench();
  bench.start();
  for (let index = 1; index <= count; index++) {
    bench.admit(index);
    settle(bench);
  }
  bench.actions = [];
  assert.equal(bench.node.table.size, count);
  return bench;
}

/** Answer everything as a quiet, honest network would. */
function settle(bench: Bench): void {
  for (let round = 0; round < 60; round++) {
    const sent = bench.sent();
    for (const { rpcId, to, request } of sent) {
      const quiet: Record<DhtRequest["type"], DhtResponse> = {
        ping: { type: "done" },
        store: { type: "done" },
        announce: { type: "done" },
        find_node: { type: "nodes", records: [] },
        find_value: { type: "nodes", records: [] },
        list_relays: {
          type: "relays",
          records: [],
          cursor: new Uint8Array(),
          more: false,
        },
      };
      bench.respond(rpcId, to, quiet[request.type]);
    }
    bench.verify();
    if (sent.length === 0) return;
  }
  assert.fail("the node never settles");
}

function stored(sequence = 1, key = point(9)) {
  const signer = crypto.signer(testBytes("publisher", 32));
  return createStoredRecord(network, signer, {
    key,
    sequence,
    expiry: TEST_UNIX_MS + HOUR_MS,
    value: testBytes("value", 20),
  });
}

Deno.test("start() asks to be introduced to a node, again and again, ever more slowly", () => {
  const bench = new Bench();
  bench.start();
  assert.equal(bench.take("bootstrap").length, 1);
  const times: number[] = [];
  while (bench.nowMs < HOUR_MS) {
    const due = bench.node.deadlineMs;
    assert.ok(due < Infinity);
    bench.advance(due - bench.nowMs);
    if (bench.take("bootstrap").length > 0) times.push(bench.nowMs);
  }
  assert.deepEqual(times.slice(0, 4), [2000, 6000, 14_000, 30_000]);
  const last = (times.at(-1) ?? 0) - (times.at(-2) ?? 0);
  assert.equal(last, 300_000);
});

Deno.test("start() tries relays that are known from before", () => {
  const bench = new Bench();
  const known = RECORDS.slice(0, 4);
  const { nowMs, unixMs } = bench;
  bench.do(bench.node.start(bench.self, known, nowMs, unixMs));
  const [action] = bench.take("bootstrap");
  const relays = new Set(action?.relays);
  assert.deepEqual(relays, new Set(known.slice(1)));
});

Deno.test("the first contact leads to a look-up of ourselves, an introduction and the relay list", () => {
  const bench = new Bench();
  bench.start();
  bench.do(bench.node.onLink(record(1), 0, TEST_UNIX_MS));
  const [ping] = bench.sent();
  assert.equal(ping?.request.type, "ping");
  assert.equal(bench.node.hasJoined, false);
  bench.respond(ping?.rpcId ?? 0, record(1), { type: "done" });
  const [find] = bench.sent();
  assert.deepEqual(find?.request, {
    type: "find_node",
    target: bench.self.nodeId,
  });
  bench.respond(find?.rpcId ?? 0, record(1), { type: "nodes", records: [] });
  bench.verify();
  assert.equal(bench.take("joined").length, 1);
  assert.ok(bench.node.hasJoined);
  const types = bench.sent().map(({ request }) => request.type);
  assert.deepEqual(types.sort(), ["announce", "list_relays"]);
});

Deno.test("nodes that an answer names are verified, listed, and not taken into the table", () => {
  const bench = joined(3);
  bench.do(bench.node.findNode(point(7), 0, TEST_UNIX_MS).actions);
  const asked = bench.sent();
  assert.equal(asked.length, 3);
  const [first] = asked;
  const named = [record(10).encoded, record(11).encoded];
  bench.respond(first?.rpcId ?? 0, first?.to ?? record(1), {
    type: "nodes",
    records: named,
  });
  assert.equal(bench.node.relays.get(record(10).nodeId), undefined);
  bench.verify();
  assert.equal(bench.node.relays.get(record(10).nodeId), record(10));
  assert.equal(bench.node.table.get(record(10).nodeId), undefined);
});

Deno.test("relays of the list are drawn into buckets that have room", () => {
  const bench = joined(2);
  bench.ask(1, { type: "announce", records: [record(20).encoded] });
  bench.verify();
  // Once to see whether it is there, and once more for the bucket.
  for (let pings = 0; pings < 2; pings++) {
    const [ping, ...others] = bench.sent().filter(({ to, request }) =>
      to === record(20) && request.type === "ping"
    );
    assert.ok(ping !== undefined && others.length === 0);
    bench.respond(ping.rpcId, record(20), { type: "done" });
    bench.advance(5000);
  }
  assert.ok(bench.node.table.get(record(20).nodeId));
});

Deno.test("an answer with a lie counts as none, and its node is blamed and leaves", () => {
  const bench = joined(3);
  const { taskId, actions } = bench.node.findNode(point(7), 0, TEST_UNIX_MS);
  bench.do(actions);
  const asked = bench.sent();
  const liar = asked[0]?.to ?? assert.fail();
  for (const { rpcId, to } of asked) {
    bench.respond(rpcId, to, { type: "nodes", records: [record(9).encoded] });
    bench.verify(to === liar ? "auth.record_signature" : undefined);
  }
  settle(bench);
  const [blame] = bench.take("blame");
  assert.deepEqual(blame?.nodeId, liar.nodeId);
  assert.equal(blame?.code, "auth.record_signature");
  assert.equal(bench.node.table.get(liar.nodeId), undefined);
  const [result] = bench.take("nodes");
  assert.equal(result?.taskId, taskId);
  assert.ok(!result?.closest.includes(liar));
  // It does not come back by linking to us.
  bench.do(bench.node.onLink(liar, bench.nowMs, bench.unixMs));
  assert.deepEqual(bench.sent(), []);
});

Deno.test("a broken answer fails its call, and its node is blamed", () => {
  const bad: Bytes[] = [
    new Uint8Array(),
    testBytes("garbage", 20),
    encodeCbor({ r: 0 }),
    encodeCbor({
      r: 1,
      records: Array.from({ length: 21 }, () => new Uint8Array(5)),
    }),
  ];
  for (const bytes of bad) {
    const bench = joined(1);
    const { actions } = bench.node.findNode(point(7), 0, TEST_UNIX_MS);
    bench.do(actions);
    const [asked] = bench.sent();
    bench.respond(asked?.rpcId ?? 0, record(1), bytes);
    assert.equal(bench.take("blame").length, 1);
    assert.deepEqual(bench.take("nodes")[0]?.closest, []);
    assert.equal(bench.node.table.size, 0);
  }
});

Deno.test("onRequest() throws for what is no request", () => {
  const bench = joined(1);
  const peer = { nodeId: record(1).nodeId, record: record(1) };
  for (
    const bytes of [
      new Uint8Array(),
      testBytes("garbage", 9),
      encodeCbor({ m: 99 }),
    ]
  ) {
    assert.throws(
      () => bench.node.onRequest(peer, bytes, 0, TEST_UNIX_MS),
      ProtocolError,
    );
  }
});

Deno.test("onRequest() names contacts, but not the asker", () => {
  const bench = joined(5);
  const response = bench.ask(1, {
    type: "find_node",
    target: record(1).place,
  });
  assert.equal(response.type, "nodes");
  const named = response.type === "nodes" ? response.records.map(String) : [];
  assert.equal(named.length, 4);
  assert.ok(!named.includes(String(record(1).encoded)));
});

Deno.test("onRequest() stores for relays, gives values back, and refuses clients", () => {
  const bench = joined(2);
  const { encoded, key, publisher } = stored();
  assert.deepEqual(bench.ask(1, { type: "store", record: encoded }), {
    type: "done",
  });
  assert.deepEqual(bench.ask(2, { type: "find_value", key }), {
    type: "value",
    records: [encoded],
  });
  assert.deepEqual(bench.ask(2, { type: "find_value", key, publisher }), {
    type: "value",
    records: [encoded],
  });
  const stranger = bench.ask(2, {
    type: "find_value",
    key,
    publisher: point(1),
  });
  assert.equal(stranger.type, "nodes");
  const client = { nodeId: record(3).nodeId };
  const requests: DhtRequest[] = [
    { type: "store", record: stored(2).encoded },
    { type: "announce", records: [] },
  ];
  for (const request of requests) {
    const { response } = bench.node.onRequest(
      client,
      encodeRequest(request),
      0,
      TEST_UNIX_MS,
    );
    assert.deepEqual(decodeResponse(network, request.type, response), {
      type: "refused",
      code: "not_a_relay",
    });
  }
});

Deno.test("onRequest() refuses a record with the store's reason", () => {
  const bench = joined(1);
  const { encoded } = stored();
  bench.nowMs = 2 * HOUR_MS;
  assert.deepEqual(bench.ask(1, { type: "store", record: encoded }), {
    type: "refused",
    code: "expired",
  });
});

Deno.test("an announcement is verified before it is taken up, and a false one is blamed", () => {
  const bench = joined(2);
  bench.ask(1, { type: "announce", records: [record(20).encoded] });
  assert.equal(bench.node.relays.get(record(20).nodeId), undefined);
  bench.verify();
  assert.equal(bench.node.relays.get(record(20).nodeId), record(20));
  bench.ask(2, { type: "announce", records: [record(21).encoded] });
  bench.verify("auth.record_work");
  assert.deepEqual(bench.take("blame")[0]?.nodeId, record(2).nodeId);
  assert.equal(bench.node.relays.get(record(21).nodeId), undefined);
});

Deno.test("news is passed on to contacts, but not to who told it", () => {
  const bench = joined(3);
  bench.nowMs = 60_000;
  bench.ask(1, { type: "announce", records: [record(20).encoded] });
  bench.verify();
  const [ping] = bench.sent().filter(({ to }) => to === record(20));
  bench.advance(7_000);
  const announced = () =>
    bench.sent().filter(({ request }) =>
      request.type === "announce" &&
      request.records.some((bytes) => equalBytes(bytes, record(20).encoded))
    );
  // A node that has not reached a relay does not say that it is there.
  assert.deepEqual(announced(), []);
  bench.respond(ping?.rpcId ?? 0, record(20), { type: "done" });
  bench.advance(30_000);
  const told = announced();
  assert.deepEqual(
    new Set(told.map(({ to }) => to)),
    new Set([record(2), record(3)]),
  );
});

Deno.test("put() stores on the closest nodes and on ourselves, and counts", () => {
  const bench = joined(3);
  const { taskId, actions } = bench.node.put(stored(), 0, TEST_UNIX_MS);
  bench.do(actions);
  for (const { rpcId, to } of bench.sent()) {
    bench.respond(rpcId, to, { type: "nodes", records: [] });
  }
  bench.verify();
  const stores = bench.sent();
  assert.equal(stores.length, 3);
  const [first, second, third] = stores;
  bench.respond(first?.rpcId ?? 0, first?.to ?? bench.self, { type: "done" });
  bench.respond(second?.rpcId ?? 0, second?.to ?? bench.self, {
    type: "refused",
    code: "quota",
  });
  assert.deepEqual(bench.take("stored"), []);
  bench.fail(third?.rpcId ?? 0);
  assert.deepEqual(bench.take("stored"), [{
    type: "stored",
    taskId,
    copies: 2,
    refused: new Map([["quota", 1]]),
  }]);
  assert.equal(bench.node.store.records, 1);
});

/** A record on its way to three holders. */
function storing() {
  const bench = joined(3);
  bench.do(bench.node.put(stored(), bench.nowMs, bench.unixMs).actions);
  for (const { rpcId, to } of bench.sent()) {
    bench.respond(rpcId, to, { type: "nodes", records: [] });
  }
  bench.verify();
  return { bench, stores: bench.sent() };
}

Deno.test("put() waits for a slow holder no longer than its patience, once another has answered", () => {
  const { bench, stores: [first, second] } = storing();
  bench.respond(first?.rpcId ?? 0, first?.to ?? bench.self, { type: "done" });
  bench.advance(COPY_PATIENCE_MS - 1);
  assert.deepEqual(bench.take("stored"), []);
  bench.advance(1);
  const [end] = bench.take("stored");
  assert.equal(end?.copies, 2);
  assert.deepEqual(bench.take("cancel"), []);
  // The slow one may answer all the same: it is alive, and nothing is told twice.
  bench.respond(second?.rpcId ?? 0, second?.to ?? bench.self, { type: "done" });
  assert.deepEqual(bench.take("stored"), []);
  assert.equal(bench.node.table.size, 3);
});

Deno.test("put() waits for the first answer, however slow all holders are", () => {
  const { bench, stores: [first] } = storing();
  bench.advance(2 * COPY_PATIENCE_MS);
  assert.deepEqual(bench.take("stored"), []);
  assert.ok(bench.node.deadlineMs > bench.nowMs, "it does not spin");
  bench.respond(first?.rpcId ?? 0, first?.to ?? bench.self, { type: "done" });
  assert.equal(bench.take("stored")[0]?.copies, 2);
});

Deno.test("put() that no node answers ends with our own copy alone", () => {
  const { bench } = storing();
  bench.advance(CALL_MS);
  assert.equal(bench.take("stored")[0]?.copies, 1);
});

Deno.test("findValue() gives the newest record, and restores it where it was missing", () => {
  const bench = joined(3);
  const { key } = stored();
  const task = bench.node.findValue(key, undefined, 0, TEST_UNIX_MS);
  bench.do(task.actions);
  const asked = bench.sent();
  const answers: DhtResponse[] = [
    { type: "nodes", records: [] },
    { type: "value", records: [stored(1).encoded] },
    { type: "value", records: [stored(5).encoded] },
  ];
  for (const [index, { rpcId, to }] of asked.entries()) {
    bench.respond(rpcId, to, answers[index] ?? assert.fail());
    bench.verify();
  }
  const [result] = bench.take("values");
  assert.deepEqual(result?.records, [stored(5)]);
  const [restore] = bench.sent();
  assert.equal(restore?.to, asked[0]?.to);
  assert.deepEqual(restore?.request, {
    type: "store",
    record: stored(5).encoded,
  });
});

Deno.test("findValue() takes no record of another key, of another publisher, or unsigned", () => {
  const { key, publisher } = stored();
  const forged = new Uint8Array(stored().encoded);
  forged[forged.length - 1] = (forged[forged.length - 1] ?? 0) ^ 1;
  const cases: readonly (readonly [Bytes, Bytes | undefined, boolean])[] = [
    [stored(1, point(8)).encoded, undefined, true],
    [forged, undefined, true],
    [testBytes("garbage", 100), undefined, true],
    [stored().encoded, point(77), false],
    [stored().encoded, publisher, false],
  ];
  for (const [encoded, wanted, isBlamed] of cases) {
    const bench = joined(1);
    const task = bench.node.findValue(key, wanted, 0, TEST_UNIX_MS);
    bench.do(task.actions);
    const [asked] = bench.sent();
    bench.respond(asked?.rpcId ?? 0, record(1), {
      type: "value",
      records: [encoded],
    });
    const [result] = bench.take("values");
    const isFound = wanted === publisher;
    assert.equal(result?.records.length, isFound ? 1 : 0);
    assert.equal(bench.take("blame").length, isBlamed ? 1 : 0);
  }
});

Deno.test("findValue() overlooks a record that has just expired", () => {
  const bench = joined(1);
  const { key, encoded } = stored();
  bench.nowMs = HOUR_MS;
  const task = bench.node.findValue(key, undefined, HOUR_MS, bench.unixMs);
  bench.do(task.actions);
  const [asked] = bench.sent();
  bench.respond(asked?.rpcId ?? 0, record(1), {
    type: "value",
    records: [encoded],
  });
  assert.deepEqual(bench.take("values")[0]?.records, []);
  assert.deepEqual(bench.take("blame"), []);
});

Deno.test("a call that is not answered in time is cancelled, and counts as a failure", () => {
  const bench = joined(2);
  bench.do(bench.node.onLinkLost(record(1).nodeId, 0));
  const [ping] = bench.sent();
  assert.equal(ping?.to, record(1));
  bench.advance(CALL_MS);
  assert.deepEqual(bench.take("cancel"), [{
    type: "cancel",
    rpcId: ping?.rpcId ?? 0,
  }]);
  assert.equal(bench.node.table.get(record(1).nodeId)?.failures, 1);
  bench.respond(ping?.rpcId ?? 0, record(1), { type: "done" });
  assert.equal(bench.node.table.get(record(1).nodeId)?.failures, 1);
});

Deno.test("a node whose contacts have all died asks to be introduced again", () => {
  const bench = joined(2);
  for (let round = 0; round < 40 && bench.node.table.size > 0; round++) {
    for (const { nodeId } of [record(1), record(2)]) {
      bench.do(bench.node.onLinkLost(nodeId, bench.nowMs));
    }
    for (const { rpcId } of bench.sent()) bench.fail(rpcId);
  }
  assert.equal(bench.node.table.size, 0);
  bench.advance(3000);
  assert.equal(bench.take("bootstrap").length, 1);
});

Deno.test("tasks over the limit are turned away, and the others go on", () => {
  const bench = joined(1);
  for (let count = 0; count < MAX_TASKS + 3; count++) {
    bench.do(bench.node.findNode(point(count), 0, TEST_UNIX_MS).actions);
  }
  assert.equal(bench.take("busy").length, 3);
  for (const { rpcId, to } of bench.sent()) {
    bench.respond(rpcId, to, { type: "nodes", records: [] });
  }
  bench.verify();
  assert.equal(bench.take("nodes").length, MAX_TASKS);
  bench.do(bench.node.findNode(point(1), 0, TEST_UNIX_MS).actions);
  assert.equal(bench.take("busy").length, 0);
});

Deno.test("our own record, renewed, is announced and listed", () => {
  const bench = joined(3);
  bench.nowMs = HOUR_MS;
  const renewed = testRecord(crypto, 500, {
    addresses: [addressOf(0)],
    sequence: TEST_UNIX_MS + HOUR_MS,
    expiry: TEST_UNIX_MS + 5 * HOUR_MS,
  });
  bench.do(bench.node.renewSelf(renewed, bench.nowMs));
  const told = bench.sent();
  assert.equal(told.length, 3);
  for (const { request } of told) {
    assert.deepEqual(request, { type: "announce", records: [renewed.encoded] });
  }
  assert.equal(bench.node.relays.get(renewed.nodeId), renewed);
});

Deno.test("records held are handed on about every hour", () => {
  const bench = joined(3);
  const signer = crypto.signer(testBytes("publisher", 32));
  const long = createStoredRecord(network, signer, {
    key: point(9),
    sequence: 1,
    expiry: TEST_UNIX_MS + 20 * HOUR_MS,
    value: testBytes("value", 20),
  });
  bench.ask(1, { type: "store", record: long.encoded });
  while (bench.nowMs < 3.5 * HOUR_MS) {
    bench.advance(bench.node.deadlineMs - bench.nowMs);
    settle(bench);
  }
  // To each of three contacts, each time.
  assert.equal(bench.counts.get("store"), 9);
});

Deno.test("what comes in pages is listed, but no news to others", () => {
  const bench = joined(2);
  bench.advance(10_000);
  const lists = bench.sent().filter(({ request }) =>
    request.type === "list_relays"
  );
  assert.ok(lists.length > 0);
  for (const { rpcId, to } of lists) {
    bench.respond(rpcId, to, {
      type: "relays",
      records: [record(21).encoded],
      cursor: testBytes("cursor", 16),
      more: false,
    });
  }
  bench.verify();
  assert.equal(bench.node.relays.get(record(21).nodeId), record(21));
  bench.advance(60_000);
  for (const { request } of bench.sent()) {
    if (request.type !== "announce") continue;
    assert.ok(
      !request.records.some((bytes) => equalBytes(bytes, record(21).encoded)),
    );
  }
});

Deno.test("a page with a lie is left, and its source blamed", () => {
  const bench = joined(2);
  bench.advance(10_000);
  const [list] = bench.sent().filter(({ request }) =>
    request.type === "list_relays"
  );
  bench.respond(list?.rpcId ?? 0, list?.to ?? bench.self, {
    type: "relays",
    records: [record(21).encoded],
    cursor: testBytes("cursor", 16),
    more: true,
  });
  bench.verify("auth.record_signature");
  assert.deepEqual(bench.take("blame")[0]?.nodeId, list?.to.nodeId);
  const next = bench.sent().filter(({ to, request }) =>
    to === list?.to && request.type === "list_relays"
  );
  assert.deepEqual(next, []);
});

Deno.test("a node whose only contact broke the protocol asks to be introduced again", () => {
  const bench = joined(1);
  const { actions } = bench.node.findNode(point(7), 0, TEST_UNIX_MS);
  bench.do(actions);
  const [asked] = bench.sent();
  bench.respond(asked?.rpcId ?? 0, record(1), testBytes("garbage", 9));
  assert.equal(bench.node.table.size, 0);
  bench.advance(3000);
  assert.equal(bench.take("bootstrap").length, 1);
});

Deno.test("relays that answer but cannot enter are not asked for ever", () => {
  const bench = joined(1);
  const many = RECORDS.slice(2);
  bench.ask(1, {
    type: "announce",
    records: many.map(({ encoded }) => encoded),
  });
  bench.verify();
  let pings = 0;
  while (bench.nowMs < 8 * 60_000) {
    const due = bench.node.deadlineMs;
    assert.ok(due < Infinity);
    bench.advance(Math.max(0, due - bench.nowMs));
    for (const { rpcId, request } of bench.sent()) {
      // Their links come from an address that is not in their records.
      if (request.type === "ping") pings++;
      const response = encodeResponse({ type: "done" });
      const { nowMs, unixMs } = bench;
      bench.do(
        bench.node.onResponse(rpcId, response, addressOf(99), nowMs, unixMs),
      );
    }
  }
  assert.ok(pings < 4 * many.length, `${pings} pings`);
});

Deno.test("a relay that claims the addresses of four strangers is not listed, and costs them nothing", () => {
  const bench = joined(6);
  const strangers = [1, 2, 3, 4].map((index) => addressIn(record(index)));
  const liar: NodeRecord = { ...record(9), addresses: strangers };
  bench.do(bench.node.onLink(liar, bench.nowMs, bench.unixMs));
  const own = { host: "203.0.113.9", port: 4001 };
  const pings = bench.sent().filter(({ to }) => to === liar);
  assert.ok(pings.length > 0);
  for (const { rpcId } of pings) {
    const bytes = encodeResponse({ type: "done" });
    bench.do(
      bench.node.onResponse(rpcId, bytes, own, bench.nowMs, bench.unixMs),
    );
  }
  assert.equal(bench.node.table.get(liar.nodeId), undefined);
  assert.equal(bench.node.relays.isListed(liar.nodeId), false);
  for (const index of [1, 2, 3, 4]) {
    assert.ok(bench.node.relays.isListed(record(index).nodeId), `${index}`);
    assert.ok(bench.node.table.get(record(index).nodeId) !== undefined);
  }
});
