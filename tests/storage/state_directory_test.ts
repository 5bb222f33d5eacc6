import assert from "node:assert/strict";
import { utf8 } from "../../lib/base/bytes.ts";
import { ConfigError } from "../../lib/base/errors.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import type { SetAside } from "../../lib/storage/blob_store.ts";
import { DenoFiles } from "../../lib/storage/deno_files.ts";
import { StateDirectory } from "../../lib/storage/state_directory.ts";
import { FailingFiles } from "../support/failing_files.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";

const SEED = new Uint8Array(32).fill(7);
const POSIX = Deno.build.os !== "windows";

function open(path: string, events: SetAside[] = []): Promise<StateDirectory> {
  return StateDirectory.open(path, {
    files: new DenoFiles(),
    crypto: nobleSuite(),
    holder: "pid 4242",
    onSetAside: (event) => events.push(event),
  });
}

async function refusal(work: Promise<unknown>): Promise<ConfigError> {
  const error = await work.then(() => undefined, (reason: unknown) => reason);
  assert.ok(error instanceof ConfigError, `not refused: ${error}`);
  return error;
}

async function mode(path: string): Promise<string> {
  return ((await Deno.stat(path)).mode ?? 0).toString(8).slice(-3);
}

Deno.test("StateDirectory.open() makes directories and files for its owner alone", async () => {
  await using home = await TemporaryDirectory.create();
  const path = home.pathOf("deep/state");
  using state = await open(path);
  await state.keys.create("identity", SEED);
  await state.blobs.write("guards", utf8("a"));
  await state.writeNote("control", "here");
  if (POSIX) {
    assert.equal(await mode(path), "700");
    for (const name of ["identity.key", "guards.blob", "control", "lock"]) {
      assert.equal(await mode(`${path}/${name}`), "600", name);
    }
  }
  assert.deepEqual(
    (await Array.fromAsync(Deno.readDir(path))).map(({ name }) => name).sort(),
    ["control", "guards.blob", "identity.key", "lock"],
  );
});

Deno.test("StateDirectory keeps keys and blobs for the next one to open it", async () => {
  await using home = await TemporaryDirectory.create();
  {
    using state = await open(home.pathOf("state"));
    await state.keys.create("identity", SEED);
    await state.blobs.write("guards", utf8("one"));
    await state.blobs.write("guards", utf8("two"));
    await state.blobs.write("relays", new Uint8Array(0));
  }
  using state = await open(`${home.pathOf("state")}/`);
  assert.deepEqual(await state.keys.read("identity"), SEED);
  assert.deepEqual(await state.blobs.read("guards"), utf8("two"));
  assert.deepEqual(await state.blobs.read("relays"), new Uint8Array(0));
  assert.equal(await state.blobs.read("others"), undefined);
  assert.equal(await state.keys.read("others"), undefined);
});

Deno.test("StateDirectory writes of one name at once end with the last one whole", async () => {
  await using home = await TemporaryDirectory.create();
  using state = await open(home.pathOf("state"));
  const bodies = [..."abcdefgh"].map((letter) => utf8(letter.repeat(5000)));
  await Promise.all(bodies.map((body) => state.blobs.write("guards", body)));
  assert.deepEqual(await state.blobs.read("guards"), bodies.at(-1));
});

