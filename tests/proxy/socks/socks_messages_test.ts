import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, utf8 } from "../../../lib/base/bytes.ts";
import { ProtocolError, UnreachableError } from "../../../lib/base/errors.ts";
import { passwordIsolation } from "../../../lib/proxy/isolation_key.ts";
import { decodeSocksAuth } from "../../../lib/proxy/socks/socks_auth.ts";
import {
  decodeSocksGreeting,
  encodeSocksMethod,
} from "../../../lib/proxy/socks/socks_greeting.ts";
import {
  encodeSocksFailure,
  encodeSocksSuccess,
} from "../../../lib/proxy/socks/socks_reply.ts";
import { decodeSocksRequest } from "../../../lib/proxy/socks/socks_request.ts";
import { answerStranger } from "../../../lib/proxy/socks/socks_stranger.ts";
import { latin1Text } from "../../../lib/http/latin1.ts";

const CONNECT = concat(
  Uint8Array.of(5, 1, 0, 3, 11),
  utf8("Example.com"),
  Uint8Array.of(0x01, 0xbb),
);
const IPV4 = Uint8Array.of(5, 1, 0, 1, 192, 0, 2, 7, 0, 80);
const IPV6 = Uint8Array.of(
  ...[5, 1, 0, 4, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7],
  ...[0xff, 0xff],
);
const GREETING = Uint8Array.of(5, 3, 0, 1, 2);
const AUTH = Uint8Array.of(1, 2, 0x61, 0xff, 3, 0, 0x3a, 0x62);

Deno.test("decodeSocksRequest() reads names as they come, and the port", () => {
  assert.deepEqual(decodeSocksRequest(CONNECT), {
    command: "connect",
    host: "Example.com",
    port: 443,
    bytesRead: CONNECT.length,
  });
});

Deno.test("decodeSocksRequest() reads IP addresses to their end, to refuse them politely", () => {
  assert.deepEqual(decodeSocksRequest(IPV4), {
    command: "connect",
    host: "192.0.2.7",
    port: 80,
    bytesRead: 10,
  });
  assert.deepEqual(decodeSocksRequest(IPV6), {
    command: "connect",
    host: "2001:db8::7",
    port: 65535,
    bytesRead: 22,
  });
});

Deno.test("decodeSocksRequest() reads the commands beside CONNECT as what they are", () => {
  for (
    const [byte, command] of [
      [2, "bind"],
      [3, "udp"],
      [0xf0, "resolve"],
      [0xf1, "resolve-ptr"],
    ] as const
  ) {
    const request = decodeSocksRequest(IPV4.with(1, byte));
    assert.equal(request?.command, command);
  }
});

Deno.test("decodeSocksRequest() refuses the first byte that does not fit", () => {
  for (
    const [bytes, code] of [
      [[4], "socks.version"],
      [[0], "socks.version"],
      [[5, 0], "socks.command"],
      [[5, 4], "socks.command"],
      [[5, 0xf2], "socks.command"],
      [[5, 1, 1], "socks.reserved"],
      [[5, 1, 0, 0], "socks.address_type"],
      [[5, 1, 0, 2], "socks.address_type"],
      [[5, 1, 0, 5], "socks.address_type"],
      [[5, 1, 0, 255], "socks.address_type"],
    ] as const
  ) {
    assert.throws(() => decodeSocksRequest(Uint8Array.from(bytes)), {
      name: "ProtocolError",
      code,
    });
  }
});

Deno.test("decodeSocksGreeting() prefers a user name, and hears of extended replies", () => {
  for (
    const [methods, method, takesExtendedReplies] of [
      [[0], "none", false],
      [[2], "password", false],
      [[0, 2], "password", false],
      [[2, 0], "password", false],
      [[0, 0xf0], "none", true],
      [[0xf0, 1, 2], "password", true],
      [[0xf0], "unacceptable", true],
      [[], "unacceptable", false],
      [[1], "unacceptable", false],
      [[0xff], "unacceptable", false],
    ] as const
  ) {
    const bytes = Uint8Array.of(5, methods.length, ...methods);
    assert.deepEqual(decodeSocksGreeting(bytes), {
      method,
      takesExtendedReplies,
      bytesRead: bytes.length,
    });
  }
  assert.throws(() => decodeSocksGreeting(Uint8Array.of(4, 1)), {
    code: "socks.version",
  });
});

Deno.test("encodeSocksMethod() writes the version and the method", () => {
  assert.deepEqual(encodeSocksMethod("none"), Uint8Array.of(5, 0));
  assert.deepEqual(encodeSocksMethod("password"), Uint8Array.of(5, 2));
  assert.deepEqual(encodeSocksMethod("unacceptable"), Uint8Array.of(5, 255));
});

