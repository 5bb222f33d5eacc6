import assert from "node:assert/strict";
import { run } from "../../lib/cli/main.ts";
import { Identity } from "../../lib/auth/identity.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { serviceHostOf } from "../../lib/node/host/service_keys.ts";
import { MemoryFiles } from "../../lib/storage/memory_files.ts";
import { recording } from "./recording_program.ts";

Deno.test("run() prints the help on standard output when asked, and else on standard error", async () => {
  for (const words of [["help"], ["--help"], ["-h"]]) {
    const { program, printed, told } = recording();
    assert.equal(await run(words, program), 0);
    assert.match(printed.join("\n"), /Commands:\n {2}demo /);
    assert.deepEqual(told, []);
  }
  const { program, printed, told } = recording();
  assert.equal(await run([], program), 2);
  assert.deepEqual(printed, []);
  assert.match(told.join("\n"), /Commands:/);
});

Deno.test("run() explains a command in three ways", async () => {
  const texts = new Set<string>();
  for (
    const words of [["help", "keygen"], ["keygen", "-h"], ["keygen", "--help"]]
  ) {
    const { program, printed } = recording();
    assert.equal(await run(words, program), 0);
    texts.add(printed.join("\n"));
  }
  assert.equal(texts.size, 1);
  assert.match([...texts].join(), /Usage: anonnet keygen \[flags\]/);
});

Deno.test("run() explains every command, whatever else is said", async () => {
  const all = recording();
  assert.equal(await run(["help"], all.program), 0);
  const names = [...all.printed.join("\n").matchAll(/^ {2}([a-z-]+) /gm)]
    .map(([, name]) => name ?? "");
  assert.ok(names.includes("relay") && names.includes("client-key"));
  for (const name of names) {
    const { program, printed } = recording();
    assert.equal(await run([name, "--bogus", "--help"], program), 0, name);
    const help = printed.join("\n");
    assert.match(help, new RegExp(`Usage: anonnet ${name} `));
    assert.match(help, /--help {2}/);
  }
});

Deno.test("run() takes --help after -- for an operand", async () => {
  const { program, told } = recording();
  assert.equal(await run(["keygen", "--", "--help"], program), 2);
  assert.match(told.join(), /takes only flags/);
});

Deno.test("run() asks for IP addresses in every help, for names are refused", async () => {
  const asked = ["proxy", "serve", "relay", "run"].map(async (name) => {
    const { program, printed } = recording();
    await run(["help", name], program);
    return printed.join("\n");
  });
  for (const help of await Promise.all(asked)) {
    assert.match(help, / IP:PORT/);
    assert.doesNotMatch(help, /HOST/);
  }
});

Deno.test("run() keeps every line of every help within 80 columns", async () => {
  for (const name of ["relay", "status", "peers", "keygen", "version"]) {
    const { program, printed } = recording();
    await run(["help", name], program);
    for (const line of printed.join("\n").split("\n")) {
      assert.ok(line.length <= 80, line);
    }
  }
});

Deno.test("run() ends wrong usage with 2 and one line, and does nothing", async () => {
  for (
    const words of [
      ["keygne"],
      ["--out=x", "keygen"],
      ["keygen", "--uot=x"],
      ["help", "keygne"],
      ["status", "--state="],
      ["client-key", "foo"],
      ["client-key", `${"a".repeat(56)}.anon`],
      ["proxy", "--socks=0.0.0.0:9250"],
      ["proxy", "--http=[::]:9280"],
      ["run", "--socks=192.0.2.7:1"],
      ["run", "--service=a,80=127.0.0.1:1", "--service=a,81=127.0.0.1:1"],
      ["run", "--service=a,80=127.0.0.1:1", "--public=b"],
      ["serve", "80=[::1]:1", "--public", `--authorise=${"b".repeat(102)}q`],
      [
        "run",
        ...Array.from({ length: 257 }, (_, n) => `--service=s${n},1=[::1]:1`),
      ],
    ]
  ) {
    const { program, printed, told } = recording();
    assert.equal(await run(words, program), 2, words.join(" "));
    assert.deepEqual(printed, []);
    assert.equal(told.length, 1);
    assert.match(told.join(), /^anonnet: Cannot /);
    assert.deepEqual(await program.files.list("anonnet-state"), []);
    assert.equal(await program.files.facts("anonnet-state"), undefined);
  }
});

Deno.test("run() names the command that an unknown one is nearest to", async () => {
  for (
    const [word, meant] of [
      ["statsu", "status"],
      ["service", "services"],
      ["Relay", "relay"],
      ["STATUS", "status"],
      ["clientkey", "client-key"],
      ["client", "client-key"],
      ["sim", "simulate"],
      ["stat", "status"],
      ["key", "keygen"],
      ["start", undefined],
    ] as const
  ) {
    const { program, told } = recording();
    assert.equal(await run([word], program), 2);
    const [, named] = /did you mean ([a-z-]+)\?/.exec(told.join()) ?? [];
    assert.equal(named, meant, word);
  }
});

