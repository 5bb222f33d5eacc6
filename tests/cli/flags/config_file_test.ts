import assert from "node:assert/strict";
import fc from "fast-check";
import { ConfigError } from "../../../lib/base/errors.ts";
import { readConfig } from "../../../lib/cli/flags/config_file.ts";
import {
  listFlag,
  optionalFlag,
  parseText,
  switchFlag,
} from "../../../lib/cli/flags/flag.ts";

const FLAGS = {
  state: optionalFlag("DIR", "where", parseText),
  hops: optionalFlag("N", "how many", Number),
  peer: listFlag("NAME", "whom", parseText),
  "ready-json": switchFlag("as JSON"),
  config: optionalFlag("FILE", "this", parseText),
  help: switchFlag("help"),
};

function read(text: string): Record<string, string[]> {
  return Object.fromEntries(readConfig("my.toml", text, FLAGS));
}

function refusal(text: string): ConfigError {
  try {
    read(text);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error;
  }
  assert.fail(`not refused: ${text}`);
}

Deno.test("readConfig() turns TOML into the texts of flags", () => {
  assert.deepEqual(
    read(`
      # where all is
      state = "a b"
      hops = 3
      peer = ["x", "y"]
      ready-json = true
    `),
    { state: ["a b"], hops: ["3"], peer: ["x", "y"], "ready-json": [""] },
  );
  assert.deepEqual(read('peer = "x"'), { peer: ["x"] });
  assert.deepEqual(read("ready-json = false"), { "ready-json": [] });
  assert.deepEqual(read(""), {});
});

Deno.test("readConfig() names line and column of what is not TOML", () => {
  const error = refusal('state = "a"\nhops = = 3\n');
  assert.equal(error.code, "cli.toml");
  assert.match(error.message, /^Cannot read my\.toml: line 2, column [0-9]+: /);
  assert.doesNotMatch(error.message, /\n/);
  assert.equal(refusal('state = "a"\nstate = "b"').code, "cli.toml");
});

Deno.test("readConfig() names the nearest known setting for an unknown one", () => {
  const error = refusal('sate = "a"');
  assert.equal(error.code, "cli.unknown_key");
  assert.match(error.message, /"sate" of my\.toml: .* did you mean state\?/);
  for (
    const text of ["config = 'x'", "help = true", "__proto__ = 1", "[relay]"]
  ) {
    assert.equal(refusal(text).code, "cli.unknown_key", text);
  }
});

Deno.test("readConfig() refuses values of the wrong kind", () => {
  for (
    const text of [
      "state = true",
      "state = ['a']",
      "state = { a = 1 }",
      "state = 2026-01-01",
      "[state]",
      "peer = [1, true]",
      "peer = [['a']]",
      "ready-json = 'true'",
      "ready-json = 1",
    ]
  ) assert.equal(refusal(text).code, "cli.key_type", text);
});

Deno.test("readConfig() gives texts or a ConfigError for arbitrary text", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    try {
      read(text);
    } catch (error) {
      assert.ok(error instanceof ConfigError, String(error));
    }
  }));
});
