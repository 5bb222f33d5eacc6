/**
 * The Debian package and the tarball, built, looked into, and installed into a folder.
 * A script stands in for the executable where `DENORT_BIN` names no file to compile
 * with; all but what the executable does is the same.
 *
 * @module
 */
import assert from "node:assert/strict";
import { runCommand } from "../../lib/cli/run.ts";
import { compile } from "../../tools/compile.ts";
import {
  buildDebianPackage,
  buildTarball,
  type Release,
} from "../../tools/debian/debian_package.ts";
import { readProjectFile } from "../../tools/project_files.ts";
import { isInstalled } from "../support/client_programs.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";

const DENORT = Deno.env.get("DENORT_BIN");
const EXECUTABLE = DENORT === undefined
  ? "with a stand-in for the executable"
  : "with the executable";

const HAS_DPKG = ["dpkg", "dpkg-deb", "gzip"].every(isInstalled);

/** The most exposure that is accepted, of 10. */
const MAX_EXPOSURE = 2;

/** What lies where, and who may do what with it. */
const CONTENTS = [
  "-rw-r--r-- root/root ./etc/anonnet/anonnet.toml",
  "-rwxr-xr-x root/root ./usr/bin/anonnet",
  "-rw-r--r-- root/root ./usr/lib/systemd/system/anonnet.service",
  "-rw-r--r-- root/root ./usr/share/doc/anonnet/NEWS.gz",
  "-rw-r--r-- root/root ./usr/share/doc/anonnet/README.md",
  "-rw-r--r-- root/root ./usr/share/doc/anonnet/changelog.gz",
  "-rw-r--r-- root/root ./usr/share/doc/anonnet/copyright",
  "-rw-r--r-- root/root ./usr/share/man/man1/anonnet.1.gz",
];

/** Something to pack, for x86_64. */
async function makeRelease(home: TemporaryDirectory): Promise<Release> {
  const executable = home.pathOf("anonnet");
  const release: Release = {
    executable,
    target: "x86_64-unknown-linux-gnu",
    version: "1.2.3",
    unixSeconds: 1_700_000_000,
  };
  if (DENORT === undefined) {
    await Deno.writeTextFile(executable, "#!/bin/sh\nexit 0\n");
    return release;
  }
  const result = await compile({
    target: release.target,
    output: executable,
    denort: DENORT,
  });
  assert.equal(result.type, "compiled", JSON.stringify(result));
  return release;
}

/** What a program prints that cannot but succeed. */
async function run(program: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    env: { LC_ALL: "C", SOURCE_DATE_EPOCH: "" },
  }).output();
  const decoder = new TextDecoder();
  const said = decoder.decode(stdout) + decoder.decode(stderr);
  assert.equal(code, 0, `${program} ${args.join(" ")}:\n${said}`);
  return said;
}

/** Who may do what with which file, without folders, sizes and dates. */
function entriesOf(listing: string): string[] {
  return listing.trim().split("\n").filter((line) => !line.startsWith("d"))
    .map((line) => {
      const [mode, owner, , , , path] = line.split(/ +/);
      return `${mode} ${owner} ${path}`;
    }).sort();
}

Deno.test({
  name:
    `the Debian package has its files, no scripts, and the same bytes each time, ${EXECUTABLE}`,
  ignore: !HAS_DPKG,
  async fn() {
    await using home = await TemporaryDirectory.create();
    const release = await makeRelease(home);
    const deb = await buildDebianPackage(release, home.path);
    assert.equal(deb, home.pathOf("anonnet_1.2.3_amd64.deb"));
    const entries = entriesOf(await run("dpkg-deb", ["--contents", deb]));
    assert.deepEqual(entries, CONTENTS.toSorted());
    const members = await run("dpkg-deb", ["--ctrl-tarfile", deb]);
    assert.doesNotMatch(members, /(?:pre|post)(?:inst|rm)/);
    const control = await run("dpkg-deb", ["--field", deb]);
    assert.match(control, /^Version: 1\.2\.3\nArchitecture: amd64$/m);

    const first = await Deno.readFile(deb);
    await buildDebianPackage(release, home.path);
    assert.deepEqual(await Deno.readFile(deb), first);
  },
});

Deno.test({
  name:
    `the Debian package installs, and keeps a changed configuration file when it goes, ${EXECUTABLE}`,
  ignore: !HAS_DPKG || Deno.uid() !== 0,
  async fn() {
    await using home = await TemporaryDirectory.create();
    const release = await makeRelease(home);
    const deb = await buildDebianPackage(release, home.path);
    const root = home.pathOf("root");
    for (const folder of ["info", "updates"]) {
      await Deno.mkdir(`${root}/var/lib/dpkg/${folder}`, { recursive: true });
    }
    await Deno.writeTextFile(`${root}/var/lib/dpkg/status`, "");
    const dpkg = (...args: string[]) =>
      run("dpkg", [`--root=${root}`, "--force-depends", ...args]);

    await dpkg("--install", deb);
    assert.equal(await dpkg("--verify", "anonnet"), "");
    const settings = `${root}/etc/anonnet/anonnet.toml`;
    await Deno.writeTextFile(settings, "relay = true\n");
    await dpkg("--force-confdef", "--install", deb);
    assert.equal(await Deno.readTextFile(settings), "relay = true\n");
    await dpkg("--remove", "anonnet");
    assert.equal(await Deno.readTextFile(settings), "relay = true\n");
    await dpkg("--purge", "anonnet");
    const left = await run("find", [root, "-name", "*anonnet*"]);
    assert.equal(left, "");
  },
});

