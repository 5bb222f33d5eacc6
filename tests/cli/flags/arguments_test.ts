import assert from "node:assert/strict";
import fc from "fast-check";
import { readFlags, sortArguments } from "../../../lib/cli/flags/arguments.ts";
import {
  defaultFlag,
  listFlag,
  oneOf,
  optionalFlag,
  parseText,
  switchFlag,
} from "../../../lib/cli/flags/flag.ts";
import { ConfigError } from "../../../lib/base/errors.ts";

const FLAGS = {
  state: defaultFlag("DIR", "where", "here", parseText),
  level: optionalFlag("LEVEL", "how much", oneOf(["low", "high"])),
  peer: listFlag("NAME", "whom", parseText),
  json: switchFlag("as JSON"),
};

function read(...args: string[]) {
  const { flags, operands } = sortArguments(FLAGS, args);
  return { ...readFlags(FLAGS, flags), operands };
}

function codeOf(...args: string[]): string {
  try {
    read(...args);
  } catch (error) {
    if (error instanceof ConfigError) return error.code;
    throw error;
  }
  return "fine";
}

Deno.test("readFlags() gives the defaults when nothing was given", () => {
  assert.deepEqual(read(), {
    state: "here",
    level: undefined,
    peer: [],
    json: false,
    operands: [],
  });
});

Deno.test("readFlags() reads values after a space and after an equals sign", () => {
  assert.deepEqual(
    read("--state", "a", "--level=high", "--peer=x", "--peer", "y", "--json"),
    { state: "a", level: "high", peer: ["x", "y"], json: true, operands: [] },
  );
  assert.equal(read("--state=-a").state, "-a");
  assert.equal(read("--state=a=b").state, "a=b");
  assert.equal(read("--state", "-").state, "-");
});

Deno.test("readFlags() lets --no-NAME turn off a switch of the file", () => {
  const { flags } = sortArguments(FLAGS, ["--no-json"]);
  const fromFile = new Map([["json", [""]]]);
  assert.equal(readFlags(FLAGS, new Map(), fromFile).json, true);
  assert.equal(readFlags(FLAGS, flags, fromFile).json, false);
  assert.equal(read("--no-json").json, false);
});

Deno.test("sortArguments() keeps words that are no flags, and all after --", () => {
  assert.deepEqual(read("a", "--json", "b", "--", "--state", "c").operands, [
    "a",
    "b",
    "--state",
    "c",
  ]);
});

Deno.test("sortArguments() refuses what it cannot understand, by code", () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["cli.unknown_flag", ["--sate", "a"]],
    ["cli.unknown_flag", ["--" + "constructor"]],
    ["cli.unknown_flag", ["--__proto__=1"]],
    ["cli.unknown_flag", ["-s"]],
    ["cli.unknown_flag", ["-json"]],
    ["cli.unknown_flag", ["--no-jsn"]],
    ["cli.unknown_flag", ["--no-state"]],
    ["cli.unknown_flag", ["-no-json"]],
    ["cli.repeated_flag", ["--json", "--no-json"]],
    ["cli.repeated_flag", ["--no-json", "--json"]],
    ["cli.unknown_flag", ["--JSON"]],
    ["cli.missing_value", ["--state"]],
    ["cli.missing_value", ["--state", "--json"]],
    ["cli.missing_value", ["--state", "-a"]],
    ["cli.unwanted_value", ["--json=true"]],
    ["cli.repeated_flag", ["--state=a", "--state=a"]],
    ["cli.repeated_flag", ["--json", "--json"]],
    ["cli.empty", ["--state="]],
    ["cli.word", ["--level=medium"]],
    ["cli.word", ["--level="]],
  ];
  for (const [code, args] of cases) {
    assert.equal(codeOf(...args), code, args.join(" "));
  }
});

Deno.test("sortArguments() names the nearest flag", () => {
  assert.throws(() => read("--stat=a"), /did you mean --state\?/);
  assert.throws(() => read("--pear=a"), /did you mean --peer\?/);
  assert.throws(
    () => read("--something-else"),
    (error: Error) => !error.message.includes("did you mean"),
  );
});

Deno.test("readFlags() prefers the command line to the file, and the file to the default", () => {
  const file = new Map([["state", ["f"]], ["peer", ["x", "y"]], ["json", [
    "",
  ]]]);
  const { flags } = sortArguments(FLAGS, ["--state=c"]);
  assert.deepEqual(readFlags(FLAGS, flags, file), {
    state: "c",
    level: undefined,
    peer: ["x", "y"],
    json: true,
  });
});

Deno.test("readFlags() says in which flag, or where in the file, a value is wrong", () => {
  assert.throws(() => read("--level=x"), /^ConfigError: Cannot use --level: /);
  assert.throws(
    () => readFlags(FLAGS, new Map(), new Map([["level", ["x"]]])),
    /Cannot use "level" of the --config file: .* write one of low, high/,
  );
});

Deno.test("arbitrary words give values or a ConfigError", () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom(
      "--state",
      "--json",
      "--peer=a",
      "--",
      "-",
      "--=",
      "--level",
    ),
  );
  fc.assert(fc.property(fc.array(word, { maxLength: 6 }), (args) => {
    assert.equal(typeof codeOf(...args), "string");
  }));
});
