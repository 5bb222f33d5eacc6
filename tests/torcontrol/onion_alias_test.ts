import assert from "node:assert/strict";
import fc from "fast-check";
import { asPublicKey } from "../../lib/auth/identity.ts";
import { formatBase32, parseBase32 } from "../../lib/base/bytes.ts";
import { ConfigError } from "../../lib/base/errors.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import {
  formatServiceHost,
  parseServiceHost,
} from "../../lib/service/address.ts";
import {
  formatOnionLabel,
  hostOfAlias,
  parseOnionLabel,
} from "../../lib/torcontrol/onion_alias.ts";

const crypto = nobleSuite();

/** Published by the Tor project: https://spec.torproject.org/rend-spec/encoding-onion-addresses.html */
const PUBLISHED = [
  "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd",
  "sp3k262uwy4r2k3ycr5awluarykdpag6a7y33jxop4cs2lu5uz5sseqd",
  "xa4r2iadxm55fbnqgwwi5mymqdcofiu3w6rpbtqn7b2dyn7mgwj64jyd",
];

function refused(host: string): void {
  assert.throws(
    () => hostOfAlias(crypto, host),
    (error) =>
      error instanceof ConfigError && error.code === "service.address_onion",
    host,
  );
}

Deno.test("parseOnionLabel() and formatOnionLabel() agree with the addresses that Tor publishes", () => {
  for (const label of PUBLISHED) {
    const publicKey = parseOnionLabel(label);
    assert.ok(publicKey !== undefined, label);
    assert.equal(formatOnionLabel(publicKey), label);
    assert.deepEqual(parseOnionLabel(label.toUpperCase()), publicKey);
  }
});

Deno.test("hostOfAlias() gives the .anon host of the same key, whatever stands in front (property)", () => {
  const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
  fc.assert(
    fc.property(key, fc.constantFrom("", "www.", "a.b."), (bytes, front) => {
      const publicKey = asPublicKey(bytes);
      const alias = `${front}${formatOnionLabel(publicKey)}.onion`;
      const host = hostOfAlias(crypto, alias);
      assert.equal(host, front + formatServiceHost(crypto, publicKey));
      assert.deepEqual(parseServiceHost(crypto, host), publicKey);
    }),
  );
});

Deno.test("hostOfAlias() leaves what is not under .onion alone", () => {
  for (
    const host of [
      "example.com",
      "onion",
      "x.onion.com",
      `${PUBLISHED[0]}.anon`,
    ]
  ) {
    assert.equal(hostOfAlias(crypto, host), undefined);
  }
});

Deno.test("hostOfAlias() refuses mistyped, cut and older addresses, and our own characters under .onion", () => {
  const [label = ""] = PUBLISHED;
  for (let at = 0; at < label.length; at++) {
    const other = label[at] === "a" ? "b" : "a";
    refused(label.slice(0, at) + other + label.slice(at + 1) + ".onion");
  }
  const ours = formatServiceHost(
    crypto,
    asPublicKey(new Uint8Array(32).fill(7)),
  );
  refused(ours.replace(".anon", ".onion"));
  refused("expyuzz4wqqyqhjn.onion"); // version 2
  refused(".onion");
  refused(`${label.slice(1)}.onion`);
  const bytes = parseBase32(label);
  assert.ok(bytes !== undefined);
  bytes[34] = 4;
  refused(`${formatBase32(bytes)}.onion`);
});
