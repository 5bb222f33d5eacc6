import assert from "node:assert/strict";
import {
  diagnose,
  type DoctorFacts,
  formatFinding,
  worst,
} from "../../../lib/cli/doctor/findings.ts";
import type { Grade } from "../../../lib/doctor/finding.ts";
import { type DoctorSystem, look } from "../../../lib/cli/doctor/look.ts";
import { run } from "../../../lib/cli/main.ts";
import { DenoFiles } from "../../../lib/storage/deno_files.ts";
import { fakeTerminal } from "../flags/fake_terminal.ts";
import { TemporaryDirectory } from "../../support/temporary_directory.ts";

const STATUS = {
  listen: null,
  clock: null,
  state: "fine",
  relays: 12,
  circuits: { state: "fine" },
  reach: { state: "reached", words: "3 of 3 relays reach it" },
  accounting: null,
  family: null,
};

/** A node with which all is well. */
const WELL: DoctorFacts = {
  program: "0.1.0",
  deno: { version: "2.9.6", isNewEnough: true },
  missingPermissions: [],
  state: { type: "fine" },
  node: { type: "running", status: STATUS },
  ports: [],
  families: { ipv4: true, ipv6: true, hosts: [] },
  services: [{ name: "blog", ports: [{ port: 80 }] }],
};

function running(changes: Partial<Record<keyof typeof STATUS, unknown>>) {
  const status = JSON.parse(JSON.stringify({ ...STATUS, ...changes }));
  return { node: { type: "running", status } } as const;
}

Deno.test("diagnose() has nothing to say against a node with which all is well", () => {
  const findings = diagnose(WELL);
  assert.equal(worst(findings), "ok");
  assert.ok(findings.every(({ next }) => next === undefined));
  assert.ok(findings.length >= 9);
});

const BROKEN: [string, Partial<DoctorFacts>, Grade, RegExp][] = [
  [
    "another Deno",
    { deno: { version: "2.5.0", isNewEnough: false } },
    "fail",
    /version.*Deno 2.5.0; install/,
  ],
  [
    "a permission left out",
    { missingPermissions: ["net"] },
    "fail",
    /permissions.*missing: net; start it with -P/,
  ],
  [
    "a full disk",
    {
      state: { type: "unwritable", code: "ENOSPC" },
    },
    "fail",
    /state directory.*disk is full; make room/,
  ],
  [
    "a directory of another user",
    {
      state: { type: "unwritable", code: "EACCES" },
    },
    "fail",
    /cannot be written \(EACCES\); run the node as/,
  ],
  [
    "a directory that others enter",
    {
      state: { type: "open", mode: 0o755 },
    },
    "fail",
    /mode 755.*chmod 700/,
  ],
  [
    "a directory that has vanished",
    {
      state: { type: "missing" },
    },
    "warn",
    /is not there/,
  ],
  [
    "a port that is taken",
    {
      node: { type: "stopped" },
      ports: [{ name: "--listen 0.0.0.0:4001", state: "taken" }],
    },
    "fail",
    /4001 is taken.*another port/,
  ],
  [
    "a machine without addresses",
    {
      families: { ipv4: false, ipv6: false, hosts: [] },
    },
    "fail",
    /addresses.*connect the machine/,
  ],
  [
    "a node that hangs",
    {
      node: { type: "silent", words: "no answer" },
    },
    "fail",
    /node.*does not answer: no answer; look into its log/,
  ],
  [
    "a wrong clock",
    running({ clock: { words: "clock is at least 3 h 0 min behind" } }),
    "fail",
    /clock.*3 h 0 min behind; set the clock/,
  ],
  ["no relay", running({ relays: 0 }), "fail", /relays.*--bootstrap/],
  [
    "dead guards",
    running({ circuits: { state: "guards_down", words: "none answers" } }),
    "fail",
    /guards.*none answers; see that this machine is online/,
  ],
  [
    "too few relays",
    running({ circuits: { state: "too_few_relays", words: "3 known" } }),
    "fail",
    /circuits.*3 known; wait for more relays/,
  ],
  [
    "a relay behind a firewall",
    running({ reach: { state: "not_reached", words: "0 of 3" } }),
    "fail",
    /reachable.*0 of 3; forward the UDP port/,
  ],
  [
    "a relay behind a router, whose port is known",
    {
      ...running({
        listen: "0.0.0.0:4001",
        reach: { state: "not_reached", words: "0 of 3" },
      }),
      families: { ipv4: true, ipv6: false, hosts: ["192.168.1.5"] },
    },
    "fail",
    /have the router forward UDP port 4001 to port 4001 of this machine \(192\.168\.1\.5\), open the firewall/,
  ],
  [
    "a disk that failed later",
    running({ state: "Cannot write: no space" }),
    "fail",
    /disk.*no space; mend that/,
  ],
  [
    "a relay at its limit",
    running({ accounting: { state: "asleep", words: "asleep until" } }),
    "warn",
    /accounting.*asleep until; wait/,
  ],
  [
    "a family that does not agree",
    running({ family: { strangers: 2, words: "2 more" } }),
    "warn",
    /family.*2 more; give all/,
  ],
  [
    "a service that cannot be found",
    {
      services: [{
        name: "blog",
        ports: [{
          port: 80,
          refusal: { code: "service.not_found", words: "none" },
        }],
      }],
    },
    "fail",
    /service blog.*port 80 cannot be visited: none; see/,
  ],
  [
    "a service whose server is dead",
    {
      services: [{
        name: "blog",
        ports: [{ port: 22 }, {
          port: 80,
          refusal: { code: "service.refused", words: "refused" },
        }],
      }],
    },
    "fail",
    /service blog.*port 80 is reached, and what stands behind it does not.*start the server/,
  ],
  [
    "a service of which the node says nothing",
    { services: [{ name: "blog", trouble: "no answer", ports: [] }] },
    "fail",
    /service blog.*no answer; look into the log/,
  ],
];

