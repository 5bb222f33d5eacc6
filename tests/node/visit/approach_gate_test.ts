import assert from "node:assert/strict";
import { sleep } from "../../../lib/base/clock.ts";
import { UnreachableError } from "../../../lib/base/errors.ts";
import { VirtualClock } from "../../../lib/base/virtual_clock.ts";
import {
  ApproachGate,
  type ApproachKind,
  type ApproachPlaces,
  AT_ONCE,
  LOOK_MS,
  MAX_WAITING,
  NEWCOMER_WAIT_MS,
  PLACES_OF_BUILD,
} from "../../../lib/node/visit/approach_gate.ts";
import { BUILDS } from "../../../lib/pool/build_places.ts";
import type { Pressure } from "../../../lib/base/pressure.ts";
import { createDrain } from "../../../lib/sim/world/drain.ts";
import { runOn } from "../../transport/world.ts";

/** How many are under way where so many circuits may be built at once. */
const PLACES = {
  crowded: times(PLACES_OF_BUILD.crowded, BUILDS.least),
  slow: times(PLACES_OF_BUILD.slow, BUILDS.slow),
};

function times({ all, newcomers }: ApproachPlaces, builds: number) {
  return { all: all * builds, newcomers: newcomers * builds };
}

const NEVER = { signal: new AbortController().signal };

function inGateWorld(
  test: (
    gate: ApproachGate,
    clock: VirtualClock,
    circuits: { pressure: Pressure; mostBuilds: number },
  ) => Promise<void>,
): Promise<void> {
  const clock = new VirtualClock({ drain: createDrain(), maxEvents: 1e5 });
  const circuits = {
    pressure: "slow" as Pressure,
    mostBuilds: BUILDS.slow as number,
  };
  const run = async () => {
    using gate = new ApproachGate(clock, circuits);
    await test(gate, clock, circuits);
  };
  return runOn(clock, run());
}

/** So many places. */
function enter(gate: ApproachGate, kind: ApproachKind, count: number) {
  return Promise.all(
    Array.from({ length: count }, () => gate.enter(kind, NEVER)),
  );
}

Deno.test("ApproachGate lets all begin at once while there is no crowd, and those who waited once it is gone", () =>
  inGateWorld(async (gate, clock, circuits) => {
    circuits.pressure = "free";
    const many = 10 * PLACES.slow.all;
    const places = await enter(gate, "newcomer", many);
    assert.equal(gate.underWay, many);
    circuits.pressure = "crowded";
    const waiting = enter(gate, "newcomer", 2 * AT_ONCE);
    await sleep(clock, 5_000);
    assert.equal(gate.waiting, 2 * AT_ONCE);
    circuits.pressure = "free";
    await sleep(clock, LOOK_MS);
    assert.equal(gate.waiting, AT_ONCE);
    places.push(...await waiting);
    assert.ok(clock.nowMs() <= 5_000 + 2 * LOOK_MS);
    for (const place of places) place[Symbol.dispose]();
    assert.equal(gate.underWay, 0);
  }));

Deno.test("ApproachGate lets so many begin, and the next ones as others end, in their order", () =>
  inGateWorld(async (gate, clock) => {
    const places = await enter(gate, "newcomer", PLACES.slow.newcomers);
    const begun: number[] = [];
    const next = [0, 1, 2].map(async (number) => {
      using _place = await gate.enter("newcomer", NEVER);
      begun.push(number);
      await sleep(clock, 1_000);
    });
    await sleep(clock, 5_000);
    assert.deepEqual(begun, []);
    assert.equal(gate.waiting, 3);
    for (const place of places.slice(0, 2)) place[Symbol.dispose]();
    await sleep(clock, 500);
    assert.deepEqual(begun, [0, 1]);
    await Promise.all(next);
    assert.deepEqual(begun, [0, 1, 2]);
    for (const place of places) place[Symbol.dispose]();
    assert.equal(gate.underWay, 0);
  }));

