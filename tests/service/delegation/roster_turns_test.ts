import assert from "node:assert/strict";
import { seededRandom } from "../../../lib/base/random.ts";
import { repeatableSuite } from "../../../lib/crypto/repeatable.ts";
import type { Delegation } from "../../../lib/service/delegation/delegation.ts";
import {
  GRACE_MS,
  LOOK_MS,
  ROSTER_RETRY_MS,
  type RosterAction,
  type RosterSight,
  RosterTurns,
} from "../../../lib/service/delegation/roster_turns.ts";
import { PERIOD_MS, timePeriod } from "../../../lib/service/time_period.ts";
import { delegated } from "./delegations.ts";

const HOUR_MS = 3_600_000;
const NOON = 20_000 * PERIOD_MS + 12 * HOUR_MS;
const crypto = repeatableSuite();
const at = (ms: number) => ({ nowMs: ms, unixMs: NOON + ms });

function delegatedTo(hosts: number): Delegation[] {
  return delegated(crypto, NOON, {
    hosts: Array.from({ length: hosts }, (_, n) => ({ slot: n + 1, born: 1 })),
    days: 2,
  });
}

/** What storing nodes have under the service's key of each period. */
type Stored = Map<number, { revision: number; issue: number }>;

/** Hosts whose publications and looks take no time, and what storing nodes see of them. */
class Hosts {
  readonly stored: Stored = new Map();
  /** Of the period of now. */
  readonly seen: { readonly type: "look" | "publish"; readonly ms: number }[] =
    [];
  readonly #turns: RosterTurns[];
  readonly #dead = new Set<RosterTurns>();

  constructor(delegations: readonly Delegation[]) {
    this.#turns = delegations.map((delegation, index) =>
      new RosterTurns(seededRandom(index + 1), delegation)
    );
  }

  kill(index: number): void {
    const turns = this.#turns[index];
    if (turns !== undefined) this.#dead.add(turns);
  }

  run(fromMs: number, untilMs: number): void {
    for (let ms = fromMs; ms < untilMs; ms += 10_000) {
      for (const turns of this.#turns) {
        if (this.#dead.has(turns) || turns.deadlineMs > ms) continue;
        this.#carryOut(turns, turns.onTime(at(ms)), ms);
      }
    }
  }

  #carryOut(
    turns: RosterTurns,
    actions: readonly RosterAction[],
    ms: number,
  ): void {
    for (const action of actions) {
      const period = action.type === "look" ? action.period : action.of.period;
      if (period === timePeriod(NOON)) {
        this.seen.push({ type: action.type, ms });
      }
      if (action.type === "publish") {
        const { revision } = action.roster;
        this.stored.set(period, { revision, issue: 1 });
        turns.onPublished(period, 4, ms);
      } else {
        const there = this.stored.get(action.period);
        const sight: RosterSight = there === undefined
          ? { type: "missing" }
          : { type: "found", ...there, namesUs: true };
        this.#carryOut(
          turns,
          turns.onLooked(action.period, sight, at(ms)),
          ms,
        );
      }
    }
  }
}

/** What storing nodes see of some hosts in eight hours of one period, per hour. */
function seenPerHour(hosts: number): { look: number; publish: number } {
  const world = new Hosts(delegatedTo(hosts));
  world.run(0, 8 * HOUR_MS);
  const count = (type: string) =>
    world.seen.filter((seen) => seen.type === type && seen.ms > HOUR_MS)
      .length / 7;
  return { look: count("look"), publish: count("publish") };
}

Deno.test("storing nodes see as many looks and publications of eight hosts as of one", () => {
  for (const hosts of [1, 2, 3, 8]) {
    const { look, publish } = seenPerHour(hosts);
    assert.ok(publish >= 0.8 && publish <= 1.4, `${hosts}: ${publish} an hour`);
    assert.ok(look >= 4 && look <= 8, `${hosts}: ${look} an hour`);
  }
});

