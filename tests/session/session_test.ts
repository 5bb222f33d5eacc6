import assert from "node:assert/strict";
import fc from "fast-check";
import { BugError, ProtocolError } from "../../lib/base/errors.ts";
import { randomBelow, seededRandom } from "../../lib/base/random.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import {
  encodeControlFrame,
  FRAME_SPACE_BYTES,
} from "../../lib/session/frames.ts";
import {
  Leg,
  SESSION_CELL_BYTES,
  SESSION_TRAIN_BYTES,
} from "../../lib/session/leg.ts";
import { SessionQuota } from "../../lib/session/quota.ts";
import { LEGLESS_MS, Session } from "../../lib/session/session.ts";
import { SESSION_CODE } from "../../lib/session/session_event.ts";
import { PROOF_MS } from "../../lib/session/standstill.ts";
import { RESET_CODE } from "../../lib/session/stream.ts";
import { MAX_STREAMS } from "../../lib/session/stream_table.ts";
import { SessionPair } from "./session_pair.ts";

const pattern = (length: number, seed = 1) => seededRandom(seed).bytes(length);

function opened(pair: SessionPair, port = 80): number {
  const id = pair.client.session.openStream(port, pair.nowMs);
  assert.ok(id !== undefined);
  return id;
}

Deno.test("Session carries a stream both ways over one leg and finishes it at both ends", () => {
  const pair = new SessionPair();
  pair.addLeg(0);
  const id = opened(pair, 8080);
  const up = pattern(300_000, 1);
  const down = pattern(500_000, 2);
  pair.client.write(id, up);
  pair.run(() => pair.service.opened.has(id));
  assert.equal(pair.service.opened.get(id), 8080);
  pair.service.write(id, down);
  pair.run(() =>
    pair.client.session.streamCount + pair.service.session.streamCount === 0
  );
  assert.deepEqual(pair.service.bytesOf(id), up);
  assert.deepEqual(pair.client.bytesOf(id), down);
  assert.ok(pair.client.events.some((event) => event.type === "finished"));
  assert.ok(pair.service.events.some((event) => event.type === "finished"));
});

Deno.test("Session sends in trains what much waits of, and in cells what little does", () => {
  const pair = new SessionPair();
  pair.addLeg(0);
  const little = opened(pair);
  pair.client.write(little, pattern(12_000));
  pair.run(() => pair.service.ended.has(little));
  assert.equal(pair.trainsSent, 0);

  const much = opened(pair);
  pair.client.write(much, pattern(4_000_000));
  pair.run(() => pair.service.ended.has(much));
  assert.deepEqual(pair.service.bytesOf(much), pattern(4_000_000));
  const inTrains = pair.trainsSent * SESSION_TRAIN_BYTES;
  assert.ok(inTrains > 0.9 * 4_000_000, `${inTrains} bytes in trains`);
});

Deno.test("Session sends no trains over a path that takes long to carry one", () => {
  const pair = new SessionPair();
  // 1 Mbit/s: a train takes 131 ms at each hop.
  pair.addLeg(0, { latencyMs: 200, cellsPerMs: 0.03 });
  const id = opened(pair);
  pair.client.write(id, pattern(1_600_000));
  pair.run(() => pair.service.ended.has(id));
  // None but while it finds out what the path carries.
  assert.ok(pair.trainsSent <= 4, `${pair.trainsSent} trains`);
});

Deno.test("Session sends the first stream and its first bytes in the first cell", () => {
  const pair = new SessionPair();
  pair.addLeg(0, { latencyMs: 100, cellsPerMs: 8 });
  const id = opened(pair);
  pair.client.write(id, pattern(100), { finish: false });
  pair.run(() => pair.service.received.has(id), 1000);
  assert.ok(pair.nowMs < 102, `arrived after ${pair.nowMs} ms`);
  assert.equal(pair.cellsSent, 1);
});

