import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { repeatableSuite } from "../../lib/crypto/repeatable.ts";
import { DescriptorDates } from "../../lib/service/descriptor_dates.ts";
import {
  Reachability,
  type ReachabilityAction,
} from "../../lib/service/reachability.ts";

const DAY_MS = 24 * 3_600_000;
/** Noon: descriptors of one period alone. */
const NOON_UNIX_MS = 20_000.5 * DAY_MS;
const at = (nowMs: number) => ({ nowMs, unixMs: NOON_UNIX_MS + nowMs });

/** A service that was published at 0 with one point, and what follows until `untilMs`. */
function probesUntil(untilMs: number, visitedMs?: number): number[] {
  const dates = new DescriptorDates(repeatableSuite(), new Uint8Array(32));
  const machine = new Reachability(seededRandom(1), dates, new Map(), at(0));
  const probes: number[] = [];
  const obey = (actions: readonly ReachabilityAction[], nowMs: number) => {
    for (const action of actions) {
      switch (action.type) {
        case "build":
          obey(
            machine.onPointOpen(action.point, `${action.point}`, at(nowMs)),
            nowMs,
          );
          break;
        case "check":
          obey(machine.onChecked(action.point, "alive", at(nowMs)), nowMs);
          break;
        case "publish":
          obey(machine.onPublished(action.period, 4, at(nowMs)), nowMs);
          break;
        case "probe":
          probes.push(nowMs);
          obey(machine.onProbed(action.point, "reached", at(nowMs)), nowMs);
      }
    }
  };
  for (let nowMs = 0; nowMs <= untilMs; nowMs += 500) {
    obey(machine.onTime(at(nowMs)), nowMs);
    if (nowMs === visitedMs) obey(machine.onVisited(at(nowMs)), nowMs);
  }
  return probes;
}

Deno.test("Reachability probes a new descriptor within half a minute, and every ten minutes after that", () => {
  const [first = Infinity, second = Infinity] = probesUntil(20 * 60_000);
  assert.ok(first >= 10_000 && first <= 31_500, `${first} ms`);
  const pause = second - first;
  assert.ok(pause >= 5 * 60_000 && pause <= 15 * 60_000 + 500, `${pause} ms`);
});

Deno.test("Reachability takes a visit for its first probe", () => {
  const [first = Infinity] = probesUntil(20 * 60_000, 2_000);
  const pause = first - 2_000;
  assert.ok(pause >= 5 * 60_000 && pause <= 15 * 60_000 + 500, `${pause} ms`);
});
