/** `ADD_ONION`, with what Tor 0.4.9 answered to the same words. */
import assert from "node:assert/strict";
import { formatBase32, parseBase32 } from "../../lib/base/bytes.ts";
import { parseOnionRequest } from "../../lib/torcontrol/onion_request.ts";

const CLIENT = "E2GOT5LTUTP3OAMRCRXO4GSH6VKJEUOXZQUC336SRKAHTTT5OVSA";
const KEY =
  "8CmzCIXH+OlkIKJ5TyK/0zl3RvGhHxTZMuoYHzfaJkSHqnZ9fHlbJkzTd7sOCLNhlbVEb6vDhIVaFTmW9IH5jA==";

function request(rest: string) {
  const read = parseOnionRequest(rest);
  assert.ok("request" in read, rest);
  return read.request;
}

function refusal(rest: string): string {
  const read = parseOnionRequest(rest);
  assert.ok("refusal" in read, rest);
  return `${read.refusal.code} ${read.refusal.last}`;
}

const loopback = (port: number) => ({
  type: "tcp",
  address: { host: "127.0.0.1", port },
});

Deno.test("parseOnionRequest() reads keys, ports, flags and clients", () => {
  const all = request(
    `NEW:BEST Flags=V3Auth,Detach,DiscardPK,MaxStreamsCloseCircuit MaxStreams=5 ` +
      `Port=80 port=81,8081 Port=82,[::1]:8082 Port=83,unix:/run/s ` +
      `Port=84,localhost:84 ClientAuthV3=${CLIENT} PoWDefensesEnabled=1`,
  );
  assert.deepEqual([...all.targets], [
    [80, loopback(80)],
    [81, loopback(8081)],
    [82, { type: "tcp", address: { host: "::1", port: 8082 } }],
    [83, { type: "unix", path: "/run/s" }],
    [84, loopback(84)],
  ]);
  assert.deepEqual(all.clients.map(formatBase32), [CLIENT.toLowerCase()]);
  assert.ok(parseBase32(CLIENT) !== undefined);
  assert.equal(all.maxStreams, 5);
  assert.ok(all.isDetached && all.isKeyDiscarded && all.secret === undefined);
  const other = request(`ED25519-V3:${KEY} Port=80`);
  assert.equal(other.secret?.toBase64(), KEY);
  assert.ok(!other.isDetached && !other.isKeyDiscarded);
  assert.equal(
    request(`ED25519-V3:${KEY.slice(0, -2)} Port=80`).secret?.length,
    64,
  );
});

Deno.test("parseOnionRequest() refuses what Tor refuses, with Tor's words", () => {
  const cases: readonly [string, string][] = [
    ["", "512 Bad arguments to ADD_ONION: Need at least 1 argument(s)"],
    ["NEW:BEST", "512 Missing 'Port' argument"],
    ["NEW:RSA1024 Port=80", "513 Invalid key type"],
    ["RSA1024:AAAA Port=80", "513 Invalid key type"],
    ["NEW Port=80", "512 Invalid key type/blob"],
    ["ED25519-V3:foo Port=80", "512 Failed to decode ED25519-V3 key"],
    [`ED25519-V3:${KEY}A Port=80`, "512 Failed to decode ED25519-V3 key"],
    ["NEW:BEST Port=0", "512 Invalid VIRTPORT/TARGET"],
    ["NEW:BEST Port=70000", "512 Invalid VIRTPORT/TARGET"],
    ["NEW:BEST Port=foo", "512 Invalid VIRTPORT/TARGET"],
    ["NEW:BEST Port=80,foo", "512 Invalid VIRTPORT/TARGET"],
    ["NEW:BEST Port=80,example.com:80", "512 Invalid VIRTPORT/TARGET"],
    ["NEW:BEST Port=80,127.0.0.1:0", "512 Invalid VIRTPORT/TARGET"],
    ["NEW:BEST Port=80,unix:", "512 Invalid VIRTPORT/TARGET"],
    ["NEW:BEST Port=80 Flags=Foo", `512 Invalid 'Flags' argument: "Foo"`],
    ["NEW:BEST Port=80 Flags=", "512 Invalid 'Flags' argument"],
    [
      "NEW:BEST Port=80 Flags=BasicAuth",
      `512 Invalid 'Flags' argument: "BasicAuth"`,
    ],
    [
      "NEW:BEST Port=80 Flags=NonAnonymous",
      "512 Tor is in anonymous hidden service mode",
    ],
    ["NEW:BEST Port=80 Flags=V3Auth", "512 No auth clients specified"],
    [
      "NEW:BEST Port=80 ClientAuthV3=foo",
      "512 Cannot decode v3 client auth key",
    ],
    [
      `NEW:BEST Port=80 ClientAuthV3=${"A".repeat(52)}`,
      "512 Cannot decode v3 client auth key",
    ],
    [`NEW:BEST Port=80 ClientAuthV3=${CLIENT}`, "512 No auth type specified"],
    ["NEW:BEST Port=80 MaxStreams=70000", "512 Invalid MaxStreams"],
    ["NEW:BEST Port=80 PoWDefensesEnabled=2", "512 Invalid PoWDefensesEnabled"],
    [
      "NEW:BEST Port=80 Foo=1",
      `512 Bad arguments to ADD_ONION: Unrecognized keyword argument "Foo"`,
    ],
    [
      "NEW:BEST foo",
      "512 Bad arguments to ADD_ONION: Cannot parse keyword argument(s)",
    ],
  ];
  for (const [rest, expected] of cases) assert.equal(refusal(rest), expected);
});

Deno.test("parseOnionRequest() refuses a port twice, where Tor would draw a target by chance", () => {
  assert.equal(
    refusal("NEW:BEST Port=80,8080 Port=80,8081"),
    "512 Port 80 is given twice: a port leads to one target here",
  );
});

Deno.test("parseOnionRequest() keeps no more ports and clients than there may be", () => {
  const ports = Array.from({ length: 600 }, (_, n) => `Port=${n + 1}`).join(
    " ",
  );
  assert.match(refusal(`NEW:BEST ${ports}`), /^512 More than 512 ports/);
  const clients = ` ClientAuthV3=${CLIENT}`.repeat(65);
  assert.match(
    refusal(`NEW:BEST Port=80${clients}`),
    /^512 More than 64 v3 auth/,
  );
});
