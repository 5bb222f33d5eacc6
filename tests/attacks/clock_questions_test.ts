/**
 * The attack: to find how far the clock of a service or of its visitor is off by
 * naming relays in records of chosen dates, and seeing which are taken.
 *
 * @see protocol §7.3 "Descriptors"
 * @module
 */
import assert from "node:assert/strict";
import { namedRelay } from "../../lib/node/session/service_context.ts";
import { inServiceWorld } from "../node/session/service_world.ts";
import { testRecord } from "../support/nodes.ts";

const HOUR_MS = 3_600_000;

Deno.test("no date of a relay that the other side names decides whether it is taken", () =>
  inServiceWorld(async (world) => {
    const context = world.context();
    const unixMs = world.clock.unixMs();
    // The last moment at which it is valid, the first at which it is not, and far beyond.
    const ends = [1, 0, -1, -40 * 24 * HOUR_MS].map((ms) => ({
      sequence: unixMs + ms - 24 * HOUR_MS,
      expiry: unixMs + ms,
    }));
    const begins = [0, 1, 500 * HOUR_MS].map((ms) => ({
      sequence: unixMs + HOUR_MS + ms,
      expiry: unixMs + 2 * HOUR_MS + ms,
    }));
    for (const [index, dates] of [...ends, ...begins].entries()) {
      const { encoded } = testRecord(world.crypto, 50 + index, dates);
      // Twice: what was taken once is known by then.
      for (let time = 0; time < 2; time++) {
        const { record } = await namedRelay(context, encoded);
        assert.deepEqual(record.encoded, encoded);
      }
    }
    const forged = testRecord(world.crypto, 70).encoded;
    forged.fill(7, -8);
    await assert.rejects(namedRelay(context, forged), {
      name: "ProtocolError",
    });
  }));
