import assert from "node:assert/strict";
import { createDrain } from "../../../lib/sim/world/drain.ts";

Deno.test("createDrain() lets chains of promises end, however long", async () => {
  const drain = createDrain();
  // More drains than lie between two turns of the event loop.
  for (let round = 0; round < 1100; round++) {
    let steps = 0;
    (async () => {
      for (; steps < 50; steps++) await null;
    })();
    await drain(round === 0 ? "start" : "event");
    assert.equal(steps, 50);
  }
});

Deno.test("createDrain() waits for work outside of this thread", async () => {
  let running = 0;
  const drain = createDrain({ busy: () => running > 0 });
  const digests: number[] = [];
  for (let i = 0; i < 3; i++) {
    running++;
    crypto.subtle.digest("SHA-256", new Uint8Array(i)).then(() => {
      digests.push(i);
      running--;
    });
  }
  await drain("event");
  assert.equal(digests.length, 3);
});
