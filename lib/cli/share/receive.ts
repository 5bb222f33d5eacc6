/**
 * `anonnet receive`: a page at which strangers leave files.
 *
 * @see protocol §9.7 "Sharing files"
 * @module
 */
import { ConfigError, describeError } from "../../base/errors.ts";
import { thrown } from "../../log/log.ts";
import { DropBox } from "../../share/box/drop_box.ts";
import { shownName } from "../../share/file_name.ts";
import { RECEIVE_TITLE, ReceiveSite } from "../../share/box/receive_site.ts";
import { SecretPath } from "../../share/secret_path.ts";
import { SECRET_BYTES, ShareMemory } from "../../share/share_memory.ts";
import { formatBytes } from "../../share/share_page.ts";
import { defineCommand } from "../flags/command.ts";
import { defaultFlag, type FlagValues, switchFlag } from "../flags/flag.ts";
import {
  CLIENT_FLAGS,
  clientOptions,
  commonOptions,
  NODE_FLAGS,
} from "../flags/node_flags.ts";
import { parseBytes, parseCount } from "../flags/sizes.ts";
import type { Terminal } from "../flags/terminal.ts";
import { Meter } from "./meter.ts";
import {
  parseTitle,
  siteBlobOf,
  siteNameFlag,
  siteNameOf,
} from "./share_name.ts";
import { type OpenSite, runSite, type SiteGround } from "./site_process.ts";

/** Streams of one session: a visitor must not take all the places of others. */
const SESSION_STREAMS = 8;

const FLAGS = {
  "max-size": defaultFlag(
    "SIZE",
    "how large one file may be",
    "4GB",
    parseBytes,
  ),
  "max-total": defaultFlag(
    "SIZE",
    "how much is taken in all, until the command ends",
    "20GB",
    parseBytes,
  ),
  "max-files": defaultFlag(
    "N",
    "how many files are taken in all, until the command ends",
    "1000",
    parseCount,
  ),
  public: switchFlag(
    "let all who know the address send files: the link holds no secret",
  ),
  title: defaultFlag(
    "TEXT",
    "what the page is called",
    RECEIVE_TITLE,
    parseTitle,
  ),
  qr: switchFlag("print the link as a QR code too"),
  name: siteNameFlag,
  ...CLIENT_FLAGS,
  ...NODE_FLAGS,
};

/** `anonnet receive`. */
export const receiveCommand = defineCommand({
  name: "receive",
  summary: "take files of others into a directory, at a .anon link",
  details:
    "Prints a link to a page with a form; curl -F file=@NAME LINK sends files as well. " +
    "Files get their names in DIR when all of them is there; names are cleaned, and no " +
    "file is overwritten. What breaks off is removed. Open what strangers send with " +
    "care, and not on a machine that must not know them. Runs until Ctrl-C or SIGTERM; " +
    "the same directory has the same link after a restart.",
  operands: { text: "DIR", read: readDirectory },
  flags: FLAGS,
  async run(values, program, directory) {
    const name = values.name ??
      siteNameOf("receive", [await nameablePath(directory)]);
    return await runSite(program, {
      options: { ...commonOptions(values), client: clientOptions(values) },
      name,
      qr: values.qr,
      maxStreams: SESSION_STREAMS,
      open: (ground) =>
        openBox(values, directory, name, program.terminal, ground),
    });
  },
});

async function openBox(
  values: FlagValues<typeof FLAGS>,
  directory: string,
  name: string,
  terminal: Terminal,
  { node, runtime, log }: SiteGround,
): Promise<OpenSite> {
  const { files, random, clock } = runtime;
  const limits = {
    fileBytes: values["max-size"],
    totalBytes: values["max-total"],
    files: values["max-files"],
  };
  const box = await DropBox.open({ files, random, directory, limits });
  const memory = new ShareMemory({
    blobs: node.blobs,
    name: siteBlobOf(name),
    clock,
    onError: (error) =>
      log.part("receive").error("Cannot remember the secret of the link", {
        error: thrown(error),
      }),
  });
  const { secret } = await memory.read() ??
    { secret: random.bytes(SECRET_BYTES) };
  memory.keep(() => ({ secret, files: [] }));
  const path = new SecretPath(values.public ? undefined : secret);
  const meter = new Meter("Receiving", (line) => terminal.show(line));
  let bytes = 0;
  const site = new ReceiveSite({
    clock,
    title: values.title,
    path,
    box,
    on: {
      onBytes(count) {
        bytes += count;
        meter.update(bytes, undefined, clock.nowMs());
      },
      onFile: ({ name, bytes }) =>
        terminal.tell(`Received ${shownName(name)}, ${formatBytes(bytes)}`),
      onEnd(running) {
        if (running === 0) terminal.show("");
      },
      onTrouble: (error) => terminal.tell(`anonnet: ${describeError(error)}`),
    },
  });
  return {
    handle: site.handle,
    path: path.prefix,
    done: new Promise(() => {}),
    words: [
      "takes files, from all who have it, into",
      "",
      `    ${directory}`,
      "",
      "They use a browser behind an AnonNet proxy, or curl -F file=@NAME LINK.",
    ],
    async [Symbol.asyncDispose]() {
      await memory[Symbol.asyncDispose]();
      await box[Symbol.asyncDispose]();
    },
  };
}

/** The path without links; as it was written where there is nothing yet. */
async function nameablePath(directory: string): Promise<string> {
  try {
    return await Deno.realPath(directory);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  await Deno.mkdir(directory, { recursive: true, mode: 0o700 });
  return await Deno.realPath(directory);
}

/** @throws {ConfigError} `cli.directory`. */
function readDirectory(words: readonly string[]): string {
  const [directory, ...more] = words;
  if (directory !== undefined && directory !== "" && more.length === 0) {
    return directory.length > 1 ? directory.replace(/\/+$/, "") : directory;
  }
  throw new ConfigError(
    "cli.directory",
    "Cannot receive: write anonnet receive DIR, with one directory",
  );
}
