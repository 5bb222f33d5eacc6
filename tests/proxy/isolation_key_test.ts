import assert from "node:assert/strict";
import fc from "fast-check";
import {
  authorizationIsolation,
  passwordIsolation,
} from "../../lib/proxy/isolation_key.ts";
import { latin1Bytes } from "../../lib/http/latin1.ts";

const LATIN1 = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((unit) =>
    String.fromCharCode(unit)
  ),
});

function basic(name: string, password: string): string {
  return `Basic ${latin1Bytes(`${name}:${password}`).toBase64()}`;
}

Deno.test("passwordIsolation() keeps different pairs apart", () => {
  fc.assert(fc.property(LATIN1, LATIN1, LATIN1, LATIN1, (a, b, c, d) => {
    const isSame = a === c && b === d;
    assert.equal(passwordIsolation(a, b) === passwordIsolation(c, d), isSame);
  }));
  assert.notEqual(passwordIsolation("ab", "c"), passwordIsolation("a", "bc"));
  assert.notEqual(passwordIsolation("", "1:a"), passwordIsolation("1:a", ""));
});

Deno.test("authorizationIsolation() means the same as the pair over SOCKS", () => {
  fc.assert(fc.property(LATIN1, LATIN1, (name, password) => {
    fc.pre(!name.includes(":"));
    assert.equal(
      authorizationIsolation(basic(name, password)),
      passwordIsolation(name, password),
    );
  }));
  assert.equal(
    authorizationIsolation(basic("a", "b:c")),
    passwordIsolation("a", "b:c"),
  );
  assert.equal(
    authorizationIsolation(basic("a", "b").replace("Basic", "bASIC")),
    passwordIsolation("a", "b"),
  );
});

Deno.test("authorizationIsolation() takes other and broken values as keys of their own", () => {
  const values = [
    "",
    "Basic",
    "Basic ",
    "Basic !!!",
    "Basic YQ==", // no colon
    "Basic A",
    "Bearer abc",
    "bearer abc",
    "b:1:ab",
  ];
  const keys = new Set(values.map(authorizationIsolation));
  assert.equal(keys.size, values.length);
  assert.ok(!keys.has(passwordIsolation("a", "b")));
});
