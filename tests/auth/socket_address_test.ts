import assert from "node:assert/strict";
import { isIP } from "node:net";
import fc from "fast-check";
import { ConfigError } from "../../lib/base/errors.ts";
import {
  formatIp,
  formatSocketAddress,
  parseIp,
  parseSocketAddress,
} from "../../lib/auth/socket_address.ts";

/** What RFC 5952 and RFC 4291 §2.2 say of texts of one address. */
const CANONICAL_V6: [text: string, canonical: string][] = [
  // RFC 5952 §1 and §4.1: no leading zeros
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["2001:0db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["2001:db8::1:0:0:1", "2001:db8::1:0:0:1"],
  ["2001:db8::0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["2001:0db8::1:0:0:1", "2001:db8::1:0:0:1"],
  ["2001:db8:0:0:1::1", "2001:db8::1:0:0:1"],
  ["2001:db8:0000:0:1::1", "2001:db8::1:0:0:1"],
  ["2001:DB8:0:0:1::1", "2001:db8::1:0:0:1"],
  // §4.2.1: as short as possible
  ["2001:db8:0:0:0:0:2:1", "2001:db8::2:1"],
  ["2001:db8::0:1", "2001:db8::1"],
  // §4.2.2: one group alone is not shortened
  ["2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  // §4.2.3: the longest run, the first of equals
  ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  // §4.3: lower case
  ["2001:DB8::AAAA", "2001:db8::aaaa"],
  // RFC 4291 §2.2
  ["FF01:0:0:0:0:0:0:101", "ff01::101"],
  ["0:0:0:0:0:0:0:1", "::1"],
  ["0:0:0:0:0:0:0:0", "::"],
  ["::", "::"],
  ["1::", "1::"],
  ["0:0:0:0:0:0:13.1.68.3", "::d01:4403"],
  ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
  // RFC 5952 §5: mapped ones are IPv4 to us
  ["::ffff:192.0.2.33", "192.0.2.33"],
  ["0:0:0:0:0:FFFF:C000:0221", "192.0.2.33"],
  ["0000:0000:0000:0000:0000:ffff:192.168.100.200", "192.168.100.200"],
];

const NOT_IP = [
  "",
  "1.2.3",
  "1.2.3.4.5",
  "256.1.1.1",
  "01.2.3.4",
  "1.2.3.4 ",
  "0x7f.1.1.1",
  "1.2.3.-4",
  "1.2.3.4e0",
  "1..2.3",
  "١.2.3.4",
  "localhost",
  ":",
  ":::",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4:5:6:7::8", // :: for nothing
  "1::2::3",
  ":1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:",
  "1:::2",
  "12345::",
  "g::",
  "::1%eth0",
  "::1.2.3",
  "::1.2.3.4:5",
  "1.2.3.4::",
  "::01.2.3.4",
  "::1]",
  "fe80::1/64",
  "0000:0000:0000:0000:0000:0000:0000:0000:",
  "1:".repeat(1_000_000),
  "1.".repeat(1_000_000),
];

const ip = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
  // Runs of zeros, where the rules are.
  fc.array(fc.constantFrom(0, 0, 0, 1, 0xa0), { minLength: 16, maxLength: 16 })
    .map((bytes) => Uint8Array.from(bytes)),
);

Deno.test("formatIp() writes the text that RFC 5952 recommends", () => {
  for (const [text, canonical] of CANONICAL_V6) {
    const bytes = parseIp(text);
    assert.ok(bytes, text);
    assert.equal(formatIp(bytes), canonical);
  }
});

Deno.test("parseIp() undoes formatIp(), but for IPv4-mapped IPv6", () => {
  fc.assert(
    fc.property(ip, (bytes) => {
      const parsed = parseIp(formatIp(bytes));
      assert.ok(parsed);
      const same = parsed.length === bytes.length
        ? bytes
        : bytes.subarray(bytes.length - 4);
      assert.deepEqual([...parsed], [...same]);
    }),
    { numRuns: 1000 },
  );
});

Deno.test("formatIp() agrees with the platform's URL parser", () => {
  fc.assert(
    fc.property(ip, (bytes) => {
      const text = formatIp(bytes);
      const host = text.includes(":") ? `[${text}]` : text;
      assert.equal(new URL(`http://${host}/`).hostname, host);
    }),
    { numRuns: 1000 },
  );
});

Deno.test("parseIp() takes what the platform takes, but for zones", () => {
  const almost = fc.oneof(
    fc.string({
      unit: fc.constantFrom(..."0123456789abcdefF:.:.::"),
      maxLength: 20,
    }),
    fc.array(
      fc.constantFrom(
        "::",
        ":",
        "0",
        "1",
        "ffff",
        "00a",
        "1.2.3.4",
        ".",
        "256",
      ),
      { maxLength: 12 },
    ).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(almost, (text) => {
      const length = { 0: undefined, 4: 4, 6: 16 }[isIP(text) as 0 | 4 | 6];
      assert.equal(parseIp(text)?.length, length, text);
    }),
    { numRuns: 5000 },
  );
});

Deno.test("parseIp() refuses what is not an IP literal", () => {
  for (const text of NOT_IP) {
    assert.equal(parseIp(text), undefined, text.slice(0, 60));
  }
});

Deno.test("formatIp() refuses other lengths", () => {
  for (const length of [0, 3, 5, 15, 17]) {
    assert.throws(() => formatIp(new Uint8Array(length)), RangeError);
  }
});

Deno.test("parseSocketAddress() undoes formatSocketAddress()", () => {
  fc.assert(fc.property(ip, fc.nat(65535), (bytes, port) => {
    const address = { host: formatIp(bytes), port };
    assert.deepEqual(parseSocketAddress(formatSocketAddress(address)), address);
  }));
});

Deno.test("parseSocketAddress() makes hosts canonical", () => {
  assert.deepEqual(
    parseSocketAddress("[2001:DB8:0::1]:0080"),
    { host: "2001:db8::1", port: 80 },
  );
});

Deno.test("parseSocketAddress() refuses the rest, and says what to write", () => {
  const bad = [
    ...NOT_IP.map((text) => `${text}:80`),
    "1.2.3.4",
    "1.2.3.4:",
    "1.2.3.4:65536",
    "1.2.3.4:100000",
    "1.2.3.4:-1",
    "1.2.3.4:+1",
    "1.2.3.4:1.5",
    "1.2.3.4: 80",
    "1.2.3.4:80\n",
    "[1.2.3.4]:80",
    "::1:80",
    "[::1]80",
    "[::1:80",
    "[::1]:",
    "[[::1]]:80",
    "relay.example:80",
    "anon://1.2.3.4:80",
  ];
  for (const text of bad) {
    assert.throws(() => parseSocketAddress(text), (error) => {
      assert.ok(error instanceof ConfigError, text);
      assert.equal(error.code, "auth.socket_address");
      assert.match(error.message, /write 192\.0\.2\.7:4001/);
      return true;
    });
  }
});