Deno.test("StateDirectory.open() refuses a directory in use, and names it and its user", async () => {
  await using home = await TemporaryDirectory.create();
  const path = home.pathOf("state");
  {
    using _first = await open(path);
    const error = await refusal(open(path));
    assert.equal(error.code, "storage.locked");
    assert.match(error.message, /state" *: another process \(pid 4242\)/);
    assert.ok(error.message.includes(path));
  }
  using _second = await open(path);
});

Deno.test("StateDirectory.open() is not stopped by the lock file of a killed process", async () => {
  await using home = await TemporaryDirectory.create();
  const path = home.pathOf("state");
  const script = `
    const file = await Deno.open(${JSON.stringify(`${path}/lock`)},
      { create: true, write: true });
    console.log(await file.tryLock(true));
    await new Promise(() => setInterval(() => {}, 1000));`;
  (await open(path))[Symbol.dispose]();
  await using holder = new Deno.Command(Deno.execPath(), {
    args: ["eval", script],
    stdout: "piped",
  }).spawn();
  const reader = holder.stdout.getReader();
  assert.match(new TextDecoder().decode((await reader.read()).value), /true/);
  assert.equal((await refusal(open(path))).code, "storage.locked");
  holder.kill("SIGKILL");
  await holder.status;
  await reader.cancel();
  using _state = await open(path);
});

Deno.test("StateDirectory.open() removes what a crash left half-written", async () => {
  await using home = await TemporaryDirectory.create();
  const path = home.pathOf("state");
  (await open(path))[Symbol.dispose]();
  await Deno.writeTextFile(`${path}/guards.blob.tmp`, "half");
  using state = await open(path);
  await assert.rejects(Deno.stat(`${path}/guards.blob.tmp`));
  assert.equal(await state.blobs.read("guards"), undefined);
});

Deno.test("StateDirectory sets a damaged blob aside, reports it, and goes on", async () => {
  await using home = await TemporaryDirectory.create();
  const path = home.pathOf("state");
  const events: SetAside[] = [];
  using state = await open(path, events);
  for (const copy of [1, 2]) {
    await state.blobs.write("guards", utf8("one"));
    await Deno.truncate(`${path}/guards.blob`, 20);
    assert.equal(await state.blobs.read("guards"), undefined);
    const movedTo = `${path}/guards.blob.corrupt-${copy}`;
    assert.deepEqual(events.pop(), { path: `${path}/guards.blob`, movedTo });
    assert.equal((await Deno.stat(movedTo)).size, 20);
  }
  assert.equal(await state.blobs.read("guards"), undefined);
  assert.equal(events.length, 0);
});

Deno.test("StateDirectory leaves files of a later version where they are", async () => {
  await using home = await TemporaryDirectory.create();
  const path = home.pathOf("state");
  using state = await open(path);
  await state.blobs.write("guards", utf8("one"));
  const bytes = await Deno.readFile(`${path}/guards.blob`);
  bytes[12] = 2;
  await Deno.writeFile(`${path}/guards.blob`, bytes);
  const error = await refusal(state.blobs.read("guards"));
  assert.equal(error.code, "storage.blob_version");
  assert.deepEqual(await Deno.readFile(`${path}/guards.blob`), bytes);

  const text = "anonnet-ed25519-seed v2\nx\n";
  await Deno.writeTextFile(`${path}/identity.key`, text, { mode: 0o600 });
  const refused = await refusal(state.keys.read("identity"));
  assert.equal(refused.code, "storage.key_version");
  assert.equal(await Deno.readTextFile(`${path}/identity.key`), text);
});

for (
  const [what, damage] of [
    ["a torn", (path: string) => Deno.truncate(path, 40)],
    ["an emptied", (path: string) => Deno.truncate(path, 0)],
    ["an endless", (path: string) => Deno.truncate(path, 2 ** 40)],
  ] as const
) {
  Deno.test(`KeyStore.read() sets ${what} key aside and refuses to go on without it`, async () => {
    await using home = await TemporaryDirectory.create();
    const path = home.pathOf("state");
    const file = `${path}/identity.key`;
    {
      using state = await open(path);
      await state.keys.create("identity", SEED);
      await Deno.copyFile(file, home.pathOf("backup"));
      await damage(file);
      const error = await refusal(state.keys.read("identity"));
      assert.equal(error.code, "storage.key_damaged");
      assert.ok(error.message.includes(`moved to "${file}.corrupt-1"`));
      assert.ok(
        error.message.includes(`put a good copy in place as "${file}"`),
      );
    }
    // The next start must not take the missing file for a first start.
    using state = await open(path);
    const error = await refusal(state.keys.read("identity"));
    assert.equal(error.code, "storage.key_lost");
    const refused = await refusal(state.keys.create("identity", SEED));
    assert.equal(refused.code, "storage.exists");
    // Both ways out that the message names.
    await Deno.copyFile(home.pathOf("backup"), file);
    assert.deepEqual(await state.keys.read("identity"), SEED);
    await Deno.remove(file);
    await Deno.remove(`${file}.corrupt-1`);
    assert.equal(await state.keys.read("identity"), undefined);
  });
}

Deno.test("KeyStore.readOrMake() makes a key once, private and durable, and finds it later", async () => {
  await using home = await TemporaryDirectory.create();
  const path = home.pathOf("state");
  let drawn = 0;
  const random = { bytes: (n: number) => new Uint8Array(n).fill(++drawn) };
  const made = new Uint8Array(32).fill(1);
  {
    using state = await open(path);
    const first = await state.keys.readOrMake("identity", random);
    assert.deepEqual(first, { seed: made, isNew: true });
    first.seed.fill(0);
    if (POSIX) assert.equal(await mode(`${path}/identity.key`), "600");
  }
  using state = await open(path);
  const again = await state.keys.readOrMake("identity", random);
  assert.deepEqual(again, { seed: made, isNew: false });
  assert.equal(drawn, 1);
});

Deno.test("KeyStore.readOrMake() makes no key in place of one that cannot be used", async () => {
  await using home = await TemporaryDirectory.create();
  const path = home.pathOf("state");
  const file = `${path}/identity.key`;
  const random = { bytes: () => assert.fail("a key was drawn") };
  using state = await open(path);
  await state.keys.create("identity", SEED);
  await Deno.writeTextFile(file, "torn");
  for (const code of ["storage.key_damaged", "storage.key_lost"]) {
    const error = await refusal(state.keys.readOrMake("identity", random));
    assert.equal(error.code, code);
    assert.ok(error.message.includes(file), error.message);
  }
});

Deno.test("KeyStore.create() never overwrites a key", async () => {
  await using home = await TemporaryDirectory.create();
  using state = await open(home.pathOf("state"));
  await state.keys.create("identity", SEED);
  const error = await refusal(
    state.keys.create("identity", new Uint8Array(32)),
  );
  assert.equal(error.code, "storage.exists");
  assert.deepEqual(await state.keys.read("identity"), SEED);
});

Deno.test({
  name:
    "KeyStore.read() refuses a key that others can read, and says what to run",
  ignore: !POSIX,
  async fn() {
    await using home = await TemporaryDirectory.create();
    const path = home.pathOf("my state");
    using state = await open(path);
    await state.keys.create("identity", SEED);
    for (const bits of [0o604, 0o640, 0o602, 0o660, 0o666, 0o644]) {
      await Deno.chmod(`${path}/identity.key`, bits);
      const error = await refusal(state.keys.read("identity"));
      assert.equal(error.code, "storage.key_mode");
      assert.ok(error.message.endsWith(`chmod 600 '${path}/identity.key'`));
    }
    await Deno.chmod(`${path}/identity.key`, 0o400);
    assert.deepEqual(await state.keys.read("identity"), SEED);
  },
});

Deno.test({
  name:
    "StateDirectory.open() refuses a directory that others can enter, unless it is empty",
  ignore: !POSIX,
  async fn() {
    await using home = await TemporaryDirectory.create();
    const path = home.pathOf("state");
    await Deno.mkdir(path, { mode: 0o755 });
    (await open(path))[Symbol.dispose]();
    assert.equal(await mode(path), "700");

    const shared = home.pathOf("it's shared");
    (await open(shared))[Symbol.dispose]();
    await Deno.chmod(shared, 0o755);
    await Deno.writeTextFile(`${shared}/letter`, "dear all");
    const error = await refusal(open(shared));
    assert.equal(error.code, "storage.directory_mode");
    assert.ok(
      error.message.includes(`chmod 700 '${home.path}/it'\\''s shared'`),
    );
    assert.equal(await mode(shared), "755");
    assert.deepEqual(
      (await Array.fromAsync(Deno.readDir(shared))).map(({ name }) => name)
        .sort(),
      ["letter", "lock"],
    );
  },
});

/** What is in a directory: names, and the bytes of files. */
async function contents(path: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { name, isFile } of Deno.readDir(path)) {
    found[name] = isFile ? await Deno.readTextFile(`${path}/${name}`) : "/";
  }
  return found;
}

