import assert from "node:assert/strict";
import {
  type DialAsker,
  DialPlaces,
  MAX_DIALS_ASKED,
  MAX_DIALS_OF_ASKER,
  MAX_DIALS_OF_PEER,
} from "../../lib/link/dial_places.ts";

const stranger = (host: number): DialAsker => ({
  name: `192.0.${host}.0/24`,
  kind: "stranger",
});
const relay: DialAsker = { name: "a relay", kind: "relay" };

/** Dial peers, each another, until no more can be. @returns How many. */
function fill(places: DialPlaces, asker: DialAsker): number {
  for (let count = 0;; count++) {
    if (places.take(`${asker.name} ${count}`, asker)) return count;
  }
}

Deno.test("DialPlaces gives one asker its part, and others theirs meanwhile", () => {
  const places = new DialPlaces();
  assert.equal(fill(places, stranger(1)), MAX_DIALS_OF_ASKER);
  assert.equal(places.take("peer", stranger(1)), "asker");
  assert.equal(places.take("peer", stranger(2)), undefined);
  assert.equal(places.take("peer", relay), undefined);
});

Deno.test("DialPlaces leaves relays and the node itself their part, whatever strangers ask for", () => {
  const places = new DialPlaces();
  let dials = 0;
  for (let host = 0; host < 256; host++) dials += fill(places, stranger(host));
  assert.equal(dials, MAX_DIALS_ASKED);
  assert.equal(fill(places, relay), MAX_DIALS_OF_ASKER);
  assert.equal(places.take("peer"), undefined);
});

Deno.test("DialPlaces dials one peer at few places at once, for all askers together, and charges no asker beyond", () => {
  const places = new DialPlaces();
  for (let count = 0; count < MAX_DIALS_OF_PEER; count++) {
    assert.equal(places.take("peer", stranger(count)), undefined);
  }
  for (let count = 0; count < MAX_DIALS_OF_ASKER; count++) {
    assert.equal(places.take("peer", relay), "peer");
  }
  assert.equal(places.take("peer"), "peer");
  assert.equal(fill(places, relay), MAX_DIALS_OF_ASKER);
});

Deno.test("DialPlaces takes no place of a peer for an asker that has none left, and has places again once dials end", () => {
  const places = new DialPlaces();
  assert.equal(fill(places, relay), MAX_DIALS_OF_ASKER);
  for (let count = 0; count < MAX_DIALS_OF_PEER; count++) {
    assert.equal(places.take("peer", relay), "asker");
  }
  assert.equal(places.take("peer"), undefined);
  places.give(`${relay.name} 0`, relay);
  assert.equal(places.take("peer", relay), undefined);
  assert.equal(places.take("other", relay), "asker");
});
