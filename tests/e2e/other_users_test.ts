/** What another user of the same machine can see of a running node, and do to it (P13). */
import assert from "node:assert/strict";
import { runProgram, startRelay } from "../support/process.ts";
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

Deno.test({
  name: "another user gets nothing of a node's dashboard but its empty door",
  // Only root can be another user.
  ignore: Deno.build.os === "windows" || Deno.uid() !== 0,
  async fn() {
    await using home = await TemporaryDirectory.create();
    await Deno.chmod(home.path, 0o755);
    const state = home.pathOf("state");
    await using relay = await startRelay(state, [
      "--dashboard",
      "--dashboard-at=127.0.0.1:0",
    ]);
    const asked = await runProgram(["dashboard", `--state=${state}`]);
    const url = new URL(asked.stdout.trim());
    // What that user sees of processes has no token in it.
    const seen = await asStranger("cat /proc/*/cmdline; true", "");
    assert.doesNotMatch(seen.stdout, new RegExp(url.hash.slice(1)));
    // Nor does the state directory let him ask for one.
    const refused = await asStranger('cat "$1/control"', state);
    assert.notEqual(refused.code, 0);

    // His connections come from another user id: the door is all that they reach.
    const ask = async (head: string, body = "") => {
      const request = [
        head,
        `Host: ${url.host}`,
        `Origin: ${url.origin}`,
        "Content-Type: application/json",
        `Content-Length: ${body.length}`,
        "Connection: close",
        "",
        body,
      ].join("\r\n");
      const path = home.pathOf("request");
      await Deno.writeTextFile(path, request, { mode: 0o644 });
      const { stdout } = await asStranger(
        `exec bash -c 'exec 3<>/dev/tcp/127.0.0.1/${url.port}; cat "$0" >&3; cat <&3' "$1"`,
        path,
      );
      return stdout;
    };
    const door = await ask("GET / HTTP/1.1");
    assert.match(door, /^HTTP\/1\.1 200 /);
    assert.doesNotMatch(door, /local|relays|anon:\/\//);
    for (const name of ["/state", "/events", "/app.js", "/guards"]) {
      assert.match(await ask(`GET ${name} HTTP/1.1`), /^HTTP\/1\.1 404 /);
    }
    const mount = "a".repeat(52);
    assert.match(await ask(`GET /${mount}/state HTTP/1.1`), /^HTTP\/1\.1 404 /);
    for (const token of ["", "a".repeat(52)]) {
      const answer = await ask(
        "POST /session HTTP/1.1",
        JSON.stringify({ token }),
      );
      assert.match(answer, /^HTTP\/1\.1 403 [^]*dashboard\.token/);
      assert.doesNotMatch(answer, /set-cookie/i);
    }
    // The token that its operator has is as good as before.
    const entered = await fetch(`${url.origin}/session`, {
      method: "POST",
      headers: { origin: url.origin, "content-type": "application/json" },
      body: JSON.stringify({ token: url.hash.slice(1) }),
    });
    await entered.body?.cancel();
    assert.equal(entered.status, 200);
    await relay.process.stop();
  },
});
