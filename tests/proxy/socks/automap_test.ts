import assert from "node:assert/strict";
import {
  Automap,
  isMappedAddress,
  MAPPED_MS,
  MAX_MAPPED,
  MAX_MAPPED_PER_KEY,
} from "../../../lib/proxy/socks/automap.ts";

Deno.test("Automap gives each name of each isolation key an address, which leads back for that key alone", () => {
  const map = new Automap();
  const address = map.addressOf("a.anon", "key", 0);
  assert.ok(isMappedAddress(address), address);
  assert.equal(map.addressOf("a.anon", "key", 1), address);
  const others = [
    map.addressOf("b.anon", "key", 0),
    map.addressOf("a.anon", "other", 0),
    map.addressOf("a.anon", undefined, 0),
  ];
  assert.equal(new Set([address, ...others]).size, 4);
  assert.equal(map.hostOf(address, "key", 0), "a.anon");
  assert.equal(map.hostOf(address, "other", 0), undefined);
  assert.equal(map.hostOf(address, undefined, 0), undefined);
  assert.equal(map.hostOf("198.19.255.255", "key", 0), undefined);
});

Deno.test("Automap forgets an address an hour after its last use, and gives another one then", () => {
  const map = new Automap();
  const address = map.addressOf("a.anon", "key", 0);
  assert.equal(map.hostOf(address, "key", MAPPED_MS - 1), "a.anon");
  const lateMs = 2 * MAPPED_MS - 1;
  assert.equal(map.hostOf(address, "key", lateMs), undefined);
  assert.equal(map.size, 0);
  assert.notEqual(map.addressOf("a.anon", "key", lateMs), address);
});

Deno.test("Automap has a key that is full pay itself, and the largest when all is full", () => {
  const map = new Automap();
  const innocent = map.addressOf("a.anon", "innocent", 0);
  const first = map.addressOf("0.anon", "greedy", 1);
  const second = map.addressOf("1.anon", "greedy", 1);
  map.hostOf(first, "greedy", 2); // used since: the second is the oldest now
  for (let n = 2; n <= MAX_MAPPED_PER_KEY; n++) {
    map.addressOf(`${n}.anon`, "greedy", 2);
  }
  assert.equal(map.size, 1 + MAX_MAPPED_PER_KEY);
  assert.equal(map.hostOf(first, "greedy", 3), "0.anon");
  assert.equal(map.hostOf(second, "greedy", 3), undefined);
  // Keys without end: the greedy one pays, and then the fresh ones.
  for (let n = 0; n < MAX_MAPPED; n++) {
    map.addressOf("x.anon", "innocent", 4); // still in use
    map.addressOf(`${n}.anon`, `key ${n % 50}`, 4);
  }
  assert.equal(map.size, MAX_MAPPED);
  assert.equal(map.hostOf(innocent, "innocent", 5), "a.anon");
});

Deno.test("isMappedAddress() knows the range of benchmarks from its neighbours", () => {
  for (const address of ["198.18.0.0", "198.19.255.255"]) {
    assert.ok(isMappedAddress(address), address);
  }
  for (
    const other of [
      "198.17.255.255",
      "198.20.0.0",
      "127.0.0.1",
      "::1",
      "a.anon",
    ]
  ) assert.ok(!isMappedAddress(other), other);
});
