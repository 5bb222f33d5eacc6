/**
 * The launcher of the npm package, with a script in the place of Deno: what
 * reaches the program, and what comes back.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readProjectFile } from "../../tools/project_files.ts";
import { isInstalled } from "../support/client_programs.ts";
import { Lines } from "../support/process.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";

const HAS_NODE = Deno.build.os !== "windows" && isInstalled("node");

const SYSTEM = Deno.build.os === "linux" ? "linux" : "darwin";
const PROCESSOR = Deno.build.arch === "aarch64" ? "arm64" : "x64";
const PLATFORM = `@deno/${SYSTEM}-${PROCESSOR}${
  SYSTEM === "linux" ? "-glibc" : ""
}`;

/** Says each line and each signal that it gets, and ends once its standard input does. */
const SAYS_SIGNALS = `#!/usr/bin/env node
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"]) {
  process.on(signal, () => console.log("got " + signal));
}
process.stdin.on("data", (text) => console.log("read " + String(text).trim()));
console.log("ready");
`;

/** As npm installs it, with this script for Deno, which npm has not made executable. */
async function installed(script: string): Promise<TemporaryDirectory> {
  await using stack = new AsyncDisposableStack();
  const home = stack.use(await TemporaryDirectory.create());
  const files: Record<string, string> = {
    "anonnet/package.json": '{ "type": "module" }',
    "anonnet/anonnet.mjs": readProjectFile("tools/npm/anonnet.mjs"),
    "deno/package.json": "{}",
    [`${PLATFORM}/package.json`]: "{}",
    [`${PLATFORM}/deno`]: script,
  };
  for (const [path, text] of Object.entries(files)) {
    const file = home.pathOf(`node_modules/${path}`);
    await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(file, text);
  }
  stack.move();
  return home;
}

/** The launcher, running. */
class Launcher implements AsyncDisposable {
  readonly child: Deno.ChildProcess;
  readonly output: Lines;
  readonly log: Lines;

  constructor(home: TemporaryDirectory, words: readonly string[] = []) {
    this.child = new Deno.Command("node", {
      args: [home.pathOf("node_modules/anonnet/anonnet.mjs"), ...words],
      // As a user has it who has not started this by npm.
      env: { npm_command: "" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.output = new Lines(this.child.stdout);
    this.log = new Lines(this.child.stderr);
  }

  async write(text: string): Promise<void> {
    const writer = this.child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(text));
    writer.releaseLock();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.child.stdin.close().catch(() => {});
    await Promise.all([this.child.status, this.output.all, this.log.all]);
  }
}

Deno.test({
  name:
    "the launcher starts Deno with the permissions of the package, and no more",
  ignore: !HAS_NODE,
  async fn() {
    await using home = await installed(
      '#!/bin/sh\necho "$DENO_NO_UPDATE_CHECK" "$@"; exit 7\n',
    );
    await using launcher = new Launcher(home, ["proxy", "--socks", "a b"]);
    const folder = await Deno.realPath(home.pathOf("node_modules/anonnet"));
    assert.equal(
      await launcher.output.all,
      "1 run --quiet --no-prompt --no-remote " +
        `--v8-flags=--max-semi-space-size=4 -P --config=${folder}/deno.json ` +
        `${folder}/main.js --stop-with-parent proxy --socks a b\n`,
    );
    assert.equal((await launcher.child.status).code, 7);
  },
});

Deno.test({
  name: "the launcher passes standard input and each signal on, once",
  ignore: !HAS_NODE,
  async fn() {
    await using home = await installed(SAYS_SIGNALS);
    await using launcher = new Launcher(home);
    await launcher.output.until((line) => line === "ready");
    await launcher.write("a line\n");
    await launcher.output.until((line) => line === "read a line");
    const signals = [
      "SIGINT",
      "SIGTERM",
      "SIGHUP",
      "SIGUSR1",
      "SIGUSR2",
    ] as const;
    for (const signal of signals) {
      launcher.child.kill(signal);
      await launcher.output.until((line) => line === `got ${signal}`);
    }
    await launcher.child.stdin.close();
    assert.equal((await launcher.child.status).code, 0);
    const said = (await launcher.output.all).trim().split("\n").slice(2);
    assert.deepEqual(said, signals.map((signal) => `got ${signal}`));
  },
});

Deno.test({
  name: "the launcher ends by the signal that ended the program",
  ignore: !HAS_NODE,
  async fn() {
    for (const signal of ["SIGTERM", "SIGKILL", "SIGUSR1"] as const) {
      await using home = await installed(
        `#!/bin/sh\nkill -${signal.slice(3)} $$\n`,
      );
      await using launcher = new Launcher(home);
      assert.equal((await launcher.child.status).signal, signal);
    }
  },
});

Deno.test({
  name: "the launcher says in one line that Deno is not there, and fails",
  ignore: !HAS_NODE,
  async fn() {
    await using home = await installed("");
    await Deno.remove(home.pathOf(`node_modules/${PLATFORM}`), {
      recursive: true,
    });
    await using launcher = new Launcher(home, ["version"]);
    assert.match(
      await launcher.log.all,
      /^anonnet: Cannot start: Deno for this platform \(@deno\/\S+\) is not there: .*\n$/,
    );
    assert.equal((await launcher.child.status).code, 1);
  },
});
