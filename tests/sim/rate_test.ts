/**
 * Relays that are held to a rate: they carry that much and no more, circuits that are
 * quiet do not wait behind those that are not, and no leg is given up for being slow.
 *
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import type { SessionStreamHandle } from "../../lib/node/session/session_stream.ts";
import { LEAST_RATE } from "../../lib/node/relay/relay_limits.ts";
import {
  inWholeWorld,
  type WorldClient,
  type WorldService,
} from "./whole_world.ts";

const NEVER = new AbortController().signal;
const CHUNK = new Uint8Array(64 * 1024);

/** Writes for as long as the stream takes it. */
async function pour(stream: SessionStreamHandle): Promise<void> {
  stream.accept();
  for (;;) await stream.write(CHUNK);
}

async function open(
  { role }: WorldClient,
  { publicKey }: WorldService,
  isolation: string,
): Promise<SessionStreamHandle> {
  return await role.visits.connect(
    { service: publicKey, port: 80, isolation },
    { signal: NEVER },
  );
}

for (
  const { perSecond, seconds } of [
    { perSecond: 1e6, seconds: 60 },
    { perSecond: LEAST_RATE, seconds: 30 },
  ]
) {
  Deno.test(`relays held to ${perSecond} bytes per second carry that, and quiet circuits do not wait`, () =>
    inWholeWorld({
      relays: 5,
      circuitLimits: { rate: { perSecond, burst: perSecond } },
    }, async (world) => {
      const { clock } = world;
      const source = await world.addService(pour, { name: "source" });
      const answers = await world.addService();
      const crowd = await world.addClient("crowd");
      const failures: unknown[] = [];
      for (const isolation of ["a", "b", "c"]) {
        const stream = await open(crowd, source, isolation);
        const drink = async () => {
          while (await stream.read() !== undefined);
          throw new Error("the stream ended");
        };
        drink().catch((error) => failures.push(error));
      }
      const visitor = await world.addClient("visitor");
      const quiet = await open(visitor, answers, "quiet");
      await sleep(clock, 20_000);
      const before = world.relays.map(({ role }) => role.circuits.sentBytes);
      const startedMs = clock.nowMs();
      let longestMs = 0;
      while (clock.nowMs() < startedMs + 1000 * seconds) {
        const askedMs = clock.nowMs();
        await quiet.write(new Uint8Array(100));
        await quiet.read();
        longestMs = Math.max(longestMs, clock.nowMs() - askedMs);
        await sleep(clock, 500);
      }
      const took = (clock.nowMs() - startedMs) / 1000;
      const sent = world.relays.map(({ role }, index) =>
        role.circuits.sentBytes - (before[index] ?? 0)
      );
      const share = Math.max(...sent) / (perSecond * took);
      assert.ok(Math.abs(share - 1) < 0.05, `${share} of the rate`);
      // Six hops there and six back.
      assert.ok(longestMs < 3_000, `an answer took ${longestMs} ms`);
      assert.deepEqual(failures, []);
      for (const { role } of world.relays) {
        const { overflow = 0, quota = 0 } = role.circuits.stats.ends;
        assert.equal(overflow + quota, 0);
      }
      quiet.abort();
    }));
}
