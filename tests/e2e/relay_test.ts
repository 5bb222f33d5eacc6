/** Relays as processes: what an operator does, and gets wrong. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import {
  Lines,
  logLine,
  ProgramProcess,
  runProgram,
  startRelay,
} from "../support/process.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";

const POSIX = Deno.build.os !== "windows";

/** The first letters of the key in an address, as the log shows them. */
function shortKey(address: string): string {
  return address.slice("anon://".length).slice(0, 8);
}

Deno.test("two relays get ready, know each other, and end cleanly on SIGINT and SIGTERM", async () => {
  await using home = await TemporaryDirectory.create();
  await using first = await startRelay(home.pathOf("a"));
  await using second = await startRelay(home.pathOf("b"), [
    "--bootstrap",
    first.address,
  ]);
  assert.match(first.address, /^anon:\/\/[a-z2-7]{52}@127\.0\.0\.1:[0-9]+$/);
  assert.notEqual(first.address, second.address);
  for (const { ready } of [first, second]) {
    assert.deepEqual(Object.keys(ready), [
      "event",
      "address",
      "socks",
      "http",
      "control",
      "metrics",
      "torControl",
      "services",
    ]);
    const { socks, http, metrics, services } = ready;
    assert.deepEqual([socks, http, metrics, services], [null, null, null, []]);
  }
  const known = await logLine(first.process, "Peer known");
  assert.equal(known["peer"], shortKey(second.address));
  const answered = await logLine(second.process, "Peer known");
  assert.equal(answered["peer"], shortKey(first.address));

  for (
    const { stdout, stderr } of [
      await first.process.stop("SIGINT"),
      await second.process.stop("SIGTERM"),
    ]
  ) {
    assert.equal(stdout.trimEnd().split("\n").length, 1);
    if (POSIX) assert.match(stderr, /"message":"Stopped"/);
    assert.doesNotMatch(stderr, /127\.0\.0\.1|"level":"(warning|error)"/);
  }
});

