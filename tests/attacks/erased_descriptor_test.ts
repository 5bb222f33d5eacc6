/**
 * An anonymous client erases a descriptor: it sends records by circuits of its own, so
 * that every honest relay carries some, until the nodes that hold the descriptor
 * are full of records nearer to them.
 *
 * `ATTACK_SCALE=full` runs it against stores of the real size.
 *
 * @see protocol §4.5 "What a node stores"
 * @module
 */
import assert from "node:assert/strict";
import { networkParameters } from "../../lib/auth/network.ts";
import { type Bytes, utf8 } from "../../lib/base/bytes.ts";
import { randomChoice, seededRandom } from "../../lib/base/random.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import type { CryptoSuite } from "../../lib/crypto/suite.ts";
import type { DhtKey } from "../../lib/dht/records/distance.ts";
import {
  RECORD_STORE_LIMITS,
  RecordStore,
  type RecordStoreLimits,
} from "../../lib/dht/records/record_store.ts";
import {
  createStoredRecord,
  selfCertifyingKey,
} from "../../lib/dht/records/stored_record.ts";
import { TEST_UNIX_MS } from "../support/nodes.ts";

const FULL = Deno.env.get("ATTACK_SCALE") === "full";
const HOUR_MS = 3_600_000;
/** Nodes that hold each record: k. */
const HOLDERS = 20;
/** Relays that the attacker's circuits end at. */
const LAST_HOPS = FULL ? 60 : 8;
/** Stores are smaller by this, but where the full size is asked for. */
const SHRUNK = FULL ? 1 : 50;
const LIMITS = shrunk(RECORD_STORE_LIMITS);
const network = networkParameters("local");
const random = seededRandom(14);
/** Signatures are right, whatever they are: making 50,000 is not what is tested. */
const crypto: CryptoSuite = Object.assign(
  Object.create(nativeSuite()) as CryptoSuite,
  { verify: () => true },
);

function shrunk(limits: RecordStoreLimits): RecordStoreLimits {
  const entries = Object.entries(limits)
    .map(([name, limit]) => [name, Math.ceil(limit / SHRUNK)]);
  return Object.fromEntries(entries);
}

/** As many records as a store holds at most. */
const STORE_RECORDS = 10_000 / SHRUNK;

/** Where the descriptor is kept; the holders are all around it. */
const PUBLISHER = random.bytes(32);
const KEY = selfCertifyingKey(crypto, PUBLISHER, 0);

/** The nodes closest to the descriptor. */
const HOLDER_IDS: readonly Bytes[] = Array.from(
  { length: HOLDERS },
  () => near(KEY, 1),
);

function holders(): RecordStore[] {
  return HOLDER_IDS.map((_id, index) =>
    new RecordStore({
      crypto,
      network,
      random: seededRandom(index),
      isAmongClosest: () => true,
      limits: LIMITS,
    })
  );
}

/** A point that shares so many leading bytes with another one. */
function near(other: Uint8Array, bytes: number): Bytes {
  const point = random.bytes(32);
  point.set(other.subarray(0, bytes));
  return point;
}

function record(
  publicKey: Bytes,
  key: DhtKey,
  sequence: number,
  unixMs: number,
): Bytes {
  const signer = { publicKey, sign: () => new Uint8Array(64) };
  return createStoredRecord(network, signer, {
    key,
    sequence,
    expiry: unixMs + 3 * HOUR_MS,
    value: utf8("where the service is"),
  }).encoded;
}

const lastHop = (index: number) => `relay ${index % LAST_HOPS}`;

/** Offer a record to all holders. @returns How many have stored it. */
function publish(
  stores: readonly RecordStore[],
  encoded: Bytes,
  from: string,
  nowMs: number,
): number {
  return stores.filter((store) =>
    store.put(encoded, from, nowMs, TEST_UNIX_MS + nowMs).type === "stored"
  ).length;
}

