// deno-lint-ignore-file no-console
/**
 * What a resting session costs in the heap, all of its nodes together: its client,
 * its service, and the relays of both circuits. Without the transport's own memory
 * (a stream of QUIC takes 10 to 13 KiB at the side that opened it).
 *
 *     deno run --allow-read --allow-env --v8-flags=--expose-gc bench/session_memory.ts
 *
 * @module
 */
import { sleep } from "../lib/base/clock.ts";
import { PARK_MS } from "../lib/service/leg_plan.ts";
import { exchange } from "../tests/node/session/service_world.ts";
import { inWholeWorld } from "../tests/sim/whole_world.ts";

const FIRST = 50;
const MORE = 150;
const WORD = new Uint8Array(100);
const NEVER = new AbortController().signal;

function heapKiB(): number {
  const { gc } = globalThis as unknown as { readonly gc?: () => void };
  if (gc === undefined) throw new Error("Start with --v8-flags=--expose-gc");
  gc();
  gc();
  const { heapUsed, external } = Deno.memoryUsage();
  return (heapUsed + external) / 1024;
}

await inWholeWorld({ maxEvents: 1e9 }, async (world) => {
  const service = await world.addService();
  const client = await world.addClient();
  let visitor = 0;
  const visit = async () => {
    const target = {
      service: service.publicKey,
      port: 80,
      isolation: `${visitor++}`,
    };
    const stream = await client.role.visits.connect(target, { signal: NEVER });
    await exchange(stream, WORD);
  };
  for (let count = 0; count < FIRST; count++) await visit();
  const before = heapKiB();
  for (let count = 0; count < MORE; count++) await visit();
  await sleep(world.clock, 1_000);
  const resting = (heapKiB() - before) / MORE;
  const { sessions } = service.driver.status;
  console.log(`${sessions} sessions, resting: ${resting.toFixed(1)} KiB each`);
  await sleep(world.clock, PARK_MS + 10_000);
  const parked = (heapKiB() - before) / MORE;
  console.log(`parked, ${FIRST} more circuits gone: ${parked.toFixed(1)} KiB`);
});
