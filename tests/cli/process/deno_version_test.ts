import assert from "node:assert/strict";
import {
  isNewEnough,
  MIN_DENO_VERSION,
} from "../../../lib/cli/process/deno_version.ts";

Deno.test("isNewEnough() takes the oldest supported version and newer ones", () => {
  for (
    const version of [
      MIN_DENO_VERSION,
      "2.9.7",
      "2.10.0",
      "3.0.0",
      "2.9.6+abc123",
      "2.10.0-rc.1",
    ]
  ) assert.ok(isNewEnough(version), version);
});

Deno.test("isNewEnough() refuses older versions, and what is no version", () => {
  for (
    const version of ["2.9.5", "2.8.10", "1.46.3", "2.9", "", "x.y.z", "0.9.9"]
  ) assert.ok(!isNewEnough(version), version);
});

Deno.test("main.ts refuses an older Deno in one line, before it loads the rest", async () => {
  const main = new URL("../../../main.ts", import.meta.url).href;
  const script = `Object.defineProperty(Deno, "version", {
      value: { ...Deno.version, deno: "2.9.5" } });
    await import(${JSON.stringify(main)});`;
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", script],
    env: { NO_COLOR: "1" },
  }).output();
  assert.equal(code, 1);
  assert.match(
    new TextDecoder().decode(stderr),
    /^anonnet: needs Deno 2\.9\.6 or later, and this is 2\.9\.5[^\n]*\n$/,
  );
});
