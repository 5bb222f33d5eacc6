import assert from "node:assert/strict";
import fc from "fast-check";
import {
  DEFAULT_LINK_LIMITS,
  type LinkLimits,
  welcomeLimits,
} from "../../lib/link/link_limits.ts";
import { LinkState } from "../../lib/link/link_state.ts";

const LIMITS: LinkLimits = {
  requests: { perSecond: 10, burst: 10 },
  circuits: { perSecond: 1, burst: 2 },
  bytes: { perSecond: 1000, burst: 1000 },
  refusals: { perSecond: 1, burst: 3 },
  openStreams: 4,
  openRequests: 3,
  requestWaitMs: 200,
  keepAliveMs: 20_000,
  silenceMs: 10_000,
  idleMs: 300_000,
  drainMs: 5000,
  stallMs: 10_000,
};

/** What a peer might say in its Welcome. */
function peerLimits(requestsPerSecond: number, openStreams = 100) {
  return { requestsPerSecond, circuitsPerSecond: 1, openStreams };
}

/** Call onTime at each deadline until something other than a ping comes of it. */
function fate(state: LinkState, answersPings: "answers" | "silent") {
  let pings = 0;
  for (;;) {
    const nowMs = state.deadlineMs;
    if (nowMs === Infinity) return { pings, nowMs, reason: "lives" };
    for (const action of state.onTime(nowMs)) {
      if (action.type === "close") {
        return { pings, nowMs, reason: action.reason };
      }
      pings++;
      if (answersPings === "answers") state.onBytesIn(1, nowMs + 5);
    }
    if (pings > 100) return { pings, nowMs, reason: "lives" };
  }
}

Deno.test("LinkState pings a silent peer, and closes if nothing comes back", () => {
  const state = new LinkState(LIMITS, 1000);
  assert.deepEqual(state.onTime(20_999), []);
  assert.deepEqual(fate(state, "silent"), {
    pings: 1,
    nowMs: 31_000,
    reason: "link.silent",
  });
});

Deno.test("LinkState does not take its own standstill for silence of the peer", () => {
  const state = new LinkState(LIMITS, 0);
  assert.equal(state.onPeerStream(), true);
  assert.deepEqual(state.onTime(20_000), [{ type: "ping" }]);
  // The timer should have fired at 30 s.
  assert.deepEqual(state.onTime(34_000), []);
  assert.deepEqual(state.onTime(43_999), []);
  assert.deepEqual(state.onTime(44_000), [
    { type: "close", reason: "link.silent" },
  ]);
});

Deno.test("LinkState does not take its own standstill for a peer that takes no bytes", () => {
  const state = new LinkState(LIMITS, 0);
  state.onWrite(100, 0);
  state.onBytesIn(1, 5_000);
  assert.deepEqual(state.onTime(14_000), []);
  assert.deepEqual(state.onTime(24_000), [
    { type: "close", reason: "link.stalled" },
  ]);
});

Deno.test("LinkState.onPingUnsent() waits as long again before it asks anew", () => {
  const state = new LinkState(LIMITS, 0);
  assert.equal(state.onPeerStream(), true);
  assert.deepEqual(state.onTime(20_000), [{ type: "ping" }]);
  state.onPingUnsent(25_000);
  assert.deepEqual(state.onTime(44_999), []);
  assert.deepEqual(state.onTime(45_000), [{ type: "ping" }]);
});

Deno.test("LinkState closes an idle link although its pings are answered", () => {
  const state = new LinkState(LIMITS, 0);
  const { pings, nowMs, reason } = fate(state, "answers");
  assert.equal(reason, "link.idle");
  assert.equal(nowMs, 300_000);
  assert.ok(pings >= 14);
});

Deno.test("LinkState keeps a link with an open stream for ever, while pings are answered", () => {
  const state = new LinkState(LIMITS, 0);
  state.onOwnStream("request");
  assert.equal(fate(state, "answers").reason, "lives");
  assert.equal(state.usedMs, Infinity);
});

