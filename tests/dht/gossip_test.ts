import assert from "node:assert/strict";
import type { NodeRecord } from "../../lib/auth/node_record.ts";
import { equalBytes } from "../../lib/base/bytes.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { pointKey } from "../../lib/dht/records/distance.ts";
import {
  ANNOUNCE_WINDOW_MS,
  GATHER_MS,
  Gossip,
  GOSSIP_FANOUT,
  type GossipContacts,
  MAX_ANNOUNCED,
  MAX_ANNOUNCERS,
  MAX_GATHERED,
  OWN_FANOUT,
  PARTNERS_MS,
  TELL_MS,
} from "../../lib/dht/gossip.ts";
import { MAX_PAGE_RECORDS } from "../../lib/dht/messages.ts";
import { fakeRecord, point } from "./records/fake_records.ts";

function contactsOf(records: readonly NodeRecord[]): GossipContacts {
  return {
    get: (id) => records.find(({ nodeId }) => equalBytes(nodeId, id)),
    all: () => records,
  };
}

const NODES = Array.from(
  { length: 20 },
  (_, index) => fakeRecord(point(index)),
);
const CONTACTS = contactsOf(NODES);
const news = (number: number) => fakeRecord(point(100, number >> 8, number));

Deno.test("news is gathered, told to a few contacts, and forgotten", () => {
  const gossip = new Gossip(seededRandom(1));
  assert.equal(gossip.deadlineMs, undefined);
  gossip.spread(news(1), "a peer", 100);
  gossip.spread(news(2), "a peer", 500);
  assert.equal(gossip.deadlineMs, 100 + GATHER_MS);
  assert.deepEqual(gossip.onTime(CONTACTS, 99 + GATHER_MS), []);
  const told = gossip.onTime(CONTACTS, 100 + GATHER_MS);
  assert.equal(told.length, GOSSIP_FANOUT);
  assert.equal(new Set(told.map(({ to }) => to)).size, GOSSIP_FANOUT);
  for (const { records } of told) {
    assert.deepEqual(records, [news(1).encoded, news(2).encoded]);
  }
  assert.equal(gossip.deadlineMs, undefined);
  assert.deepEqual(gossip.onTime(CONTACTS, 1e6), []);
});

Deno.test("in busy times news waits, so that messages are few", () => {
  const gossip = new Gossip(seededRandom(1));
  let messages = 0;
  for (let nowMs = 0; nowMs < 10 * TELL_MS; nowMs += 500) {
    gossip.spread(news(nowMs / 500), "a peer", nowMs);
    messages += gossip.onTime(CONTACTS, nowMs).length;
  }
  assert.ok(messages <= 11 * GOSSIP_FANOUT, `${messages} messages`);
  assert.ok(messages >= 9 * GOSSIP_FANOUT, `${messages} messages`);
});

Deno.test("news does not go back to who told it, nor to whom it is about", () => {
  const [first, second] = NODES;
  const teller = first ?? assert.fail();
  const subject = second ?? assert.fail();
  const gossip = new Gossip(seededRandom(1));
  gossip.spread(subject, pointKey(teller.nodeId), 0);
  const told = gossip.onTime(contactsOf([teller, subject]), GATHER_MS);
  assert.deepEqual(told, []);
});

Deno.test("a node's newer record takes the place of the one that waits", () => {
  const gossip = new Gossip(seededRandom(1));
  gossip.spread(news(1), "a", 0);
  const newer = fakeRecord(news(1).nodeId, { sequence: 7 });
  gossip.spread(newer, "b", 1);
  for (const { records } of gossip.onTime(CONTACTS, GATHER_MS)) {
    assert.deepEqual(records, [newer.encoded]);
  }
});

Deno.test("a flood of news is passed on no further than its limit, in messages that fit", () => {
  const gossip = new Gossip(seededRandom(1));
  for (let number = 0; number < 2000; number++) {
    gossip.spread(news(number), "flood", 0);
  }
  const told = gossip.onTime(CONTACTS, GATHER_MS);
  let records = 0;
  for (const announcement of told) {
    assert.ok(announcement.records.length <= MAX_PAGE_RECORDS);
    records += announcement.records.length;
  }
  assert.equal(records, GOSSIP_FANOUT * MAX_GATHERED);
});

Deno.test("a peer's announcements are looked at up to a limit, which time renews", () => {
  const gossip = new Gossip(seededRandom(1));
  let admitted = 0;
  for (let count = 0; count < 20; count++) {
    admitted += gossip.admit("flood", MAX_PAGE_RECORDS, count);
  }
  assert.equal(admitted, MAX_ANNOUNCED);
  assert.equal(gossip.admit("honest", 5, 30), 5);
  assert.equal(gossip.admit("flood", 5, ANNOUNCE_WINDOW_MS - 1), 0);
  assert.equal(gossip.admit("flood", 5, ANNOUNCE_WINDOW_MS), 5);
});

Deno.test("a flood of peers is looked at up to a limit", () => {
  const gossip = new Gossip(seededRandom(1));
  let admitted = 0;
  for (let peer = 0; peer < 2 * MAX_ANNOUNCERS; peer++) {
    admitted += gossip.admit(`peer ${peer}`, 1, 0);
  }
  assert.equal(admitted, MAX_ANNOUNCERS);
  assert.equal(gossip.admit("peer 0", 1, 1), 1);
});

Deno.test("a node introduces itself to more contacts than it gossips with", () => {
  const gossip = new Gossip(seededRandom(1));
  const self = news(1);
  const told = gossip.introduce(self, CONTACTS);
  assert.equal(told.length, OWN_FANOUT);
  for (const { records } of told) assert.deepEqual(records, [self.encoded]);
  assert.deepEqual(gossip.introduce(self, contactsOf([])), []);
});

Deno.test("the same contacts hear of news for a while, then others; who is gone is replaced", () => {
  const gossip = new Gossip(seededRandom(1));
  let count = 0;
  const tell = (nowMs: number, contacts = CONTACTS) => {
    gossip.spread(news(count++), "a peer", nowMs);
    const told = gossip.onTime(contacts, nowMs + TELL_MS);
    return new Set(told.map(({ to }) => to));
  };
  const first = tell(0);
  for (let nowMs = TELL_MS; nowMs < 10 * TELL_MS; nowMs += TELL_MS) {
    assert.deepEqual(tell(nowMs), first);
  }
  const [gone] = first;
  const left = contactsOf(NODES.filter((contact) => contact !== gone));
  const second = tell(10 * TELL_MS, left);
  assert.equal(second.size, GOSSIP_FANOUT);
  assert.equal(first.intersection(second).size, GOSSIP_FANOUT - 1);
  const later = tell(2 * PARTNERS_MS);
  assert.ok(later.intersection(second).size < GOSSIP_FANOUT);
});
