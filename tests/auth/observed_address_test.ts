import assert from "node:assert/strict";
import { networkParameters } from "../../lib/auth/network.ts";
import { ObservedAddress } from "../../lib/auth/observed_address.ts";

const HOME = { host: "8.8.4.4", port: 4001 };
const LIE = { host: "9.9.9.9", port: 53 };

function observed(network = "main") {
  const address = new ObservedAddress(networkParameters(network));
  const say = (peer: number, where: { host: string; port: number }) =>
    address.add(new Uint8Array(32).fill(peer), where);
  return { address, say };
}

Deno.test("ObservedAddress believes no single peer", () => {
  const { address, say } = observed();
  assert.equal(address.agreed, undefined);
  say(1, HOME);
  say(1, HOME);
  assert.equal(address.agreed, undefined);
  say(2, HOME);
  assert.deepEqual(address.agreed, HOME);
});

Deno.test("ObservedAddress needs more than half of the peers", () => {
  const { address, say } = observed();
  say(1, HOME);
  say(2, LIE);
  assert.equal(address.agreed, undefined);
  say(3, HOME);
  assert.deepEqual(address.agreed, HOME);
  say(4, LIE);
  assert.equal(address.agreed, undefined);
});

Deno.test("ObservedAddress gives nothing where each peer sees another port", () => {
  const { address, say } = observed();
  for (let peer = 1; peer <= 10; peer++) {
    say(peer, { ...HOME, port: 4000 + peer });
  }
  assert.equal(address.agreed, undefined);
});

Deno.test("ObservedAddress counts the last word of each peer", () => {
  const { address, say } = observed();
  for (const peer of [1, 2, 3]) say(peer, LIE);
  for (const peer of [1, 2]) say(peer, HOME);
  assert.deepEqual(address.agreed, HOME);
});

Deno.test("ObservedAddress follows a move, as old voices give way to new ones", () => {
  const { address, say } = observed();
  for (let peer = 0; peer < 200; peer++) say(peer, LIE);
  for (let peer = 200; peer < 209; peer++) say(peer, HOME);
  assert.deepEqual(address.agreed, HOME);
});

Deno.test("ObservedAddress does not count what no peer could dial in the network", () => {
  const inside = { host: "192.168.1.2", port: 4001 };
  const main = observed();
  main.say(1, inside);
  main.say(2, inside);
  assert.equal(main.address.agreed, undefined);
  const local = observed("local");
  local.say(1, inside);
  local.say(2, inside);
  assert.deepEqual(local.address.agreed, inside);
});
