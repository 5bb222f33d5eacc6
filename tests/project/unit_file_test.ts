/**
 * The unit file for systemd, read by systemd's own tools where they are.
 *
 * @module
 */
import assert from "node:assert/strict";
import { TemporaryDirectory } from "../support/temporary_directory.ts";

const UNIT = new URL("../../docs/operate/anonnet.service", import.meta.url);
/** The most exposure that is accepted, of 10. */
const MAX_EXPOSURE = 2;

/** What `systemd-analyze` says; `undefined` where there is none. */
async function analyze(args: readonly string[]): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await new Deno.Command("systemd-analyze", {
      args: [...args],
    }).output();
    const decoder = new TextDecoder();
    return decoder.decode(stdout) + decoder.decode(stderr);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

const isThere = await analyze(["--version"]) !== undefined;

Deno.test({
  name: "the unit file is one that systemd takes, and lets the node do little",
  ignore: !isThere,
  async fn() {
    await using home = await TemporaryDirectory.create();
    const text = await Deno.readTextFile(UNIT);
    assert.match(text, /^ExecReload=\/bin\/kill -HUP \$MAINPID$/m);
    assert.match(text, /^Type=notify$/m);
    assert.match(text, /^ExecStart=.* --notify \$\{NOTIFY_SOCKET\}$/m);
    // systemd looks whether the program is there.
    const path = home.pathOf("anonnet.service");
    await Deno.writeTextFile(
      path,
      text.replace("/usr/bin/anonnet", "/bin/true"),
    );
    assert.equal(await analyze(["verify", path]), "");
    const report = await analyze(["security", "--offline=true", path]) ?? "";
    const [, exposure] = /exposure level for \S+: ([0-9.]+)/.exec(report) ?? [];
    assert.ok(Number(exposure) < MAX_EXPOSURE, `exposure ${exposure}`);
  },
});
