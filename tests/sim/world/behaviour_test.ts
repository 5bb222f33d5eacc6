import assert from "node:assert/strict";
import { networkParameters } from "../../../lib/auth/network.ts";
import { ProtocolError } from "../../../lib/base/errors.ts";
import { compareDistance } from "../../../lib/dht/records/distance.ts";
import {
  decodeResponse,
  type DhtRequest,
  encodeRequest,
} from "../../../lib/dht/messages.ts";
import {
  Conspiracy,
  HOSTILE_KINDS,
  type HostileKind,
  type SiegeKind,
} from "../../../lib/sim/world/behaviour.ts";
import { fakeRecord, point } from "../../dht/records/fake_records.ts";

const network = networkParameters("local");
const TARGET = point(0xab, 0xcd);

function conspiracy(members = 30): Conspiracy {
  const fellows = new Conspiracy(network, TARGET);
  for (let index = 0; index < members; index++) {
    fellows.enter(index, fakeRecord(point(7 * index, index)));
  }
  return fellows;
}

function ask(
  kind: HostileKind | SiegeKind,
  request: DhtRequest,
  among = conspiracy(),
) {
  const answer = among.answer(kind, encodeRequest(request));
  return answer.type === "answer"
    ? decodeResponse(network, request.type, answer.response)
    : answer.type;
}

const find = { type: "find_node", target: TARGET } as const;
const get = { type: "find_value", key: TARGET } as const;
const store = { type: "store", record: new Uint8Array(10) } as const;
const list = { type: "list_relays", cursor: new Uint8Array() } as const;

Deno.test("every hostile relay answers pings and takes announcements as an honest one does", () => {
  for (const kind of HOSTILE_KINDS) {
    assert.equal(ask(kind, { type: "ping" }), "honest");
    assert.equal(ask(kind, { type: "announce", records: [] }), "honest");
  }
});

Deno.test("a dropper drops look-ups, and says it stores what it throws away", () => {
  assert.equal(ask("dropper", find), "silence");
  assert.equal(ask("dropper", get), "silence");
  assert.deepEqual(ask("dropper", store), { type: "done" });
  assert.equal(ask("dropper", list), "honest");
});

Deno.test("a liar names its fellows alone, the closest ones, in messages of true form", () => {
  const among = conspiracy();
  for (const request of [find, get]) {
    const answer = ask("liar", request, among);
    if (typeof answer === "string" || answer.type !== "nodes") assert.fail();
    assert.equal(answer.records.length, network.k);
    const closest = among.members.toSorted((a, b) =>
      compareDistance(TARGET, a.nodeId, b.nodeId)
    ).slice(0, network.k).map(({ encoded }) => encoded);
    assert.deepEqual(answer.records, closest);
  }
  const relays = ask("liar", list, among);
  if (typeof relays === "string" || relays.type !== "relays") assert.fail();
  assert.equal(relays.records.length, 30);
});

Deno.test("an eclipser lies about its region, and about nothing else", () => {
  const answer = ask("eclipser", find);
  assert.ok(typeof answer !== "string" && answer.type === "nodes");
  const elsewhere = { type: "find_node", target: point(0x2b) } as const;
  assert.equal(ask("eclipser", elsewhere), "honest");
});

Deno.test("boasters and bots name each other alone as the list of relays, and are honest otherwise", () => {
  for (const kind of ["boaster", "bot"] as const) {
    assert.equal(ask(kind, find), "honest");
    assert.equal(ask(kind, get), "honest");
    assert.equal(ask(kind, store), "honest");
    const answer = ask(kind, list);
    assert.ok(typeof answer !== "string" && answer.type === "relays");
    assert.equal(answer.records.length, 30);
  }
});

Deno.test("an inventor names relays that are not there: the closest, and all of them page by page", () => {
  const among = conspiracy();
  const made = Array.from(
    { length: 200 },
    (_, index) => fakeRecord(point(index, 7 * index, 1)),
  );
  among.inventions.records = made;
  const answer = ask("inventor", find, among);
  assert.ok(typeof answer !== "string" && answer.type === "nodes");
  const closest = made.toSorted((a, b) =>
    compareDistance(TARGET, a.place, b.place)
  ).slice(0, network.k).map(({ encoded }) => encoded);
  assert.deepEqual(answer.records, closest);

  const named = new Set<string>();
  for (let cursor = new Uint8Array(), more = true; more;) {
    const page = ask("inventor", { type: "list_relays", cursor }, among);
    assert.ok(typeof page !== "string" && page.type === "relays");
    for (const record of page.records) named.add(record.toHex());
    ({ cursor, more } = page);
  }
  assert.equal(named.size, 200);
});

Deno.test("members that left are not named any more", () => {
  const among = conspiracy(3);
  among.leave(1);
  const answer = ask("liar", find, among);
  if (typeof answer === "string" || answer.type !== "nodes") assert.fail();
  assert.equal(answer.records.length, 2);
});

Deno.test("a hostile relay closes links that break the protocol, too", () => {
  assert.throws(
    () => conspiracy().answer("liar", new Uint8Array([1, 2, 3])),
    ProtocolError,
  );
});
