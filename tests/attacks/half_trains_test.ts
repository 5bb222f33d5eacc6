import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import { TRAIN_BYTES, TRAIN_CELLS } from "../../lib/circuit/cell.ts";
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

/** Beyond those that a process has large buffers for. */
const CIRCUITS = isFullSize ? 1500 : 400;
const QUOTA_BYTES = 1024 * 1024;

Deno.test("Trains that are begun and never ended are counted, and cost who began them", () =>
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
      const train = new Uint8Array(TRAIN_BYTES - 1).fill(TRAIN_CELLS);
      // In pieces: a read finds no more than a part of it.
      for (let at = 0; at < train.length; at += 3000) {
        await circuit.stream.write(train.subarray(at, at + 3000))
          .catch(() => undefined);
        await sleep(world.clock, 1);
      }
      half.push(circuit);
      most = Math.max(most, relay.server.stats.waitingBytes);
    }
    await sleep(world.clock, 100);
    const { waitingBytes, states } = relay.server.stats;
    assert.ok(
      waitingBytes >= (TRAIN_BYTES / 2) * (states.created - 1) &&
        waitingBytes <= QUOTA_BYTES,
      `${states.created} circuits hold ${waitingBytes} bytes`,
    );
    assert.ok(most > QUOTA_BYTES / 2, `it was a try: ${most} bytes`);
    assert.ok(states.created < CIRCUITS, "the oldest of them went");
    assert.ok(await good.ping() > 0);
    good.close();
    for (const { stream } of half) stream.cancel();
    await sleep(world.clock, 20_000);
    assert.equal(relay.server.stats.waitingBytes, 0);
    await allGone(world, [relay]);
  }));
