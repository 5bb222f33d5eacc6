/**
 * One visitor with as many streams as all others of a crowd have together: a share of
 * the line is by the visitor.
 *
 *     499 visitors ─▶ one node, or several ─┐
 *                                           ├─▶ service ─▶ a narrow line
 *     1 visitor, 500 streams ─▶ a node ─────┘
 *
 *     SHARES=500 deno task test tests/sim/shares_crowd_test.ts      so many visitors
 *
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import { readAll } from "../node/session/service_world.ts";
import { failuresOf, outcomeOf, tell } from "./crowd.ts";
import { inWholeWorld, type WorldClient } from "./whole_world.ts";

const IS_LONG = Deno.env.has("SHARES");
const VISITORS = Number(Deno.env.get("SHARES") ?? 24);
/** Of each stream. */
const BYTES = IS_LONG ? 20 * 1024 : 60 * 1024;
const UPLINK_BYTES_PER_SECOND = 2 * 1024 * 1024;
/** They come within so long, ms: 33 a second of many, which is more than one node begins. */
const COME_MS = Math.max(1_000, VISITORS * 30);
const BUSY = "service.busy";
/** How often a visitor comes again that is told that its node is busy. */
const MOST_AGAIN = IS_LONG ? 4 : 0;
const NEVER = new AbortController().signal;

/** What a visit came to: how long it took, ms, or the code of its error. */
type Outcome = number | string;
/** How a visitor goes about its visit. */
type Manner = (visit: () => Promise<Outcome>) => Promise<Outcome>;
const once: Manner = (visit) => visit();

for (const nodes of [1, 4]) {
  Deno.test(
    `One visitor with ${VISITORS} streams leaves ${
      VISITORS - 1
    } behind ${nodes} nodes their shares`,
    () =>
      inWholeWorld({
        relays: IS_LONG ? 10 : 6,
        uplinkBytesPerSecond: UPLINK_BYTES_PER_SECOND,
        maxEvents: Infinity,
      }, async (world) => {
        const { clock } = world;
        const service = await world.addService(async (stream) => {
          await stream.write(new Uint8Array(BYTES));
          await stream.closeWrite();
        });
        const clients: WorldClient[] = [];
        for (let number = 0; number < nodes; number++) {
          clients.push(await world.addClient(`node ${number}`));
        }
        const greedy = await world.addClient("greedy");
        const load = async ({ role }: WorldClient, isolation: string) => {
          const { publicKey } = service;
          const startMs = clock.nowMs();
          const target = { service: publicKey, port: 80, isolation };
          const stream = await role.visits.connect(target, { signal: NEVER });
          assert.equal((await readAll(stream)).length, BYTES);
          return clock.nowMs() - startMs;
        };
        const loadAll = async (withinMs: number, how: Manner = once) =>
          await Promise.all(
            Array.from({ length: VISITORS - 1 }, async (_, number) => {
              await sleep(clock, withinMs * number / VISITORS);
              const client = clients[number % nodes];
              assert.ok(client !== undefined);
              return await how(() =>
                outcomeOf(load(client, `other ${number}`))
              );
            }),
          );
        let busy = 0;
        const came = await loadAll(COME_MS, async (visit) => {
          const startMs = clock.nowMs();
          for (let again = 0;; again++) {
            const outcome = await visit();
            if (typeof outcome === "number") return clock.nowMs() - startMs;
            if (outcome !== BUSY || again === MOST_AGAIN) return outcome;
            busy++;
          }
        });
        const alone = timesOf(await loadAll(0));
        await load(greedy, "greedy");
        const streams = Array.from(
          { length: VISITORS },
          () => outcomeOf(load(greedy, "greedy")),
        );
        const beside = timesOf(await loadAll(0));
        const all = timesOf(await Promise.all(streams));
        const facts = { busy, came: timesOf(came), alone, beside, greedy: all };
        if (IS_LONG) tell({ nodes, ...facts });
        // By the stream, they would wait twice as long.
        const told = JSON.stringify(facts);
        assert.ok(beside.median < 1.3 * alone.median + 200, told);
        assert.ok(beside.longest < 1.3 * alone.longest + 500, told);
      }),
  );
}

/** How long they took, ms; none may have failed. */
function timesOf(outcomes: readonly Outcome[]) {
  assert.deepEqual(failuresOf(outcomes), []);
  const times = outcomes.map(Number).sort((one, other) => one - other);
  const median = times[times.length >> 1] ?? NaN;
  return {
    median: Math.round(median),
    longest: Math.round(times.at(-1) ?? NaN),
  };
}
