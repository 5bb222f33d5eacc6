import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import {
  Publication,
  PUBLISH_GAP_MS,
  PUBLISH_MS,
  RETRY_MS,
  SETTLE_MS,
} from "../../lib/service/publication.ts";
import { repeatableSuite } from "../../lib/crypto/repeatable.ts";
import { DescriptorDates } from "../../lib/service/descriptor_dates.ts";
import { OVERLAP_MS, PERIOD_MS } from "../../lib/service/time_period.ts";

const NOON = 20_000 * PERIOD_MS + PERIOD_MS / 2;
const DATES = new DescriptorDates(
  repeatableSuite(),
  new Uint8Array(32).fill(3),
);
const at = (nowMs: number, startUnixMs = NOON) => ({
  nowMs,
  unixMs: startUnixMs + nowMs,
});

function published(): Publication {
  const publication = new Publication(seededRandom(1), DATES, new Map());
  publication.onTime(at(0));
  publication.setPoints([1, 2, 3], "none", 0);
  assert.equal(publication.onTime(at(0)).length, 1);
  publication.onPublished(20_000, 4, 100);
  return publication;
}

Deno.test("Publication says nothing while there is no point to name", () => {
  const publication = new Publication(seededRandom(1), DATES, new Map());
  assert.deepEqual(publication.onTime(at(0)), []);
  assert.equal(publication.deadlineMs, Infinity);
});

Deno.test("Publication waits a moment for the points that are coming, and no longer than it must", () => {
  const publication = new Publication(seededRandom(1), DATES, new Map());
  publication.onTime(at(0));
  publication.setPoints([1], "coming", 100);
  assert.deepEqual(publication.onTime(at(200)), []);
  publication.setPoints([1, 2], "coming", 300);
  publication.setPoints([1, 2, 3], "none", 400);
  const [action] = publication.onTime(at(400));
  assert.deepEqual(action?.points, [1, 2, 3]);
  const other = new Publication(seededRandom(1), DATES, new Map());
  other.onTime(at(0));
  other.setPoints([1], "coming", 100);
  assert.deepEqual(other.onTime(at(100 + SETTLE_MS - 1)), []);
  assert.deepEqual(other.onTime(at(100 + SETTLE_MS))[0]?.points, [1]);
});

Deno.test("Publication publishes hourly, at a time that no observer can predict", () => {
  const publication = published();
  const waits: number[] = [];
  let lastMs = 0;
  for (let n = 0; n < 5; n++) {
    const dueMs = publication.deadlineMs;
    waits.push(dueMs - lastMs);
    lastMs = dueMs;
    assert.deepEqual(publication.onTime(at(dueMs - 1)), []);
    assert.equal(publication.onTime(at(dueMs)).length, 1);
    publication.onPublished(20_000, 4, dueMs);
  }
  for (const wait of waits) {
    assert.ok(wait >= PUBLISH_MS * 0.9 && wait <= PUBLISH_MS * 1.11);
  }
  assert.equal(new Set(waits).size, 5);
});

Deno.test("Publication publishes at once when points change, but not without end", () => {
  const publication = published();
  let count = 0;
  for (let ms = 1_000; ms < 61_000; ms += 100) {
    publication.setPoints([ms], "none", ms);
    const actions = publication.onTime(at(ms));
    count += actions.length;
    for (const { period } of actions) publication.onPublished(period, 4, ms);
  }
  assert.ok(count >= 10 && count <= 60_000 / PUBLISH_GAP_MS + 1, `${count}`);
});

Deno.test("Publication publishes what changed while it was publishing", () => {
  const publication = published();
  publication.setPoints([4], "none", 10_000);
  assert.equal(publication.onTime(at(10_000)).length, 1);
  publication.setPoints([5], "none", 11_000);
  assert.deepEqual(publication.onTime(at(11_000)), [], "one at a time");
  publication.onPublished(20_000, 4, 12_000);
  const dueMs = publication.deadlineMs;
  assert.ok(dueMs <= 15_000);
  assert.deepEqual(publication.onTime(at(dueMs))[0]?.points, [5]);
  assert.deepEqual(publication.storedPoints(20_000), [4]);
});

Deno.test("Publication tries again soon when no node stored it, later each time", () => {
  const publication = new Publication(seededRandom(1), DATES, new Map());
  publication.onTime(at(0));
  publication.setPoints([1], "none", 0);
  let nowMs = 0;
  const waits: number[] = [];
  for (let n = 0; n < 10; n++) {
    assert.equal(publication.onTime(at(nowMs)).length, 1);
    publication.onPublished(20_000, 0, nowMs);
    waits.push(publication.deadlineMs - nowMs);
    nowMs = publication.deadlineMs;
  }
  assert.ok((waits[0] ?? Infinity) <= RETRY_MS.first);
  assert.ok(Math.max(...waits) <= RETRY_MS.longest);
  assert.deepEqual(publication.storedPoints(20_000), []);
});

Deno.test("Publication has one descriptor at noon and two around midnight", () => {
  const midnight = 20_001 * PERIOD_MS;
  const periods = (unixMs: number) => {
    const publication = new Publication(seededRandom(1), DATES, new Map());
    publication.setPoints([1], "none", 0);
    publication.onTime({ nowMs: 0, unixMs });
    const late = publication.onTime({ nowMs: 70_000, unixMs: unixMs + 70_000 });
    return [20_000, 20_001].filter((period) =>
      publication.storedPoints(period).length > 0 ||
      late.some((action) => action.period === period)
    ).length;
  };
  assert.ok(periods(NOON) <= 1);
  for (const unixMs of [midnight - OVERLAP_MS + 1, midnight + 1]) {
    const publication = new Publication(seededRandom(1), DATES, new Map());
    publication.setPoints([1], "none", 0);
    const seen = new Set<number>();
    for (let ms = 0; ms < 120_000; ms += 1_000) {
      for (
        const { period } of publication.onTime({
          nowMs: ms,
          unixMs: unixMs + ms,
        })
      ) {
        seen.add(period);
        publication.onPublished(period, 4, ms);
      }
    }
    assert.deepEqual([...seen].sort(), [20_000, 20_001]);
  }
});

Deno.test("Publication never gives out a revision of a period twice, whatever the calendar does", () => {
  const floor = DATES.revision(20_000, NOON) + 1_000_000_000;
  const publication = new Publication(
    seededRandom(1),
    DATES,
    new Map([[20_000, floor]]),
  );
  const revisions = new Map<number, number[]>();
  let nowMs = 0;
  for (const jump of [0, -PERIOD_MS, PERIOD_MS, 0.5]) {
    publication.setPoints([1], "none", nowMs);
    publication.demand(nowMs);
    // A period that is new may wait for up to a minute.
    for (const endMs = nowMs + 70_000; nowMs < endMs; nowMs += 1_000) {
      const moment = { nowMs, unixMs: NOON + nowMs + jump };
      for (const { period, revision } of publication.onTime(moment)) {
        revisions.getOrInsertComputed(period, () => []).push(revision);
        publication.onPublished(period, 4, nowMs);
      }
    }
  }
  assert.ok(revisions.size >= 3 && (revisions.get(20_000)?.length ?? 0) >= 2);
  for (const all of revisions.values()) {
    assert.deepEqual(all, [...new Set(all)].sort((a, b) => a - b));
    assert.ok(all.every(Number.isSafeInteger));
  }
  assert.ok((revisions.get(20_000)?.[0] ?? 0) > floor);
});
