import assert from "node:assert/strict";
import type { NodeAddress } from "../../../lib/auth/node_address.ts";
import { sleep } from "../../../lib/base/clock.ts";
import { formatKey } from "../../../lib/storage/key_format.ts";
import { familyStatus } from "../../../lib/node/relay/family_key.ts";
import {
  checkRelayLimits,
  circuitLimitsOf,
  LEAST_BURST,
  LEAST_CIRCUITS,
  LEAST_MEMORY,
  LEAST_RATE,
  type RelayLimits,
} from "../../../lib/node/relay/relay_limits.ts";
import { utf8 } from "../../../lib/base/bytes.ts";
import { inNodeWorld, type Machine } from "../node_world.ts";

Deno.test("checkRelayLimits() refuses what does not work, with the least that does", () => {
  const bad: [RelayLimits, string][] = [
    [{ rate: LEAST_RATE - 1 }, `${LEAST_RATE} bytes per second`],
    [{ rate: 1e6, burst: LEAST_BURST - 1 }, `${LEAST_BURST} bytes`],
    [{ maxCircuits: LEAST_CIRCUITS - 1 }, `${LEAST_CIRCUITS} circuits`],
    [{ memory: LEAST_MEMORY - 1 }, `${LEAST_MEMORY} bytes`],
    [
      { accounting: { bytes: 1e8 - 1, unit: "day" } },
      "100000000 bytes for a day",
    ],
    [
      { accounting: { bytes: 3e9, unit: "month" } },
      "3100000000 bytes for a month",
    ],
    [{ burst: LEAST_BURST }, "--rate"],
  ];
  for (const [limits, words] of bad) {
    assert.throws(
      () => checkRelayLimits(limits),
      ({ code, message }) => code === "node.limit" && message.includes(words),
      words,
    );
  }
  checkRelayLimits({});
  checkRelayLimits({
    rate: LEAST_RATE,
    burst: LEAST_BURST,
    maxCircuits: LEAST_CIRCUITS,
    memory: LEAST_MEMORY,
    accounting: { bytes: 7e8, unit: "week" },
  });
});

Deno.test("circuitLimitsOf() leaves one neighbour half of few circuits", () => {
  const { circuits, circuitsPerPeer } = circuitLimitsOf({ maxCircuits: 100 });
  assert.deepEqual([circuits, circuitsPerPeer], [100, 50]);
  assert.equal(circuitLimitsOf({ maxCircuits: 60_000 }).circuitsPerPeer, 2048);
  assert.deepEqual(circuitLimitsOf({}), {});
});

Deno.test("a relay declares no more than its rate, also when that changes while it runs", () =>
  inNodeWorld(async (world) => {
    await using node = await world.machine().startRelay({
      bandwidth: 5e6,
      limits: { rate: 400_000 },
    });
    const { record, allowance } = node.relay;
    assert.equal(record.current.bandwidth, 400_000);
    await allowance.change({ rate: 2e6 });
    assert.equal(record.current.bandwidth, 2e6);
    await allowance.change({});
    assert.equal(record.current.bandwidth, 5e6);
    await assert.rejects(() => allowance.change({ rate: 1 }), {
      code: "node.limit",
    });
    assert.equal(record.current.bandwidth, 5e6);
  }));

Deno.test("a relay is refused a limit, a contact or a family that it cannot have", () =>
  inNodeWorld(async (world) => {
    const start = (options: Parameters<Machine["startRelay"]>[0]) =>
      world.machine().startRelay(options);
    await assert.rejects(() => start({ limits: { rate: 1 } }), {
      code: "node.limit",
    });
    await assert.rejects(() => start({ contact: "a\nb" }), {
      code: "node.contact",
    });
    await assert.rejects(() => start({ family: true }), {
      code: "node.family",
    });
  }));

Deno.test("relays with one family.key are a family, and one that gives their contact is told", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const start = async (seed?: number, bootstrap: NodeAddress[] = []) => {
      const machine = world.machine();
      if (seed !== undefined) {
        const key = formatKey(
          machine.runtime.crypto,
          new Uint8Array(32).fill(seed),
        );
        await machine.files.makeDirectory("state");
        using file = await machine.files.create("state/family.key");
        await file.write(utf8(key));
        await file.sync();
      }
      return stack.use(
        await machine.startRelay({
          contact: "ops@example.org",
          family: seed !== undefined,
          bootstrap,
        }),
      );
    };
    const one = await start(1);
    const bootstrap = [one.address];
    for (const seed of [1, 2]) await start(seed, bootstrap);
    const loner = await start(undefined, bootstrap);
    await sleep(world.clock, 120_000);
    const status = familyStatus(
      one.relay.record.current,
      one.relay.dht.relays.snapshot(),
    );
    assert.ok(status);
    assert.deepEqual([status.relays, status.strangers], [2, 2]);
    assert.match(status.words, /2 more give the same contact/);
    assert.equal(familyStatus(loner.relay.record.current, []), undefined);
  }));
