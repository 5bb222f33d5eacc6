import assert from "node:assert/strict";
import { customNetwork, networkParameters } from "../../lib/auth/network.ts";

Deno.test("networkParameters() knows main and local", () => {
  const main = networkParameters("main");
  const local = networkParameters("local");
  assert.deepEqual([main.name, local.name], ["main", "local"]);
  // One for all networks: an observer reads it.
  assert.deepEqual([main.alpn, local.alpn], ["h3", "h3"]);
  assert.equal(main.allowPrivateAddresses, false);
  assert.ok(main.powDifficulty > 0);
  assert.equal(local.allowPrivateAddresses, true);
  assert.equal(local.powDifficulty, 0);
});

Deno.test("networkParameters() names the known ones when it refuses", () => {
  for (
    const name of ["", "Main", "main ", "local:x", "toString", "x".repeat(99)]
  ) {
    assert.throws(() => networkParameters(name), (error) => {
      assert.ok(error instanceof Error && error.message.length < 140);
      assert.match(error.message, /choose main or local/);
      return (error as { code?: string }).code === "auth.unknown_network";
    });
  }
});

Deno.test("a network's parameters cannot be changed", () => {
  for (const name of ["main", "local"]) {
    const network = networkParameters(name);
    assert.ok(Object.isFrozen(network));
    assert.throws(
      () => Object.assign(network, { powDifficulty: 0, k: 1 }),
      TypeError,
    );
    assert.equal(networkParameters(name), network);
  }
});

Deno.test("customNetwork() differs in its traits alone", () => {
  const network = customNetwork({
    name: "club-7",
    powDifficulty: 3,
    allowPrivateAddresses: true,
  });
  const { name, powDifficulty, allowPrivateAddresses, ...rest } = network;
  assert.deepEqual(
    { name, powDifficulty, allowPrivateAddresses },
    {
      name: "club-7",
      powDifficulty: 3,
      allowPrivateAddresses: true,
    },
  );
  for (const [key, value] of Object.entries(rest)) {
    assert.equal(Reflect.get(networkParameters("main"), key), value);
  }
});

Deno.test("customNetwork() refuses names and difficulties out of range", () => {
  const traits = { name: "a", powDifficulty: 0, allowPrivateAddresses: false };
  for (const name of ["", "A", "a b", "a/b", "é", "a".repeat(33), "a\n"]) {
    assert.throws(() => customNetwork({ ...traits, name }), RangeError);
  }
  for (const powDifficulty of [-1, 33, 1.5, NaN, Infinity]) {
    assert.throws(
      () => customNetwork({ ...traits, powDifficulty }),
      RangeError,
    );
  }
  assert.ok(Object.isFrozen(customNetwork({ ...traits, powDifficulty: 32 })));
});