Deno.test("run() says which flag opens a proxy to others, and how many services fit", async () => {
  const proxy = recording();
  await run(["proxy", "--socks=0.0.0.0:9250"], proxy.program);
  assert.match(proxy.told.join(), /127\.0\.0\.1:9250, or add --allow-remote/);
  const help = recording();
  await run(["run", "--help"], help.program);
  assert.match(help.printed.join(" ").replaceAll(/\s+/g, " "), /at most 256/);
});

Deno.test("run() tells nothing of what a file holds that is no configuration", async () => {
  const files = new MemoryFiles();
  const text = "anonnet-ed25519-seed v1\ntnihoqzqw4upu2twlhp7h5xx6tzzj\n";
  files.plant("service.key", new TextEncoder().encode(text));
  const { program, told } = recording(files);
  assert.equal(await run(["run", "--config=service.key"], program), 2);
  assert.match(told.join(), /Cannot read service\.key: line 1, column/);
  assert.doesNotMatch(told.join(), /seed|tnih|\n/);
});

Deno.test("run() never advises to start with more permissions than are needed", async () => {
  const lacking = new Deno.errors.NotCapable(
    'Requires net access to "x", run again with the --allow-net flag',
  );
  const { program, told } = recording();
  program.terminal.print = () => {
    throw lacking;
  };
  assert.equal(await run(["version"], program), 1);
  assert.match(
    told.join(),
    /without a permission .*requires net access to "x"/,
  );
  assert.doesNotMatch(told.join(), /run again|a bug/);

  const files = new MemoryFiles();
  files.read = () => Promise.reject(lacking);
  const other = recording(files);
  assert.equal(await run(["status"], other.program), 1);
  assert.match(other.told.join(), /--allow-read/);
  assert.doesNotMatch(other.told.join(), /run again/);
});

Deno.test("run() prints a secret key as JSON when asked for both", async () => {
  const { program, printed } = recording();
  const words = ["keygen", "--service", "--json", "--out=-"];
  assert.equal(await run(words, program), 0);
  const made = JSON.parse(printed.join(""));
  assert.deepEqual(Object.keys(made), ["publicKey", "secretKey", "host"]);
  assert.match(made.secretKey, /^anonnet-ed25519-seed v1\n[a-z2-7]{52}\n/);
});

Deno.test("run() says that client-key made a new key, and where, and then no more", async () => {
  const files = new MemoryFiles();
  const crypto = nativeSuite();
  const { publicKey } = new Identity(crypto, new Uint8Array(32).fill(1));
  const words = [
    "client-key",
    "--state=mistyped",
    serviceHostOf(crypto, publicKey),
  ];
  const first = recording(files);
  assert.equal(await run(words, first.program), 0);
  assert.match(
    first.told.join(),
    /no node runs on state directory "mistyped".* made a new "mistyped\/client\.key"/,
  );
  // As the browser shows it.
  words.splice(-1, 1, `http://${words.at(-1)}/page`);
  const second = recording(files);
  assert.equal(await run(words, second.program), 0);
  assert.deepEqual(second.told, []);
  assert.deepEqual(second.printed, first.printed);
});

Deno.test("run() ends what failed with 1", async () => {
  const files = new MemoryFiles();
  files.plant("identity.key", new Uint8Array(1));
  const { program, printed, told } = recording(files);
  assert.equal(await run(["keygen"], program), 1);
  assert.deepEqual(printed, []);
  assert.match(told.join(), /never overwritten/);
  assert.equal((await files.read("identity.key"))?.length, 1);
});

Deno.test("run() shows a bug as a bug, with where it happened", async () => {
  const { program, told } = recording();
  program.files.read = () => Promise.reject(new TypeError("x is undefined"));
  assert.equal(await run(["status"], program), 1);
  assert.match(told[0] ?? "", /Cannot read .*x is undefined/);

  const broken = recording();
  broken.program.terminal.print = () => {
    throw new TypeError("y is undefined");
  };
  assert.equal(await run(["version"], broken.program), 1);
  assert.match(broken.told[0] ?? "", /a bug: y is undefined/);
  assert.match(broken.told[1] ?? "", /main_test\.ts/);
});

Deno.test("run() ends quietly when its output has no reader", async () => {
  const { program, told } = recording();
  program.terminal.print = () => {
    throw new Deno.errors.BrokenPipe("no reader");
  };
  assert.equal(await run(["version"], program), 1);
  assert.deepEqual(told, []);
});

Deno.test("run() takes a bandwidth in bytes or bits, and nothing else", async () => {
  for (const text of ["0", "-1", "5 M", "5m", "5mb", "x", "5Mb", ""]) {
    const { program, told } = recording();
    assert.equal(await run(["relay", `--bandwidth=${text}`], program), 2);
    assert.match(told[0] ?? "", /--bandwidth.*(5M|empty|value)/s, text);
  }
});
