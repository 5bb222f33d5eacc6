import assert from "node:assert/strict";
import fc from "fast-check";
import { networkParameters } from "../../lib/auth/network.ts";
import { formatIp } from "../../lib/auth/socket_address.ts";
import {
  addressGroup,
  DHT_PREFIX,
  isAllowedAddress,
  PATH_PREFIX,
} from "../../lib/auth/subnet.ts";

const main = networkParameters("main");
const local = networkParameters("local");
const at = (host: string, port = 4001) => ({ host, port });

/** First, last and neighbours of each range of the IANA registries. */
const NOT_PUBLIC = [
  ..."0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0".split(" "),
  ..."100.127.255.255 127.0.0.0 127.0.0.1 127.255.255.255".split(" "),
  ..."169.254.0.0 169.254.169.254 169.254.255.255 172.16.0.0".split(" "),
  ..."172.31.255.255 192.0.0.0 192.0.0.255 192.0.2.0 192.0.2.255".split(" "),
  ..."192.88.99.0 192.88.99.255 192.168.0.0 192.168.255.255".split(" "),
  ..."198.18.0.0 198.19.255.255 198.51.100.0 198.51.100.255".split(" "),
  ..."203.0.113.0 203.0.113.255 224.0.0.0 239.255.255.255".split(" "),
  ..."240.0.0.0 255.255.255.254 255.255.255.255".split(" "),
  ..."::: ::1 ::2 ::ffff:10.0.0.1 ::ffff:127.0.0.1 64:ff9b::808:808"
    .replace(":::", "::").split(" "),
  ..."64:ff9b:1::1 100::1 1fff:ffff::1 2001::1 2001:2::1 2001:10::1".split(" "),
  ..."2001:20::1 2001:1ff:ffff::1 2001:db8::1 2001:db8:ffff::1".split(" "),
  ..."2002::1 2002:808:808::1 3fff::1 3fff:fff:ffff::1 4000::1".split(" "),
  ..."5f00::1 fc00::1 fdff::1 fe80::1 febf::1 fec0::1 ff02::1 ffff::".split(
    " ",
  ),
];

const PUBLIC = [
  ..."1.0.0.0 1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255".split(" "),
  ..."100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255".split(" "),
  ..."169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255".split(" "),
  ..."192.0.1.0 192.0.3.0 192.88.98.255 192.88.100.0 192.167.255.255".split(
    " ",
  ),
  ..."192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255".split(" "),
  ..."198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255".split(" "),
  ..."::ffff:8.8.8.8 2000::1 2001:200::1 2001:db7::1 2001:db9::1".split(" "),
  ..."2003::1 2a00::1 3ffe:ffff::1 3fff:1000::1".split(" "),
];

Deno.test("isAllowedAddress() in main knows the edges of every special range", () => {
  for (const host of NOT_PUBLIC) {
    assert.equal(isAllowedAddress(main, at(host)), false, host);
  }
  for (const host of PUBLIC) {
    assert.equal(isAllowedAddress(main, at(host)), true, host);
  }
});

Deno.test("isAllowedAddress() in main wants an IP literal and a port", () => {
  for (const host of ["", "localhost", "1.2.3", "[::1]", "relay.example"]) {
    assert.equal(isAllowedAddress(main, at(host)), false);
  }
  for (const port of [0, -1, 1.5, 65536, NaN, Infinity]) {
    assert.equal(isAllowedAddress(main, at("1.1.1.1", port)), false);
  }
});

Deno.test("isAllowedAddress() sees through IPv4-mapped IPv6, as groups do", () => {
  const v4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
  fc.assert(fc.property(v4, (bytes) => {
    const host = formatIp(bytes);
    const mapped = at(`::ffff:${host}`);
    for (const network of [main, local]) {
      const isAllowed = isAllowedAddress(network, at(host));
      assert.equal(isAllowedAddress(network, mapped), isAllowed);
    }
    assert.equal(
      addressGroup(mapped, DHT_PREFIX),
      addressGroup(at(host), DHT_PREFIX),
    );
  }));
});

Deno.test("isAllowedAddress() in local takes any address of a single host", () => {
  const hosts = "127.0.0.1 10.1.2.3 192.0.2.1 240.0.0.1 1.1.1.1 ::1 fe80::1";
  for (const host of hosts.split(" ")) {
    assert.equal(isAllowedAddress(local, at(host)), true, host);
    assert.equal(isAllowedAddress(local, at(host, 0)), false);
  }
  const none = "0.0.0.0 0.1.2.3 224.0.0.1 239.1.1.1 255.255.255.255 :: ff02::1";
  for (const host of [...none.split(" "), "::ffff:0.0.0.0", "localhost", ""]) {
    assert.equal(isAllowedAddress(local, at(host)), false, host);
  }
});

Deno.test("addressGroup() keeps the leading bits alone", () => {
  const cases = [
    ["203.0.114.77", DHT_PREFIX, "203.0.114.0/24"],
    ["203.0.114.77", PATH_PREFIX, "203.0.0.0/16"],
    ["2a00:1234:5678:9abc::1", DHT_PREFIX, "2a00:1234:5678::/48"],
    ["2a00:1234:5678:9abc::1", PATH_PREFIX, "2a00:1234::/32"],
    ["255.255.255.255", { v4: 1, v6: 1 }, "128.0.0.0/1"],
    ["255.255.255.255", { v4: 0, v6: 0 }, "0.0.0.0/0"],
    ["255.255.255.255", { v4: 32, v6: 128 }, "255.255.255.255/32"],
    ["ffff:ffff::", { v4: 19, v6: 19 }, "ffff:e000::/19"],
  ] as const;
  for (const [host, prefix, group] of cases) {
    assert.equal(addressGroup(at(host), prefix), group);
  }
});

Deno.test("addressGroup() is equal exactly where the prefixes are", () => {
  const bits = (bytes: Uint8Array, count: number) =>
    [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("")
      .slice(0, count);
  const pair = fc.constantFrom(4, 16).chain((length) =>
    fc.tuple(
      fc.uint8Array({ minLength: length, maxLength: length }),
      fc.nat(8 * length - 1),
    )
  ).filter(([bytes]) => bytes.length === 4 || bytes[0] !== 0);
  fc.assert(
    fc.property(pair, ([bytes, flipped]) => {
      const other = bytes.slice();
      const index = flipped >> 3;
      other[index] = (other[index] ?? 0) ^ (0x80 >> (flipped & 7));
      for (const prefix of [DHT_PREFIX, PATH_PREFIX]) {
        const length = bytes.length === 4 ? prefix.v4 : prefix.v6;
        const same = bits(bytes, length) === bits(other, length);
        assert.equal(
          addressGroup(at(formatIp(bytes)), prefix) ===
            addressGroup(at(formatIp(other)), prefix),
          same,
        );
      }
    }),
  );
  assert.throws(() => addressGroup(at("localhost"), DHT_PREFIX), RangeError);
});
