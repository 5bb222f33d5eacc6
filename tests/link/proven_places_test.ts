import assert from "node:assert/strict";
import { ProvenPlaces } from "../../lib/link/proven_places.ts";

Deno.test("ProvenPlaces knows the place at which a peer answered last, until it is silent there", () => {
  const places = new ProvenPlaces();
  assert.equal(places.has("a", "here"), false);
  places.onSuccess("a", "here");
  assert.equal(places.has("a", "here"), true);
  assert.equal(places.has("a", "there"), false);
  assert.equal(places.has("b", "here"), false);
  places.onFailure("a", "there");
  assert.equal(places.has("a", "here"), true);
  places.onFailure("a", "here");
  assert.equal(places.has("a", "here"), false);
});

Deno.test("ProvenPlaces keeps one place of a peer, however many it answers at, and forgets whom it asked for longest ago", () => {
  const places = new ProvenPlaces(2);
  places.onSuccess("a", "here");
  for (let count = 0; count < 10; count++) places.onSuccess("b", `${count}`);
  assert.equal(places.has("a", "here"), true);
  assert.equal(places.has("b", "8"), false);
  assert.equal(places.has("b", "9"), true);
  assert.equal(places.has("a", "here"), true);
  places.onSuccess("c", "here");
  assert.equal(places.has("b", "9"), false);
  assert.equal(places.has("a", "here"), true);
});
