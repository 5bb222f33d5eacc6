import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import { CELL_BYTES } from "../../lib/circuit/cell.ts";
import {
  allGone,
  build,
  RawCircuit,
  startClient,
  startRelay,
  withCircuits,
} from "../node/circuit/circuit_world.ts";
import { inMemory, type MemoryWorld } from "../node/link/link_world.ts";
import { isFullSize } from "./hostile_visitor.ts";

const run = withCircuits<MemoryWorld>(inMemory);

const CIRCUITS = isFullSize ? 1000 : 100;
const QUOTA_BYTES = CIRCUITS * 8 * 1024;

Deno.test("Control messages that are begun and never ended are counted, and not held for long", () =>
  run(async (world) => {
    const relay = await startRelay(world, {
      limits: {
        quotaBytes: QUOTA_BYTES,
        circuitsPerPeer: 2 * CIRCUITS,
        circuits: 4 * CIRCUITS,
      },
      node: {
        transport: { maxStreams: 2 * CIRCUITS },
        linkLimits: {
          openStreams: 2 * CIRCUITS,
          circuits: { perSecond: 10_000, burst: 10_000 },
        },
      },
    });
    const good = await build(await startClient(world), [relay]);
    const client = await startClient(world);
    const half: RawCircuit[] = [];
    let most = 0;
    for (let i = 0; i < CIRCUITS; i++) {
      const circuit = await RawCircuit.build(world, client, [relay]);
      const record = new Uint8Array(16_000);
      const message = circuit.machine.send({ type: "dht_put", id: 1, record });
      await circuit.stream.write(message.subarray(0, -CELL_BYTES)).catch(() =>
        undefined
      );
      half.push(circuit);
      most = Math.max(most, relay.server.stats.waitingBytes);
    }
    await sleep(world.clock, 100);
    const { created } = relay.server.stats.states;
    const counted = relay.server.stats.waitingBytes;
    assert.equal(relay.server.stats.messageBytes, counted);
    assert.ok(
      counted >= 16_000 * (created - 1) && counted <= QUOTA_BYTES,
      `${created} circuits hold ${counted} bytes, as they are counted`,
    );
    assert.ok(most > QUOTA_BYTES / 2, "it was a try");
    // What holds nothing back is not touched by the quota.
    assert.ok(await good.ping() > 0);
    await sleep(world.clock, 10_000);
    assert.equal(relay.server.stats.states.created, 1, "the good one");
    assert.equal(relay.server.stats.waitingBytes, 0);
    assert.ok(await good.ping() > 0);
    good.close();
    for (const { stream } of half) stream.cancel();
    await sleep(world.clock, 20_000);
    await allGone(world, [relay]);
  }));
