/** What a tab holds that is open for a day: a day's worth of events, replayed in Chromium. */
import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { VirtualClock } from "../../lib/base/virtual_clock.ts";
import type { JsonValue } from "../../lib/control/json.ts";
import { DashboardServer } from "../../lib/dashboard/dashboard_server.ts";
import { createDrain } from "../../lib/sim/world/drain.ts";
import { Chromium, type Tab } from "../support/chromium.ts";
import { isInstalled } from "../support/client_programs.ts";

const HOUR_MS = 3_600_000;
const LIFE_MS = 9 * 60_000;
const PAGES = ["now", "services", "visits", "circuits", "relay", "log"];

const POINT = {
  state: "open",
  isNamed: true,
  introductions: 3,
  answeredSecondsAgo: 4,
  roundTripMs: 80,
};
const VISIT = {
  id: 1,
  isolation: 1,
  state: "open",
  ageSeconds: 10,
  streams: 1,
  legs: 2,
  silentLegs: 0,
  roundTripMs: 90,
  cellsIn: 10,
  cellsOut: 10,
};
const HOPS = ["guard", "layer2", "last"].map((role) => ({
  role,
  isBuilt: true,
}));
/** What a busy node answers. */
const ANSWERS: Readonly<Record<string, JsonValue>> = {
  status: {
    state: "fine",
    network: "main",
    roles: ["relay", "client"],
    relays: 70,
    uptimeMs: 1,
    reach: { state: "reached", words: "reached by 4" },
    circuits: { state: "fine", words: "fine" },
    links: { links: 12, turnedAway: 0 },
    memory: { recordBytes: 10 },
    dht: { joined: true },
    visits: { sessions: 12, beginning: 0, streams: 3, legs: 4 },
  },
  circuits: {
    own: {
      counts: { built: 1, failed: 0 },
      guards: [],
      circuits: Array.from({ length: 12 }, (_, id) => ({
        id,
        purpose: "rendezvous",
        state: "used",
        hops: HOPS,
        ageSeconds: 10,
      })),
    },
    relayed: {
      states: { joined: 3 },
      refusals: { full: 1 },
      ends: { closed: 9 },
      created: 9,
      waitingBytes: 1,
      quotaBytes: 100,
    },
  },
  services: [{
    name: "blog",
    host: `${"a".repeat(56)}.anon`,
    ports: [80],
    reachable: true,
    sessions: 1,
    streams: 1,
    introductionPoints: [POINT, POINT, POINT],
  }],
  sessions: Array.from({ length: 12 }, (_, n) => ({
    service: "blog",
    id: `0000000${n.toString(16)}`,
    ageSeconds: n,
    streams: 1,
    legs: 1,
    cellsIn: 1,
  })),
  visits: Array.from({ length: 12 }, (_, n) => ({ ...VISIT, id: n })),
};

/** Takes the place of the stream of events, before any script of the page runs. */
const TAPE = `
  window.EventSource = class {
    on = {};
    constructor() { window.tape = this; }
    addEventListener(name, take) { this.on[name] = take; }
    close() {}
  };
  window.play = async (hour) => {
    const { snapshot, history } = await (await fetch("state")).json();
    const send = (name, data) => tape.on[name]({ data: JSON.stringify(data) });
    for (let n = 0; n < 1800; n++) {
      const at = 1800 * hour + n;
      snapshot.unixMs += 2000;
      snapshot.status.uptimeMs = 2000 * at;
      for (const visit of snapshot.visits) {
        visit.cellsIn += at % 7;
        visit.id = at % 50 === 0 ? visit.id + 12 : visit.id;
      }
      for (const session of snapshot.sessions) {
        session.ageSeconds += 2;
        session.id = at % 50 === 0
          ? String(at).padStart(7, "0") + session.id[7]
          : session.id;
      }
      send("snapshot", snapshot);
      send("log", [1, 2, 3].map((line) => ({
        number: 3 * at + line,
        json: JSON.stringify({
          time: "2026-01-01T00:00:00.000Z",
          level: "info",
          part: "circuits",
          message: "A line " + at,
        }),
      })));
      if (n % 5 === 0) {
        history.unixMs += 10000;
        history.in = [...history.in.slice(1), at];
        send("history", history);
      }
      if (n % 200 === 0) await new Promise((done) => setTimeout(done));
    }
  };
`;

/** What is alive in the page. */
async function held(tab: Tab): Promise<{ bytes: number; nodes: number }> {
  await tab.send("HeapProfiler.collectGarbage");
  const { usedSize } = await tab.send("Runtime.getHeapUsage");
  const nodes = await tab.evaluate(
    `document.querySelectorAll("*").length`,
  );
  return { bytes: Number(usedSize), nodes: Number(nodes) };
}

Deno.test({
  name: "a tab holds after a day's worth of events what it held after an hour",
  ignore: !isInstalled("chromium"),
  async fn() {
    const traffic = {
      bytesIn: 0,
      bytesOut: 0,
      bytesForward: 0,
      bytesBackward: 0,
    };
    await using server = new DashboardServer({
      address: { host: "127.0.0.1", port: 0 },
      node: {
        ask: (command) => Promise.resolve(ANSWERS[command] ?? {}),
        traffic: () => traffic,
        check: () => Promise.resolve([]),
      },
      tail: undefined,
      clock: new VirtualClock({ drain: createDrain() }),
      random: seededRandom(1),
      onError(error) {
        throw error;
      },
    });
    await using browser = await Chromium.start(LIFE_MS);
    const tab = await browser.newTab();
    await tab.send("Page.addScriptToEvaluateOnNewDocument", { source: TAPE });
    await tab.send("HeapProfiler.enable");
    await tab.open(server.newUrl(HOUR_MS));
    await tab.until(`document.body?.dataset.at !== undefined`);
    const play = async (from: number, to: number) => {
      for (let hour = from; hour < to; hour++) {
        await tab.evaluate(`location.hash = "#${PAGES[hour % PAGES.length]}"`);
        await tab.evaluate(`play(${hour})`);
      }
      await tab.evaluate(`location.hash = "#log"`);
    };
    // All pages once: what is made but once is there then.
    await play(0, PAGES.length);
    const before = await held(tab);
    await play(PAGES.length, 30);
    const after = await held(tab);
    const grownBytes = after.bytes - before.bytes;
    assert.ok(grownBytes < 1_000_000, `${grownBytes} of ${before.bytes} bytes`);
    assert.ok(
      after.nodes <= before.nodes + 50,
      `${before.nodes} elements, then ${after.nodes}`,
    );
    const lines = await tab.evaluate(
      `document.querySelectorAll(".log li").length`,
    );
    assert.equal(lines, 500);
    assert.deepEqual(tab.faults, []);
  },
});