Deno.test("StateDirectory.open() leaves a directory of others as it is, and says so", async () => {
  await using home = await TemporaryDirectory.create();
  const cases: readonly Record<string, string>[] = [
    { "thesis.tmp": "x" },
    { "guards.blob.tmp": "x", letter: "y" },
    { lock: "", "thesis.tmp": "x" },
    { lock: "pid 12\n", notes: "x" },
    { "server.key": "-----BEGIN PRIVATE KEY-----" },
    { "pages.blob": "PK" },
    { "control.tmp": "x", lock: "held by apt" },
  ];
  for (const [index, files] of cases.entries()) {
    const path = home.pathOf(`d${index}`);
    await Deno.mkdir(path, { mode: 0o700 });
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${path}/${name}`, text);
    }
    const error = await refusal(open(path));
    assert.equal(error.code, "storage.directory_foreign", `${index}`);
    assert.ok(error.message.includes(path));
    assert.deepEqual(await contents(path), files);
  }
});

Deno.test("StateDirectory.open() takes state directories of earlier versions, copied keys, and fresh disks", async () => {
  await using home = await TemporaryDirectory.create();
  const made = home.pathOf("made");
  {
    using state = await open(made);
    await state.keys.create("identity", SEED);
    await state.blobs.write("guards", utf8("one"));
  }
  const [key, blob] = await Promise.all(
    ["identity.key", "guards.blob"].map((name) =>
      Deno.readTextFile(`${made}/${name}`)
    ),
  );
  assert.ok(key !== undefined && blob !== undefined);
  const cases: readonly Record<string, string>[] = [
    { lock: "pid 4242\n", "identity.key": key, "guards.blob": blob, notes: "" },
    { lock: "pid 4242\n", "identity.key": "torn", control: "x" },
    { lock: "" },
    { lock: "", "owner.tmp": "", "owner.tmp.tmp": "" },
    { "identity.key": key, "read-me.txt": "my relay" },
    { "guards.blob": blob },
    { "guards.blob.tmp": "half" },
  ];
  for (const [index, files] of cases.entries()) {
    const path = home.pathOf(`d${index}`);
    await Deno.mkdir(path, { mode: 0o700 });
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${path}/${name}`, text);
    }
    (await open(path))[Symbol.dispose]();
    // Once ours, it is marked so, whatever is put beside the mark.
    await Deno.writeTextFile(`${path}/thesis.tmp`, "x");
    (await open(path))[Symbol.dispose]();
    const found = await contents(path);
    assert.equal(found["thesis.tmp"], "x");
    assert.equal(found["lock"], "anonnet state directory\npid 4242\n");
    assert.deepEqual(
      Object.keys(found).filter((name) =>
        name.endsWith(".tmp") && name !== "thesis.tmp"
      ),
      [],
    );
  }
  await Deno.mkdir(home.pathOf("disk"), { mode: 0o700 });
  await Deno.mkdir(home.pathOf("disk/lost+found"));
  (await open(home.pathOf("disk")))[Symbol.dispose]();
});

