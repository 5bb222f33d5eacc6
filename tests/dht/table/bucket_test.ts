import assert from "node:assert/strict";
import type { NodeRecord } from "../../../lib/auth/node_record.ts";
import { Bucket, MAX_REPLACEMENTS } from "../../../lib/dht/table/bucket.ts";
import type { Contact } from "../../../lib/dht/table/contact.ts";
import { addressOf, fakeRecord, point } from "../records/fake_records.ts";

function contact(record: NodeRecord, seenMs = 0): Contact {
  const address = record.addresses[0] ?? addressOf(0);
  return { record, address, group: "", seenMs, failures: 0 };
}

function node(number: number, sequence = 1): NodeRecord {
  return fakeRecord(point(1, number), { sequence });
}

Deno.test("a bucket keeps its contacts in the order in which they were seen", () => {
  const bucket = new Bucket(0);
  const [one, two] = [contact(node(1)), contact(node(2))];
  bucket.insert(one);
  bucket.insert(two);
  one.failures = 2;
  bucket.checked = one;
  bucket.markSeen(one, 7);
  assert.deepEqual(bucket.contacts, [two, one]);
  assert.equal(one.seenMs, 7);
  assert.equal(one.failures, 0);
  assert.equal(bucket.checked, undefined);
  bucket.checked = two;
  bucket.remove(two);
  assert.deepEqual(bucket.contacts, [one]);
  assert.equal(bucket.checked, undefined);
});

Deno.test("the best replacement is the newest that answered, then the newest of the others", () => {
  const bucket = new Bucket(0);
  for (const number of [1, 2]) {
    bucket.keepReplacement(contact(node(number), number));
  }
  for (const number of [3, 4]) {
    bucket.keepReplacement(contact(node(number), -Infinity));
  }
  bucket.dropReplacement(node(2).nodeId);
  bucket.dropReplacement(node(9).nodeId); // does not wait
  const taken: (number | undefined)[] = [];
  while (bucket.hasReplacement) {
    taken.push(bucket.takeReplacement()?.record.nodeId[1]);
  }
  assert.deepEqual(taken, [1, 4, 3]);
});

Deno.test("replacements that did not answer are the first to make room", () => {
  const bucket = new Bucket(0);
  bucket.keepReplacement(contact(node(1), -Infinity));
  for (let number = 2; number <= MAX_REPLACEMENTS + 1; number++) {
    bucket.keepReplacement(contact(node(number), 1));
  }
  let count = 0;
  for (; bucket.hasReplacement; count++) {
    assert.notEqual(bucket.takeReplacement()?.record.nodeId[1], 1);
  }
  assert.equal(count, MAX_REPLACEMENTS);
});

Deno.test("renew() takes a newer record of the same place, and says of any other what it is", () => {
  const bucket = new Bucket(0);
  bucket.insert(contact(node(1, 5)));
  bucket.keepReplacement(contact(node(2, 5)));
  assert.equal(bucket.renew(node(3)), "unknown");
  assert.equal(bucket.renew(node(1, 4)), "known");
  assert.equal(bucket.contact(node(1).nodeId)?.record.sequence, 5);
  assert.equal(bucket.renew(node(1, 6)), "known");
  assert.equal(bucket.contact(node(1).nodeId)?.record.sequence, 6);
  const { place } = fakeRecord(point(1, 77));
  assert.equal(bucket.renew({ ...node(2, 6), place }), "moved");
  assert.equal(bucket.takeReplacement()?.record.sequence, 5);
});
