import assert from "node:assert/strict";
import net from "node:net";
import fc from "fast-check";
import { proxyLine } from "../../lib/wire/proxy_line.ts";

const text = (id: string, number: number, port: number) =>
  new TextDecoder().decode(proxyLine({ id }, number, port));

Deno.test("proxyLine() tells the session as an address, the stream as its port", () => {
  assert.equal(
    text("9a3c12f0", 7, 80),
    "PROXY TCP6 fd61:6e6f:6e6e:6574::9a3c:12f0 ::1 7 80\r\n",
  );
  assert.equal(
    text("000a0000", 65537, 443),
    "PROXY TCP6 fd61:6e6f:6e6e:6574::a:0 ::1 1 443\r\n",
  );
});

Deno.test("proxyLine() makes lines that receivers take, another one for each session", () => {
  const id = fc.integer({ min: 0, max: 0xffffffff })
    .map((number) => number.toString(16).padStart(8, "0"));
  fc.assert(fc.property(
    id,
    id,
    fc.nat(),
    fc.integer({ min: 1, max: 65535 }),
    (one, other, number, port) => {
      const line = text(one, number, port);
      assert.ok(line.length <= 107, "the longest that version 1 has");
      const [, address = "", source] = line.match(
        /^PROXY TCP6 (\S+) ::1 (\d+) \d+\r\n$/,
      ) ?? [];
      assert.ok(net.isIPv6(address), line);
      assert.ok(Number(source) <= 65535);
      assert.equal(line === text(other, number, port), one === other);
    },
  ));
});
