import assert from "node:assert/strict";
import {
  DESCRIPTOR_MS,
  type KnownDescriptor,
  KnownDescriptors,
  MAX_DESCRIPTORS,
  MAX_REVISIONS,
} from "../../lib/service/known_descriptors.ts";

const key = (n: number) => {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setUint32(0, n);
  return bytes;
};

function descriptor(
  service: number,
  revision = 1,
  period = 5,
): KnownDescriptor {
  return {
    name: {
      publicKey: key(service),
      blinded: key(1e6 + service),
      period,
      revision,
    },
    content: { points: [], features: [] },
  };
}

Deno.test("KnownDescriptors gives a descriptor back for its time, its period and its isolation key", () => {
  const known = new KnownDescriptors();
  known.add(descriptor(1), "a", 0);
  assert.ok(known.get(key(1), 5, "a", DESCRIPTOR_MS - 1) !== undefined);
  assert.equal(known.get(key(1), 5, "a", DESCRIPTOR_MS), undefined);
  assert.equal(known.get(key(1), 6, "a", 0), undefined);
  assert.equal(known.get(key(1), 5, "b", 0), undefined);
  assert.equal(known.get(key(2), 5, "a", 0), undefined);
  known.forget(key(1), "a");
  assert.equal(known.get(key(1), 5, "a", 0), undefined);
});

Deno.test("KnownDescriptors remembers the highest revision, for all isolation keys", () => {
  const known = new KnownDescriptors();
  known.add(descriptor(1, 7), "a", 0);
  known.add(descriptor(1, 3), "b", 0);
  known.forget(key(1), "a");
  assert.equal(known.leastRevision(key(1e6 + 1)), 7);
  assert.equal(known.leastRevision(key(1e6 + 2)), 0);
});

Deno.test("KnownDescriptors keeps so many and no more", () => {
  const known = new KnownDescriptors();
  for (let n = 0; n <= MAX_REVISIONS; n++) known.add(descriptor(n), "", 0);
  assert.equal(known.leastRevision(key(1e6)), 0);
  assert.equal(known.leastRevision(key(1e6 + 1)), 1);
  const first = MAX_REVISIONS - MAX_DESCRIPTORS;
  assert.equal(known.get(key(first), 5, "", 0), undefined);
  assert.ok(known.get(key(first + 1), 5, "", 0) !== undefined);
});