Deno.test("ApproachGate lets more begin where many wait, and circuits are built quickly", () =>
  inGateWorld(async (gate, clock, circuits) => {
    circuits.pressure = "crowded";
    circuits.mostBuilds = BUILDS.least;
    const places = await enter(gate, "newcomer", PLACES.crowded.newcomers);
    const next = enter(gate, "newcomer", 1);
    const legs = await enter(
      gate,
      "leg",
      PLACES.crowded.all - PLACES.crowded.newcomers,
    );
    await sleep(clock, 1_000);
    assert.equal(gate.waiting, 1);
    for (const place of [...places, ...legs]) place[Symbol.dispose]();
    for (const place of await next) place[Symbol.dispose]();
    assert.equal(gate.underWay, 0);
  }));

Deno.test("ApproachGate keeps places for sessions that are there, and lets these go first", () =>
  inGateWorld(async (gate, clock) => {
    const newcomers = await enter(gate, "newcomer", PLACES.slow.newcomers);
    const legs = await enter(
      gate,
      "leg",
      PLACES.slow.all - PLACES.slow.newcomers,
    );
    assert.equal(gate.underWay, PLACES.slow.all);
    const begun: ApproachKind[] = [];
    const wait = async (kind: ApproachKind) => {
      using _place = await gate.enter(kind, NEVER);
      begun.push(kind);
      await sleep(clock, 100);
    };
    const all = [wait("newcomer"), wait("leg"), wait("leg")];
    await sleep(clock, 10);
    newcomers[0]?.[Symbol.dispose]();
    await Promise.all(all.slice(1));
    await all[0];
    assert.deepEqual(begun, ["leg", "leg", "newcomer"]);
    for (const place of [...newcomers, ...legs]) place[Symbol.dispose]();
    assert.equal(gate.underWay, 0);
  }));

Deno.test("ApproachGate tells newcomers that it is busy, when they have waited long or too many wait", () =>
  inGateWorld(async (gate, clock) => {
    const places = await enter(gate, "newcomer", PLACES.slow.newcomers);
    const waiting = Array.from(
      { length: MAX_WAITING },
      () => assert.rejects(gate.enter("newcomer", NEVER), BUSY),
    );
    await assert.rejects(gate.enter("newcomer", NEVER), BUSY);
    assert.equal(clock.nowMs(), 0);
    await Promise.all(waiting);
    assert.equal(clock.nowMs(), NEWCOMER_WAIT_MS);
    assert.equal(gate.waiting, 0);
    for (const place of places) place[Symbol.dispose]();
  }));

Deno.test("ApproachGate forgets those who give up, also in the moment in which they get their place", () =>
  inGateWorld(async (gate, clock) => {
    const places = await enter(gate, "newcomer", PLACES.slow.newcomers);
    const control = new AbortController();
    const gone = gate.enter("newcomer", control);
    const other = gate.enter("newcomer", control);
    const expected = [assert.rejects(gone, GONE), assert.rejects(other, GONE)];
    await sleep(clock, 10);
    places[0]?.[Symbol.dispose]();
    control.abort(new UnreachableError("test.gone", "Gone"));
    await Promise.allSettled(expected);
    await sleep(clock, 10);
    assert.equal(gate.waiting, 0);
    for (const place of places) place[Symbol.dispose]();
    await Promise.allSettled([gone, other]).then((all) => {
      for (const one of all) {
        if (one.status === "fulfilled") one.value[Symbol.dispose]();
      }
    });
    assert.equal(gate.underWay, 0);
  }));

const BUSY = { code: "service.busy" };
const GONE = { code: "test.gone" };

Deno.test("ApproachGate lets more begin where more circuits are built at once", () =>
  inGateWorld(async (gate, clock, circuits) => {
    circuits.pressure = "crowded";
    circuits.mostBuilds = 4 * BUILDS.least;
    const many = 4 * PLACES.crowded.newcomers;
    const places = await enter(gate, "newcomer", many);
    const next = enter(gate, "newcomer", 1);
    await sleep(clock, 1_000);
    assert.equal(gate.waiting, 1);
    for (const place of places) place[Symbol.dispose]();
    for (const place of await next) place[Symbol.dispose]();
  }));
