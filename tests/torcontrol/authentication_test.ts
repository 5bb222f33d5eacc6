/** The ways in, with the platform's HMAC for a stranger's. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { Authentication } from "../../lib/torcontrol/authentication.ts";
import { formatReply } from "../../lib/torcontrol/reply.ts";
import { COOKIE, COOKIE_HEX, HELLO_HASH, termsOf } from "./world.ts";

const NONCE = "ab".repeat(32);

function take(
  authentication: Authentication,
  keyword: string,
  rest = "",
): string {
  const reply = authentication.take(keyword, rest);
  assert.ok(reply !== undefined);
  return formatReply(reply) + (reply.isFinal ? "<end>" : "");
}

function open(passwords: readonly string[] = []): Authentication {
  return new Authentication(termsOf(passwords));
}

/** What the server says of a challenge, and the answer to it. */
function challenged(authentication: Authentication): {
  readonly serverHash: string;
  readonly expectedServerHash: string;
  readonly answer: string;
} {
  const said = take(authentication, "AUTHCHALLENGE", `SAFECOOKIE ${NONCE}`);
  const [, serverHash = "", serverNonce = ""] =
    /^250 AUTHCHALLENGE SERVERHASH=([0-9A-F]{64}) SERVERNONCE=([0-9A-F]{64})\r\n$/
      .exec(said) ?? [];
  const hash = (words: string) =>
    createHmac("sha256", `Tor safe cookie authentication ${words} hash`)
      .update(COOKIE).update(Uint8Array.fromHex(NONCE))
      .update(Uint8Array.fromHex(serverNonce)).digest("hex").toUpperCase();
  return {
    serverHash,
    expectedServerHash: hash("server-to-controller"),
    answer: hash("controller-to-server"),
  };
}

Deno.test("Authentication lets in who has the cookie, in hexadecimal or quoted", () => {
  const authentication = open();
  assert.ok(!authentication.isKnown);
  assert.equal(take(authentication, "AUTHENTICATE", COOKIE_HEX), "250 OK\r\n");
  assert.ok(authentication.isKnown);
  assert.equal(authentication.take("GETINFO", "version"), undefined);
});

Deno.test("Authentication lets in who answers its challenge, and shows that it has the cookie itself", () => {
  const authentication = open();
  const { serverHash, expectedServerHash, answer } = challenged(authentication);
  assert.equal(serverHash, expectedServerHash);
  assert.equal(take(authentication, "AUTHENTICATE", answer), "250 OK\r\n");
});

Deno.test("Authentication takes the answer to a challenge once: not again, and not on another connection", () => {
  const first = open();
  const { answer } = challenged(first);
  const other = open();
  challenged(other);
  // Another nonce each time, also from the same randomness.
  challenged(first);
  assert.match(take(first, "AUTHENTICATE", answer), /^515 .*<end>$/s);
  const again = open();
  const second = challenged(again);
  assert.equal(take(again, "AUTHENTICATE", second.answer), "250 OK\r\n");
  assert.match(take(again, "AUTHENTICATE", second.answer), /^515 .*<end>$/s);
  assert.ok(!again.isKnown);
});

Deno.test("Authentication forgets a challenge at any command but the answer to it", () => {
  for (const keyword of ["PROTOCOLINFO", "GETINFO", "AUTHCHALLENGE"]) {
    const authentication = open();
    const { answer } = challenged(authentication);
    const rest = keyword === "AUTHCHALLENGE" ? `SAFECOOKIE ${NONCE}` : "";
    assert.match(take(authentication, keyword, rest), /^514 .*<end>$/s);
    assert.match(take(authentication, "AUTHENTICATE", answer), /^515 /);
  }
});

Deno.test("Authentication does not take the cookie for the answer to a challenge", () => {
  const authentication = open();
  challenged(authentication);
  assert.match(
    take(authentication, "AUTHENTICATE", COOKIE_HEX),
    /^515 .*<end>/s,
  );
});

Deno.test("Authentication lets in who knows a password, where there is one", () => {
  const hello = open([HELLO_HASH]);
  assert.equal(take(hello, "AUTHENTICATE", '"hello"'), "250 OK\r\n");
  assert.match(
    take(open([HELLO_HASH]), "AUTHENTICATE", '"wrong"'),
    /^515 .*<end>/s,
  );
  assert.match(take(open(), "AUTHENTICATE", '"hello"'), /^515 .*<end>/s);
  const withCookie = open([HELLO_HASH]);
  assert.equal(take(withCookie, "AUTHENTICATE", COOKIE_HEX), "250 OK\r\n");
});

Deno.test("Authentication answers a wrong cookie as Tor does, and ends", () => {
  const cases: readonly [string, string][] = [
    ["", "515 Authentication failed: Wrong length on authentication cookie."],
    ["00", "515 Authentication failed: Wrong length on authentication cookie."],
    [
      "00".repeat(32),
      "515 Authentication failed: Authentication cookie did not match expected value.",
    ],
    ["zz", "551 Invalid hexadecimal encoding."],
    ['"foo', "512 "],
    ['"foo" bar', "512 "],
  ];
  for (const [rest, start] of cases) {
    const said = take(open(), "AUTHENTICATE", rest);
    assert.ok(said.startsWith(start), said);
    assert.ok(said.endsWith("<end>"), said);
  }
});

Deno.test("Authentication tells strangers the ways in once, and nothing else", () => {
  const authentication = open([HELLO_HASH]);
  assert.equal(
    take(authentication, "PROTOCOLINFO", "1"),
    "250-PROTOCOLINFO 1\r\n" +
      "250-AUTH METHODS=COOKIE,SAFECOOKIE,HASHEDPASSWORD " +
      'COOKIEFILE="/var/lib/\\"anonnet\\"/control-auth-cookie"\r\n' +
      '250-VERSION Tor="0.4.8.10-anonnet"\r\n250 OK\r\n',
  );
  assert.match(take(authentication, "PROTOCOLINFO"), /^514 .*<end>/s);
  assert.match(
    take(open(), "PROTOCOLINFO", "x"),
    /^513 No such version "x".*<end>/s,
  );
  for (const keyword of ["GETINFO", "ADD_ONION", "SIGNAL", "FOO", ""]) {
    assert.equal(
      take(open(), keyword),
      "514 Authentication required.\r\n<end>",
    );
  }
});

Deno.test("Authentication refuses challenges that are none, as Tor does", () => {
  const cases: readonly [string, string][] = [
    ["", "512 "],
    ["SAFECOOKIE", "512 Wrong number of arguments for AUTHCHALLENGE"],
    ["FOO 00", "513 AUTHCHALLENGE only supports SAFECOOKIE authentication"],
    ["SAFECOOKIE zz", "513 Invalid base16 client nonce"],
  ];
  for (const [rest, start] of cases) {
    const said = take(open(), "AUTHCHALLENGE", rest);
    assert.ok(said.startsWith(start) && said.endsWith("<end>"), said);
  }
});
