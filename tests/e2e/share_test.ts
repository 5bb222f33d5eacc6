/** Files that are shared and received, with curl and with our own command, each a process. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { isInstalled, succeed } from "../support/client_programs.ts";
import { ProgramProcess, runProgram } from "../support/process.ts";
import { ProcessNetwork } from "../support/process_network.ts";
import { testBytes } from "./_site.ts";

const HAS_CURL = isInstalled("curl");
const BYTES = testBytes(300_000);

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The name and value of each field, in lower case. */
function fieldsOf(head: string): Map<string, string> {
  return new Map(
    [...head.matchAll(/^([^:\r\n]+): ?(.*)\r$/gm)]
      .map(([, name = "", value = ""]) => [name.toLowerCase(), value]),
  );
}

Deno.test({
  name:
    "share gives files to curl, whole, in parts and resumed, and get brings all of them through the same proxy",
  ignore: !HAS_CURL,
  async fn() {
    await using network = await ProcessNetwork.start({ relays: 5 });
    const { home } = network;
    const shared = home.pathOf("shared");
    await Deno.mkdir(`${shared}/näher`, { recursive: true });
    await Deno.writeFile(`${shared}/large.bin`, BYTES);
    await Deno.writeTextFile(`${shared}/näher/a b.txt`, "hello");
    const sharer = await network.start("share", "sharer", [
      "--title=Mine",
      shared,
    ]);
    const proxy = await network.proxy("proxy");
    const { link } = sharer;
    assert.match(link, /^http:\/\/[a-z2-7]{56}\.anon\/[a-z2-7]{26}\/$/);
    const curl = (...words: string[]) =>
      succeed("curl", [
        "-q",
        "-sS",
        "--proxy",
        `http://${proxy.http}`,
        ...words,
      ]);

    const page = (await curl(link)).text;
    assert.match(page, /<h1>Mine<\/h1>/);
    const below = (await curl(`${link}shared/`)).text;
    assert.match(below, new RegExp(sha256(BYTES)));
    const file = `${link}shared/large.bin`;
    const fields = fieldsOf((await curl("--head", file)).text);
    assert.equal(fields.get("content-length"), `${BYTES.length}`);
    assert.equal(fields.get("accept-ranges"), "bytes");
    const part = await curl("--range", "1000-1999", file);
    assert.deepEqual(part.stdout, BYTES.slice(1_000, 2_000));
    const got = home.pathOf("curl.bin");
    await Deno.writeFile(got, BYTES.slice(0, 100_000));
    await curl("--continue-at", "-", "--output", got, file);
    assert.deepEqual(await Deno.readFile(got), BYTES);
    const elsewhere = await curl(
      ...["--write-out", "%{http_code}", "--output", home.pathOf("404")],
      new URL("/large.bin", link).href,
    );
    assert.equal(elsewhere.text, "404");

    const state = `--state=${home.pathOf("proxy")}`;
    const target = home.pathOf("got");
    const brought = await runProgram([
      "get",
      state,
      `--output=${target}`,
      link,
    ]);
    assert.equal(brought.code, 0, brought.stderr);
    assert.deepEqual(await Deno.readFile(`${target}/shared/large.bin`), BYTES);
    assert.equal(
      await Deno.readTextFile(`${target}/shared/näher/a b.txt`),
      "hello",
    );
    const again = await runProgram(["get", state, `--output=${target}`, link]);
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stderr, /is there already/);
    await Deno.writeTextFile(`${target}/shared/large.bin`, "mine");
    const taken = await runProgram([
      "get",
      `--proxy=socks5h://${proxy.socks}`,
      `--output=${target}`,
      link,
    ]);
    assert.equal(taken.code, 1);
    assert.match(taken.stderr, /there is such a file/);
    assert.equal(
      await Deno.readTextFile(`${target}/shared/large.bin`),
      "mine",
    );
  },
});

Deno.test("share ends once a file was downloaded as often as it may be, and get says what is not there", async () => {
  await using network = await ProcessNetwork.start({ relays: 5 });
  const { home } = network;
  const path = home.pathOf("f.txt");
  await Deno.writeTextFile(path, "words");
  const sharer = await network.start("share", "sharer", [
    "--downloads=2",
    path,
  ]);
  const { link } = sharer;
  const words = network.wordsOf("getter");
  const wrong = await runProgram(["get", ...words, `${link}x/f.txt`]);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /answers 404/);
  for (const name of ["one", "two"]) {
    const target = home.pathOf(name);
    const got = await runProgram(["get", ...words, `--output=${target}`, link]);
    assert.equal(got.code, 0, got.stderr);
    assert.equal(got.stdout, `${target}\n`);
    assert.equal(await Deno.readTextFile(target), "words");
  }
  const { code, stderr } = await sharer.process.outcome();
  assert.equal(code, 0, stderr);
  assert.match(stderr, /Downloaded f\.txt \(2 of 2\)/);
  // The same files again: the same link, and the count begins anew.
  sharer.begin();
  await sharer.becomeReady();
  assert.equal(sharer.link, link);
  await using other = ProgramProcess.start(["get", ...words, link], {
    cwd: home.path,
  });
  assert.match((await other.outcome()).stderr, /f\.txt is there already/);
});

Deno.test({
  name:
    "receive takes files that curl sends as a form, under names that are free, and refuses what is too large",
  ignore: !HAS_CURL,
  async fn() {
    await using network = await ProcessNetwork.start({ relays: 5 });
    const { home } = network;
    const directory = home.pathOf("inbox");
    const receiver = await network.start("receive", "receiver", [
      "--max-size=250kB",
      directory,
    ]);
    const proxy = await network.proxy("proxy");
    const send = (...words: string[]) =>
      succeed("curl", [
        ...["-q", "-sS", "--proxy", `socks5h://${proxy.socks}`],
        ...["--write-out", "%{http_code}", ...words, receiver.link],
      ]);
    const small = BYTES.slice(0, 200_000);
    await Deno.writeFile(home.pathOf("small"), small);
    await Deno.writeFile(home.pathOf("large"), BYTES);
    const form = await send("--output", home.pathOf("page"));
    assert.equal(form.text, "200");
    assert.match(await Deno.readTextFile(home.pathOf("page")), /<form /);
    for (let n = 0; n < 2; n++) {
      const sent = await send("--form", `file=@${home.pathOf("small")}`);
      assert.match(sent.text, new RegExp(`${sha256(small)}[^]*201$`));
    }
    const evil = await send(
      "--form",
      `file=@${home.pathOf("small")};filename=../../.evil`,
    );
    assert.match(evil.text, /201$/);
    const refused = await send("--form", `file=@${home.pathOf("large")}`);
    assert.match(refused.text, /413$/);
    await receiver.end();
    const names = (await Array.fromAsync(Deno.readDir(directory)))
      .map(({ name }) => name).sort();
    assert.deepEqual(names, ["_.evil", "small", "small (2)"]);
    for (const name of names) {
      assert.deepEqual(await Deno.readFile(`${directory}/${name}`), small);
    }
  },
});
