/**
 * `deno task deb [--target TRIPLE] [--executable FILE]`: the Debian package and the
 * tarball for Linux, in `dist/`.
 *
 * Without `--executable` the program is compiled first, as by `deno task compile`. All
 * files are dated `SOURCE_DATE_EPOCH`, or the day on which they are made.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a task talks to the terminal
import { parseArgs } from "node:util";
import config from "../../deno.json" with { type: "json" };
import { compile, type Target } from "../compile.ts";
import {
  ARCHITECTURES,
  buildDebianPackage,
  buildTarball,
} from "./debian_package.ts";

const DAY_SECONDS = 24 * 60 * 60;

function isTarget(text: string): text is Target {
  return Object.hasOwn(ARCHITECTURES, text);
}

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { target: { type: "string" }, executable: { type: "string" } },
  });
  const target = values.target ?? Deno.build.target;
  if (!isTarget(target)) {
    console.error(
      `Cannot make a Debian package for "${target}": the targets are ${
        Object.keys(ARCHITECTURES).join(", ")
      }`,
    );
    return 2;
  }
  let { executable } = values;
  if (executable === undefined) {
    const denort = Deno.env.get("DENORT_BIN");
    const result = await compile({
      target,
      ...(denort === undefined ? {} : { denort }),
    });
    if (result.type === "failed") {
      console.error(result.message);
      return 1;
    }
    executable = result.output;
  }
  const epoch = Number(Deno.env.get("SOURCE_DATE_EPOCH") ?? NaN);
  const today = Math.floor(Date.now() / 1000 / DAY_SECONDS) * DAY_SECONDS;
  const release = {
    executable,
    target,
    version: config.version,
    unixSeconds: Number.isSafeInteger(epoch) ? epoch : today,
  };
  await Deno.mkdir("dist", { recursive: true });
  console.log(`Wrote ${await buildDebianPackage(release, "dist")}`);
  console.log(`Wrote ${await buildTarball(release, "dist")}`);
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
