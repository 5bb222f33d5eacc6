/** The control port over real sockets; what it is asked for, a node that is not there. */
import assert from "node:assert/strict";
import { ConfigError } from "../../lib/base/errors.ts";
import { MAX_COMMAND_BYTES } from "../../lib/torcontrol/command_reader.ts";
import {
  MAX_STRANGERS,
  STRANGER_MS,
} from "../../lib/torcontrol/tor_control_server.ts";
import { COOKIE_HEX, TorControlWorld } from "./world.ts";

/** What is told of a path of two relays. */
const PATH = `$${"0".repeat(39)}1~guard,$${"0".repeat(39)}2~last`;

Deno.test("TorControlServer answers facts in Tor's words", async () => {
  await using world = new TorControlWorld();
  const { node } = world;
  node.circuits = [{
    id: 7,
    isBuilt: true,
    hops: ["guard", "last"],
    purpose: "HS_CLIENT_REND",
    createdUnixMs: Date.UTC(2026, 0, 1),
  }];
  node.streams = [{ id: 1, status: "SUCCEEDED", target: "x.onion:80" }];
  const client = await world.enter();
  const cases: readonly [string, string][] = [
    ["GETINFO version", "250-version=0.4.8.10-anonnet\r\n250 OK\r\n"],
    [
      "GETINFO net/listeners/socks net/listeners/or",
      '250-net/listeners/socks="127.0.0.1:9250"\r\n250-net/listeners/or=\r\n250 OK\r\n',
    ],
    [
      "getinfo status/bootstrap-phase",
      '250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY="Done"\r\n250 OK\r\n',
    ],
    [
      "GETINFO circuit-status",
      `250-circuit-status=7 BUILT ${PATH} PURPOSE=HS_CLIENT_REND ` +
      "TIME_CREATED=2026-01-01T00:00:00.000000\r\n250 OK\r\n",
    ],
    [
      "GETINFO stream-status",
      "250-stream-status=1 SUCCEEDED 0 x.onion:80\r\n250 OK\r\n",
    ],
    ["GETINFO fingerprint", "551 Not running in server mode\r\n"],
    ["GETINFO version foo", '552 Unrecognized key "foo"\r\n'],
    ["GETINFO constructor", '552 Unrecognized key "constructor"\r\n'],
    ["GETINFO", "250 OK\r\n"],
    ["GETCONF socksport", "250 SocksPort=127.0.0.1:9250\r\n"],
    [
      "GETCONF Nickname CookieAuthentication",
      "250-Nickname\r\n250 CookieAuthentication=1\r\n",
    ],
    ["GETCONF SocksPort Foo", '552 Unrecognized configuration key "Foo"\r\n'],
    ["GETCONF", "250 OK\r\n"],
    ['SETCONF SocksPort="127.0.0.1:9250" UseBridges=0', "250 OK\r\n"],
    [
      "SETCONF Foo=1",
      "552 Unrecognized option: Unknown option 'Foo'.  Failing.\r\n",
    ],
    ['SETCONF UseBridges="1', "513 Cannot read the arguments of SETCONF\r\n"],
    ["RESETCONF __OwningControllerProcess", "250 OK\r\n"],
    ["SETEVENTS FOO", '552 Unrecognized event "FOO"\r\n'],
    ["USEFEATURE EXTENDED_EVENTS VERBOSE_NAMES", "250 OK\r\n"],
    ["USEFEATURE FOO", '552 Unrecognized feature "FOO"\r\n'],
    ["SIGNAL FOO", '552 Unrecognized signal code "FOO"\r\n'],
    ["SIGNAL RELOAD", "551 There is no file to read again\r\n"],
    ["FOO bar", '510 Unrecognized command "FOO"\r\n'],
    ["", '510 Unrecognized command ""\r\n'],
    ['\x07"\\ x', '510 Unrecognized command "\\007\\"\\\\"\r\n'],
    ["MAPADDRESS 1.2.3.4=foo.com", "551 Addresses are not mapped here\r\n"],
    [
      "+LOADCONF\r\nSocksPort 1\r\n.",
      "553 Cannot load a configuration of Tor's\r\n",
    ],
    ["DEL_ONION foo", "512 Malformed Onion Service id\r\n"],
    [`DEL_ONION ${"a".repeat(56)}`, "552 Unknown Onion Service id\r\n"],
  ];
  for (const [line, expected] of cases) {
    assert.equal(await client.ask(line), expected, line);
  }
  assert.match(
    await client.ask("SETCONF HiddenServiceDir=/x"),
    /^553 Cannot set HiddenServiceDir: /,
  );
  assert.deepEqual(node.signals, []);
  assert.equal(await client.ask("signal newnym"), "250 OK\r\n");
  assert.deepEqual(node.signals, ["new_identity"]);
  assert.equal(await client.ask("QUIT"), "250 closing connection\r\n");
  assert.equal(await client.rest(), "");
});