Deno.test("LinkState does not count pings as use", () => {
  const state = new LinkState(LIMITS, 0);
  state.onOwnStream("request");
  state.onOwnStreamEnd("ping", 100_000);
  assert.equal(state.onPeerStream(), true);
  state.onPeerStreamEnd("ping", 200_000);
  assert.equal(state.usedMs, 0);
  assert.equal(fate(state, "answers").nowMs, 300_000);
});

Deno.test("LinkState.drain() closes soon after the last stream has ended", () => {
  const state = new LinkState(LIMITS, 0);
  state.onOwnStream("request");
  state.drain(1000);
  assert.equal(state.isDraining, true);
  state.onBytesIn(1, 9000);
  assert.deepEqual(state.onTime(9000), []);
  state.onOwnStreamEnd("request", 9500);
  assert.deepEqual(fate(state, "silent"), {
    pings: 0,
    nowMs: 14_500,
    reason: "link.drained",
  });
});

Deno.test("LinkState closes a link whose peer takes no bytes for 10 s while some wait", () => {
  const state = new LinkState(LIMITS, 0);
  state.onOwnStream("request");
  state.onWrite(100, 1000);
  state.onWrite(100, 4000);
  state.onWritten(5000);
  assert.deepEqual(state.onTime(14_999), []);
  assert.deepEqual(state.onTime(15_000), [
    { type: "close", reason: "link.stalled" },
  ]);
});

Deno.test("LinkState bears a peer that takes bytes slowly", () => {
  const state = new LinkState(LIMITS, 0);
  state.onOwnStream("request");
  for (let nowMs = 0; nowMs < 100_000; nowMs += 9000) {
    state.onWrite(1, nowMs);
    state.onWrite(1, nowMs);
    state.onBytesIn(1, nowMs);
    assert.deepEqual(state.onTime(nowMs), []);
    state.onWritten(nowMs);
  }
  state.onWritten(99_000);
});

Deno.test("LinkState.onRequest() lets a burst in, has some wait, and refuses the rest", () => {
  const state = new LinkState({ ...LIMITS, openRequests: 100 }, 0);
  const types: string[] = [];
  for (let count = 0; count < 17; count++) {
    const verdict = state.onRequest(0);
    types.push(verdict.type === "serve" ? `${verdict.waitMs}` : verdict.type);
  }
  assert.deepEqual(types.slice(0, 10), new Array(10).fill("0"));
  assert.deepEqual(types.slice(10), [
    "100",
    "200",
    "refuse",
    "refuse",
    "refuse",
    "close",
    "close",
  ]);
  assert.equal(state.stats.requestsIn, 12);
  assert.equal(state.stats.requestsRefused, 5);
});

Deno.test("LinkState.onRequest() serves no more than openRequests at once", () => {
  const state = new LinkState(LIMITS, 0);
  for (let count = 0; count < 3; count++) {
    assert.equal(state.onRequest(0).type, "serve");
  }
  assert.equal(state.onRequest(0).type, "refuse");
  state.onRequestEnd();
  assert.equal(state.onRequest(0).type, "serve");
});

Deno.test("LinkState.onCircuit() keeps the rate, and refuses all under overload", () => {
  const state = new LinkState(LIMITS, 0);
  assert.equal(state.onCircuit("overloaded", 0), false);
  assert.equal(state.onCircuit("normal", 0), true);
  assert.equal(state.onCircuit("normal", 0), true);
  assert.equal(state.onCircuit("normal", 0), false);
  assert.equal(state.onCircuit("normal", 1000), true);
  assert.equal(state.stats.circuitsIn, 3);
  assert.equal(state.stats.circuitsRefused, 2);
});

Deno.test("LinkState.onRequest() serves under overload what runs already", () => {
  const state = new LinkState(LIMITS, 0);
  state.onCircuit("overloaded", 0);
  assert.equal(state.onRequest(0).type, "serve");
});

Deno.test("LinkState.onBytesIn() slows down a peer over its rate", () => {
  const state = new LinkState(LIMITS, 0);
  assert.equal(state.onBytesIn(1000, 0), 0);
  assert.equal(state.onBytesIn(500, 0), 500);
  assert.equal(state.onBytesIn(500, 500), 500);
  assert.equal(state.onBytesIn(1, 10_000), 0);
});