Deno.test("Session that rested asks for no sign of life beside the cell that wakes it", () => {
  const pair = new SessionPair();
  pair.addLeg(0);
  const first = opened(pair);
  pair.client.write(first, pattern(100));
  pair.run(() => pair.service.opened.has(first));
  pair.service.write(first, pattern(100));
  pair.run(() =>
    pair.client.session.streamCount + pair.service.session.streamCount === 0
  );
  assert.ok(pair.nowMs < 1_000);
  pair.at(20_000, () => {});
  pair.run(() => pair.nowMs >= 20_000);
  const before = pair.cellsSent;
  const id = opened(pair);
  pair.run(() => pair.service.opened.has(id));
  assert.equal(pair.cellsSent, before + 1);
  // Where nothing comes back it asks later: the stream is open.
  pair.run(() => pair.cellsSent > before + 2);
  assert.ok(pair.nowMs >= 20_300, `asked after ${pair.nowMs - 20_000} ms`);
});

Deno.test("Session has the stream that the introduction asked for open at both ends", () => {
  const pair = new SessionPair();
  const id = pair.client.session.streams.openKnown(0);
  pair.service.take(pair.service.session.onKnownStream(8080, 0), 0);
  assert.equal(pair.service.opened.get(id), 8080);
  pair.addLeg(0, { latencyMs: 100, cellsPerMs: 8 });
  // The service need not wait for a cell of the client.
  pair.service.write(id, pattern(100), { finish: false });
  pair.run(() => pair.client.received.has(id), 1000);
  assert.ok(pair.nowMs < 102, `arrived after ${pair.nowMs} ms`);
  assert.ok(pair.client.events.some((event) => event.type === "accepted"));
  // Another stream, and the first one's end, are as ever.
  const other = opened(pair, 81);
  assert.notEqual(other, id);
  pair.client.write(other, pattern(10));
  pair.client.write(id, pattern(1000));
  pair.run(() => pair.service.ended.has(id) && pair.service.ended.has(other));
  assert.deepEqual(pair.service.bytesOf(id), pattern(1000));
  assert.equal(pair.service.opened.size, 2);
});

Deno.test("Session knows of one stream at most, and services open none", () => {
  const pair = new SessionPair();
  opened(pair);
  assert.throws(() => pair.client.session.streams.openKnown(0), BugError);
  assert.throws(() => pair.service.session.streams.openKnown(0), BugError);
});

Deno.test("Session keeps a half-closed stream open in the other direction", () => {
  const pair = new SessionPair();
  pair.addLeg(0);
  const id = opened(pair);
  pair.client.write(id, pattern(10));
  pair.run(() => pair.service.ended.has(id));
  assert.equal(pair.client.session.streamCount, 1);
  pair.service.write(id, pattern(200_000, 3));
  pair.run(() => pair.client.ended.has(id));
  assert.deepEqual(pair.client.bytesOf(id), pattern(200_000, 3));
});

Deno.test("Session does not let a stream whose reader stops block the others", () => {
  const pair = new SessionPair();
  pair.addLeg(0);
  const stuck = opened(pair);
  const lively = opened(pair);
  pair.service.stopped.add(stuck);
  pair.client.write(stuck, pattern(4_000_000, 1));
  pair.client.write(lively, pattern(4_000_000, 2));
  pair.run(() => pair.service.ended.has(lively), 60_000);
  assert.deepEqual(pair.service.bytesOf(lively), pattern(4_000_000, 2));
  assert.ok(!pair.service.ended.has(stuck));
  pair.service.stopped.delete(stuck);
  pair.service.readAll(stuck, pair.nowMs);
  pair.run(() => pair.service.ended.has(stuck), 120_000);
  assert.deepEqual(pair.service.bytesOf(stuck), pattern(4_000_000, 1));
});

Deno.test("Session shares a leg evenly between streams", () => {
  const pair = new SessionPair();
  pair.addLeg(0, { latencyMs: 10, cellsPerMs: 2 });
  const ids = [0, 1, 2, 3].map(() => opened(pair));
  for (const id of ids) pair.client.write(id, pattern(2_000_000, id));
  pair.run(() => ids.some((id) => pair.service.ended.has(id)), 60_000);
  for (const id of ids) {
    const share = pair.service.bytesOf(id).length / 2_000_000;
    assert.ok(share > 0.8, `stream ${id} has ${share} of its bytes`);
  }
});

