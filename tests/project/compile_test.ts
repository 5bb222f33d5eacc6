import assert from "node:assert/strict";
import { join } from "node:path";
import { compile, explainFailure, TARGETS } from "../../tools/compile.ts";
import { listFiles, PROJECT } from "../../tools/project_files.ts";

/**
 * The runtime file to build on. Where none is named, Deno itself stands in: what is
 * embedded, and with which permissions, is the same. Such a file cannot be run.
 */
const DENORT = Deno.env.get("DENORT_BIN") ?? Deno.execPath();

const ENTRY = listFiles().includes("main.ts") ? "main.ts" : "lib/mod.ts";

/** What the executable carries, as far as we look. */
interface Metadata {
  readonly argv: readonly string[];
  readonly permissions: Readonly<Record<string, unknown>>;
  readonly entrypoint_key: string;
  readonly unstable_config: { readonly features: readonly string[] };
}

/** The metadata of an executable: plain JSON, behind the runtime that it was built on. */
async function readMetadata(file: string): Promise<Metadata> {
  const bytes = await Deno.readFile(file);
  const text = new TextDecoder("latin1").decode(bytes);
  const start = text.lastIndexOf('{"argv":[');
  assert.ok(start >= 0, "no metadata found");
  return JSON.parse(text.slice(start, endOfObject(text, start)));
}

/** Where the JSON object that begins at `start` ends. */
function endOfObject(text: string, start: number): number {
  let depth = 0;
  let inString = false;
  for (let i = start; i < text.length; i++) {
    const character = text[i];
    if (character === "\\" && inString) i++;
    else if (character === '"') inString = !inString;
    else if (inString) continue;
    else if (character === "{") depth++;
    else if (character === "}" && --depth === 0) return i + 1;
  }
  return text.length;
}

Deno.test("compile() embeds the program and freezes its permissions", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const result = await compile({
      entry: ENTRY,
      output: join(folder, "anonnet"),
      denort: DENORT,
    });
    assert.equal(result.type, "compiled", JSON.stringify(result));
    if (result.type !== "compiled") return;
    assert.match(result.log, /Embedded Files/);
    assert.match(result.log, /base/);
    assert.match(result.log, /relay_worker/);
    assert.doesNotMatch(result.log, /fast-check|tests|tools/);

    const metadata = await readMetadata(result.output);
    assert.equal(metadata.entrypoint_key, ENTRY);
    assert.deepEqual(metadata.argv, []);
    assert.deepEqual(metadata.unstable_config.features, ["net"]);
    const { allow_import: _ignored, ...permissions } = metadata.permissions;
    assert.deepEqual(permissions, {
      allow_net: [], // an empty list means: everything of this kind
      deny_net: null,
      allow_read: [],
      deny_read: null,
      ignore_read: null,
      allow_write: [],
      deny_write: null,
      deny_import: [],
      allow_env: null,
      deny_env: null,
      ignore_env: null,
      allow_ffi: null,
      deny_ffi: null,
      allow_run: null,
      deny_run: null,
      allow_sys: ["networkInterfaces"],
      deny_sys: null,
      prompt: false,
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Run the task as `deno task compile` does, with its exit code and its lines. */
async function runTask(
  args: readonly string[],
  denort: string,
): Promise<{ code: number; lines: string[] }> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "compile", ...args],
    cwd: PROJECT,
    env: { DENORT_BIN: denort, NO_COLOR: "1" },
    stdin: "null",
  }).output();
  return { code, lines: new TextDecoder().decode(stderr).trim().split("\n") };
}

Deno.test("the compile task says in one line that DENORT_BIN names nothing, and fails", async () => {
  const { code, lines } = await runTask([], "no-such-file");
  assert.equal(code, 1);
  assert.equal(lines.length, 1, lines.join("\n"));
  assert.match(
    lines[0] ?? "",
    /^Cannot compile: DENORT_BIN names "no-such-file"/,
  );
});

Deno.test("the compile task refuses targets that it does not know, and lists those it does", async () => {
  const { code, lines } = await runTask(["--target", "vax-vms"], DENORT);
  assert.equal(code, 2);
  assert.equal(lines.length, 1, lines.join("\n"));
  for (const target of TARGETS) assert.ok(lines[0]?.includes(target), target);
});

Deno.test("explainFailure() says in one line that the runtime file is out of reach", () => {
  const url =
    "https://dl.deno.land/release/v2.9.6/denort-x86_64-unknown-linux-gnu.zip";
  const offline = `Compile main.ts to anonnet
Download ${url}
error: Writing deno compile executable to temporary file 'anonnet.tmp-7f32'

Caused by:
    0: Setting up base binary.
    1: error sending request for url (${url}): client error (Connect)
`;
  const line = explainFailure(offline);
  assert.ok(line.includes(url) && line.includes("DENORT_BIN"));
  assert.equal(line.split("\n").length, 1);
});

Deno.test("explainFailure() passes on what it does not know", () => {
  const log = "Check main.ts\nTS2307 [ERROR]: Cannot find module\n";
  assert.match(explainFailure(log), /^Cannot compile:\n.*TS2307/s);
});
