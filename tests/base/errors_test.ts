import assert from "node:assert/strict";
import {
  AnonNetError,
  BugError,
  ConfigError,
  describeError,
  errorCode,
  ProtocolError,
  UnreachableError,
} from "../../lib/base/errors.ts";

Deno.test("every error carries its class, code, message and cause", () => {
  for (
    const [Class, name] of [
      [AnonNetError, "AnonNetError"],
      [ProtocolError, "ProtocolError"],
      [UnreachableError, "UnreachableError"],
      [ConfigError, "ConfigError"],
      [BugError, "BugError"],
    ] as const
  ) {
    const cause = new Error("why");
    const error = new Class("link.bad_proof", "Cannot link", { cause });
    assert.ok(error instanceof AnonNetError && error instanceof Error);
    assert.deepEqual(
      [error.name, error.code, error.message, error.cause],
      [name, "link.bad_proof", "Cannot link", cause],
    );
    assert.match(String(error), new RegExp(`^${name}: Cannot link`));
  }
});

Deno.test("errors of different classes are told apart", () => {
  const error = new ProtocolError("a.b", "Cannot");
  for (const Class of [UnreachableError, ConfigError, BugError]) {
    assert.equal((error as Error) instanceof Class, false);
  }
});

Deno.test("errorCode() gives our codes, and the fallback for strangers", () => {
  assert.equal(errorCode(new BugError("a.b", "")), "a.b");
  for (const stranger of [new Error("x"), undefined, null, { code: "a.b" }]) {
    assert.equal(errorCode(stranger), "unknown");
    assert.equal(errorCode(stranger, "none"), "none");
  }
});

Deno.test("describeError() joins the messages of at most four causes", () => {
  const chain = [5, 4, 3, 2, 1].reduce<Error | undefined>(
    (cause, number) => new Error(`e${number}`, { cause }),
    undefined,
  );
  assert.equal(describeError(chain), "e1: e2: e3: e4");
  const circle = new Error("round");
  circle.cause = circle;
  assert.equal(describeError(circle), "round: round: round: round");
  assert.equal(describeError("text"), "text");
  assert.equal(describeError(undefined), "undefined");
});