Deno.test("StateDirectory goes on beside directories whose names end in .tmp", async () => {
  await using home = await TemporaryDirectory.create();
  const path = home.pathOf("state");
  (await open(path))[Symbol.dispose]();
  for (const name of ["x.tmp", "relays.blob.tmp", "owner.tmp"]) {
    await Deno.mkdir(`${path}/${name}`);
  }
  using state = await open(path);
  await state.blobs.write("guards", utf8("one"));
  const error = await refusal(state.blobs.write("relays", utf8("one")));
  assert.equal(error.code, "storage.path");
  assert.match(error.message, /relays\.blob\.tmp": there is a directory/);
  const found = await contents(path);
  for (const name of ["x.tmp", "relays.blob.tmp", "owner.tmp"]) {
    assert.equal(found[name], "/");
  }
});

Deno.test({
  name:
    "StateDirectory.open() names a directory that its owner cannot write, not a file in it",
  ignore: !POSIX,
  async fn() {
    await using home = await TemporaryDirectory.create();
    const path = home.pathOf("state");
    (await open(path))[Symbol.dispose]();
    for (const bits of [0o500, 0o600, 0o300]) {
      await Deno.chmod(path, bits);
      const error = await refusal(open(path));
      assert.equal(error.code, "storage.directory_mode");
      assert.ok(error.message.includes(`"${path}": its owner may not`));
      assert.ok(error.message.endsWith(`chmod 700 ${path}`));
    }
    await Deno.chmod(path, 0o700);
  },
});

Deno.test("BlobStore.write() says in words that the directory is gone", async () => {
  await using home = await TemporaryDirectory.create();
  const path = home.pathOf("state");
  using state = await open(path);
  await Deno.remove(path, { recursive: true });
  const error = await refusal(state.blobs.write("guards", utf8("one")));
  assert.equal(error.code, "storage.missing");
  assert.match(error.message, /its directory is not there any more/);
});

Deno.test("StateDirectory.open() says what is wrong with the path", async () => {
  await using home = await TemporaryDirectory.create();
  await Deno.writeTextFile(home.pathOf("file"), "");
  for (const path of [home.pathOf("file"), home.pathOf("file/state")]) {
    const error = await refusal(open(path));
    assert.match(error.code, /^storage\.(path|exists)$/);
    assert.ok(error.message.includes(path));
  }
});

Deno.test("StateDirectory refuses names that could leave the directory", async () => {
  await using home = await TemporaryDirectory.create();
  using state = await open(home.pathOf("state"));
  for (const name of ["", "..", "../x", "a/b", "a.b", "-a", "A", "a\0", "ä"]) {
    await assert.rejects(state.blobs.read(name), RangeError);
    await assert.rejects(state.blobs.write(name, SEED), RangeError);
    await assert.rejects(state.keys.read(name), RangeError);
    await assert.rejects(state.keys.create(name, SEED), RangeError);
  }
});

Deno.test({
  name:
    "StateDirectory refuses keys and directories of another user, and says what to run",
  // Only root can give a file away.
  ignore: !POSIX || Deno.uid() !== 0,
  async fn() {
    await using home = await TemporaryDirectory.create();
    const path = home.pathOf("state");
    {
      using state = await open(path);
      await state.keys.create("identity", SEED);
      await Deno.chown(`${path}/identity.key`, 4242, null);
      const error = await refusal(state.keys.read("identity"));
      assert.equal(error.code, "storage.key_owner");
      assert.ok(error.message.includes("it belongs to user 4242"));
      assert.ok(error.message.endsWith(`chown 0 ${path}/identity.key`));
    }
    await Deno.chown(path, 4242, null);
    const error = await refusal(open(path));
    assert.equal(error.code, "storage.directory_owner");
    assert.ok(error.message.endsWith(`chown 0 ${path}`));
  },
});

Deno.test("StateDirectory tells once that it cannot be written, or is gone, and once that it is fine again", async () => {
  await using home = await TemporaryDirectory.create();
  const path = home.pathOf("state");
  const heard: (string | undefined)[] = [];
  const files = new FailingFiles(new DenoFiles());
  using state = await StateDirectory.open(path, {
    files,
    crypto: nobleSuite(),
    holder: "pid 4242",
    onSetAside: () => assert.fail(),
    onTrouble: (trouble) => heard.push(trouble?.code),
  });
  const trouble = () => state.trouble;
  await state.look();
  assert.equal(trouble(), undefined);
  files.failAt = 1;
  files.staysBroken = true;
  for (const name of ["guards", "layer2", "guards"]) {
    await refusal(state.blobs.write(name, SEED));
  }
  assert.deepEqual(heard, ["storage.full"]);
  assert.match(trouble()?.message ?? "", /guards\.blob": the disk is full/);
  files.failAt = 0;
  await state.blobs.write("guards", SEED);
  assert.equal(trouble()?.code, "storage.full", "layer2 is not written");
  await state.blobs.write("layer2", SEED);
  assert.deepEqual(heard.splice(0), ["storage.full", undefined]);

  await Deno.rename(path, `${path}-moved`);
  await state.look();
  await state.look();
  await refusal(state.blobs.write("guards", SEED));
  assert.match(trouble()?.message ?? "", /it is not there any more/);
  await Deno.rename(`${path}-moved`, path);
  await state.look();
  await state.blobs.write("guards", SEED);
  assert.equal(trouble(), undefined);
  assert.deepEqual(heard, ["storage.missing", undefined]);
});
