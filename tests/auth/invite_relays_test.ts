import assert from "node:assert/strict";
import { inviteRelays } from "../../lib/auth/invite_relays.ts";
import type { NodeAddress } from "../../lib/auth/node_address.ts";
import { seededRandom } from "../../lib/base/random.ts";

function relay(host: string, number = 1): NodeAddress {
  const publicKey = new Uint8Array(32).fill(number);
  return { publicKey, address: { host, port: 4001 } };
}

const hosts = (relays: readonly NodeAddress[]) =>
  relays.map(({ address }) => address.host);

Deno.test("inviteRelays() puts our own relay first, then one of each subnet, then the others", () => {
  const own = relay("5.1.0.1");
  const crowd = Array.from(
    { length: 20 },
    (_, at) => relay(`6.6.${at}.1`, at + 2),
  );
  const rare = [relay("7.7.0.1", 50), relay("2a00:1::1", 51)];
  for (let seed = 0; seed < 20; seed++) {
    const ordered = inviteRelays(own, [...crowd, ...rare], seededRandom(seed));
    assert.equal(ordered.length, 23);
    assert.equal(ordered[0], own);
    const first = hosts(ordered.slice(1, 4));
    assert.ok(first.includes("7.7.0.1") && first.includes("2a00:1::1"));
    assert.equal(first.filter((host) => host.startsWith("6.6.")).length, 1);
  }
});

Deno.test("inviteRelays() names other relays each time", () => {
  const many = Array.from({ length: 30 }, (_, at) => relay(`9.${at}.0.1`, at));
  const first = new Set(
    Array.from(
      { length: 20 },
      (_, seed) => hosts(inviteRelays(undefined, many, seededRandom(seed)))[0],
    ),
  );
  assert.ok(first.size > 5);
});

Deno.test("inviteRelays() names no relay twice, and none where there is none", () => {
  const own = relay("5.1.0.1");
  const twice = inviteRelays(own, [relay("5.1.0.1"), own], seededRandom(1));
  assert.deepEqual(twice, [own]);
  assert.deepEqual(inviteRelays(undefined, [], seededRandom(1)), []);
});
