import assert from "node:assert/strict";
import {
  HALF_OPEN_MS,
  MAX_HALF_OPEN,
  MAX_SESSIONS,
  SessionRegistry,
} from "../../lib/service/session_registry.ts";

const id = (n: number) => {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint32(0, n);
  return bytes;
};

Deno.test("SessionRegistry finds a session until it is over", () => {
  const registry = new SessionRegistry<string>(() => false);
  assert.deepEqual(registry.add(id(1), "one", 0), []);
  assert.equal(registry.get(id(1)), "one");
  assert.equal(registry.get(id(2)), undefined);
  registry.onHeard(id(1));
  registry.onHeard(id(1));
  registry.onHeard(id(7));
  assert.equal(registry.get(id(1)), "one");
  registry.remove(id(1));
  assert.equal(registry.get(id(1)), undefined);
  assert.equal(registry.size, 0);
});

Deno.test("SessionRegistry closes sessions that say nothing, the oldest first when there are many", () => {
  const registry = new SessionRegistry<number>(() => false);
  for (let n = 0; n < MAX_HALF_OPEN; n++) {
    assert.deepEqual(registry.add(id(n), n, n), []);
  }
  assert.deepEqual(registry.add(id(1000), 1000, 1000), [0]);
  assert.equal(registry.size, MAX_HALF_OPEN);
  assert.equal(registry.deadlineMs, 1 + HALF_OPEN_MS);
  assert.deepEqual(registry.expire(HALF_OPEN_MS), []);
  registry.onHeard(id(2));
  assert.deepEqual(registry.expire(3 + HALF_OPEN_MS), [1, 3]);
  assert.equal(registry.get(id(2)), 2);
});

Deno.test("SessionRegistry makes room by what is idle for longest, and turns away without", () => {
  const busy = new Set<number>([0, 2]);
  const registry = new SessionRegistry<number>((n) => !busy.has(n));
  for (let n = 0; n < MAX_SESSIONS; n++) {
    registry.add(id(n), n, 0);
    registry.onHeard(id(n));
  }
  registry.get(id(1)); // used just now
  assert.deepEqual(registry.add(id(50_000), 50_000, 0), [3]);
  for (let n = 0; n < 60_000; n++) busy.add(n);
  registry.onHeard(id(50_000));
  assert.equal(registry.add(id(50_001), 50_001, 0), "full");
  assert.equal(registry.size, MAX_SESSIONS);
});