Deno.test({
  name:
    "a relay ends cleanly on SIGHUP, and with its starter where it is told to, and leaves no socket",
  ignore: !POSIX,
  async fn() {
    await using home = await TemporaryDirectory.create();
    const left = async (state: string) =>
      (await Array.fromAsync(Deno.readDir(state))).map(({ name }) => name)
        .filter((name) => name.startsWith("control"));
    await using relay = await startRelay(home.pathOf("a"));
    const { stderr } = await relay.process.stop("SIGHUP");
    assert.match(stderr, /"message":"Stopped"/);
    assert.deepEqual(await left(home.pathOf("a")), []);

    const state = home.pathOf("b");
    const starter = new Deno.Command("sh", {
      // A shell that waits passes no signal on, like that of npx.
      args: [
        "-c",
        `"$0" run --quiet --no-prompt -P "$@" & wait`,
        Deno.execPath(),
        fileURLToPath(new URL("../../main.ts", import.meta.url)),
        "relay",
        "--network=local",
        "--listen=127.0.0.1:0",
        `--state=${state}`,
        "--ready-json",
        "--log-format=json",
        "--stop-with-parent",
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const [stdout, log] = [
      new Lines(starter.stdout),
      new Lines(starter.stderr),
    ];
    await stdout.until((line) => line.startsWith("{"));
    starter.kill("SIGTERM");
    await starter.status;
    // The relay holds the other end: all is read once it has ended.
    assert.match(await log.all, /"message":"Stopped"/);
    await stdout.all;
    assert.deepEqual(await left(state), []);
  },
});

Deno.test("a relay keeps its identity over a restart and a kill", async () => {
  await using home = await TemporaryDirectory.create();
  const key = (address: string) => address.split("@")[0];
  let before: string | undefined;
  {
    await using relay = await startRelay(home.pathOf("a"));
    before = key(relay.address);
    await relay.process.stop();
  }
  {
    await using relay = await startRelay(home.pathOf("a"));
    assert.equal(key(relay.address), before);
    relay.process.signal("SIGKILL");
    await relay.process.outcome();
  }
  await using relay = await startRelay(home.pathOf("a"));
  assert.equal(key(relay.address), before);
});

Deno.test("a bootstrap address with one changed letter is refused, and the error says why", async () => {
  await using home = await TemporaryDirectory.create();
  await using first = await startRelay(home.pathOf("a"));
  const index = "anon://".length + 20;
  const letter = first.address[index] === "a" ? "b" : "a";
  const wrong = first.address.slice(0, index) + letter +
    first.address.slice(index + 1);
  const outcome = await runProgram([
    "relay",
    "--network=local",
    "--listen=127.0.0.1:0",
    `--state=${home.pathOf("b")}`,
    `--bootstrap=${wrong}`,
  ]);
  assert.equal(outcome.code, 1);
  assert.equal(outcome.stdout, "");
  assert.match(outcome.stderr, /link\.wrong_identity/);
  assert.match(outcome.stderr, /Cannot join the network: .* not with its key/);
  assert.match(outcome.stderr, /letter by letter/);
});

Deno.test("an address that no peer could dial is not advertised, and the error says why", async () => {
  await using home = await TemporaryDirectory.create();
  for (const address of ["10.1.2.3:4001", "192.0.2.7:0"]) {
    const outcome = await runProgram([
      "relay",
      "--network=main",
      `--state=${home.pathOf("a")}`,
      `--advertise=${address}`,
    ]);
    assert.equal(outcome.code, 1);
    assert.match(outcome.stderr, /no peer could dial it in network main/);
  }
});

Deno.test("a relay whose bootstrap node is down goes on trying, and still stops on SIGINT", async () => {
  await using home = await TemporaryDirectory.create();
  await using first = await startRelay(home.pathOf("a"));
  const { address } = first;
  first.process.signal("SIGKILL");
  await first.process.outcome();
  await using second = ProgramProcess.start([
    "relay",
    "--network=local",
    "--listen=127.0.0.1:0",
    `--state=${home.pathOf("b")}`,
    `--bootstrap=${address}`,
    "--log-format=json",
    "--ready-json",
  ]);
  await logLine(second, "Joining the network");
  assert.equal((await second.stop()).stdout, "");
});

Deno.test("a second process on one state directory is refused, and the first goes on", async () => {
  await using home = await TemporaryDirectory.create();
  const state = home.pathOf("a");
  await using first = await startRelay(state);
  const outcome = await runProgram([
    "relay",
    "--network=local",
    "--listen=127.0.0.1:0",
    `--state=${state}`,
  ]);
  assert.equal(outcome.code, 1);
  assert.ok(outcome.stderr.includes(`state directory "${state}"`));
  if (POSIX) {
    assert.ok(outcome.stderr.includes(`(pid ${first.process.pid})`));
  }
  assert.equal((await runProgram(["status", "--state", state])).code, 0);
});

Deno.test("a port in use is refused, and the error names it", async () => {
  await using home = await TemporaryDirectory.create();
  await using first = await startRelay(home.pathOf("a"));
  const [, listen = ""] = first.address.split("@");
  const outcome = await runProgram([
    "relay",
    "--network=local",
    `--listen=${listen}`,
    `--state=${home.pathOf("b")}`,
  ]);
  assert.equal(outcome.code, 1);
  assert.match(outcome.stderr, /in use/);
  assert.ok(outcome.stderr.includes(listen.split(":")[1] ?? "?"));
});

Deno.test({
  name: "a key that others can read is refused, and the error says what to run",
  ignore: !POSIX,
  async fn() {
    await using home = await TemporaryDirectory.create();
    const state = home.pathOf("a");
    {
      await using relay = await startRelay(state);
      await relay.process.stop();
    }
    await Deno.chmod(`${state}/identity.key`, 0o644);
    const outcome = await runProgram(
      ["relay", "--network=local", "--listen=127.0.0.1:0", `--state=${state}`],
    );
    assert.equal(outcome.code, 1);
    assert.match(outcome.stderr, /other users may read it \(mode 644\)/);
    assert.ok(outcome.stderr.includes(`chmod 600 ${state}/identity.key`));
  },
});

Deno.test("a torn key stops the relay and is kept, and no new one is made", async () => {
  await using home = await TemporaryDirectory.create();
  const state = home.pathOf("a");
  const args = [
    "relay",
    "--network=local",
    "--listen=127.0.0.1:0",
    `--state=${state}`,
  ];
  {
    await using relay = await startRelay(state);
    await relay.process.stop();
  }
  const text = await Deno.readTextFile(`${state}/identity.key`);
  await Deno.truncate(`${state}/identity.key`, 60);
  for (const reason of [/was moved to/, /it was damaged and is now/]) {
    const outcome = await runProgram(args);
    assert.equal(outcome.code, 1);
    assert.match(outcome.stderr, reason);
    assert.match(outcome.stderr, /put a good copy in place/);
  }
  assert.equal(
    await Deno.readTextFile(`${state}/identity.key.corrupt-1`),
    text.slice(0, 60),
  );
  await assert.rejects(Deno.stat(`${state}/identity.key`));
});

Deno.test("a malformed command line ends its process with code 2, and says what to write", async () => {
  // tests/cli/wrong_words_test.ts has the others.
  const { code, stdout, stderr } = await runProgram(["relay", "--staet=x"]);
  assert.equal(code, 2);
  assert.equal(stdout, "");
  assert.match(stderr, /no such flag; did you mean --state\?/);
});

Deno.test("a relay whose state directory vanishes says so once, and goes on", async () => {
  await using home = await TemporaryDirectory.create();
  const state = home.pathOf("a");
  await using relay = await startRelay(state);
  await Deno.rename(state, home.pathOf("b"));
  const message =
    "The state directory cannot be used: what is learned now is " +
    "lost when the node stops";
  const { error } = await logLine(relay.process, message);
  assert.equal(error, "storage.missing");
  const asked = await runProgram(["status", "--state", state]);
  assert.equal(asked.code, 1);
  assert.match(asked.stderr, /which is not there; .* was removed/);
  await Deno.rename(home.pathOf("b"), state);
  await logLine(relay.process, "The state directory is fine again");
  const status = await runProgram(["status", "--state", state]);
  assert.match(status.stdout, /^state +fine$/m);
  const { stderr } = await relay.process.stop();
  assert.equal(stderr.split(message).length, 2);
});
