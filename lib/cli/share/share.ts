/**
 * `anonnet share`: put files under a `.anon` link until they have been downloaded.
 *
 * @see protocol §9.7 "Sharing files"
 * @module
 */
import type { Bytes } from "../../base/bytes.ts";
import { ConfigError } from "../../base/errors.ts";
import { thrown } from "../../log/log.ts";
import { shownName } from "../../share/file_name.ts";
import { SecretPath } from "../../share/secret_path.ts";
import { DenoShareDisk, type ShareDisk } from "../../share/share_disk.ts";
import {
  keptOf,
  type KeptShare,
  SECRET_BYTES,
  ShareMemory,
} from "../../share/share_memory.ts";
import {
  DEFAULT_TITLE,
  formatBytes,
  formatFiles,
} from "../../share/share_page.ts";
import { type OfferedFile, ShareSite } from "../../share/share_site.ts";
import { findFiles, type ShareTree } from "../../share/share_tree.ts";
import { digestOf } from "../../share/shared_file.ts";
import { storageError } from "../../storage/storage_error.ts";
import { defineCommand } from "../flags/command.ts";
import type { Terminal } from "../flags/terminal.ts";
import {
  defaultFlag,
  type FlagValues,
  optionalFlag,
  switchFlag,
} from "../flags/flag.ts";
import {
  CLIENT_FLAGS,
  clientOptions,
  commonOptions,
  NODE_FLAGS,
} from "../flags/node_flags.ts";
import { Meter } from "./meter.ts";
import {
  parseTitle,
  siteBlobOf,
  siteNameFlag,
  siteNameOf,
} from "./share_name.ts";
import { type OpenSite, runSite, type SiteGround } from "./site_process.ts";

/** Most downloads that can be asked for. */
const MAX_DOWNLOADS = 1_000_000;

const FLAGS = {
  downloads: optionalFlag(
    "N",
    "stop once each file has been downloaded so often; what runs then comes to its end",
    parseDownloads,
  ),
  public: switchFlag(
    "let all who know the address see the files: the link holds no secret",
  ),
  title: defaultFlag(
    "TEXT",
    "what the page is called",
    DEFAULT_TITLE,
    parseTitle,
  ),
  qr: switchFlag("print the link as a QR code too"),
  name: siteNameFlag,
  ...CLIENT_FLAGS,
  ...NODE_FLAGS,
};

/** `anonnet share`. */
export const shareCommand = defineCommand({
  name: "share",
  summary: "share files and directories under a .anon link",
  details:
    "Prints a link to a page that lists the files with their sizes and SHA-256 sums. " +
    "anonnet get LINK downloads them all; a browser behind an AnonNet proxy, or curl, " +
    "downloads one at a time. Downloads that break off go on where they were, also " +
    "after a restart of this command: the same files have the same link. Symbolic " +
    "links in directories are left out, and a file that changes is shared no more. " +
    "Runs until Ctrl-C or SIGTERM, or until --downloads is reached.",
  operands: { text: "FILE | DIR ...", read: readPaths },
  flags: FLAGS,
  async run(values, program, paths) {
    const disk = new DenoShareDisk();
    const tree = await findFiles(disk, paths);
    const { terminal } = program;
    for (const path of tree.leftOut) {
      terminal.tell(
        `anonnet: left out "${
          shownName(path)
        }": it is no file, or a symbolic link`,
      );
    }
    const real = await realPaths(disk, paths);
    const name = values.name ?? siteNameOf("share", real);
    return await runSite(program, {
      options: { ...commonOptions(values), client: clientOptions(values) },
      name,
      qr: values.qr,
      open: (ground) =>
        openShare(values, { disk, tree, name, terminal }, ground),
    });
  },
});

/** What is shared, and by whom. */
interface Share {
  readonly disk: ShareDisk;
  readonly tree: ShareTree;
  readonly name: string;
  readonly terminal: Terminal;
}