Deno.test("Session keeps the queueing delay of a bulk transfer small", () => {
  const pair = new SessionPair();
  pair.addLeg(0, { latencyMs: 50, cellsPerMs: 2 });
  const bulk = opened(pair);
  pair.client.write(bulk, pattern(12_000_000));
  pair.run(() => pair.nowMs > 3_000, 3_001);
  const startedMs = pair.nowMs;
  const probe = opened(pair);
  pair.client.write(probe, pattern(10));
  pair.run(() => pair.service.ended.has(probe), 10_000);
  const tookMs = pair.nowMs - startedMs;
  assert.ok(tookMs < 50 + 60, `a new stream took ${tookMs} ms one way`);
});

Deno.test("Session sends what is urgent past a bulk transfer, on a leg of its own", () => {
  const answered = (others: "no other leg" | "another leg") => {
    const pair = new SessionPair();
    const { client, service } = pair;
    pair.addLeg(0, { latencyMs: 50, cellsPerMs: 2 });
    const bulk = opened(pair);
    pair.run(() => service.opened.has(bulk));
    service.write(bulk, new Uint8Array(64 << 20));
    pair.run(() => pair.nowMs >= 4_000);
    if (others === "another leg") {
      pair.addLeg(1, { latencyMs: 50, cellsPerMs: 2 });
    }
    pair.run(() => pair.nowMs >= 5_000);
    const askedMs = pair.nowMs;
    const urgent = opened(pair, 22);
    client.write(urgent, new Uint8Array(1), { finish: false });
    pair.run(() => service.bytesOf(urgent).length > 0);
    service.write(urgent, new Uint8Array(1), { finish: false });
    pair.run(() => client.bytesOf(urgent).length > 0);
    assert.ok(client.bytesOf(bulk).length < 64 << 20);
    return pair.nowMs - askedMs;
  };
  const behind = answered("no other leg");
  const beside = answered("another leg");
  assert.ok(behind > 115, `${behind} ms behind the bulk transfer`);
  assert.ok(beside < 105, `${beside} ms beside it`);
});

Deno.test("Session fills a long fat path", () => {
  const pair = new SessionPair();
  pair.addLeg(0, { latencyMs: 175, cellsPerMs: 4 });
  const id = opened(pair);
  const bytes = pattern(24_000_000);
  pair.client.write(id, bytes);
  pair.run(() => pair.service.ended.has(id), 60_000);
  const rate = bytes.length / pair.nowMs;
  const capacity = 4 * FRAME_SPACE_BYTES;
  assert.ok(
    rate > 0.4 * capacity,
    `${(rate / capacity).toFixed(2)} of the path's capacity`,
  );
});

Deno.test("Session uses all that a long path carries by the sixth round trip", () => {
  for (const [latencyMs, cellsPerMs] of [[175, 2.5], [50, 8]] as const) {
    const pair = new SessionPair();
    pair.addLeg(0, { latencyMs, cellsPerMs });
    const id = opened(pair);
    pair.run(() => pair.service.opened.has(id));
    pair.service.write(id, new Uint8Array(32 << 20));
    const reach = (roundTrips: number) => {
      const untilMs = latencyMs + roundTrips * 2 * latencyMs;
      pair.at(untilMs, () => {});
      pair.run(() => pair.nowMs >= untilMs);
      return pair.client.bytesOf(id).length;
    };
    const before = reach(5);
    const share = (reach(6) - before) /
      (2 * latencyMs * cellsPerMs * FRAME_SPACE_BYTES);
    assert.ok(share > 0.95, `${share} of ${cellsPerMs} cells a ms`);
  }
});