for (const [what, facts, grade, line] of BROKEN) {
  Deno.test(`diagnose() names ${what}`, () => {
    const findings = diagnose({ ...WELL, ...facts });
    const bad = findings.filter(({ what, grade }) =>
      grade !== "ok" && what !== (facts.ports ? "node" : "")
    );
    assert.equal(bad.length, 1, JSON.stringify(bad));
    assert.equal(worst(findings), grade);
    assert.match(bad.map(formatFinding).join(), line);
  });
}

/** A machine with which all is well. */
const SYSTEM: DoctorSystem = {
  denoVersion: "2.9.6",
  missingPermissions: () => Promise.resolve([]),
  tryPort: () => "free",
  families: () => ({ ipv4: true, ipv6: false, hosts: [] }),
};

Deno.test("look() sees a state directory as it is, and leaves nothing in it", async () => {
  await using home = await TemporaryDirectory.create();
  const files = new DenoFiles();
  const state = async (path: string) =>
    (await look(files, SYSTEM, path, [])).state;
  assert.deepEqual(await state(home.pathOf("none")), { type: "missing" });
  await Deno.mkdir(home.pathOf("open"), { mode: 0o755 });
  assert.equal((await state(home.pathOf("open"))).type, "open");
  await Deno.writeTextFile(home.pathOf("file"), "");
  assert.deepEqual(await state(home.pathOf("file")), { type: "not_directory" });
  await Deno.mkdir(home.pathOf("fine"), { mode: 0o700 });
  assert.deepEqual(await state(home.pathOf("fine")), { type: "fine" });
  assert.deepEqual(await files.list(home.pathOf("fine")), []);
});

Deno.test("anonnet doctor names a port that is taken before a node is started, and ends with 1", async () => {
  await using home = await TemporaryDirectory.create();
  await Deno.mkdir(home.pathOf("state"), { mode: 0o700 });
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  assert.ok(taken.addr.transport === "tcp");
  const { program, ready } = fakeTerminal(() => Promise.resolve());
  const code = await run([
    ...["doctor", "--json", "--state", home.pathOf("state")],
    ...["--socks", `127.0.0.1:${taken.addr.port}`],
  ], program);
  const { verdict, findings } = JSON.parse(await ready);
  assert.deepEqual([code, verdict], [1, "fail"]);
  const port = findings.find(({ what }: { what: string }) => what === "port");
  assert.equal(port.grade, "fail");
});
