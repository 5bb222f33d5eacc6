import assert from "node:assert/strict";
import {
  type DialAsker,
  DialPlaces,
  type DialTarget,
  MAX_DIALS_ASKED,
  MAX_DIALS_OF_ASKER,
  MAX_DIALS_OF_PEER,
} from "../../lib/link/dial_places.ts";

const stranger = (host: number): DialAsker => ({
  name: `192.0.${host}.0/24`,
  kind: "stranger",
});
const relay: DialAsker = { name: "a relay", kind: "relay" };

const unknown = (peer: string): DialTarget => ({ peer, isProven: false });
const proven = (peer: string): DialTarget => ({ peer, isProven: true });

/** Dial peers, each another, until no more can be. @returns How many. */
function fill(
  places: DialPlaces,
  asker: DialAsker,
  target = unknown,
): number {
  for (let count = 0;; count++) {
    if (places.take(target(`${asker.name} ${count}`), asker)) return count;
  }
}

Deno.test("DialPlaces gives one asker its part, and others theirs meanwhile", () => {
  const places = new DialPlaces();
  assert.equal(fill(places, stranger(1)), MAX_DIALS_OF_ASKER);
  assert.equal(places.take(unknown("peer"), stranger(1)), "asker");
  assert.equal(places.take(unknown("peer"), stranger(2)), undefined);
  assert.equal(places.take(unknown("peer"), relay), undefined);
});

Deno.test("DialPlaces leaves relays and the node itself their part, whatever strangers ask for", () => {
  const places = new DialPlaces();
  let dials = 0;
  for (let host = 0; host < 256; host++) dials += fill(places, stranger(host));
  assert.equal(dials, MAX_DIALS_ASKED);
  assert.equal(fill(places, relay), MAX_DIALS_OF_ASKER);
  assert.equal(places.take(unknown("peer")), undefined);
});

Deno.test("DialPlaces dials one peer at few places at once, for all askers together, and charges no asker beyond", () => {
  const places = new DialPlaces();
  for (let count = 0; count < MAX_DIALS_OF_PEER; count++) {
    assert.equal(places.take(unknown("peer"), stranger(count)), undefined);
  }
  for (let count = 0; count < MAX_DIALS_OF_ASKER; count++) {
    assert.equal(places.take(unknown("peer"), relay), "peer");
  }
  assert.equal(places.take(unknown("peer")), "peer");
  assert.equal(fill(places, relay), MAX_DIALS_OF_ASKER);
});

Deno.test("DialPlaces takes no place of a peer for an asker that has none left, and has places again once dials end", () => {
  const places = new DialPlaces();
  assert.equal(fill(places, relay), MAX_DIALS_OF_ASKER);
  for (let count = 0; count < MAX_DIALS_OF_PEER; count++) {
    assert.equal(places.take(unknown("peer"), relay), "asker");
  }
  assert.equal(places.take(unknown("peer")), undefined);
  places.give(unknown(`${relay.name} 0`), relay);
  assert.equal(places.take(unknown("peer"), relay), undefined);
  assert.equal(places.take(unknown("other"), relay), "asker");
});

Deno.test("DialPlaces has places of their own for peers that answered there, whichever neighbour they are dialled for", () => {
  const places = new DialPlaces();
  const relays = Array.from({ length: 8 }, (_, number): DialAsker => ({
    name: `relay ${number}`,
    kind: "relay",
  }));
  for (const asker of relays) fill(places, asker);
  for (let host = 0; host < 256; host++) fill(places, stranger(host));
  for (let count = 0; count < MAX_DIALS_OF_PEER; count++) {
    assert.equal(places.take(unknown("peer")), undefined);
  }
  assert.equal(places.take(unknown("other"), relay), "asker");
  assert.equal(places.take(proven("peer"), relay), undefined);
  places.give(proven("peer"), relay);
  assert.equal(places.take(unknown("peer")), "peer");
  let dials = 0;
  for (const asker of relays) dials += fill(places, asker, proven);
  assert.equal(dials, MAX_DIALS_ASKED);
  assert.equal(places.take(proven("peer"), stranger(1)), "asker");
  assert.equal(places.take(proven("peer")), undefined);
});
