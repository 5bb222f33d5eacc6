import assert from "node:assert/strict";
import {
  type KnownPeers,
  ListSources,
} from "../../../lib/dht/join/list_sources.ts";
import { addressOf, fakeRecord, point } from "../records/fake_records.ts";

const peer = (number: number) => fakeRecord(point(number));
/** The same relay at another address. */
const elsewhere = (number: number) =>
  fakeRecord(point(number), { addresses: [addressOf(60_000 + number)] });

function sources(known: Partial<KnownPeers> = {}): ListSources {
  return new ListSources({
    bootstrap: [],
    contacts: [],
    formerGuards: [],
    ...known,
  });
}

Deno.test("named nodes and those of the last run are asked, and guards alone once there are any and a list", () => {
  const [named, contact, guard] = [peer(1), peer(2), peer(3)];
  const all = sources({ bootstrap: [named], contacts: [contact] });
  assert.deepEqual(all.choose("ample"), [named, contact]);
  assert.equal(all.hasGuards, false);
  all.onGuards({ peers: [guard], isLinked: false });
  assert.equal(all.hasGuards, true);
  assert.deepEqual(all.choose("ample"), [guard]);
  // Guards without a list: the list has ended, and guards are asked as former ones.
  assert.deepEqual(all.choose("empty"), [named, contact]);
});

Deno.test("guards are asked beside all others while too few relays are listed", () => {
  const [named, contact, guard] = [peer(1), peer(2), peer(3)];
  const all = sources({ bootstrap: [named, guard], contacts: [contact] });
  assert.deepEqual(all.choose("scarce"), [named, guard, contact]);
  all.onGuards({ peers: [guard], isLinked: true });
  assert.deepEqual(all.choose("scarce"), [guard, named, contact]);
  assert.deepEqual(all.choose("ample"), [guard]);
});

Deno.test("guards of the last run are asked alone for two rounds, and among all others then", () => {
  const [named, former] = [peer(1), peer(2)];
  const all = sources({ bootstrap: [named], formerGuards: [former] });
  for (let round = 0; round < 2; round++) {
    assert.deepEqual(all.choose("empty"), [former]);
    all.onFailure();
  }
  assert.deepEqual(all.choose("empty"), [named, former]);
  all.onList();
  assert.deepEqual(all.choose("empty"), [former]);
});

Deno.test("a named node that the list has elsewhere is asked first, in turn with guards, until one is reached", () => {
  const [named, other, guard] = [peer(1), peer(2), peer(3)];
  const all = sources({ bootstrap: [named, other] });
  all.onGuards({ peers: [guard], isLinked: false });
  all.onRecalled([elsewhere(1), other, guard]);
  assert.equal(all.isMoving, true);
  assert.deepEqual(all.choose("ample"), [named]);
  all.onFailure();
  assert.deepEqual(all.choose("ample"), [guard]);
  all.onFailure();
  assert.deepEqual(all.choose("ample"), [named]);
  // For three rounds at least: its list is old at first, too.
  all.onGuards({ peers: [guard], isLinked: true });
  for (let round = 0; round < 3; round++) {
    assert.equal(all.isMoving, true);
    all.onList();
  }
  assert.equal(all.isMoving, false);
  assert.deepEqual(all.choose("ample"), [guard]);
  all.onGuards({ peers: [guard], isLinked: false });
  assert.equal(all.isMoving, true);
});

Deno.test("a named node has not moved where one address is the same, or where the list does not have it", () => {
  const named = fakeRecord(point(1), {
    addresses: [addressOf(7), addressOf(8)],
  });
  const all = sources({ bootstrap: [named, peer(2)] });
  all.onRecalled([fakeRecord(point(1), { addresses: [addressOf(8)] })]);
  assert.equal(all.isMoving, false);
});
