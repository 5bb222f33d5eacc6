import assert from "node:assert/strict";
import { UnreachableError } from "../../../lib/base/errors.ts";
import { VirtualClock } from "../../../lib/base/virtual_clock.ts";
import { sleep } from "../../../lib/base/clock.ts";
import {
  OUTAGE_WAIT_MS,
  OutageWatch,
} from "../../../lib/node/visit/outage_watch.ts";
import { createDrain } from "../../../lib/sim/world/drain.ts";
import { runOn } from "../../transport/world.ts";

const WHY = new UnreachableError("path.guards_down", "None answers");

Deno.test("OutageWatch tells its caller after 15 s, and no more once that is done", async () => {
  const clock = new VirtualClock({ drain: createDrain() });
  await runOn(
    clock,
    (async () => {
      const told: number[] = [];
      using _watch = new OutageWatch(
        clock,
        { outageSince: () => WHY },
        (why) => {
          assert.equal(why, WHY);
          told.push(clock.nowMs());
          return "done";
        },
      );
      await sleep(clock, 60_000);
      assert.deepEqual(told, [OUTAGE_WAIT_MS]);
    })(),
  );
});

Deno.test("OutageWatch goes on looking while circuits are built, or its caller wants it", async () => {
  const clock = new VirtualClock({ drain: createDrain() });
  await runOn(
    clock,
    (async () => {
      const told: number[] = [];
      const outageSince = (sinceMs: number) => {
        assert.equal(sinceMs, 0);
        return clock.nowMs() >= 20_500 ? WHY : undefined;
      };
      const watch = new OutageWatch(clock, { outageSince }, () => {
        told.push(clock.nowMs());
        return told.length < 3 ? "go_on" : "done";
      });
      await sleep(clock, 60_000);
      assert.deepEqual(told, [21_000, 22_000, 23_000]);
      watch[Symbol.dispose]();
    })(),
  );
});

Deno.test("OutageWatch says nothing once it is disposed of", async () => {
  const clock = new VirtualClock({ drain: createDrain() });
  await runOn(
    clock,
    (async () => {
      const watch = new OutageWatch(
        clock,
        { outageSince: () => WHY },
        () => assert.fail("told"),
      );
      await sleep(clock, OUTAGE_WAIT_MS - 1);
      watch[Symbol.dispose]();
      await sleep(clock, 60_000);
    })(),
  );
});
