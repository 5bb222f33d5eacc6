import assert from "node:assert/strict";
import fc from "fast-check";
import { ProtocolError } from "../../lib/base/errors.ts";
import { checkPort, parseAnonHost } from "../../lib/http/anon_host.ts";

const NAME = "a".repeat(56);

Deno.test("parseAnonHost() takes names under .anon, in either case", () => {
  for (
    const [host, expected] of [
      [`${NAME}.anon`, `${NAME}.anon`],
      [`${NAME.toUpperCase()}.ANON`, `${NAME}.anon`],
      [`www.${NAME}.anon`, `www.${NAME}.anon`],
      [`a_b-c.${NAME}.Anon`, `a_b-c.${NAME}.anon`],
      ["short.anon", "short.anon"], // the gateway says what is wrong with it
    ] as const
  ) assert.equal(parseAnonHost(host), expected);
});

const REFUSED = [
  "",
  "anon",
  ".anon",
  "..anon",
  "a..anon",
  ".a.anon",
  "example.com",
  "localhost",
  "anon.com",
  `${NAME}.onion`,
  `${NAME}.anon.`,
  `${NAME}.anon.com`,
  `${NAME}anon`,
  `${NAME}.anоn`, // Cyrillic о
  `${NAME}.anon\u3002`,
  `${NAME}\u3002anon`,
  "пример.anon",
  "xn--e1afmkfd.xn--p1ai",
  "\u212a.anon", // the Kelvin sign
  `${NAME}.anon\0`,
  `${NAME}.anon\0.com`,
  `${NAME} .anon`,
  `user@${NAME}.anon`,
  `${NAME}.anon:80`,
  `${NAME}.anon/`,
  "%61.anon",
  "127.0.0.1",
  "0x7f000001",
  "2130706433",
  "[::1]",
  "::1",
  "fe80::1%eth0",
  `${"a".repeat(64)}.anon`,
  `${"a.".repeat(130)}anon`,
];

Deno.test("parseAnonHost() refuses the clearnet, addresses, final dots and other letters", () => {
  for (const host of REFUSED) {
    assert.throws(() => parseAnonHost(host), {
      name: "ProtocolError",
      code: "proxy.not_anon",
    }, JSON.stringify(host));
  }
});

Deno.test("parseAnonHost() gives a plain name under .anon or a ProtocolError, for any text", () => {
  fc.assert(fc.property(
    fc.oneof(
      fc.string({ unit: "binary", maxLength: 70 }),
      fc.string({ maxLength: 20 }).map((text) => `${text}.anon`),
    ),
    (text) => {
      try {
        assert.match(
          parseAnonHost(text),
          /^([a-z0-9_-]{1,63}\.)+anon$/,
        );
      } catch (error) {
        assert.ok(error instanceof ProtocolError);
      }
    },
  ));
});

Deno.test("checkPort() takes 1 to 65535 and nothing else", () => {
  for (const port of [1, 80, 65535]) assert.equal(checkPort(port), port);
  for (const port of [0, -1, 65536, 1.5, NaN, Infinity]) {
    assert.throws(() => checkPort(port), { code: "proxy.port" });
  }
});
