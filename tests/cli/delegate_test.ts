import assert from "node:assert/strict";
import { utf8 } from "../../lib/base/bytes.ts";
import { run } from "../../lib/cli/main.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { readHostFile } from "../../lib/node/host/roster/read_host_file.ts";
import { SystemClock } from "../../lib/machine/system_clock.ts";
import { formatKey } from "../../lib/storage/key_format.ts";
import { MemoryFiles } from "../../lib/storage/memory_files.ts";
import { recording } from "./recording_program.ts";

const crypto = nativeSuite();
const clock = new SystemClock();

/** A file system with a service's key in a state directory. */
async function withKey(): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  await files.makeDirectory("keys");
  using file = await files.create("keys/service-site.key");
  await file.write(utf8(formatKey(crypto, new Uint8Array(32).fill(7))));
  return files;
}

const DELEGATE = ["delegate", "site", "--state=keys", "--days=1"];

Deno.test("delegate makes a file for each host, which that host alone can use", async () => {
  const files = await withKey();
  const { program, printed } = recording(files);
  assert.equal(await run([...DELEGATE, "--json"], program), 0);
  const said = JSON.parse(printed.join(""));
  assert.deepEqual(said.files, ["site-1.host", "site-2.host"]);
  assert.match(said.host, /^[a-z2-7]{56}\.anon$/);
  for (const [index, path] of said.files.entries()) {
    assert.equal((await files.facts(path))?.mode, 0o600);
    const read = await readHostFile({ files, crypto, clock }, path);
    assert.equal(read.slot, index + 1);
  }
});

Deno.test("delegate overwrites no file, and then takes nothing back", async () => {
  const files = await withKey();
  assert.equal(await run(DELEGATE, recording(files).program), 0);
  const before = await files.read("keys/delegation-site.blob");
  const { program, told } = recording(files);
  assert.equal(await run(DELEGATE, program), 1);
  assert.match(told.join(), /site-1\.host": there is one already/);
  assert.deepEqual(await files.read("keys/delegation-site.blob"), before);
});

Deno.test("delegate says what is wrong", async () => {
  const files = await withKey();
  const wrong = [
    [["delegate"], 2, /give the one name/],
    [["delegate", "a", "b"], 2, /give the one name/],
    [["delegate", "No name"], 2, /lower-case letters/],
    [["delegate", "site", "--hosts=9"], 2, /from 0 to 8/],
    [["delegate", "site", "--days=31"], 2, /from 1 to 30/],
    [["delegate", "site", "--move=3"], 2, /there are 2/],
    [
      ["delegate", "other", "--state=keys"],
      1,
      /there is no key "keys\/service-other\.key"/,
    ],
  ] as const;
  for (const [words, code, message] of wrong) {
    const { program, told } = recording(files);
    assert.equal(await run(words, program), code, words.join(" "));
    assert.match(told.join(), message);
  }
});

Deno.test("serve refuses a host file that is missing, open to others, or none", async () => {
  const files = await withKey();
  assert.equal(await run(DELEGATE, recording(files).program), 0);
  const serve = async (path: string) => {
    const { program, told } = recording(files);
    const words = ["serve", "80=127.0.0.1:1", `--delegated=${path}`];
    assert.equal(await run(words, program), 1);
    return told.join();
  };
  assert.match(await serve("nowhere.host"), /there is no such file/);
  assert.match(await serve("keys/service-site.key"), /it is no host file/);
  const facts = files.facts.bind(files);
  files.facts = async (path) => {
    const known = await facts(path);
    return known && { ...known, mode: 0o644 };
  };
  assert.match(
    await serve("site-1.host"),
    /other users may read it \(mode 644\); run: chmod 600 site-1\.host/,
  );
});

Deno.test("run takes a host file for each service that has one", async () => {
  const wrong = [
    [["--delegated=site"], 2, /write NAME=FILE/],
    [["--delegated=other=a.host"], 2, /there is no such service/],
    [["--delegated=site=a", "--delegated=site=b"], 2, /twice: write it once/],
    [["--delegated=site=a.host"], 1, /Cannot read "a\.host": there is no such/],
  ] as const;
  for (const [flags, code, message] of wrong) {
    const { program, told } = recording(await withKey());
    const words = ["run", "--service=site,80=127.0.0.1:1", ...flags];
    assert.equal(await run(words, program), code, flags.join(" "));
    assert.match(told.join(), message);
  }
});