Deno.test("LinkState.onOwnRequest() keeps to what the peer said it bears", () => {
  const state = new LinkState(LIMITS, 0, peerLimits(2));
  assert.deepEqual([0, 0, 0, 0].map((ms) => state.onOwnRequest(ms)), [
    0,
    0,
    500,
    1000,
  ]);
  // A peer that claims to bear nothing must not stop us for ever.
  assert.equal(new LinkState(LIMITS, 0, peerLimits(0)).onOwnRequest(0), 0);
});

Deno.test("LinkState.onOwnStream() leaves streams free of circuits, for requests", () => {
  const state = new LinkState(LIMITS, 0, peerLimits(1, 18));
  assert.equal(state.onOwnStream("circuit"), true);
  assert.equal(state.onOwnStream("circuit"), true);
  assert.equal(state.onOwnStream("circuit"), false);
  assert.equal(state.onOwnStream("ping"), true);
  assert.equal(state.onOwnStream("request"), true);
  assert.equal(state.stats.openStreams, 4);
  state.onOwnStreamEnd("circuit", 0);
  assert.equal(state.onOwnStream("circuit"), true);
  assert.equal(state.stats.circuitsOut, 3);
  // A peer that grants next to nothing still gets one.
  const stingy = new LinkState(LIMITS, 0, peerLimits(1, 0));
  assert.equal(stingy.onOwnStream("circuit"), true);
});

Deno.test("LinkState counts bytes and streams, and never lets the peer open too many", () => {
  const events = fc.array(fc.constantFrom("open", "end", "in", "out"), {
    maxLength: 200,
  });
  fc.assert(fc.property(events, (all) => {
    const state = new LinkState(LIMITS, 0);
    let open = 0;
    let [bytesIn, bytesOut] = [0, 0];
    for (const event of all) {
      if (event === "open" && state.onPeerStream()) open++;
      if (event === "end" && open > 0) {
        state.onPeerStreamEnd("request", 0);
        open--;
      }
      if (event === "in") {
        state.onBytesIn(3, 0);
        bytesIn += 3;
      }
      if (event === "out") {
        state.onWrite(5, 0);
        state.onWritten(0);
        bytesOut += 5;
      }
      assert.ok(open <= LIMITS.openStreams);
      const stats = state.stats;
      assert.deepEqual(
        [stats.openStreams, stats.bytesIn, stats.bytesOut],
        [open, bytesIn, bytesOut],
      );
    }
  }));
});

Deno.test("LinkState.deadlineMs always lies ahead once onTime() has been called", () => {
  const step = fc.record({
    event: fc.constantFrom("own", "ownEnd", "in", "write", "written", "drain"),
    ms: fc.nat(30_000),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const state = new LinkState(LIMITS, 0);
    let nowMs = 0;
    let [streams, writes] = [0, 0];
    for (const { event, ms } of steps) {
      nowMs += ms;
      if (event === "own") {
        state.onOwnStream("request");
        streams++;
      } else if (event === "ownEnd" && streams > 0) {
        state.onOwnStreamEnd("request", nowMs);
        streams--;
      } else if (event === "in") state.onBytesIn(1, nowMs);
      else if (event === "write") {
        state.onWrite(1, nowMs);
        writes++;
      } else if (event === "written" && writes > 0) {
        state.onWritten(nowMs);
        writes--;
      } else if (event === "drain") state.drain(nowMs);
      const closes = state.onTime(nowMs).some((action) =>
        action.type === "close"
      );
      if (closes) return;
      assert.ok(state.deadlineMs > nowMs);
    }
  }));
});

Deno.test("welcomeLimits() are whole numbers that a message can carry", () => {
  assert.deepEqual(welcomeLimits(DEFAULT_LINK_LIMITS), {
    requestsPerSecond: 200,
    circuitsPerSecond: 50,
    openStreams: 128,
  });
  const extreme = welcomeLimits({
    ...LIMITS,
    requests: { perSecond: Infinity, burst: 1 },
    circuits: { perSecond: 0.1, burst: 1 },
  });
  assert.equal(extreme.requestsPerSecond, 1_000_000_000);
  assert.equal(extreme.circuitsPerSecond, 1);
});
