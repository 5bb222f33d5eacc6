import assert from "node:assert/strict";
import type { JsonObject } from "../../lib/control/json.ts";
import type { Finding } from "../../lib/doctor/finding.ts";
import {
  addressesFinding,
  stateFinding,
} from "../../lib/doctor/machine_findings.ts";
import { snapshotOf } from "../../lib/dashboard/snapshot.ts";

const FINE: JsonObject = {
  state: "fine",
  relays: 9,
  roles: ["client"],
  circuits: { state: "fine", words: "fine: 9 relays known" },
  reach: null,
};

function snapshot(status: JsonObject, rest: Readonly<{
  circuits?: JsonObject;
  services?: readonly JsonObject[];
  visits?: readonly JsonObject[];
  machine?: readonly Finding[];
  sessions?: readonly JsonObject[];
}> = {}) {
  return snapshotOf({
    status,
    circuits: { own: null, relayed: null },
    services: [],
    sessions: [],
    visits: [],
    machine: [],
    ...rest,
  }, 5);
}

Deno.test("snapshotOf() shows the very answers, and is ready when all is well", () => {
  const services = [{ name: "blog", reachable: true }];
  const shown = snapshot(FINE, { services });
  assert.deepEqual([shown.isReady, shown.waits, shown.warnings], [
    true,
    [],
    [],
  ]);
  assert.deepEqual(shown.status, FINE);
  assert.deepEqual(shown.services, services);
  assert.equal(shown.unixMs, 5);
});

Deno.test("snapshotOf() says what a node waits for", () => {
  assert.deepEqual(snapshot({ ...FINE, roles: [], circuits: null }).waits, [
    "The node is starting.",
  ]);
  const stuck = { state: "too_few_relays", words: "2 relays known, 5 needed" };
  assert.deepEqual(snapshot({ ...FINE, circuits: stuck }).waits, [
    "2 relays known, 5 needed.",
  ]);
  const services = [{ name: "blog", reachable: false }];
  const shown = snapshot(FINE, { services });
  assert.ok(!shown.isReady);
  assert.deepEqual(shown.waits, ["The service “blog” is not reachable yet."]);
});

Deno.test("snapshotOf() warns of what its operator has to look at", () => {
  const reach = { state: "not_reached", words: "no relay reaches it" };
  const guards = [
    { isInUse: true, failures: 2 },
    { isInUse: false, failures: 0 },
  ];
  const shown = snapshot({
    ...FINE,
    state: "the disk is full",
    clock: { words: "3 h behind" },
    reach,
  }, {
    circuits: { own: { guards, circuits: [] }, relayed: null },
    machine: [
      stateFinding({ type: "open", mode: 0o755 }),
      addressesFinding({ ipv4: true, ipv6: true, hosts: [] }),
    ],
  });
  const told = shown.warnings.map(({ what, grade, words }) =>
    [what, grade, words].join(": ")
  );
  assert.deepEqual(told, [
    "state directory: fail: others can enter it (mode 755)",
    "clock: fail: 3 h behind",
    "disk: fail: the disk is full",
    "reachable: fail: no relay reaches it",
    "guards: warn: none in use has answered lately",
  ]);
  for (const { next } of shown.warnings) assert.ok(next.length > 10);
});

Deno.test("snapshotOf() cuts long lists, and says by how much", () => {
  const sessions = Array.from({ length: 250 }, (_, id) => ({ id }));
  const circuits = Array.from({ length: 101 }, (_, id) => ({ id }));
  const shown = snapshot(FINE, {
    sessions,
    visits: sessions.slice(0, 120),
    circuits: { own: { guards: [], circuits }, relayed: null },
  });
  assert.deepEqual(shown.left, { sessions: 150, visits: 20, circuits: 1 });
  assert.equal(shown.sessions.length, 100);
  assert.equal((shown.own?.["circuits"] as unknown[]).length, 100);
});
