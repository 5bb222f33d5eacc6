import assert from "node:assert/strict";
import fc from "fast-check";
import {
  AnonNetError,
  ConfigError,
  ProtocolError,
  UnreachableError,
} from "../../lib/base/errors.ts";
import { dialFailure, listenFailure } from "../../lib/transport/_failures.ts";

const HANDSHAKE = "the cryptographic handshake failed: error";

const DIAL_CASES = [
  [`${HANDSHAKE} 51: invalid peer certificate: BadSignature`, "wrong_identity"],
  [
    `${HANDSHAKE} 48: invalid peer certificate: UnknownIssuer`,
    "wrong_identity",
  ],
  [`${HANDSHAKE} 45: invalid peer certificate: Expired`, "wrong_identity"],
  [`${HANDSHAKE} 42: invalid peer certificate: BadEncoding`, "wrong_identity"],
  [
    `aborted by peer: ${HANDSHAKE} 120: peer doesn't support any known protocol`,
    "wrong_protocol",
  ],
  [
    `${HANDSHAKE} 120: peer doesn't support any known protocol`,
    "wrong_protocol",
  ],
  ["peer doesn't implement any supported version", "wrong_protocol"],
  ["timed out", "unreachable"],
  [
    "aborted by peer: the server refused to accept a new connection",
    "unreachable",
  ],
  ["invalid remote address: [::1]:4001", "unreachable"],
  ["closed by peer: 0", "unreachable"],
  ["reset by peer", "unreachable"],
  // What the other side claims about our certificate proves nothing.
  [
    `aborted by peer: ${HANDSHAKE} 51: invalid peer certificate: BadSignature`,
    "unreachable",
  ],
  ["closed", "closed"],
  ["endpoint stopping", "closed"],
] as const;

for (const [text, code] of DIAL_CASES) {
  Deno.test(`dialFailure() takes "${text}" as ${code}`, () => {
    const cause = new Error(text);
    const failure = dialFailure(cause);
    assert.equal(failure.code, `transport.${code}`);
    assert.equal(failure.cause, cause);
    const isProtocol = code.startsWith("wrong_");
    assert(failure instanceof (isProtocol ? ProtocolError : UnreachableError));
  });
}

Deno.test("dialFailure() makes something of anything", () => {
  fc.assert(fc.property(fc.anything(), fc.string(), (thing, text) => {
    assert(dialFailure(thing) instanceof AnonNetError);
    assert(dialFailure(new Error(text)) instanceof AnonNetError);
  }));
});

const ADDRESS = { host: "192.0.2.7", port: 4001 };

const LISTEN_CASES = [
  [new Deno.errors.AddrInUse("x"), "port_in_use", /choose another port/],
  [new Deno.errors.AddrNotAvailable("x"), "address", /one of its own/],
  [new Deno.errors.PermissionDenied("x"), "permission", /above 1023/],
  [new Deno.errors.NotCapable("x"), "permission", /--allow-net/],
  [new Error("odd"), "listen", /another address/],
] as const;

for (const [cause, code, advice] of LISTEN_CASES) {
  Deno.test(`listenFailure() says what to change on ${cause.name}`, () => {
    const failure = listenFailure(ADDRESS, cause);
    assert(failure instanceof ConfigError);
    assert.equal(failure.code, `transport.${code}`);
    assert.match(failure.message, advice);
    assert.match(failure.message, /^Cannot listen on 192\.0\.2\.7:4001: /);
    assert.equal(failure.cause, cause);
  });
}
