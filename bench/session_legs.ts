/**
 * What legs give and cost, on a virtual clock: how long a download stands still
 * when its leg falls silent, what a warm leg sends, how fast one to three legs
 * are, and what a session takes of memory.
 *
 *     deno run --allow-all --v8-flags=--expose-gc bench/session_legs.ts
 *
 * The legs are simulated (100 ms there and back, 32 MiB/s); the sessions are what
 * nodes run. For whole networks see `deno task bench:network stall`.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a measurement talks to the terminal
import { seededRandom } from "../lib/base/random.ts";
import { nativeSuite } from "../lib/crypto/native.ts";
import { SessionQuota } from "../lib/session/quota.ts";
import { SESSION_CELL_BYTES } from "../lib/session/leg.ts";
import { Session } from "../lib/session/session.ts";
import { SessionPair } from "../tests/session/session_pair.ts";

const PATH = { latencyMs: 50, cellsPerMs: 8 } as const;
const MIB = 1024 * 1024;
const STALLS = 50;
const SESSIONS = 1_000;
const MINUTE_MS = 60_000;

function print(what: string, value: string): void {
  console.log(`${what.padEnd(64)} ${value}`);
}

/** A pair with so many legs and one stream that both ends know. */
function open(legs: number, spread: "one" | "all" = "one") {
  const pair = new SessionPair({ spread });
  for (let number = 0; number < legs; number++) pair.addLeg(number, PATH);
  const id = pair.client.session.openStream(80, 0);
  if (id === undefined) throw new Error("No stream");
  pair.client.write(id, new Uint8Array(1), { finish: false });
  pair.run(() => pair.service.opened.has(id));
  return { pair, id };
}

/** Bytes that have come down. */
function received(pair: SessionPair, id: number): number {
  const chunks = pair.client.received.get(id) ?? [];
  return chunks.reduce((sum, { length }) => sum + length, 0);
}

/** The longest time without a byte of a download whose leg falls silent at `atMs`, ms. */
function stall(atMs: number): number {
  const { pair, id } = open(2);
  pair.service.write(id, new Uint8Array(64 * MIB));
  let seen = 0;
  let seenMs = pair.nowMs;
  let longestMs = 0;
  pair.at(atMs, () => {
    longestMs = 0;
    const [busiest] = [...pair.legs.values()]
      .sort((a, b) => b.freeAtMs[1] - a.freeAtMs[1]);
    if (busiest !== undefined) busiest.isAlive = false;
  });
  pair.run(() => {
    const now = received(pair, id);
    if (now > seen) {
      longestMs = Math.max(longestMs, pair.nowMs - seenMs);
      [seen, seenMs] = [now, pair.nowMs];
    }
    return pair.nowMs > atMs + 5_000 || pair.client.ended.has(id);
  });
  return longestMs;
}

const random = seededRandom(1);
const stalls = Array.from(
  { length: STALLS },
  () => stall(300 + (random.bytes(1)[0] ?? 0) * 5),
).sort((a, b) => a - b);
print(
  `stall when the leg falls silent and another is warm, of ${STALLS}, ms`,
  `median ${stalls[STALLS >> 1]?.toFixed(0)}, longest ${
    stalls.at(-1)?.toFixed(0)
  }`,
);

for (const legs of [1, 2, 3]) {
  const { pair } = open(legs);
  pair.run(() => false, MINUTE_MS);
  const before = pair.cellsSent;
  pair.run(() => false, 11 * MINUTE_MS);
  const perMinute = (pair.cellsSent - before) * SESSION_CELL_BYTES / 10 / 1024;
  print(
    `${legs} leg${legs > 1 ? "s" : ""}, a stream that rests, both ways`,
    `${perMinute.toFixed(0)} KiB per minute`,
  );
}

for (const spread of ["one", "all"] as const) {
  for (const legs of [1, 2, 3]) {
    const { pair, id } = open(legs, spread);
    const bytes = 64 * MIB;
    const startMs = pair.nowMs;
    pair.service.write(id, new Uint8Array(bytes));
    pair.run(() => pair.client.ended.has(id));
    const seconds = (pair.nowMs - startMs) / 1000;
    print(
      `${legs} leg${legs > 1 ? "s" : ""}, 64 MiB, data on ${spread} of them`,
      `${(64 / seconds).toFixed(1)} MiB/s`,
    );
  }
}

const collect = Reflect.get(globalThis, "gc") as (() => void) | undefined;
if (collect === undefined) throw new Error("Run with --v8-flags=--expose-gc");
const used = () => {
  for (let turn = 0; turn < 4; turn++) collect();
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
};
const crypto = nativeSuite();
const quota = new SessionQuota();
for (const legs of [1, 2]) {
  const before = used();
  const sessions = Array.from({ length: SESSIONS }, (_, seed) => {
    const secret = seededRandom(seed).bytes(32);
    const session = new Session({ crypto, role: "client", secret, quota }, 0);
    for (let number = 0; number < legs; number++) session.addLeg(number, 0);
    return session;
  });
  const bytes = (used() - before) / sessions.length;
  print(
    `memory of an idle session with ${legs} leg${legs > 1 ? "s" : ""}`,
    `${(bytes / 1024).toFixed(1)} KiB`,
  );
}
