import assert from "node:assert/strict";
import { FROZEN_FLAGS, TARGETS } from "../../tools/compile.ts";
import { listFiles, readProjectFile } from "../../tools/project_files.ts";

/** What deno.json says, as far as this file asks. */
interface Config {
  readonly imports: Readonly<Record<string, string>>;
  readonly lock: unknown;
  readonly tasks: Readonly<
    Record<string, { readonly description: string; readonly command: string }>
  >;
  readonly permissions: Readonly<Record<string, Record<string, unknown>>>;
}

const CONFIG: Config = JSON.parse(readProjectFile("deno.json"));
const WORKFLOWS = listFiles().filter((file) =>
  file.startsWith(".github/workflows/")
);

Deno.test("deno.json takes packages from npm alone, each at one exact version", () => {
  for (const [name, specifier] of Object.entries(CONFIG.imports)) {
    assert.match(
      specifier,
      /^npm:\/?(@[\w-]+\/)?[\w-]+@\d+\.\d+\.\d+\/?$/,
      `${name} is not pinned`,
    );
  }
});

Deno.test("deno.lock is frozen, and holds the packages of deno.json with their integrity", () => {
  assert.deepEqual(CONFIG.lock, { path: "deno.lock", frozen: true });
  const lock: {
    version: string;
    npm: Record<string, { integrity?: string }>;
    workspace: { dependencies: string[] };
  } = JSON.parse(readProjectFile("deno.lock"));
  assert.deepEqual(
    Object.keys(lock).sort(),
    ["npm", "specifiers", "version", "workspace"],
    "nothing from jsr.io or from https addresses",
  );
  const wanted = Object.values(CONFIG.imports).map((specifier) =>
    specifier.replace("npm:/", "npm:").replace(/\/$/, "")
  );
  assert.deepEqual(lock.workspace.dependencies.sort(), wanted.sort());
  for (const [name, { integrity }] of Object.entries(lock.npm)) {
    assert.match(integrity ?? "", /^sha512-/, name);
  }
});

Deno.test("deno.json has the tasks that people know, and each says what it does", () => {
  for (
    const task of [
      "start",
      "demo",
      "test",
      "bench",
      "ok",
      "compile",
      "npm",
      "deb",
    ]
  ) {
    assert.ok(task in CONFIG.tasks, task);
  }
  for (const [task, { description }] of Object.entries(CONFIG.tasks)) {
    assert.match(description, /^[A-Z]/, task);
  }
});

Deno.test("no task has all permissions, native libraries, code from the network or prompts", () => {
  for (const [task, { command }] of Object.entries(CONFIG.tasks)) {
    assert.doesNotMatch(command, /--allow-all|-A\b|--allow-ffi|--allow-import/);
    if (!/^deno (run|test|bench) /.test(command)) continue;
    assert.match(command, /--no-prompt/, task);
    assert.match(command, / -P\b|--deny-import/, task);
  }
});

Deno.test("the program has the same young generation however it is started", async () => {
  const flag = "--v8-flags=--max-semi-space-size=4";
  for (const task of ["start", "demo"]) {
    assert.ok(CONFIG.tasks[task]?.command.includes(` ${flag} `), task);
  }
  assert.ok(FROZEN_FLAGS.includes(flag));
  for (const file of ["tools/npm/anonnet.mjs", "tests/support/process.ts"]) {
    assert.ok((await Deno.readTextFile(file)).includes(`"${flag}"`), file);
  }
});

Deno.test("the executable is given no more than the permission set", () => {
  const given = FROZEN_FLAGS.filter((flag) => flag.startsWith("--allow-"))
    .map((flag) => flag.slice("--allow-".length));
  const { default: set = {} } = CONFIG.permissions;
  const wanted = Object.entries(set).filter(([, value]) => value !== false)
    .map(([kind, value]) => kind === "sys" ? `${kind}=${value}` : kind);
  assert.deepEqual(given.sort(), wanted.sort());
  assert.ok(FROZEN_FLAGS.includes("--no-prompt"));
});

Deno.test("every permission set keeps the program from writing to its own sources", () => {
  const sets = Object.values(CONFIG.permissions);
  assert.ok(sets.length >= 2);
  for (const set of sets) {
    assert.deepEqual(set["write"], CONFIG.permissions["default"]?.["write"]);
  }
});

Deno.test("workflows use actions by their hashes, and as few permissions as there are", () => {
  assert.ok(WORKFLOWS.length >= 3, `${WORKFLOWS}`);
  for (const file of WORKFLOWS) {
    const text = readProjectFile(file);
    const uses = [...text.matchAll(/uses: (.+)/g)].map(([, use]) => use);
    assert.ok(uses.length > 0, file);
    for (const use of uses) {
      assert.match(
        use ?? "",
        /^actions\/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/,
        file,
      );
    }
    assert.match(text, /^permissions:\n {2}contents: read\n\n/m, file);
  }
});

Deno.test("CI runs .ci/run on each system, and tries the packages as users have them", () => {
  const ci = readProjectFile(".github/workflows/ci.yml");
  assert.match(ci, /run: bash \.ci\/run\n/);
  for (const system of ["ubuntu", "macos", "windows"]) {
    assert.match(ci, new RegExp(`os: \\[.*${system}-latest`));
  }
  assert.match(ci, /npx --yes \.\.\/anonnet-\*\.tgz demo --check/);
  assert.match(ci, /apt-get install .*anonnet_\*\.deb/);
});

Deno.test("a release is tested whole, signed, and has an executable for each target", () => {
  const release = readProjectFile(".github/workflows/release.yml");
  const targets = [...release.matchAll(/target: (\S+),/g)].map(([, name]) =>
    name
  );
  assert.deepEqual(targets.sort(), [...TARGETS].sort());
  for (const task of ["ok", "compile", "deb", "npm"]) {
    assert.match(release, new RegExp(`deno@\\S+ task ${task}\\b`));
  }
  assert.match(release, /sha256sum/);
  assert.match(release, /actions\/attest-build-provenance@/);
});
