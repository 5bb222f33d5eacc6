/** What another user of the same machine can see of a running node, and do to it (P13). */
import assert from "node:assert/strict";
import { startRelay } from "../support/process.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";

/** A user and group that own nothing. */
const STRANGER = 4242;

/** Run a line of shell as another user; `$1` is `path`. */
async function asStranger(
  line: string,
  path: string,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const command = new Deno.Command("/bin/sh", {
    args: ["-c", line, "sh", path],
    cwd: "/",
    uid: STRANGER,
    gid: STRANGER,
    env: { LC_ALL: "C" },
  });
  const { code, stdout, stderr } = await command.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** All that is below a directory, with itself. */
async function treeOf(path: string): Promise<string[]> {
  const found = [path];
  for await (const { name, isDirectory } of Deno.readDir(path)) {
    const inner = `${path}/${name}`;
    found.push(...(isDirectory ? await treeOf(inner) : [inner]));
  }
  return found;
}

for (const flags of [[], ["--control=127.0.0.1:0"]]) {
  Deno.test({
    name:
      `another user sees nothing of a node's state, and gives it no command, ${
        flags.join() || "by default"
      }`,
    // Only root can be another user.
    ignore: Deno.build.os === "windows" || Deno.uid() !== 0,
    async fn() {
      await using home = await TemporaryDirectory.create();
      await Deno.chmod(home.path, 0o755);
      const open = home.pathOf("open");
      await Deno.writeTextFile(open, "seen", { mode: 0o644 });
      assert.equal((await asStranger('cat "$1"', open)).stdout, "seen");

      const state = home.pathOf("state");
      await using relay = await startRelay(state, flags);
      const tree = await treeOf(state);
      for (const name of ["identity.key", "control"]) {
        assert.ok(tree.includes(`${state}/${name}`), `no ${name} in ${tree}`);
      }
      // Neither read, nor listed, nor written, nor connected to.
      for (const path of tree) {
        for (const line of ['cat "$1"', 'ls "$1/"', '>> "$1"', 'rm "$1"']) {
          const { code, stdout, stderr } = await asStranger(line, path);
          assert.notEqual(code, 0, `${line} ${path}`);
          assert.equal(stdout, "", `${line} ${path}`);
          assert.match(stderr, /Permission denied|Is a directory/);
        }
      }
      if (flags.length === 0) {
        assert.ok(tree.includes(`${state}/control-socket`));
      } else {
        // The port is open to all; what it does without the token is nothing.
        const url = `http://${String(relay.ready.control).replace("tcp:", "")}`;
        for (const path of ["/", "/status", "/stop"]) {
          const answer = await fetch(url + path, {
            method: "POST",
            body: "{}",
          });
          assert.equal(answer.status, 403);
          await answer.body?.cancel();
        }
      }
      assert.deepEqual(await treeOf(state), tree);
      await relay.process.stop();
    },
  });
}