Deno.test("Session moves to another leg when one dies, without a byte lost or doubled", () => {
  const pair = new SessionPair();
  pair.addLeg(0);
  pair.addLeg(1, { latencyMs: 25, cellsPerMs: 4 });
  const id = opened(pair);
  const bytes = pattern(3_000_000);
  pair.service.take([], 0);
  pair.client.write(id, bytes);
  pair.at(60, () => pair.killLeg(0));
  pair.run(() => pair.service.ended.has(id), 60_000);
  assert.deepEqual(pair.service.bytesOf(id), bytes);
  assert.deepEqual(pair.client.session.legNumbers, [1]);
});

Deno.test("Session resends at once on a warm leg when its leg falls silent", () => {
  const pair = new SessionPair();
  pair.addLeg(0);
  pair.addLeg(1, { latencyMs: 30, cellsPerMs: 4 });
  const id = opened(pair);
  const bytes = pattern(8_000_000);
  pair.client.write(id, bytes);
  pair.at(100, () => pair.stallLeg(0, 1e9));
  pair.run(() => pair.service.ended.has(id), 5_000);
  assert.deepEqual(pair.service.bytesOf(id), bytes);
  assert.ok(
    pair.client.events.some((event) =>
      event.type === "legSuspect" && event.leg === 0
    ),
  );
});

Deno.test("Session sends on a new leg at once what others carry that are all silent", () => {
  const pair = new SessionPair();
  pair.addLeg(0);
  pair.addLeg(1, { latencyMs: 30, cellsPerMs: 4 });
  const id = opened(pair);
  const bytes = pattern(8_000_000);
  pair.client.write(id, bytes);
  pair.at(100, () => {
    pair.stallLeg(0, 1e9);
    pair.stallLeg(1, 1e9);
  });
  pair.at(6_000, () => pair.addLeg(2));
  pair.run(() => pair.service.ended.has(id), 10_000);
  assert.deepEqual(pair.service.bytesOf(id), bytes);
  assert.ok(pair.nowMs < 8_000, `${pair.nowMs} ms`);
  assert.deepEqual(pair.client.session.legNumbers, [0, 1, 2]);
});

Deno.test("Session asks the other end after it stood still for minutes, and is over within seconds without an answer", () => {
  for (const answer of ["there", "none"] as const) {
    const pair = new SessionPair();
    pair.addLeg(0);
    const id = opened(pair);
    pair.client.write(id, pattern(1_000), { finish: false });
    pair.run(() => false, 20_000);
    // No stream and no leg is needed to ask.
    const stillMs = pair.nowMs;
    if (answer === "none") pair.killLeg(0);
    for (const { session } of [pair.client, pair.service]) {
      session.onStoodStill(10 * 60_000, stillMs);
    }
    pair.run(() => false, stillMs + PROOF_MS);
    for (const { session, resets } of [pair.client, pair.service]) {
      const isOver = answer === "none";
      assert.equal(session.closedCode, isOver ? SESSION_CODE.noLeg : undefined);
      assert.equal(resets.get(id), isOver ? RESET_CODE.failed : undefined);
    }
  }
});

Deno.test("Session goes on after it stood still when the other end comes by a new leg", () => {
  const pair = new SessionPair();
  pair.addLeg(0);
  const id = opened(pair);
  pair.client.write(id, pattern(1_000), { finish: false });
  pair.run(() => false, 20_000);
  pair.killLeg(0);
  const stillMs = pair.nowMs;
  pair.service.session.onStoodStill(10 * 60_000, stillMs);
  pair.at(stillMs + PROOF_MS / 2, () => pair.addLeg(1));
  pair.run(() => false, stillMs + 2 * PROOF_MS);
  assert.equal(pair.service.session.closedCode, undefined);
});

Deno.test("Session waits for a new leg, and fails closed after a minute without one", () => {
  const pair = new SessionPair();
  pair.addLeg(0);
  const id = opened(pair);
  pair.client.write(id, pattern(1_000_000), { finish: false });
  pair.at(50, () => pair.killLeg(0));
  pair.run(() => pair.client.session.closedCode !== undefined);
  assert.ok(pair.nowMs >= LEGLESS_MS);
  assert.equal(pair.client.resets.get(id), RESET_CODE.failed);
});