Deno.test("TorControlServer adds services that end with their program, and detached ones that do not", async () => {
  await using world = new TorControlWorld();
  const { node } = world;
  const first = await world.enter();
  const added = await first.ask("ADD_ONION NEW:BEST Port=80");
  const [, id = ""] =
    /^250-ServiceID=([a-z2-7]{56})\r\n250-PrivateKey=ED25519-V3:[A-Za-z0-9+/]{86}==\r\n250 OK\r\n$/
      .exec(added) ?? [];
  assert.notEqual(id, "");
  assert.deepEqual(node.answered, [id]);
  const detached = await first.ask(
    "ADD_ONION NEW:BEST Flags=Detach,DiscardPK Port=80",
  );
  const [, lasting = ""] =
    /^250-ServiceID=(.*)\r\n250 OK\r\n$/.exec(detached) ??
      [];
  assert.equal(
    await first.ask("GETINFO onions/current onions/detached"),
    `250-onions/current=${id}\r\n250-onions/detached=${lasting}\r\n250 OK\r\n`,
  );
  const second = await world.enter();
  assert.equal(
    await second.ask("GETINFO onions/current"),
    "250-onions/current=\r\n250 OK\r\n",
  );
  // Another program's service is none that can be removed, or seen.
  assert.equal(
    await second.ask(`DEL_ONION ${id}`),
    "552 Unknown Onion Service id\r\n",
  );
  assert.equal(node.onions.size, 2);
  const gone = Promise.withResolvers<void>();
  node.onProgramGone = gone.resolve;
  first.close();
  await gone.promise;
  assert.deepEqual([...node.onions.keys()], [lasting]);
  assert.equal(await second.ask(`DEL_ONION ${lasting}`), "250 OK\r\n");
  assert.equal(node.onions.size, 0);
});

Deno.test("TorControlServer tells a key in use, and echoes clients", async () => {
  await using world = new TorControlWorld();
  const client = await world.enter();
  const key = new Uint8Array(64).fill(9).toBase64();
  const line = `ADD_ONION ED25519-V3:${key} Port=80`;
  assert.match(await client.ask(line), /^250-ServiceID=[a-z2-7]{56}\r\n250 OK/);
  assert.equal(await client.ask(line), "550 The key is in use\r\n");
  const word =
    "ClientAuthV3=E2GOT5LTUTP3OAMRCRXO4GSH6VKJEUOXZQUC336SRKAHTTT5OVSA";
  assert.match(
    await client.ask(`ADD_ONION NEW:BEST Flags=V3Auth Port=80 ${word}`),
    new RegExp(`\r\n250-${word}\r\n250 OK\r\n$`),
  );
});

Deno.test("TorControlServer leaves nothing of a program that goes in the middle of ADD_ONION", async () => {
  await using world = new TorControlWorld();
  const { node } = world;
  const go = Promise.withResolvers<void>();
  const began = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  node.adding = go.promise;
  node.onAdding = began.resolve;
  node.onProgramGone = gone.resolve;
  const client = await world.enter();
  await client.send("ADD_ONION NEW:BEST Port=80\r\n");
  await began.promise;
  client.close();
  await gone.promise;
  go.resolve();
  await (await world.enter()).ask("GETINFO version");
  assert.equal(node.onions.size, 0);
  assert.deepEqual(node.answered, []);
});

