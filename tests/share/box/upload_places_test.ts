import assert from "node:assert/strict";
import {
  FAIR_BYTES_PER_SECOND,
  MAX_UPLOADS,
  SAFE_MS,
  UploadPlaces,
} from "../../../lib/share/box/upload_places.ts";

function full(places: UploadPlaces) {
  return Array.from({ length: MAX_UPLOADS }, () => {
    const place = places.take(0);
    assert.ok(place !== undefined);
    return place;
  });
}

Deno.test("UploadPlaces takes no place from uploads that are young, or come well", () => {
  const places = new UploadPlaces();
  const taken = full(places);
  assert.equal(places.take(SAFE_MS - 1), undefined);
  const well = FAIR_BYTES_PER_SECOND * SAFE_MS / 1000;
  for (const place of taken) place.onBytes(well);
  assert.equal(places.take(SAFE_MS), undefined);
  assert.ok(taken.every(({ signal }) => !signal.aborted));
  assert.notEqual(places.take(2 * SAFE_MS), undefined, "they came no further");
});

Deno.test("UploadPlaces ends the slowest upload, and gives each place back once", () => {
  const places = new UploadPlaces();
  const taken = full(places);
  for (const [n, place] of taken.entries()) place.onBytes(n === 7 ? 1 : 99);
  assert.notEqual(places.take(SAFE_MS), undefined);
  const ended = taken.filter(({ signal }) => signal.aborted);
  assert.deepEqual(ended, [taken[7]]);
  assert.equal(ended[0]?.signal.reason.code, "receive.slow");
  for (const place of [...ended, ...ended]) places.give(place);
  assert.equal(places.used, MAX_UPLOADS);
});