Deno.test("Session without streams misses no leg, for hours, and goes on over the next one", () => {
  const pair = new SessionPair();
  pair.addLeg(0);
  pair.at(50, () => pair.killLeg(0));
  const wakeMs = 2 * 3_600_000;
  pair.at(wakeMs, () => pair.addLeg(1));
  pair.run(() => pair.nowMs > wakeMs, wakeMs + 1_000);
  assert.equal(pair.client.session.closedCode, undefined);
  assert.equal(pair.service.session.closedCode, undefined);
  const id = opened(pair);
  pair.client.write(id, pattern(1_000));
  pair.run(() => pair.service.ended.has(id), wakeMs + 60_000);
  assert.deepEqual(pair.service.bytesOf(id), pattern(1_000));
});

Deno.test("Session goes on over a leg that is added while it has none", () => {
  const pair = new SessionPair();
  pair.addLeg(0);
  const id = opened(pair);
  const bytes = pattern(1_000_000);
  pair.client.write(id, bytes);
  pair.at(40, () => pair.killLeg(0));
  pair.at(30_000, () => pair.addLeg(1));
  pair.run(() => pair.service.ended.has(id));
  assert.deepEqual(pair.service.bytesOf(id), bytes);
});

Deno.test("Session survives any schedule of dying and stalling legs (property)", () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.constantFrom("one" as const, "all" as const),
      (seed, spread) => {
        const random = seededRandom(seed);
        const pair = new SessionPair({ spread });
        let next = 0;
        const add = () => {
          if (pair.client.session.legNumbers.length >= 3) return;
          if (pair.service.session.legNumbers.length >= 3) return;
          pair.addLeg(next++, {
            latencyMs: 1 + randomBelow(random, 80),
            cellsPerMs: 1 + randomBelow(random, 8),
          });
        };
        add();
        const ids = [opened(pair), opened(pair), opened(pair)];
        const up = ids.map((id) => pattern(randomBelow(random, 300_000), id));
        const down = ids.map((id) =>
          pattern(randomBelow(random, 300_000), id + 50)
        );
        for (const [i, id] of ids.entries()) {
          pair.client.write(
            id,
            up[i] as Uint8Array,
          );
        }
        for (let ms = 20; ms < 1_500; ms += 1 + randomBelow(random, 60)) {
          const what = randomBelow(random, 3);
          const victim = randomBelow(random, next + 3);
          const untilMs = ms + randomBelow(random, 800);
          pair.at(ms, () => {
            if (what === 0) pair.killLeg(victim, 1 + randomBelow(random, 100));
            else if (what === 1) pair.stallLeg(victim, untilMs);
            else add();
          });
        }
        pair.at(1_700, () => {
          for (const leg of pair.legs.keys()) pair.killLeg(leg);
        });
        pair.at(2_500, add);
        const answered = new Set<number>();
        pair.run(() => {
          for (const [i, id] of ids.entries()) {
            if (!pair.service.opened.has(id) || answered.has(id)) continue;
            answered.add(id);
            pair.service.write(id, down[i] as Uint8Array);
          }
          return pair.client.session.streamCount +
              pair.service.session.streamCount === 0;
        }, 120_000);
        for (const [i, id] of ids.entries()) {
          assert.deepEqual(pair.service.bytesOf(id), up[i]);
          assert.deepEqual(pair.client.bytesOf(id), down[i]);
        }
      },
    ),
    { numRuns: 25 },
  );
});

Deno.test("Session hands a reset of the peer to the reader", () => {
  const pair = new SessionPair();
  pair.addLeg(0);
  const id = opened(pair);
  pair.client.write(id, pattern(10), { finish: false });
  pair.run(() => pair.service.opened.has(id));
  pair.service.session.streams.reset(id, RESET_CODE.refused);
  pair.run(() => pair.client.resets.has(id), 10_000);
  assert.equal(pair.client.resets.get(id), RESET_CODE.refused);
  assert.equal(pair.client.session.streams.write(id, pattern(1)), "gone");
});