Deno.test("TorControlServer keeps keys for services, and gives them back", async () => {
  await using world = new TorControlWorld();
  const client = await world.enter();
  const id = world.node.nextId();
  const secret = new Uint8Array(32).fill(3).toBase64();
  const add = `ONION_CLIENT_AUTH_ADD ${id} x25519:${secret}`;
  assert.equal(await client.ask(add), "250 OK\r\n");
  assert.equal(
    await client.ask(add),
    "251 Client for onion existed and replaced\r\n",
  );
  assert.equal(
    await client.ask("ONION_CLIENT_AUTH_VIEW"),
    `250-ONION_CLIENT_AUTH_VIEW\r\n250-CLIENT ${id} x25519:${secret}\r\n250 OK\r\n`,
  );
  assert.equal(
    await client.ask(`${add} Flags=Permanent`),
    `553 Unable to store creds for "${id}"\r\n`,
  );
  assert.equal(
    await client.ask(`ONION_CLIENT_AUTH_ADD ${id} ed25519:${secret}`),
    '552 Unrecognized key type "ed25519"\r\n',
  );
  assert.equal(
    await client.ask("ONION_CLIENT_AUTH_ADD foo x25519:aa"),
    '512 Invalid v3 address "foo"\r\n',
  );
  assert.equal(
    await client.ask(`ONION_CLIENT_AUTH_REMOVE ${id}`),
    "250 OK\r\n",
  );
  assert.equal(
    await client.ask(`ONION_CLIENT_AUTH_REMOVE ${id}`),
    `251 No credentials for "${id}"\r\n`,
  );
});

Deno.test("TorControlServer tells events to those who asked, once a second", async () => {
  await using world = new TorControlWorld();
  const { node, clock } = world;
  const client = await world.enter();
  assert.equal(
    await client.ask("SETEVENTS BW CIRC NOTICE STATUS_CLIENT SIGNAL"),
    "250 OK\r\n",
  );
  const silent = await world.enter();
  node.traffic = { read: 100, written: 30 };
  node.circuits = [{
    id: 7,
    isBuilt: true,
    hops: ["guard", "last"],
    purpose: "HS_CLIENT_REND",
    createdUnixMs: Date.UTC(2026, 0, 1),
  }];
  node.progress = { percent: 50, tag: "conn", summary: "No relays" };
  node.logLines = [
    { type: "NOTICE", text: "a line\nof two" },
    { type: "WARN", text: "not asked for" },
  ];
  clock.advance(1_000);
  const end = "PURPOSE=HS_CLIENT_REND TIME_CREATED=2026-01-01T00:00:00.000000";
  const said = [];
  for (let count = 0; count < 6; count++) said.push(await client.reply());
  assert.deepEqual(said, [
    "650 BW 100 30\r\n",
    `650 CIRC 7 LAUNCHED ${end}\r\n`,
    `650 CIRC 7 BUILT ${PATH} ${end}\r\n`,
    '650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=50 TAG=conn SUMMARY="No relays"\r\n',
    "650 STATUS_CLIENT NOTICE CIRCUIT_NOT_ESTABLISHED\r\n",
    "650 NOTICE a line of two\r\n",
  ]);
  node.circuits = [];
  await silent.ask("SIGNAL HEARTBEAT");
  assert.equal(await client.reply(), "650 SIGNAL HEARTBEAT\r\n");
  clock.advance(1_000);
  assert.equal(await client.reply(), "650 BW 0 0\r\n");
  assert.equal(
    await client.reply(),
    `650 CIRC 7 CLOSED ${PATH} ${end} REASON=FINISHED\r\n`,
  );
  assert.equal(
    await silent.ask("GETINFO bw-event-cache"),
    "250-bw-event-cache=100,30 0,0\r\n250 OK\r\n",
  );
});

Deno.test("TorControlServer tells of a program's own service no other program", async () => {
  await using world = new TorControlWorld();
  const { node, server } = world;
  const admitted: ReturnType<typeof node.admit>[] = [];
  const admit = node.admit.bind(node);
  node.admit = () => {
    const program = admit();
    admitted.push(program);
    return program;
  };
  const owner = await world.enter();
  const other = await world.enter();
  for (const client of [owner, other]) {
    await client.ask("SETEVENTS HS_DESC");
    await client.ask("ADD_ONION NEW:BEST Port=80");
  }
  const text = "HS_DESC UPLOAD x UNKNOWN UNKNOWN";
  server.tell({ type: "HS_DESC", text, only: admitted[0] });
  assert.equal(await owner.reply(), `650 ${text}\r\n`);
  assert.match(await other.ask("GETINFO version"), /^250-version=/);
  server.tell({ type: "HS_DESC", text });
  assert.equal(await other.reply(), `650 ${text}\r\n`);
});

