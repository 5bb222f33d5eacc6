import assert from "node:assert/strict";
import fc from "fast-check";
import { CellTurns, NO_RATE, Turn } from "../../lib/circuit/cell_turns.ts";

const KIB = 1024;

function newTurn(): Turn {
  return new Turn(() => {});
}

/** Writers that always have more, until `untilMs`: bytes that each has written. */
function race(
  turns: CellTurns,
  writers: ReadonlyMap<Turn, number>,
  untilMs: number,
): Map<Turn, number> {
  const written = new Map<Turn, number>();
  let nowMs = 0;
  const write = (turn: Turn) => {
    const bytes = writers.get(turn) ?? 0;
    turns.onWritten(turn, bytes, nowMs);
    written.set(turn, (written.get(turn) ?? 0) + bytes);
    while (turns.ask(turn, nowMs)) {
      turns.onWritten(turn, bytes, nowMs);
      written.set(turn, (written.get(turn) ?? 0) + bytes);
    }
  };
  for (const turn of writers.keys()) {
    if (turns.ask(turn, nowMs)) write(turn);
  }
  while (turns.deadlineMs <= untilMs) {
    nowMs = Math.max(nowMs, turns.deadlineMs);
    for (
      let turn = turns.next(nowMs);
      turn !== undefined;
      turn = turns.next(nowMs)
    ) write(turn);
  }
  return written;
}

Deno.test("CellTurns lets all through where there is no rate", () => {
  const turns = new CellTurns(NO_RATE, 0);
  const turn = newTurn();
  for (let i = 0; i < 1000; i++) {
    assert.ok(turns.ask(turn, 0));
    turns.onWritten(turn, 64 * KIB, 0);
  }
  assert.equal(turns.deadlineMs, Infinity);
});

Deno.test("CellTurns keeps the rate, whatever the sizes and the number of writers", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 100_000, max: 10_000_000 }),
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.array(fc.integer({ min: 1, max: 16 }), { minLength: 1, maxLength: 8 }),
      (perSecond, burst, sizes) => {
        const turns = new CellTurns({ perSecond, burst }, 0);
        const writers = new Map(
          sizes.map((cells) => [newTurn(), cells * 4 * KIB]),
        );
        const written = race(turns, writers, 20_000);
        const sum = written.values().reduce((all, bytes) => all + bytes, 0);
        const least = 20 * perSecond;
        assert.ok(sum >= least, `${sum} of ${least}`);
        assert.ok(sum <= least + burst + 64 * KIB, `${sum} of ${least}`);
      },
    ),
    { numRuns: 40 },
  );
});

Deno.test("CellTurns gives writers that always have more the same, also with short writes", () => {
  const turns = new CellTurns({ perSecond: 1e6, burst: 1e5 }, 0);
  const writers = new Map(
    [1, 2, 4, 16].map((cells) => [newTurn(), cells * 4 * KIB]),
  );
  const shares = [...race(turns, writers, 60_000).values()];
  for (const share of shares) {
    assert.ok(Math.abs(share / 15e6 - 1) < 0.05, `${share} of 15e6`);
  }
});

Deno.test("CellTurns lets a quiet writer go before those that wrote much, and these before none for ever", () => {
  const turns = new CellTurns({ perSecond: 1e6, burst: 64 * KIB }, 0);
  const bulk = [newTurn(), newTurn()];
  for (const turn of bulk) {
    turns.onWritten(turn, 64 * KIB, 0);
    assert.ok(!turns.ask(turn, 0));
  }
  const quiet = newTurn();
  assert.ok(!turns.ask(quiet, 0));
  const nowMs = turns.deadlineMs;
  assert.equal(turns.next(nowMs), quiet);
  turns.onWritten(quiet, 4 * KIB, nowMs);
  assert.equal(turns.next(turns.deadlineMs), bulk[0]);
});

Deno.test("CellTurns forgets what was written long ago", () => {
  const turns = new CellTurns({ perSecond: 1e6, burst: 1 }, 0);
  const old = newTurn();
  const fresh = newTurn();
  turns.onWritten(old, 1e6, 0);
  turns.onWritten(fresh, 64 * KIB, 120_000);
  turns.onWritten(newTurn(), 1e6, 120_000);
  for (const turn of [fresh, old]) turns.ask(turn, 120_000);
  assert.equal(turns.next(turns.deadlineMs), old);
});

Deno.test("CellTurns forgets a writer that has left, and waits for none then", () => {
  const turns = new CellTurns({ perSecond: 1, burst: 1 }, 0);
  const turn = newTurn();
  turns.onWritten(turn, 2, 0);
  assert.ok(!turns.ask(turn, 0));
  turns.leave(turn);
  assert.equal(turns.deadlineMs, Infinity);
  assert.equal(turns.next(1e9), undefined);
});

Deno.test("CellTurns.setRate() holds for those that wait", () => {
  const turns = new CellTurns({ perSecond: 1, burst: 1 }, 0);
  const turn = newTurn();
  turns.onWritten(turn, 1e6, 0);
  assert.ok(!turns.ask(turn, 0));
  turns.setRate(NO_RATE, 1);
  assert.ok(turns.deadlineMs <= 1);
  assert.equal(turns.next(1), turn);
});

Deno.test("CellTurns hands out no burst anew when the rate is set again", () => {
  const rate = { perSecond: 1e6, burst: 1e6 };
  const turns = new CellTurns(rate, 0);
  const turn = newTurn();
  assert.ok(turns.ask(turn, 0));
  turns.onWritten(turn, 1e6, 0);
  let written = 0;
  for (let nowMs = 100; nowMs <= 1000; nowMs += 100) {
    turns.setRate({ ...rate, burst: 2e6 }, nowMs);
    while (turns.ask(turn, nowMs)) {
      turns.onWritten(turn, 50_000, nowMs);
      written += 50_000;
    }
    turns.leave(turn);
  }
  assert.ok(written >= 900_000 && written <= 1_050_000, String(written));
});

Deno.test("CellTurns keeps to a rate that is set where there was none", () => {
  const turns = new CellTurns(NO_RATE, 0);
  const turn = newTurn();
  assert.ok(turns.ask(turn, 5));
  turns.onWritten(turn, 1e6, 5);
  turns.setRate({ perSecond: 1e6, burst: 1e5 }, 5);
  assert.ok(turns.ask(turn, 5));
  turns.onWritten(turn, 1e5, 5);
  assert.equal(turns.ask(turn, 100), false);
  assert.ok(turns.deadlineMs > 100 && turns.deadlineMs < 106);
  turns.setRate({ perSecond: 1e6, burst: 1e4 }, 1000);
  turns.leave(turn);
  assert.ok(turns.ask(turn, 1000));
});
