/**
 * What is handed to users of Linux beside the bare executable: a Debian package and a
 * tarball.
 *
 *     /usr/bin/anonnet                              the executable
 *     /usr/lib/systemd/system/anonnet.service       not started before it is asked for
 *     /etc/anonnet/anonnet.toml                     kept when it was changed
 *     /usr/share/man/man1/anonnet.1.gz
 *     /usr/share/doc/anonnet/                       copyright, changelog, README
 *
 * There are no scripts of the maintainer: systemd makes the user and the state
 * directory when the unit starts, so nothing but files comes and goes.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { dirname, join } from "node:path/posix";
import type { Target } from "../compile.ts";
import { readProjectFile } from "../project_files.ts";

/** What Debian calls the processors of the targets that it runs on. */
export const ARCHITECTURES: Readonly<Partial<Record<Target, string>>> = {
  "x86_64-unknown-linux-gnu": "amd64",
  "aarch64-unknown-linux-gnu": "arm64",
};

/** What is packed. */
export interface Release {
  /** The compiled program. */
  readonly executable: string;
  readonly target: Target;
  readonly version: string;
  /** The date of all files, s since 1970: the same input gives the same bytes. */
  readonly unixSeconds: number;
}

/** One file of a package. */
interface PackedFile {
  readonly path: string;
  readonly mode: number;
  readonly content: string | Uint8Array<ArrayBuffer>;
}

/** Whom packages name. RFC 2606 keeps the domain free: there is no such mailbox. */
const MAINTAINER = "The AnonNet authors <authors@anonnet.invalid>";

const UNIT = "docs/operate/anonnet.service";
const SETTINGS = "docs/operate/anonnet.toml";
const MANUAL = "docs/operate/anonnet.1";

/** Write `anonnet_VERSION_ARCHITECTURE.deb` into a folder. Needs `dpkg-deb` and `gzip`. @returns Its path. */
export async function buildDebianPackage(
  release: Release,
  folder: string,
): Promise<string> {
  const architecture = architectureOf(release.target);
  const files = await debianFiles(release);
  return await inStage(async (stage) => {
    const data = await stageFiles(stage, files);
    await writeFile(stage, {
      path: "DEBIAN/control",
      mode: 0o644,
      content: control(release.version, architecture, data.bytes),
    });
    await writeFile(stage, {
      path: "DEBIAN/conffiles",
      mode: 0o644,
      content: "/etc/anonnet/anonnet.toml\n",
    });
    await writeFile(stage, {
      path: "DEBIAN/md5sums",
      mode: 0o644,
      content: data.sums,
    });
    const output = join(
      folder,
      `anonnet_${release.version}_${architecture}.deb`,
    );
    await run("dpkg-deb", [
      "--root-owner-group",
      "-Zxz",
      "--build",
      stage,
      output,
    ], release.unixSeconds);
    return output;
  });
}

/** Write `anonnet-VERSION-TARGET.tar.gz` into a folder. Needs GNU tar. @returns Its path. */
export async function buildTarball(
  release: Release,
  folder: string,
): Promise<string> {
  const { version, target } = release;
  const top = `anonnet-${version}`;
  const page = (name: string, from = name): PackedFile => ({
    path: `${top}/${name}`,
    mode: 0o644,
    content: readProjectFile(from),
  });
  const files: PackedFile[] = [
    await executableAt(`${top}/anonnet`, release),
    page("anonnet.service", UNIT),
    page("anonnet.toml", SETTINGS),
    page("anonnet.1", MANUAL),
    page("README.md"),
    page("CHANGELOG.md"),
    page("LICENSE"),
  ];
  return await inStage(async (stage) => {
    await stageFiles(stage, files);
    const output = join(folder, `${top}-${target}.tar.gz`);
    await run("tar", [
      "--create",
      "--gzip",
      `--file=${output}`,
      `--directory=${stage}`,
      "--sort=name",
      "--format=ustar",
      "--owner=root:0",
      "--group=root:0",
      `--mtime=@${release.unixSeconds}`,
      top,
    ], release.unixSeconds);
    return output;
  });
}

/** @throws {Error} where Debian does not run on the target. */
function architectureOf(target: Target): string {
  const architecture = ARCHITECTURES[target];
  if (architecture === undefined) {
    throw new Error(`Cannot make a Debian package for ${target}`);
  }
  return architecture;
}

