import assert from "node:assert/strict";
import {
  MAX_WAITING_OF_ONE,
  RelayWitnesses,
  type Witness,
} from "../../../lib/dht/join/relay_witnesses.ts";
import { TEST_UNIX_MS } from "../../support/nodes.ts";
import { fakeRecord, point } from "../records/fake_records.ts";

function witness(key: string, changes: Partial<Witness> = {}): Witness {
  return { key, group: `group of ${key}`, voice: key, ...changes };
}

const relay = (number: number) =>
  fakeRecord(point(number >> 16, (number >> 8) & 255, number & 255));

function asked(all: readonly Witness[], isAlone = false): RelayWitnesses {
  const witnesses = new RelayWitnesses();
  witnesses.begin(all, isAlone);
  return witnesses;
}

Deno.test("a relay may be listed when two name it, and waits until then", () => {
  const [a, b] = [witness("a"), witness("b")];
  const witnesses = asked([a, b]);
  assert.equal(witnesses.hear(relay(1), a), false);
  assert.equal(witnesses.hear(relay(1), a), false);
  assert.equal(witnesses.hear(relay(2), b), false);
  assert.equal(witnesses.size, 2);
  assert.equal(witnesses.hear(relay(1), b), true);
  assert.deepEqual([...witnesses.records()], [relay(2)]);
});

Deno.test("two of one subnet are one, unless there is no other subnet", () => {
  const [a, b] = ["a", "b"].map((key) => witness(key, { group: "52.1" }));
  const c = witness("c");
  assert.ok(a && b);
  const witnesses = asked([a, b, c]);
  witnesses.hear(relay(1), a);
  assert.equal(witnesses.hear(relay(1), b), false);
  assert.equal(witnesses.hear(relay(1), c), true);
  const small = asked([a, b]);
  small.hear(relay(1), a);
  assert.equal(small.hear(relay(1), b), true);
});

Deno.test("those whom one node named speak with its voice, unless it is the only one", () => {
  const a = witness("a");
  const friends = ["b", "c"].map((key) => witness(key, { voice: "a" }));
  const all = [a, ...friends];
  const witnesses = asked(all);
  for (const friend of all) {
    assert.equal(witnesses.hear(relay(1), friend), false);
  }
  const alone = asked(all, true);
  alone.hear(relay(1), a);
  assert.equal(alone.hear(relay(1), friends[0] ?? assert.fail()), true);
});

Deno.test("one witness cannot fill the room of the others", () => {
  const [a, b] = [witness("a"), witness("b")];
  const witnesses = asked([a, b]);
  for (let number = 0; number < MAX_WAITING_OF_ONE + 50; number++) {
    witnesses.hear(relay(number), a);
  }
  assert.equal(witnesses.size, MAX_WAITING_OF_ONE);
  witnesses.hear(relay(MAX_WAITING_OF_ONE + 10), b);
  assert.equal(witnesses.size, MAX_WAITING_OF_ONE + 1);
  // What is listed makes room again.
  assert.equal(witnesses.hear(relay(7), b), true);
  witnesses.hear(relay(MAX_WAITING_OF_ONE + 11), a);
  assert.equal(witnesses.size, MAX_WAITING_OF_ONE + 1);
});

Deno.test("what has expired waits no longer", () => {
  const a = witness("a");
  const witnesses = asked([a]);
  witnesses.hear(fakeRecord(point(1), { expiry: TEST_UNIX_MS + 1 }), a);
  witnesses.hear(relay(2), a);
  witnesses.sweep(TEST_UNIX_MS + 1);
  assert.deepEqual([...witnesses.records()], [relay(2)]);
});