async function openShare(
  values: FlagValues<typeof FLAGS>,
  { disk, tree, name, terminal }: Share,
  { node, runtime, log, signal }: SiteGround,
): Promise<OpenSite> {
  const { downloads: most, title } = values;
  const memory = new ShareMemory({
    blobs: node.blobs,
    name: siteBlobOf(name),
    clock: runtime.clock,
    onError: (error) =>
      log.part("share").error("Cannot remember how far downloads are", {
        error: thrown(error),
      }),
  });
  const kept = await memory.read();
  const secret = kept?.secret ?? runtime.random.bytes(SECRET_BYTES);
  const files = await withDigests({ disk, tree, kept, terminal, signal });
  const isOver = most !== undefined &&
    files.every(({ deliveries }) => (deliveries?.count ?? 0) >= most);
  const path = new SecretPath(values.public ? undefined : secret);
  const sent = new SentMeter(terminal, runtime.clock.nowMs.bind(runtime.clock));
  const site = new ShareSite({
    clock: runtime.clock,
    disk,
    title,
    path,
    // A share that had come to its end begins anew; without a limit nothing counts.
    files: most === undefined || isOver
      ? files.map(({ file }) => ({ file }))
      : files,
    most,
    on: {
      onBytes: (count) => sent.add(count, site.running),
      onChange: () => {
        if (site.running === 0) sent.rest();
        if (most !== undefined) memory.keep(() => keptShare(secret, site));
      },
      onDownload: (file, count) => {
        const often = most === undefined ? `${count}` : `${count} of ${most}`;
        terminal.tell(
          `Downloaded ${shownName(file.name.join("/"))} (${often})`,
        );
      },
      onChanged: (file) =>
        terminal.tell(
          `anonnet: "${
            shownName(file.path)
          }" was changed, moved or removed: it is ` +
            "shared no more; start again to share it as it is",
        ),
    },
  });
  memory.keep(() => keptShare(secret, site));
  const bytes = files.reduce((sum, { file }) => sum + file.facts.bytes, 0);
  const count = formatFiles(files.length);
  return {
    handle: site.handle,
    path: path.prefix,
    done: site.done,
    words: [
      `shows ${count}, ${
        formatBytes(bytes)
      }, to all who have it. They download with`,
      "",
      "    anonnet get LINK",
      "",
      "or a browser behind an AnonNet proxy.",
    ],
    [Symbol.asyncDispose]: () => memory[Symbol.asyncDispose](),
  };
}

function keptShare(secret: Bytes, site: ShareSite): KeptShare {
  return {
    secret,
    files: site.records.map(({ file, deliveries }) => ({
      path: file.path,
      bytes: file.facts.bytes,
      changedMs: file.facts.changedMs,
      identity: file.facts.identity,
      digest: file.digest,
      deliveries,
    })),
  };
}

/** The files with their digests, those of an earlier run where nothing has changed. */
async function withDigests(
  { disk, tree, kept, terminal, signal }:
    & Pick<Share, "disk" | "tree" | "terminal">
    & { readonly kept: KeptShare | undefined; readonly signal: AbortSignal },
): Promise<OfferedFile[]> {
  const files: OfferedFile[] = [];
  for (const found of tree.files) {
    const known = keptOf(found, kept);
    if (known !== undefined) {
      const { digest, deliveries } = known;
      files.push({ file: { ...found, digest }, deliveries });
      continue;
    }
    const { bytes: all } = found.facts;
    const name = found.name.join("/");
    const meter = new Meter(`Reading ${name}`, (line) => terminal.show(line));
    let bytes = 0;
    const onBytes = (count: number) => {
      bytes += count;
      meter.update(bytes, all, performance.now());
    };
    try {
      const digest = await digestOf(disk, found, { onBytes, signal });
      files.push({ file: { ...found, digest } });
    } catch (error) {
      signal.throwIfAborted();
      throw storageError(`Cannot read "${shownName(found.path)}"`, error);
    }
  }
  terminal.show("");
  return files;
}

/** What is sent, to all visitors together. */
class SentMeter {
  readonly #terminal: Terminal;
  readonly #nowMs: () => number;
  #meter: Meter;
  #bytes = 0;
  #running = 0;

  constructor(terminal: Terminal, nowMs: () => number) {
    this.#terminal = terminal;
    this.#nowMs = nowMs;
    this.#meter = this.#meterOf(0);
  }

  add(count: number, running: number): void {
    if (running !== this.#running) this.#meter = this.#meterOf(running);
    this.#running = running;
    this.#bytes += count;
    this.#meter.update(this.#bytes, undefined, this.#nowMs());
  }

  /** None is under way. */
  rest(): void {
    this.#running = 0;
    this.#terminal.show("");
  }

  #meterOf(running: number): Meter {
    const downloads = running === 1 ? "download" : "downloads";
    return new Meter(
      `${running} ${downloads}, sent`,
      (line) => this.#terminal.show(line),
    );
  }
}

async function realPaths(
  disk: ShareDisk,
  paths: readonly string[],
): Promise<string[]> {
  return await Promise.all(paths.map((path) => disk.realPath(path)));
}

/** @throws {ConfigError} `cli.no_files`. */
function readPaths(words: readonly string[]): readonly string[] {
  if (words.length > 0 && words.every((word) => word !== "")) return words;
  throw new ConfigError(
    "cli.no_files",
    "Cannot share nothing: write anonnet share FILE, or name a directory",
  );
}

/** @throws {ConfigError} `cli.downloads`. */
function parseDownloads(text: string): number {
  const count = Number(text);
  if (/^[0-9]+$/.test(text) && count >= 1 && count <= MAX_DOWNLOADS) {
    return count;
  }
  throw new ConfigError(
    "cli.downloads",
    `it is "${text.slice(0, 40)}"; write a number from 1 to ${MAX_DOWNLOADS}`,
  );
}