Deno.test({
  name:
    `systemd takes the unit of the Debian package, and lets it do little, ${EXECUTABLE}`,
  ignore: !HAS_DPKG || !isInstalled("systemd-analyze"),
  async fn() {
    await using home = await TemporaryDirectory.create();
    const release = await makeRelease(home);
    const deb = await buildDebianPackage(release, home.path);
    const root = home.pathOf("root");
    await run("dpkg-deb", ["--extract", deb, root]);
    const packed = await Deno.readTextFile(
      `${root}/usr/lib/systemd/system/anonnet.service`,
    );
    assert.match(packed, /^DynamicUser=yes\nStateDirectory=anonnet$/m);
    assert.match(
      packed,
      /^ExecStart=\S+ run --config \/etc\/anonnet\/anonnet\.toml --notify \$\{NOTIFY_SOCKET\}$/m,
    );
    // systemd looks whether the program is there.
    const unit = home.pathOf("anonnet.service");
    await Deno.writeTextFile(
      unit,
      packed.replace("/usr/bin/anonnet", `${root}/usr/bin/anonnet`),
    );
    assert.equal(await run("systemd-analyze", ["verify", unit]), "");
    const report = await run("systemd-analyze", [
      "security",
      "--offline=true",
      unit,
    ]);
    const [, exposure] = /exposure level for \S+: ([0-9.]+)/.exec(report) ?? [];
    assert.ok(Number(exposure) < MAX_EXPOSURE, `exposure ${exposure}`);
  },
});

Deno.test({
  name: `lintian finds no error in the Debian package, ${EXECUTABLE}`,
  ignore: !HAS_DPKG || !isInstalled("lintian"),
  async fn() {
    await using home = await TemporaryDirectory.create();
    const release = await makeRelease(home);
    const deb = await buildDebianPackage(release, home.path);
    await run("lintian", [
      "--allow-root",
      // Deno is linked with more than Debian likes, and with fewer precautions.
      ...DENORT === undefined
        ? ["--fail-on=error,warning"]
        : ["--fail-on=error", "--suppress-tags=embedded-library"],
      deb,
    ]);
  },
});

Deno.test({
  name:
    `the tarball has one folder, and the same bytes each time, ${EXECUTABLE}`,
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using home = await TemporaryDirectory.create();
    const release = await makeRelease(home);
    const tarball = await buildTarball(release, home.path);
    assert.equal(
      tarball,
      home.pathOf("anonnet-1.2.3-x86_64-unknown-linux-gnu.tar.gz"),
    );
    const listing = await run("tar", ["--list", "--verbose", "-f", tarball]);
    assert.deepEqual(
      entriesOf(listing),
      [
        "-rwxr-xr-x root/root anonnet-1.2.3/anonnet",
        ...[
          "CHANGELOG.md",
          "LICENSE",
          "README.md",
          "anonnet.1",
          "anonnet.service",
          "anonnet.toml",
        ].map((name) => `-rw-r--r-- root/root anonnet-1.2.3/${name}`),
      ].sort(),
    );
    const first = await Deno.readFile(tarball);
    await buildTarball(release, home.path);
    assert.deepEqual(await Deno.readFile(tarball), first);
  },
});

Deno.test("each setting of the packaged configuration file is one of anonnet run", () => {
  const text = readProjectFile("docs/operate/anonnet.toml");
  const keys = [...text.matchAll(/^(?:# )?([a-z-]+) = /gm)].map(([, key]) =>
    key
  );
  assert.ok(keys.includes("state") && keys.includes("bootstrap"), `${keys}`);
  for (const key of keys) {
    assert.match(runCommand.help, new RegExp(`^  --${key} `, "m"));
  }
});

Deno.test("the manual page names each command of the program", async () => {
  const page = readProjectFile("docs/operate/anonnet.1");
  const named = [...page.matchAll(/^\.It Cm (.+)$/gm)].flatMap(([, names]) =>
    names?.split(" , ") ?? []
  );
  const help = await run(Deno.execPath(), [
    "run",
    "-q",
    "-P",
    "main.ts",
    "help",
  ]);
  const [, list = ""] = /^Commands:\n([^]*?)\n\n/m.exec(help) ?? [];
  const commands = [...list.matchAll(/^ {2}([a-z-]+)/gm)].map(([, name]) =>
    name
  );
  assert.ok(commands.length > 10, list);
  assert.deepEqual(named.sort(), commands.sort());
});
