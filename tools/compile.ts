/**
 * `deno task compile [--target TRIPLE] [--output FILE]`: one executable that
 * needs nothing beside it.
 *
 * Permissions are frozen into it, as narrow as in `deno.json`, but by flags: a
 * permission set would freeze the build machine's absolute paths. Deno fetches
 * its runtime file (denort) for the target from dl.deno.land, unless
 * `DENORT_BIN` names one.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a task talks to the terminal
import { parseArgs } from "node:util";
import { PROJECT } from "./project_files.ts";

/** The platforms that a release is made for. */
export const TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-msvc",
] as const;

/** One of {@linkcode TARGETS}. */
export type Target = typeof TARGETS[number];

/** What the executable may do, with whatever rights its user starts it. A missing permission fails; it never asks. */
export const FROZEN_FLAGS = [
  "--unstable-net", // QUIC
  "--allow-net", // peers at any address; IPv6 ranges cannot be expressed
  "--allow-read", // the state directory is the user's choice
  "--allow-write",
  "--allow-sys=networkInterfaces", // to see that the machine is on another network
  "--deny-import", // all code is inside
  "--no-prompt",
  "--v8-flags=--max-semi-space-size=4", // a crowd leaves less to be collected
] as const;

/** What the workers of a relay run. */
const WORKER = "lib/cli/workers/relay_worker.ts";

/** What to compile. */
export interface CompileOptions {
  /** Platform to compile for; the one this runs on unless given. */
  readonly target?: Target;
  /** File to write, relative to the project; Windows targets get `.exe` added. */
  readonly output?: string;
  /** Program to compile, relative to the project: `main.ts` unless given. */
  readonly entry?: string;
  /** Deno runtime file to build on, instead of the one that Deno fetches. */
  readonly denort?: string;
}

/** What came of it. */
export type CompileResult =
  | { readonly type: "compiled"; readonly output: string; readonly log: string }
  | { readonly type: "failed"; readonly message: string };

/** Compile the executable. Returns, rather than throws, when Deno cannot. */
export async function compile(
  options: CompileOptions = {},
): Promise<CompileResult> {
  const { target, entry = "main.ts", denort } = options;
  const output = outputFile(options);
  if (denort !== undefined && !await isFile(denort)) {
    return {
      type: "failed",
      message: `Cannot compile: DENORT_BIN names "${denort}", which is no file`,
    };
  }
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "compile",
      "--exclude-unused-npm",
      ...FROZEN_FLAGS,
      ...(target === undefined ? [] : ["--target", target]),
      // Threads load it by its address, which the compiler does not follow.
      ...(entry === "main.ts" ? ["--include", WORKER] : []),
      "--output",
      output,
      entry,
    ],
    cwd: PROJECT,
    env: {
      NO_COLOR: "1",
      ...(denort === undefined ? {} : { DENORT_BIN: denort }),
    },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  const log = decoder.decode(stdout) + decoder.decode(stderr);
  if (code === 0) return { type: "compiled", output, log };
  return { type: "failed", message: explainFailure(log) };
}

/** Where the executable goes: `anonnet` here, `dist/anonnet-<target>` for a release. */
function outputFile({ target, output }: CompileOptions): string {
  const file = output ??
    (target === undefined ? "anonnet" : `dist/anonnet-${target}`);
  const windows = target?.includes("windows") ?? Deno.build.os === "windows";
  return windows && !file.endsWith(".exe") ? `${file}.exe` : file;
}

/** One line where the runtime file is out of reach; all that Deno said otherwise. */
export function explainFailure(log: string): string {
  const url = /https:\/\/dl\.deno\.land\/\S+?\.zip/.exec(log)?.[0];
  if (url !== undefined && /^error: .*temporary file/m.test(log)) {
    return `Cannot compile: Deno's runtime file is out of reach: fetch ${url}, unpack it and name the file in DENORT_BIN`;
  }
  return `Cannot compile:\n${log.trimEnd()}`;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function isTarget(text: string): text is Target {
  return TARGETS.some((target) => target === text);
}

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { target: { type: "string" }, output: { type: "string" } },
  });
  const { target, output } = values;
  if (target !== undefined && !isTarget(target)) {
    console.error(
      `Cannot compile for "${target}": the targets are ${TARGETS.join(", ")}`,
    );
    return 2;
  }
  const denort = Deno.env.get("DENORT_BIN");
  const result = await compile({
    ...(target === undefined ? {} : { target }),
    ...(output === undefined ? {} : { output }),
    ...(denort === undefined ? {} : { denort }),
  });
  if (result.type === "failed") {
    console.error(result.message);
    return 1;
  }
  console.log(`Compiled ${result.output}`);
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
