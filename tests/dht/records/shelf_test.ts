import assert from "node:assert/strict";
import { seededRandom } from "../../../lib/base/random.ts";
import { Shelf, type Shelved } from "../../../lib/dht/records/shelf.ts";

const LIMITS = {
  maxRecords: 10,
  maxBytes: 1000,
  maxRecordsPerPeer: 6,
  maxBytesPerPeer: 600,
};

function shelved(from: string, bytes = 50, isProven = false): Shelved {
  return { from, bytes, isProven };
}

function shelfOf(...items: readonly Shelved[]): Shelf<Shelved> {
  const shelf = new Shelf<Shelved>(LIMITS, seededRandom(1));
  for (const item of items) shelf.add(item);
  return shelf;
}

/** Who leaves for `arrival`, over many draws, by source; "" stands for itself. */
function drawn(
  shelf: Shelf<Shelved>,
  arrival: Shelved,
  claim: "newcomer" | "renewal" = "newcomer",
): Map<string, number> {
  const counts = new Map<string, number>();
  for (let draw = 0; draw < 400; draw++) {
    const leaver = shelf.leaver(arrival, claim);
    const name = leaver.type === "held" ? leaver.item.from : leaver.type;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

const many = (count: number, from: string, bytes = 50, isProven = false) =>
  Array.from({ length: count }, () => shelved(from, bytes, isProven));

Deno.test("none leaves a shelf with room", () => {
  const shelf = shelfOf(...many(5, "a"), ...many(4, "b"));
  assert.deepEqual([...drawn(shelf, shelved("a")).keys()], ["none"]);
});

Deno.test("a full shelf gives up one of the source that brought most bytes", () => {
  const shelf = shelfOf(...many(6, "many", 10), ...many(4, "heavy", 100));
  assert.deepEqual([...drawn(shelf, shelved("new")).keys()], ["heavy"]);
});

Deno.test("what came from the largest source draws with the others of its source", () => {
  const shelf = shelfOf(...many(5, "a"), ...many(4, "b"), shelved("c"));
  const counts = drawn(shelf, shelved("a"));
  assert.deepEqual([...counts.keys()].sort(), ["a", "newcomer"]);
  const refused = counts.get("newcomer") ?? 0;
  assert.ok(refused > 35 && refused < 110, `${refused} of 400`);
});

Deno.test("where each source brought one, a newcomer still finds its place half the time", () => {
  const sources = Array.from({ length: 10 }, (_, n) => shelved(`relay ${n}`));
  const counts = drawn(shelfOf(...sources), shelved("new"));
  const refused = counts.get("newcomer") ?? 0;
  assert.ok(refused > 140 && refused < 260, `${refused} of 400`);
});

Deno.test("a source with its part gives up one of its own, though there is room", () => {
  const shelf = shelfOf(...many(6, "greedy"));
  const counts = drawn(shelf, shelved("greedy"));
  assert.deepEqual([...counts.keys()].sort(), ["greedy", "newcomer"]);
  const bytes = shelfOf(...many(2, "greedy", 300));
  const byBytes = drawn(bytes, shelved("greedy", 1));
  assert.deepEqual([...byBytes.keys()].sort(), ["greedy", "newcomer"]);
  assert.deepEqual([...drawn(shelf, shelved("")).keys()], ["none"]);
});

Deno.test("a renewal is never the one to leave", () => {
  const shelf = shelfOf(...many(6, "a"), ...many(4, "b"));
  assert.deepEqual([...drawn(shelf, shelved("a"), "renewal").keys()], ["a"]);
});

Deno.test("the proven leave only while they fill more than half", () => {
  const half = shelfOf(...many(5, "a", 50, true), ...many(5, "b", 50));
  assert.deepEqual([...drawn(half, shelved("c")).keys()], ["b"]);
  const more = shelfOf(...many(6, "a", 50, true), ...many(4, "b", 50));
  assert.deepEqual([...drawn(more, shelved("c")).keys()], ["a"]);
});

Deno.test("records and bytes are those of what was added and not removed", () => {
  const items = [shelved("a", 10), shelved("b", 20, true), shelved("a", 30)];
  const shelf = shelfOf(...items);
  assert.deepEqual([shelf.records, shelf.bytes], [3, 60]);
  for (const item of items) shelf.remove(item);
  assert.deepEqual([shelf.records, shelf.bytes], [0, 0]);
  shelf.remove(shelved("a", 10)); // one that is not there
  assert.deepEqual([shelf.records, shelf.bytes], [0, 0]);
});
