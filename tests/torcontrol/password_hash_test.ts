import assert from "node:assert/strict";
import { utf8 } from "../../lib/base/bytes.ts";
import { ConfigError } from "../../lib/base/errors.ts";
import { PasswordHash } from "../../lib/torcontrol/password_hash.ts";
import { HELLO_HASH } from "./world.ts";

Deno.test("PasswordHash takes the password that Tor hashed, and no other", () => {
  const hash = PasswordHash.parse(HELLO_HASH);
  assert.ok(hash.isOf(utf8("hello")));
  assert.ok(PasswordHash.parse(HELLO_HASH.toLowerCase()).isOf(utf8("hello")));
  for (const wrong of ["", "Hello", "hello ", "hellohello"]) {
    assert.ok(!hash.isOf(utf8(wrong)), wrong);
  }
});

Deno.test("PasswordHash refuses what is no hash, and does not repeat it", () => {
  for (
    const text of [
      "",
      "hello",
      HELLO_HASH.slice(3),
      `${HELLO_HASH}00`,
      HELLO_HASH.replace("2B", "ZZ"),
    ]
  ) {
    assert.throws(
      () => PasswordHash.parse(text),
      (error) =>
        error instanceof ConfigError &&
        error.code === "torcontrol.password_hash" &&
        (text === "" || !error.message.includes(text)),
    );
  }
});
