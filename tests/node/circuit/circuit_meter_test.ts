import assert from "node:assert/strict";
import { VirtualClock } from "../../../lib/base/virtual_clock.ts";
import { createDrain } from "../../../lib/sim/world/drain.ts";
import { CircuitMeter } from "../../../lib/node/circuit/circuit_meter.ts";

const MIB = 1024 * 1024;

Deno.test("CircuitMeter tells of circuits that carry much, and not of those that no user hurries", async () => {
  const clock = new VirtualClock({ drain: createDrain() });
  const circuits = new Map<string, { cellsCarried: number }>();
  const samples: [string, number][] = [];
  const meter = new CircuitMeter(
    clock,
    circuits,
    (id, bytesPerSecond) => samples.push([id, bytesPerSecond]),
  );
  meter.start();
  circuits.set("busy", { cellsCarried: 5 * 256 * 10 });
  circuits.set("calm", { cellsCarried: 5 * 255 });
  await clock.advance(5_000);
  assert.deepEqual(samples, [["busy", 10 * MIB]]);
  // What was carried counts once.
  await clock.advance(5_000);
  assert.equal(samples.length, 1);
  circuits.set("busy", { cellsCarried: 5 * 256 * 12 });
  circuits.delete("calm");
  await clock.advance(5_000);
  assert.deepEqual(samples[1], ["busy", 2 * MIB]);
  meter.stop();
  circuits.set("busy", { cellsCarried: 1e9 });
  await clock.advance(60_000);
  assert.equal(samples.length, 2);
});