Deno.test("TorControlServer ends its node with the program that took it, unless that gave it back", async () => {
  await using world = new TorControlWorld();
  const owner = await world.enter();
  await owner.ask("TAKEOWNERSHIP");
  await owner.ask("DROPOWNERSHIP");
  await owner.ask("QUIT");
  await owner.rest();
  assert.equal(world.node.ownersGone, 0);
  const other = await world.enter();
  await other.ask("TAKEOWNERSHIP");
  await other.ask("QUIT");
  await other.rest();
  await (await world.enter()).ask("GETINFO version");
  assert.equal(world.node.ownersGone, 1);
});

Deno.test("TorControlServer leaves web pages that post commands", async () => {
  await using world = new TorControlWorld();
  for (const method of ["GET", "POST"]) {
    const page = await world.connect();
    await page.send(
      `${method} / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n\r\n` +
        `AUTHENTICATE ${COOKIE_HEX}\r\nSIGNAL SHUTDOWN\r\n`,
    );
    assert.match(await page.rest(), /^(HTTP\/1\.0 501 |$)/);
  }
  assert.deepEqual(world.node.signals, []);
});

Deno.test("TorControlServer ends lines without an end, before and after the cookie", async () => {
  await using world = new TorControlWorld();
  for (const client of [await world.connect(), await world.enter()]) {
    const flood = client.send("a".repeat(4 * MAX_COMMAND_BYTES))
      .catch(() => {}); // it is broken off in the middle
    assert.match(await client.rest(), /^(500 Line too long\.\r\n)?$/);
    await flood;
  }
});

Deno.test("TorControlServer lets a program in while 1,000 strangers hold on", async () => {
  await using world = new TorControlWorld();
  const strangers = [];
  for (let count = 0; count < 1_000; count++) {
    strangers.push(await world.connect());
  }
  const client = await world.enter();
  assert.match(await client.ask("GETINFO version"), /^250-version=/);
  assert.ok(world.server.connections <= MAX_STRANGERS + 1);
  assert.equal(await strangers[0]?.rest(), "");
  world.clock.advance(STRANGER_MS + 1_000);
  assert.equal(await strangers.at(-1)?.rest(), "");
  assert.match(await client.ask("GETINFO version"), /^250-version=/);
});

Deno.test("TorControlServer cuts off a program that reads no events, and keeps the others", async () => {
  await using world = new TorControlWorld();
  const slow = await world.enter();
  const other = await world.enter();
  await slow.ask("SETEVENTS NOTICE");
  const text = "x".repeat(16 * 1024);
  // Until the system's own buffers are full as well.
  for (let count = 0; count < 4_000 && world.server.connections > 1; count++) {
    world.server.tell({ type: "NOTICE", text });
    if (count % 16 === 0) await other.ask("GETINFO version");
  }
  assert.equal(world.server.connections, 1);
  assert.match(await other.ask("GETINFO version"), /^250-version=/);
});

Deno.test("TorControlServer refuses addresses that other machines reach, and ports in use", async () => {
  await using world = new TorControlWorld();
  const { address } = world.server;
  const code = (wanted: string) => (error: unknown) =>
    error instanceof ConfigError && error.code === wanted;
  const { checkTorControlAddress } = await import(
    "../../lib/torcontrol/tor_control_server.ts"
  );
  for (const host of ["0.0.0.0", "192.0.2.7", "::"]) {
    assert.throws(
      () => checkTorControlAddress({ host, port: 9051 }),
      code("torcontrol.public"),
    );
  }
  const { listenTcp } = await import("../../lib/control/listen.ts");
  assert.throws(
    () => listenTcp(address, { code: "x.in_use", what: "open", flag: "--x" }),
    code("x.in_use"),
  );
});
