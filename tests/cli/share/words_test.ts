import assert from "node:assert/strict";
import { run } from "../../../lib/cli/main.ts";
import { siteNameOf } from "../../../lib/cli/share/share_name.ts";
import { HOST } from "../../proxy/world.ts";
import { recording } from "../recording_program.ts";

const WRONG: readonly (readonly [string[], RegExp])[] = [
  [["share"], /write anonnet share FILE/],
  [["share", ""], /write anonnet share FILE/],
  [["share", "x", "--downloads=0"], /from 1 to 1000000/],
  [["share", "x", "--downloads=1e3"], /from 1 to 1000000/],
  [["share", "x", "--title="], /empty/],
  [["share", "x", "--name=A b"], /lower-case letters/],
  [["receive"], /write anonnet receive DIR/],
  [["receive", "a", "b"], /with one directory/],
  [["receive", "a", "--max-size=x"], /such as 64MiB/],
  [["receive", "a", "--max-files=-1"], /whole number/],
  [["get"], /write anonnet get LINK/],
  [["get", "a.anon", "b.anon"], /with one link/],
  [["get", "https://x.anon/"], /begin with http:\/\//],
  [["get", "http://example.com/a"], /only \.anon/],
  [["get", "example.com/a"], /only \.anon/],
  [["get", "ftp://x.anon/"], /begin with http:\/\//],
  [["get", `http://me:secret@${HOST}/`], /makes no sense/],
  [["get", HOST, "--proxy=127.0.0.1:9280"], /socks5h/],
  [["get", HOST, "--proxy=socks5://127.0.0.1:9250"], /mind the h/],
  [["get", HOST, "--patience=x"], /number of seconds/],
];

Deno.test("share, receive and get say what is wrong with their words, before anything is done", async () => {
  for (const [words, what] of WRONG) {
    const { program, told } = recording();
    assert.equal(await run(words, program), 2, words.join(" "));
    assert.match(told.join("\n"), what, words.join(" "));
    assert.doesNotMatch(told.join("\n"), /secret@/);
  }
});

Deno.test("share says which file is not there", async () => {
  const { program, told } = recording();
  assert.equal(await run(["share", "/not/there"], program), 1);
  assert.match(told.join("\n"), /Cannot share "\/not\/there"/);
});

Deno.test("siteNameOf() gives the same files the same name, in whatever order, and others another", () => {
  const name = siteNameOf("share", ["/a", "/b"]);
  assert.match(name, /^share-[a-z2-7]{16}$/);
  assert.equal(siteNameOf("share", ["/b", "/a"]), name);
  for (const paths of [["/a"], ["/a/b"], ["/a", "/c"]]) {
    assert.notEqual(siteNameOf("share", paths), name);
  }
  assert.notEqual(siteNameOf("receive", ["/a", "/b"]), name);
});