Deno.test("Session tells the peer when it is closed", () => {
  const pair = new SessionPair();
  pair.addLeg(0);
  const id = opened(pair);
  pair.client.write(id, pattern(10), { finish: false });
  pair.run(() => pair.service.opened.has(id));
  pair.client.take(pair.client.session.close(0), pair.nowMs);
  pair.run(() => pair.service.session.closedCode !== undefined, 10_000);
  assert.equal(pair.service.session.closedCode, 0);
});

Deno.test("Session.openStream() has a limit, and ended streams make room again", () => {
  const pair = new SessionPair();
  pair.addLeg(0);
  const ids = Array.from({ length: MAX_STREAMS }, () => opened(pair));
  assert.equal(pair.client.session.openStream(80, 0), undefined);
  pair.client.session.streams.reset(ids[0] as number, 0);
  assert.ok(pair.client.session.openStream(80, 0) !== undefined);
});

Deno.test("Session resets the stream that holds most when the process is over its quota", () => {
  const pair = new SessionPair({ quotaBytes: 300_000 });
  pair.addLeg(0);
  const [greedy, modest] = [opened(pair), opened(pair)];
  pair.service.stopped.add(greedy).add(modest);
  pair.client.write(greedy, pattern(250_000), { finish: false });
  pair.client.write(modest, pattern(90_000), { finish: false });
  pair.run(
    () => pair.service.resets.size > 0 || pair.client.resets.size > 0,
    10_000,
  );
  assert.ok(pair.service.resets.has(greedy) || pair.client.resets.has(greedy));
  assert.ok(!pair.service.resets.has(modest));
});

// ---- a peer that breaks the protocol ----

function lonely(role: "client" | "service"): { session: Session; peer: Leg } {
  const crypto = nobleSuite();
  const secret = new Uint8Array(32).fill(7);
  const session = new Session({
    crypto,
    role,
    secret,
    quota: new SessionQuota(),
  }, 0);
  session.addLeg(0, 0);
  return {
    session,
    peer: new Leg(
      crypto,
      secret,
      0,
      role === "client" ? "service" : "client",
      0,
    ),
  };
}

function cellOf(peer: Leg, write: (cell: Uint8Array) => void): Uint8Array {
  const cell = new Uint8Array(SESSION_CELL_BYTES);
  write(cell);
  peer.seal(cell);
  return cell;
}

function throwsCode(run: () => unknown, code: string): void {
  assert.throws(
    run,
    (error) => error instanceof ProtocolError && error.code === code,
  );
}

Deno.test("Session.onCell() refuses altered, repeated, swapped and foreign cells", () => {
  const { session, peer } = lonely("service");
  const first = cellOf(peer, () => {});
  const second = cellOf(peer, () => {});
  throwsCode(
    () => session.onCell(0, second.slice(), 0),
    "session.authentication",
  );
  const altered = first.slice();
  altered[1000] = (altered[1000] ?? 0) ^ 1;
  throwsCode(() => session.onCell(0, altered, 0), "session.authentication");
  session.onCell(0, first.slice(), 0);
  throwsCode(
    () => session.onCell(0, first.slice(), 0),
    "session.authentication",
  );
  throwsCode(
    () => session.onCell(0, second.subarray(1), 0),
    "session.cell_size",
  );
  const foreign = new Leg(
    nobleSuite(),
    new Uint8Array(32).fill(8),
    0,
    "client",
    0,
  );
  throwsCode(
    () => session.onCell(0, cellOf(foreign, () => {}), 0),
    "session.authentication",
  );
});

Deno.test("Session.onCell() never takes a cell of one leg for one of another", () => {
  const { session, peer } = lonely("service");
  session.addLeg(1, 0);
  throwsCode(
    () => session.onCell(1, cellOf(peer, () => {}), 0),
    "session.authentication",
  );
});