async function debianFiles(release: Release): Promise<PackedFile[]> {
  const doc = "usr/share/doc/anonnet";
  const plain = (path: string, content: string): PackedFile => ({
    path,
    mode: 0o644,
    content,
  });
  const zipped = async (path: string, text: string): Promise<PackedFile> => ({
    path: `${path}.gz`,
    mode: 0o644,
    content: await gzip(text),
  });
  return [
    await executableAt("usr/bin/anonnet", release),
    plain("usr/lib/systemd/system/anonnet.service", readProjectFile(UNIT)),
    plain("etc/anonnet/anonnet.toml", readProjectFile(SETTINGS)),
    await zipped("usr/share/man/man1/anonnet.1", readProjectFile(MANUAL)),
    plain(`${doc}/copyright`, copyright()),
    plain(`${doc}/README.md`, readProjectFile("README.md")),
    await zipped(`${doc}/NEWS`, readProjectFile("CHANGELOG.md")),
    await zipped(`${doc}/changelog`, changelog(release)),
  ];
}

async function executableAt(
  path: string,
  { executable }: Release,
): Promise<PackedFile> {
  return { path, mode: 0o755, content: await Deno.readFile(executable) };
}

function control(
  version: string,
  architecture: string,
  bytes: number,
): string {
  return `Package: anonnet
Version: ${version}
Architecture: ${architecture}
Maintainer: ${MAINTAINER}
Installed-Size: ${Math.ceil(bytes / 1024)}
Depends: libc6 (>= 2.27), libgcc-s1
Section: net
Priority: optional
Description: peer-to-peer network for hidden services
 Visits, hosts and relays for services whose addresses end in .anon, so that
 neither side, nor any relay in between, learns who and where both are. It is
 no way to reach ordinary web sites.
 .
 The unit anonnet.service runs what /etc/anonnet/anonnet.toml says. It is not
 started when the package is installed.
`;
}

/** The licence, as Debian's tools read it. */
function copyright(): string {
  const [, holder = "", terms = ""] =
    /^Copyright \(c\) (.+)\n\n([^]*)$/m.exec(readProjectFile("LICENSE")) ?? [];
  const indented = terms.trimEnd().split("\n").map((line) =>
    line === "" ? " ." : ` ${line}`
  ).join("\n");
  return `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: AnonNet

Files: *
Copyright: ${holder}
License: Expat

License: Expat
${indented}
`;
}

/** What Debian's tools read; what has changed is in NEWS. */
function changelog({ version, unixSeconds }: Release): string {
  const date = new Date(unixSeconds * 1000).toUTCString()
    .replace("GMT", "+0000");
  return `anonnet (${version}) unstable; urgency=medium

  * What changes for users is in NEWS.gz beside this file.

 -- ${MAINTAINER}  ${date}
`;
}

/** Lay files below a folder. @returns Their size and their sums, as `md5sums` has them. */
async function stageFiles(
  stage: string,
  files: readonly PackedFile[],
): Promise<{ bytes: number; sums: string }> {
  let bytes = 0;
  let sums = "";
  for (const file of files) {
    await writeFile(stage, file);
    const content = bytesOf(file);
    bytes += content.length;
    sums += `${
      createHash("md5").update(content).digest("hex")
    }  ${file.path}\n`;
  }
  return { bytes, sums };
}

/** The mode is set, not asked for: the umask of the builder must not show. */
async function writeFile(stage: string, file: PackedFile): Promise<void> {
  const path = join(stage, file.path);
  await Deno.mkdir(dirname(path), { recursive: true });
  for (
    let folder = dirname(path);
    folder.length > stage.length;
    folder = dirname(folder)
  ) await Deno.chmod(folder, 0o755);
  await Deno.writeFile(path, bytesOf(file));
  await Deno.chmod(path, file.mode);
}

function bytesOf({ content }: PackedFile): Uint8Array<ArrayBuffer> {
  return typeof content === "string"
    ? new TextEncoder().encode(content)
    : content;
}

/** As small as it gets, and without a date: Debian's policy asks for both. */
async function gzip(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const child = new Deno.Command("gzip", {
    args: ["-9n"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const written = new Blob([text]).stream().pipeTo(child.stdin);
  const [{ stdout }] = await Promise.all([child.output(), written]);
  return stdout;
}

async function inStage<T>(work: (stage: string) => Promise<T>): Promise<T> {
  const stage = await Deno.makeTempDir({ prefix: "anonnet-" });
  try {
    await Deno.chmod(stage, 0o755);
    return await work(stage);
  } finally {
    await Deno.remove(stage, { recursive: true });
  }
}

/** @throws {Error} with all that a program said that failed. */
async function run(
  program: string,
  args: readonly string[],
  unixSeconds: number,
): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, {
    args: [...args],
    env: { SOURCE_DATE_EPOCH: `${unixSeconds}` },
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) {
    throw new Error(`${program} failed: ${new TextDecoder().decode(stderr)}`);
  }
}