Deno.test("the roster of the hour stays there when all hosts but one are dead", () => {
  const delegations = delegatedTo(4);
  const hosts = new Hosts(delegations);
  hosts.run(0, HOUR_MS);
  for (const index of [0, 1, 3]) hosts.kill(index);
  for (let hour = 1; hour < 40; hour++) {
    hosts.run(hour * HOUR_MS, (hour + 1) * HOUR_MS);
    const unixMs = NOON + (hour + 1) * HOUR_MS;
    const of = delegations[0]?.periods
      .find(({ period }) => period === timePeriod(unixMs));
    const revision = hosts.stored.get(of?.period ?? -1)?.revision ?? -1;
    const stored = of?.rosters.find((roster) => roster.revision === revision);
    assert.ok(stored !== undefined, `hour ${hour}: a roster is there`);
    assert.ok(stored.expiryMs > unixMs, `hour ${hour}: and lives`);
  }
});

function oneOf(hosts: number): { turns: RosterTurns; delegation: Delegation } {
  const delegation = delegatedTo(hosts)[0];
  assert.ok(delegation !== undefined);
  return { turns: new RosterTurns(seededRandom(1), delegation), delegation };
}

Deno.test("RosterTurns looks first, and publishes what is missing or of before, and nothing else", () => {
  const { turns, delegation } = oneOf(2);
  const { period, rosters } =
    delegation.periods.find(({ period }) => period === timePeriod(NOON)) ??
      assert.fail("no period");
  const first = turns.onTime(at(0));
  assert.ok(first.every(({ type }) => type === "look"));
  assert.equal(turns.standing(NOON), "unknown");
  const index = rosters.findLastIndex(({ atMs }) => atMs <= NOON);
  const revisionOf = (n: number) => rosters[n]?.revision ?? assert.fail();
  const sight = (revision: number, issue = delegation.issue): RosterSight => ({
    type: "found",
    revision,
    issue,
    namesUs: true,
  });
  const [publish] = turns.onLooked(period, { type: "missing" }, at(0));
  assert.equal(publish?.type, "publish");
  assert.deepEqual(turns.onLooked(period, { type: "missing" }, at(0)), []);
  turns.onPublished(period, 1, 0);
  assert.equal(turns.standing(NOON), "named");
  assert.deepEqual(turns.onLooked(period, sight(revisionOf(index)), at(0)), []);
  const old = sight(revisionOf(index - 1));
  const sinceMs = NOON - (rosters[index]?.atMs ?? 0);
  const late = at(Math.max(0, GRACE_MS - sinceMs));
  assert.equal(turns.onLooked(period, old, late)[0]?.type, "publish");
});

Deno.test("RosterTurns tries again, later each time, and looks before it does", () => {
  const { turns, delegation } = oneOf(1);
  const period = timePeriod(NOON);
  assert.ok(delegation.periods.some((one) => one.period === period));
  let ms = 0;
  const waits: number[] = [];
  for (let n = 0; n < 8; n++) {
    turns.onTime(at(ms));
    const [action] = turns.onLooked(period, { type: "missing" }, at(ms));
    assert.equal(action?.type, "publish");
    turns.onPublished(period, 0, ms);
    waits.push(n);
    const due = turns.deadlineMs;
    assert.ok(due > ms && due <= ms + ROSTER_RETRY_MS.longest);
    ms = due;
    // No failure counts as seen: what is asked next is a look.
    const again = turns.onTime(at(ms));
    assert.ok(again.some((next) => next.type === "look"));
  }
  assert.equal(turns.standing(NOON + ms), "unknown");
  turns.onLooked(period, { type: "unknown" }, at(ms));
  assert.ok(turns.deadlineMs <= ms + LOOK_MS);
});

Deno.test("RosterTurns lets a later delegation be, and knows whether it names us", () => {
  for (const namesUs of [true, false]) {
    const { turns, delegation } = oneOf(1);
    turns.onTime(at(0));
    const issue = delegation.issue + 1;
    const sight = { type: "found", revision: 2 ** 50, issue, namesUs } as const;
    const period = timePeriod(NOON);
    assert.deepEqual(turns.onLooked(period, sight, at(0)), []);
    assert.equal(turns.standing(NOON), namesUs ? "outdated" : "revoked");
    for (let ms = 60_000; ms < 3 * HOUR_MS; ms += 60_000) {
      const actions = turns.onTime(at(ms)).filter(({ type }) =>
        type === "publish"
      );
      assert.deepEqual(actions, [], "it does not publish what was taken back");
    }
  }
});