Deno.test("decodeSocksAuth() makes a key of any bytes, also of none", () => {
  assert.deepEqual(decodeSocksAuth(AUTH), {
    isolation: passwordIsolation("a\xff", "\0:b"),
    bytesRead: AUTH.length,
  });
  assert.deepEqual(decodeSocksAuth(Uint8Array.of(1, 0, 0)), {
    isolation: passwordIsolation("", ""),
    bytesRead: 3,
  });
  assert.throws(() => decodeSocksAuth(Uint8Array.of(5, 0, 0)), {
    code: "socks.auth_version",
  });
});

const DECODERS = [
  ["decodeSocksGreeting()", decodeSocksGreeting, [GREETING]],
  ["decodeSocksAuth()", decodeSocksAuth, [AUTH]],
  ["decodeSocksRequest()", decodeSocksRequest, [CONNECT, IPV4, IPV6]],
] as const;

for (const [name, decode, examples] of DECODERS) {
  Deno.test(`${name} asks for more while a message is cut short`, () => {
    for (const example of examples) {
      for (let length = 0; length < example.length; length++) {
        assert.equal(decode(example.subarray(0, length)), undefined);
      }
    }
  });

  Deno.test(`${name} leaves alone what follows`, () => {
    fc.assert(fc.property(
      fc.constantFrom(...examples),
      fc.uint8Array({ max: 255, maxLength: 40 }),
      (example, rest) => {
        assert.deepEqual(decode(concat(example, rest)), decode(example));
      },
    ));
  });

  Deno.test(`${name} gives a value or a ProtocolError for any bytes, wherever they lie`, () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      // A view into the middle of a buffer must read the same.
      const shifted = concat(Uint8Array.of(9, 9, 9), bytes).subarray(3);
      try {
        const value = decode(bytes);
        assert.deepEqual(decode(shifted), value);
        assert.ok(value === undefined || value.bytesRead <= bytes.length);
      } catch (error) {
        assert.ok(error instanceof ProtocolError, String(error));
      }
    }));
  });
}

Deno.test("encodeSocksFailure() says what Tor's clients know only to those", () => {
  for (
    const [error, standard, extended] of [
      [new ProtocolError("proxy.not_anon", ""), 0x02, 0x02],
      [new ProtocolError("proxy.port", ""), 0x02, 0x02],
      [new ProtocolError("service.address_checksum", ""), 0x04, 0xf6],
      [new ProtocolError("service.address_version", ""), 0x04, 0xf6],
      [new UnreachableError("service.not_found", ""), 0x04, 0xf0],
      [new UnreachableError("service.descriptor_invalid", ""), 0x04, 0xf1],
      [new UnreachableError("service.introduction", ""), 0x04, 0xf2],
      [new UnreachableError("service.rendezvous", ""), 0x04, 0xf3],
      [new UnreachableError("service.authorisation_missing", ""), 0x04, 0xf4],
      [new UnreachableError("service.authorisation_wrong", ""), 0x04, 0xf5],
      [new UnreachableError("service.introduction_timeout", ""), 0x06, 0xf7],
      [new UnreachableError("service.unreachable", ""), 0x04, 0x04],
      [new UnreachableError("service.refused", ""), 0x05, 0x05],
      [new UnreachableError("service.no_port", ""), 0x05, 0x05],
      [new UnreachableError("service.timeout", ""), 0x06, 0x06],
      [new UnreachableError("circuit.extend", ""), 0x04, 0x04],
      [new ProtocolError("socks.command", ""), 0x07, 0x07],
      [new ProtocolError("socks.address_type", ""), 0x08, 0x08],
      [new ProtocolError("socks.reserved", ""), 0x01, 0x01],
      [new UnreachableError("proxy.busy", ""), 0x01, 0x01],
      [new UnreachableError("proxy.shutdown", ""), 0x01, 0x01],
      [new TypeError("ours"), 0x01, 0x01],
      ["a string", 0x01, 0x01],
    ] as const
  ) {
    const reply = (byte: number) =>
      Uint8Array.of(5, byte, 0, 1, 0, 0, 0, 0, 0, 0);
    assert.deepEqual(encodeSocksFailure(error, "standard"), reply(standard));
    assert.deepEqual(encodeSocksFailure(error, "extended"), reply(extended));
  }
});

Deno.test("encodeSocksSuccess() is a reply with byte 0", () => {
  assert.deepEqual(
    encodeSocksSuccess(),
    Uint8Array.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0),
  );
});

Deno.test("answerStranger() speaks SOCKS4 and HTTP, and is silent to the rest", () => {
  assert.deepEqual(
    answerStranger(4),
    Uint8Array.of(0, 91, 0, 0, 0, 0, 0, 0),
  );
  for (const letter of "ACDGHOPTZ") {
    const answer = answerStranger(letter.charCodeAt(0));
    assert.ok(answer !== undefined);
    assert.match(latin1Text(answer), /^HTTP\/1\.1 400 Bad Request\r\n/);
    assert.match(latin1Text(answer), /SOCKS/);
  }
  for (const byte of [0, 1, 3, 6, 0x16, 0x40, 0x5b, 0x61, 0x80, 0xff]) {
    assert.equal(answerStranger(byte), undefined);
  }
});
