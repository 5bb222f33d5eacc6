import assert from "node:assert/strict";
import { VirtualClock } from "../../lib/base/virtual_clock.ts";
import { Sampler } from "../../lib/dashboard/sampler.ts";
import { createDrain } from "../../lib/sim/world/drain.ts";

function world() {
  const clock = new VirtualClock({ drain: createDrain() });
  const asked = new Map<string, number>();
  const errors: unknown[] = [];
  const node = {
    isBroken: false,
    ask(command: string) {
      asked.set(command, (asked.get(command) ?? 0) + 1);
      return node.isBroken
        ? Promise.reject(new Error("broken"))
        : Promise.resolve(command === "services" ? [] : {});
    },
    traffic: () => ({
      bytesIn: 0,
      bytesOut: 0,
      bytesForward: 0,
      bytesBackward: 0,
    }),
    check: () => Promise.resolve([]),
  };
  const sampler = new Sampler(node, clock, (error) => errors.push(error));
  return { clock, asked, errors, node, sampler };
}

Deno.test("Sampler looks only while a tab is open, once for all of them", async () => {
  const { clock, asked, sampler } = world();
  await using _ = sampler;
  await clock.advance(60_000);
  assert.equal(asked.get("status"), undefined);
  assert.equal(asked.get("services"), 7);
  const counts = [0, 0];
  const listen = (index: 0 | 1) =>
    sampler.listen({
      onSnapshot: () => counts[index] = (counts[index] ?? 0) + 1,
      onHistory() {},
    });
  const first = listen(0);
  const second = listen(1);
  await clock.advance(20_000);
  assert.equal(asked.get("status"), 10);
  assert.deepEqual(counts, [10, 10]);
  first[Symbol.dispose]();
  await clock.advance(2_000);
  assert.deepEqual(counts, [10, 11]);
  second[Symbol.dispose]();
  await clock.advance(60_000);
  assert.equal(asked.get("status"), 11);
});

Deno.test("Sampler goes on after a look that failed", async () => {
  const { clock, errors, node, sampler } = world();
  await using _ = sampler;
  let snapshots = 0;
  using _listening = sampler.listen({
    onSnapshot: () => snapshots++,
    onHistory() {},
  });
  node.isBroken = true;
  await clock.advance(10_000);
  assert.ok(errors.length > 0);
  assert.equal(snapshots, 0);
  node.isBroken = false;
  await clock.advance(2_000);
  assert.equal(snapshots, 1);
});
