import assert from "node:assert/strict";
import { customNetwork, networkParameters } from "../../../lib/auth/network.ts";
import { utf8 } from "../../../lib/base/bytes.ts";
import { GARDEN, inviteLine, Operator } from "./network_world.ts";

Deno.test("anonnet join says what the invite is, and remembers it", async () => {
  const operator = new Operator();
  const said = await operator.do(["join", inviteLine()]);
  assert.match(said, /network +garden: home and company addresses are allowed/);
  assert.match(said, /signed by +([a-z2-7]{5} ){3}[a-z2-7]{5}\n/);
  assert.match(said, /valid +until .* UTC, 59 min( [0-9]+ s)? from now/);
  assert.match(said, /relays +10\.1\.0\.1:4001, key [a-z2-7]{8}…\n {12}10\.2/);
  assert.match(said, /The key is new here/);
  assert.match(said, /anonnet proxy --state anonnet-state$/);
  const again = await operator.do(["join", inviteLine({ relays: [4] })]);
  assert.match(again, /The key is the one that this node knows/);
});

Deno.test("anonnet join takes a line in pieces, a file, a mail, and standard input", async () => {
  const line = inviteLine();
  const folded = line.replaceAll(/(.{60})/g, "$1\r\n> ");
  const mail = `Hello,\r\n\r\ncome in by\r\n> ${folded}\r\n\r\nSee you!\r\n`;
  const pieces = line.replaceAll(/(.{50})/g, "$1 ").split(" ");
  const tries: readonly (readonly [readonly string[], string?])[] = [
    [[line]],
    [[` ${line}\n`]],
    [pieces],
    [["line.txt"]],
    [["mail.txt"]],
    [["-"], `${line}\n`],
    [["-"], mail],
  ];
  for (const [words, input] of tries) {
    const operator = new Operator();
    operator.files.plant("line.txt", utf8(`${line}\n`));
    operator.files.plant("mail.txt", utf8(mail));
    const said = await operator.do(["join", ...words, "--json"], input);
    assert.equal(JSON.parse(said).network, "garden");
    assert.equal(JSON.parse(said).relays.length, 3);
    assert.equal(JSON.parse(said).isKeyNew, true);
  }
});

/** An invite in which a piece may begin as flags do. */
function lineWithHyphens(): string {
  for (let lifeMs = 3_600_000;; lifeMs += 1_000) {
    const line = inviteLine({ lifeMs });
    if (/-.*--/.test(line)) return line;
  }
}

Deno.test("anonnet join takes a line that is folded at any place, also where a piece looks like a flag", async () => {
  const operator = new Operator();
  const line = lineWithHyphens();
  const folds: string[][] = [[...line], line.split(/(?=-)/)];
  for (let at = 1; at < line.length; at++) {
    folds.push([line.slice(0, at), line.slice(at)]);
  }
  assert.ok(folds.some(([, second = ""]) => second.startsWith("--")));
  for (const pieces of folds) {
    const said = await operator.do(["join", "--json", ...pieces]);
    assert.equal(JSON.parse(said).network, "garden", pieces.join(" "));
  }
});

Deno.test("anonnet join finds its flags before, behind and among the pieces of a line", async () => {
  const line = lineWithHyphens();
  const at = line.indexOf("--");
  const [first, second] = [line.slice(0, at), line.slice(at)];
  const flags = ["--state", "elsewhere", "--json"];
  for (
    const words of [
      [...flags, first, second],
      [first, ...flags, second],
      [first, second, ...flags],
      [first, "--state=elsewhere", second, "--json"],
      [...flags, "--", first, second],
    ]
  ) {
    const operator = new Operator();
    const said = await operator.do(["join", ...words]);
    assert.equal(JSON.parse(said).network, "garden", words.join(" "));
    assert.ok(await operator.files.facts("elsewhere") !== undefined);
  }
  const operator = new Operator();
  assert.match(
    await operator.do(["join", first, second, "--help"]),
    /^Usage: anonnet join/m,
  );
  const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
    [[first, second, "--jsn"], 1, /5 characters stand behind its end/],
    [["notes.txt", "--jsn"], 2, /Cannot understand --jsn.*--json/],
    [[first, second, "--state"], 2, /the value is missing/],
  ];
  for (const [words, code, message] of cases) {
    const outcome = await operator.run(["join", ...words]);
    assert.match(outcome.told, message);
    assert.equal(outcome.code, code);
  }
});

Deno.test("anonnet join refuses each wrong invite in words, and changes nothing", async () => {
  const operator = new Operator();
  const line = inviteLine();
  await operator.do(["join", line]);
  const before = operator.files.read("anonnet-state/membership.blob");
  const strict = customNetwork({ ...GARDEN, powDifficulty: 3 });
  const cases: readonly (readonly [string, RegExp])[] = [
    [line.slice(0, 70), /cut short, and the last [0-9]+ of its/],
    [line.slice(0, 70) + "A" + line.slice(71), /changed on the way|not begin/],
    [`anonnet:Ag${line.slice(10)}`, /for version 2 of the protocol/],
    [inviteLine({ lifeMs: -60_000 }), /it lapsed at .*clock says/],
    [inviteLine({ key: 2 }), /signed by .*has the key .*or forged/],
    [inviteLine({ network: strict }), /other parameters/],
    [
      inviteLine({ network: networkParameters("local") }),
      /is for network "local", and this node is in "garden"/,
    ],
  ];
  for (const [text, words] of cases) {
    const { code, printed, told } = await operator.run(["join", text]);
    assert.equal(code, 1, told);
    assert.match(told, words);
    assert.equal(printed, "");
  }
  assert.deepEqual(
    await operator.files.read("anonnet-state/membership.blob"),
    await before,
  );
});

Deno.test("anonnet join does not even make a directory for what is no invite", async () => {
  const operator = new Operator();
  operator.files.plant("notes.txt", utf8("Nothing here"));
  operator.files.plant("big.txt", new Uint8Array(100_000));
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /the invite is missing/],
    [[""], /the invite is missing/],
    [["missing.txt"], /no invite, .* and no file with one/],
    [["big.txt"], /and no file with one/],
    [["notes.txt"], /does not begin with anonnet:/],
    [["notes.txt", "more.txt"], /give one invite/],
    [["-"], /does not begin with anonnet:/],
    [[inviteLine().slice(1)], /no invite, which begins with anonnet:/],
  ];
  for (const [words, message] of cases) {
    const { code, told } = await operator.run(["join", ...words]);
    assert.equal(code, 1, told);
    assert.match(told, message);
  }
  assert.equal(await operator.files.facts("anonnet-state"), undefined);
});

Deno.test("anonnet join says what to do while a node runs on the state directory, and changes nothing", async () => {
  const operator = new Operator();
  await operator.do(["join", inviteLine()]);
  const before = operator.files.read("anonnet-state/membership.blob");
  using _node = await operator.files.lock("anonnet-state/lock") ??
    assert.fail();
  const line = inviteLine({ relays: [4] });
  const { code, told } = await operator.run(["join", line]);
  assert.equal(code, 1);
  assert.match(
    told,
    /a node runs on .*"anonnet-state".*; stop it, .* start it with --bootstrap LINE/,
  );
  assert.deepEqual(
    await operator.files.read("anonnet-state/membership.blob"),
    await before,
  );
});