Deno.test("Session.onCell() names what is wrong with a frame", () => {
  const cases: [string, (cell: Uint8Array) => void][] = [
    ["session.frame_type", (cell) => cell.set([0x77])],
    ["session.padding", (cell) => cell.set([0, 1])],
    ["session.frame_cut", (cell) => {
      cell.set([0x02, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
    }],
    ["session.ack", (cell) => {
      encodeControlFrame(
        { type: "ack", leg: 0, cells: 5, delayMs: 0 },
        cell,
        0,
      );
    }],
    ["session.ack", (cell) => {
      encodeControlFrame(
        { type: "ack", leg: 9, cells: 0, delayMs: 0 },
        cell,
        0,
      );
    }],
    ["session.stream_id", (cell) => {
      encodeControlFrame({ type: "streamOpen", id: 0, port: 1 }, cell, 0);
    }],
    ["session.stream_id", (cell) => {
      encodeControlFrame({ type: "streamOpen", id: 1e6, port: 1 }, cell, 0);
    }],
    ["session.window", (cell) => {
      cell.set([0x02, 0, 0, 0, 1, 0, 0, 0, 0x10, 0, 0, 0, 1, 9]);
    }],
    ["session.final_offset", (cell) => {
      const at = encodeControlFrame(
        { type: "streamFin", id: 1, offset: 9 },
        cell,
        0,
      );
      encodeControlFrame({ type: "streamFin", id: 1, offset: 8 }, cell, at);
    }],
    ["session.final_offset", (cell) => {
      const at = encodeControlFrame(
        { type: "streamFin", id: 1, offset: 0 },
        cell,
        0,
      );
      cell.set([0x02, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 9], at);
    }],
    ["session.window", (cell) => {
      encodeControlFrame({ type: "streamFin", id: 1, offset: 1e9 }, cell, 0);
    }],
  ];
  for (const [code, write] of cases) {
    const { session, peer } = lonely("service");
    throwsCode(() => session.onCell(0, cellOf(peer, write), 0), code);
  }
});

Deno.test("Session.onCell() refuses streams that a service opens, or that the client never did", () => {
  for (
    const [code, frame] of [
      ["session.stream_open", { type: "streamOpen", id: 1, port: 80 }],
      ["session.stream_id", { type: "streamFin", id: 7, offset: 0 }],
    ] as const
  ) {
    const { session, peer } = lonely("client");
    const cell = cellOf(peer, (c) => void encodeControlFrame(frame, c, 0));
    throwsCode(() => session.onCell(0, cell, 0), code);
  }
});

Deno.test("Session.onCell() takes arbitrary frames or throws a ProtocolError (property)", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const { session, peer } = lonely("service");
      try {
        session.onCell(0, cellOf(peer, (cell) => cell.set(bytes)), 0);
      } catch (error) {
        assert.ok(error instanceof ProtocolError);
      }
    }),
    { numRuns: 150 },
  );
});

Deno.test("Session.addLeg() refuses a number that was used, and a fourth leg", () => {
  const { session } = lonely("service");
  throwsCode(() => session.addLeg(0, 0), "session.leg_number");
  session.addLeg(1, 0);
  session.addLeg(2, 0);
  throwsCode(() => session.addLeg(3, 0), "session.too_many_legs");
  session.removeLeg(1, 0);
  throwsCode(() => session.addLeg(1, 0), "session.leg_number");
  session.addLeg(3, 0);
});

Deno.test("Session stays quiet when nothing is open", () => {
  const pair = new SessionPair();
  pair.addLeg(0);
  pair.run(() => false, 3_600_000);
  assert.equal(pair.cellsSent, 0);
});

Deno.test("Session asks an idle peer with open streams less and less often", () => {
  const pair = new SessionPair();
  pair.addLeg(0);
  const id = opened(pair);
  pair.client.write(id, pattern(10), { finish: false });
  pair.run(() => false, 600_000);
  assert.ok(pair.cellsSent < 200, `${pair.cellsSent} cells in ten minutes`);
});
