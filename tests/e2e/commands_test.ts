/** The commands beside `relay`, and the ways to configure it. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { runProgram, startRelay } from "../support/process.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";

const POSIX = Deno.build.os !== "windows";

Deno.test("status and peers show what a running relay knows, as text and as JSON", async () => {
  await using home = await TemporaryDirectory.create();
  const state = home.pathOf("my state");
  await using first = await startRelay(state);
  await using second = await startRelay(home.pathOf("b"), [
    "--bootstrap",
    first.address,
    "--control=127.0.0.1:0",
  ]);
  // From another directory than the relay was started in.
  const status = await runProgram(["status", `--state=${state}`, "--json"], {
    cwd: home.path,
  });
  assert.equal(status.code, 0, status.stderr);
  const facts = JSON.parse(status.stdout);
  assert.equal(facts.address, first.address);
  assert.equal(facts.network, "local");
  assert.equal(facts.links.links, 1);

  const [key = "", place] = second.address.slice("anon://".length).split("@");
  const peers = JSON.parse(
    (await runProgram(["peers", `--state=${state}`, "--json"])).stdout,
  );
  assert.deepEqual(
    peers.map((peer: Record<string, unknown>) => [
      peer["publicKey"],
      peer["relay"],
      peer["direction"],
      peer["address"],
    ]),
    [[key, true, "inbound", place]],
  );
  const table = await runProgram(["peers", `--state=${home.pathOf("b")}`]);
  assert.equal(table.code, 0, table.stderr);
  assert.match(
    table.stdout,
    /^PEER .*\n\S{12} +relay +yes +outbound +127\.0\.0\.1:/,
  );
  const text = await runProgram(["status", "--state", "my state"], {
    cwd: home.path,
  });
  assert.ok(text.stdout.includes(`address              ${first.address}\n`));
  assert.match(String(second.ready.control), /^127\.0\.0\.1:[0-9]+$/);
});

Deno.test("status without a running node fails, and says so", async () => {
  await using home = await TemporaryDirectory.create();
  const state = home.pathOf("a");
  const asked = () => runProgram(["status", `--state=${state}`]);
  const never = await asked();
  assert.equal(never.code, 1);
  assert.match(never.stderr, /none is running on state directory/);
  await using relay = await startRelay(state);
  relay.process.signal("SIGKILL");
  await relay.process.outcome();
  const killed = await asked();
  assert.equal(killed.code, 1);
  assert.match(killed.stderr, /it may have stopped/);
});

Deno.test({
  name: "the control interface leaves nothing that another user can open",
  ignore: !POSIX,
  async fn() {
    await using home = await TemporaryDirectory.create();
    const state = home.pathOf("a");
    await using relay = await startRelay(state);
    const mode = async (path: string) =>
      ((await Deno.stat(path)).mode ?? 0) & 0o777;
    assert.equal(await mode(state), 0o700);
    assert.equal(await mode(`${state}/control`), 0o600);
    await relay.process.stop();
    await assert.rejects(Deno.stat(`${state}/control`));
    await assert.rejects(Deno.stat(`${state}/control-socket`));
  },
});

Deno.test("a control interface for other machines is refused", async () => {
  await using home = await TemporaryDirectory.create();
  const outcome = await runProgram([
    "relay",
    "--network=local",
    "--listen=127.0.0.1:0",
    `--state=${home.pathOf("a")}`,
    "--control=0.0.0.0:0",
  ]);
  assert.equal(outcome.code, 2);
  assert.match(outcome.stderr, /--control: .*it is for this machine alone/);
});

Deno.test("a relay runs with permission for its state and its network alone", async () => {
  await using home = await TemporaryDirectory.create();
  const state = home.pathOf("a");
  const permissions = [
    `--allow-read=${state}`,
    `--allow-write=${state}`,
    "--allow-net=127.0.0.1",
  ];
  await using relay = await startRelay(state, [], { permissions });
  const status = await runProgram(["status", `--state=${state}`], {
    permissions,
  });
  assert.equal(status.code, 0, status.stderr);
  await relay.process.stop();
});

Deno.test("a relay takes its flags from a file, and the command line wins", async () => {
  await using home = await TemporaryDirectory.create();
  await using first = await startRelay(home.pathOf("a"));
  const config = home.pathOf("anonnet.toml");
  await Deno.writeTextFile(
    config,
    `state = "nowhere/at/all"
     network = "local"
     listen = "127.0.0.1:0"
     bootstrap = ["${first.address}"]
     ready-json = true
     log-format = "json"`,
  );
  await using second = await startRelay(home.pathOf("b"), ["--config", config]);
  const peers = await runProgram(["peers", `--state=${home.pathOf("b")}`]);
  assert.match(peers.stdout, /outbound/);
  assert.ok(second.ready.address !== null);
});

Deno.test("keygen writes a key that a relay takes, and does not print the secret", async () => {
  await using home = await TemporaryDirectory.create();
  const state = home.pathOf("a");
  await Deno.mkdir(state, { mode: 0o700 });
  const file = `${state}/identity.key`;
  const made = await runProgram(["keygen", `--out=${file}`, "--json"]);
  assert.equal(made.code, 0, made.stderr);
  const { publicKey } = JSON.parse(made.stdout);
  const [, secret = "?"] = (await Deno.readTextFile(file)).split("\n");
  assert.ok(!made.stdout.includes(secret) && !made.stderr.includes(secret));
  if (POSIX) assert.equal(((await Deno.stat(file)).mode ?? 0) & 0o777, 0o600);
  await using relay = await startRelay(state);
  assert.ok(relay.address.startsWith(`anon://${publicKey}@`));

  const again = await runProgram(["keygen", `--out=${file}`]);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /never overwritten/);
  assert.ok((await Deno.readTextFile(file)).includes(secret));
});

Deno.test("keygen prints the secret only when asked to", async () => {
  await using home = await TemporaryDirectory.create();
  const asked = await runProgram(["keygen", "--out=-"], { cwd: home.path });
  assert.match(
    asked.stdout,
    /^anonnet-ed25519-seed v1\n[a-z2-7]{52}\n[a-z2-7]{8}\n$/,
  );
  const plain = await runProgram(["keygen"], { cwd: home.path });
  assert.match(plain.stdout, /public key {2}[a-z2-7]{52}\n/);
  const text = await Deno.readTextFile(home.pathOf("identity.key"));
  assert.ok(!plain.stdout.includes(text.split("\n")[1] ?? "?"));
});

Deno.test("version names what the program is and runs on", async () => {
  const { code, stdout } = await runProgram(["version", "--json"]);
  assert.equal(code, 0);
  const versions = JSON.parse(stdout);
  assert.equal(versions.deno, Deno.version.deno);
  assert.equal(versions.v8, Deno.version.v8);
  assert.equal(versions.protocol, 1);
  assert.match(versions.anonnet, /^[0-9]+\.[0-9]+\.[0-9]+/);
  assert.match(versions.crypto, /native|noble/);
});

Deno.test({
  name: "a result that cannot be written is an error in words, and no bug",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const main = fileURLToPath(new URL("../../main.ts", import.meta.url));
    const { code, stderr } = await new Deno.Command("sh", {
      args: [
        "-c",
        `exec "$0" run --quiet --no-prompt -P "$1" version >/dev/full`,
        Deno.execPath(),
        main,
      ],
    }).output();
    assert.equal(code, 1);
    assert.equal(
      new TextDecoder().decode(stderr).replace(/^.*experimental.*\n/gm, ""),
      "anonnet: Cannot write to standard output: the disk is full; free some " +
        "space: No space left on device (os error 28)\n",
    );
  },
});

Deno.test("client-key asks a node that runs, and gives the same key when it has stopped", async () => {
  await using home = await TemporaryDirectory.create();
  const state = home.pathOf("a");
  const host = JSON.parse(
    (await runProgram([
      "keygen",
      "--service",
      "--json",
      "--out=-",
    ])).stdout,
  ).host;
  const words = ["client-key", host, `--state=${state}`];
  const keys: string[] = [];
  {
    await using relay = await startRelay(state);
    const { code, stdout, stderr } = await runProgram(words);
    assert.equal(code, 0, stderr);
    keys.push(stdout);
    await relay.process.stop();
  }
  keys.push((await runProgram(words)).stdout);
  assert.match(keys[0] ?? "", /^[a-z2-7]{103}\n$/);
  assert.equal(keys[0], keys[1]);
});