const descriptor = (nowMs: number) =>
  record(PUBLISHER, KEY, nowMs + 1, TEST_UNIX_MS + nowMs);

const copies = (stores: readonly RecordStore[], nowMs: number) =>
  stores.filter((store) => store.get(KEY, TEST_UNIX_MS + nowMs).length > 0)
    .length;

/** An attacker's record under an open key, nearer to one holder than all that it keeps. */
function openRecord(nowMs: number): Bytes {
  const id = randomChoice(random, HOLDER_IDS) ?? KEY;
  return record(random.bytes(32), near(id, 8), 1, TEST_UNIX_MS + nowMs);
}

/** A key of the attacker's own, and whose it is. */
interface OwnedKey {
  readonly publisher: Bytes;
  readonly key: DhtKey;
}

/** Keys that it has ground to be near. Each flood has the same: none needs more. */
const OWNED: OwnedKey[] = Array.from({ length: 5 * STORE_RECORDS }, grind);
let owned = 0;

function grind(): OwnedKey {
  for (;;) {
    const publisher = random.bytes(32);
    for (let replica = 0; replica < network.recordReplicas; replica++) {
      const key = selfCertifyingKey(crypto, publisher, replica);
      if (key[0] === KEY[0]) return { publisher, key };
    }
  }
}

/** One under a key of its own; five times what a store keeps until they begin again. */
function ownedRecord(nowMs: number): Bytes {
  const { publisher, key } = OWNED[owned++ % OWNED.length] ?? grind();
  return record(publisher, key, 1, TEST_UNIX_MS + nowMs);
}

/** Store five times what a holder can keep. */
function flood(
  stores: readonly RecordStore[],
  make: (nowMs: number) => Bytes,
  nowMs: number,
  times = 5,
): void {
  for (let index = 0; index < times * STORE_RECORDS; index++) {
    publish(stores, make(nowMs), lastHop(index), nowMs);
  }
}

for (
  const [kind, make] of [
    ["open keys", openRecord],
    ["keys of their own", ownedRecord],
  ] as const
) {
  Deno.test(`a flood of records under ${kind} erases no descriptor that was kept for an hour, and it can be renewed`, () => {
    const stores = holders();
    for (let hour = 0; hour <= 2; hour++) {
      publish(stores, descriptor(hour * HOUR_MS), lastHop(7), hour * HOUR_MS);
    }
    const nowMs = 2 * HOUR_MS + 1;
    flood(stores, make, nowMs);
    assert.equal(copies(stores, nowMs), HOLDERS, "copies left");
    const renewed = publish(stores, descriptor(nowMs), lastHop(8), nowMs);
    assert.equal(renewed, HOLDERS, "holders that take the descriptor again");
  });

  Deno.test(`a new service is found while records under ${kind} come in, and after`, () => {
    const stores = holders();
    flood(stores, make, 0, 3);
    const taken = publish(stores, descriptor(1), lastHop(7), 1);
    assert.ok(taken >= 0.9 * HOLDERS, `${taken} holders take it`);
    flood(stores, make, 2, 1);
    assert.ok(copies(stores, 3) >= 2, `${copies(stores, 3)} copies left`);
  });
}

Deno.test("relays that store by themselves displace their own records, and no other's", () => {
  const stores = holders();
  publish(stores, descriptor(0), lastHop(7), 0);
  for (let index = 0; index < 5 * STORE_RECORDS; index++) {
    publish(stores, ownedRecord(1), `hostile ${index % 6}`, 1);
  }
  assert.equal(copies(stores, 2), HOLDERS);
});

Deno.test("a flood by one relay's circuits leaves room for what others store by it", () => {
  const stores = holders();
  for (let index = 0; index < STORE_RECORDS; index++) {
    publish(stores, ownedRecord(0), lastHop(7), 0);
  }
  const taken = publish(stores, descriptor(1), lastHop(7), 1);
  assert.ok(taken >= 0.9 * HOLDERS, `${taken} holders take it`);
});
