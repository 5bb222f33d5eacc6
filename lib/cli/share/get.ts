/**
 * `anonnet get`: download what is shared, or any file of a service, to the last byte.
 *
 * @see protocol §9.7 "Sharing files"
 * @module
 */
import { ConfigError, describeError } from "../../base/errors.ts";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../log/log.ts";
import { SystemClock } from "../../machine/system_clock.ts";
import {
  download,
  type DownloadListener,
} from "../../share/download/download.ts";
import { cleanName, shownName } from "../../share/file_name.ts";
import { PartFile } from "../../share/download/part_file.ts";
import type { Fetch } from "../../share/download/patience.ts";
import { fetchList, type ListedFile } from "../../share/download/share_list.ts";
import { formatBytes, formatFiles } from "../../share/share_page.ts";
import { defineCommand, type ExitCode } from "../flags/command.ts";
import {
  defaultFlag,
  type FlagValues,
  oneOf,
  optionalFlag,
  parseText,
} from "../flags/flag.ts";
import {
  CLIENT_FLAGS,
  clientOptions,
  NODE_FLAGS,
} from "../flags/node_flags.ts";
import { joinSources } from "../flags/network_flags.ts";
import type { Terminal } from "../flags/terminal.ts";
import { LOG_LEVELS } from "../../log/log.ts";
import { runProcess } from "../process/process.ts";
import { Meter } from "./meter.ts";
import { checkTarget, openSiteClient } from "./site_client.ts";
import { fileIs, outputOf } from "./output.ts";

/** A week: longer than a user waits, and short enough for a timer. */
const MAX_PATIENCE_SECONDS = 604_800;
/** The secret in the path of a share. */
const SECRET_ALONE = /^\/[a-z2-7]{26}$/;

const FLAGS = {
  output: optionalFlag(
    "PATH",
    "where to write: the name of the file, or the directory for the files of a share",
    parseText,
  ),
  proxy: optionalFlag(
    "URL",
    "download through this proxy of a running node, such as http://127.0.0.1:9280 or " +
      "socks5h://127.0.0.1:9250; that of the node on --state, if one runs there, or " +
      "else a node of its own",
    parseProxy,
  ),
  patience: defaultFlag(
    "SECONDS",
    "how long to try again while nothing comes",
    "600",
    parsePatience,
  ),
  ...CLIENT_FLAGS,
  state: NODE_FLAGS.state,
  network: NODE_FLAGS.network,
  bootstrap: NODE_FLAGS.bootstrap,
  "log-level": defaultFlag(
    "LEVEL",
    `how much to log: ${LOG_LEVELS.join(", ")}; debug shows addresses`,
    "error",
    oneOf(LOG_LEVELS),
  ),
  "log-format": NODE_FLAGS["log-format"],
  "stop-with-parent": NODE_FLAGS["stop-with-parent"],
  config: NODE_FLAGS.config,
};

/** `anonnet get`. */
export const getCommand = defineCommand({
  name: "get",
  summary: "download what is shared at a .anon link, or any file of a service",
  details:
    "LINK is what anonnet share printed: all its files are downloaded. Any other .anon " +
    "URL is downloaded as one file. What breaks off is tried again, from where it was, " +
    "until nothing has come for --patience; the same command goes on later, with what " +
    "is in NAME.part. The SHA-256 that the service states is compared, and a file that " +
    "is not right gets no name. No file is overwritten. Exit codes: 0 all is there, 1 " +
    "something is missing.",
  operands: { text: "LINK", read: readLink },
  flags: FLAGS,
  async run(values, program, url) {
    const { terminal, files } = program;
    return await runProcess(program, {
      logLevel: values["log-level"],
      logFormat: values["log-format"],
      stopWithParent: values["stop-with-parent"],
    }, {
      start: (log) => Promise.resolve(new Errand(log)),
      async use({ log }, stopped) {
        const stop = new AbortController();
        stopped.then(() => stop.abort(stoppedError()));
        const { signal } = stop;
        try {
          await using client = await openSiteClient({
            proxy: values.proxy,
            node: {
              state: values.state,
              network: values.network,
              ...joinSources(values.bootstrap),
              client: clientOptions(values),
              control: "off",
            },
            files,
            log,
            signal,
          });
          const { fetch } = client;
          await new Getting(url, values, fetch, terminal, signal).run();
          return 0;
        } catch (error) {
          terminal.show("");
          if (!signal.aborted) throw error;
          terminal.tell(`anonnet: ${describeError(signal.reason)}`);
          return 1 as ExitCode;
        }
      },
    });
  },
});

/** Nothing is begun before the process can be told to stop. */
class Errand implements AsyncDisposable {
  readonly log: Log;

  constructor(log: Log) {
    this.log = log;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** One link, until all that it leads to is there. */
class Getting {
  readonly #url: URL;
  readonly #values: FlagValues<typeof FLAGS>;
  readonly #fetch: Fetch;
  readonly #terminal: Terminal;
  readonly #signal: AbortSignal;
  readonly #clock: Clock = new SystemClock();

  constructor(
    url: URL,
    values: FlagValues<typeof FLAGS>,
    fetch: Fetch,
    terminal: Terminal,
    signal: AbortSignal,
  ) {
    this.#url = url;
    this.#values = values;
    this.#fetch = fetch;
    this.#terminal = terminal;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    const { output } = this.#values;
    const list = await this.#list();
    if (list === undefined) {
      const last = this.#url.pathname.split("/").at(-1) ?? "";
      const name = last === "" ? "index.html" : cleanName(decoded(last));
      const path = await outputOf(output, [name], "file");
      return await this.#get(path, this.#url, undefined, "");
    }
    if (list.length > 1) {
      const bytes = list.reduce((sum, { bytes }) => sum + bytes, 0);
      this.#terminal.tell(`${formatFiles(list.length)}, ${formatBytes(bytes)}`);
    }
    const [only] = list;
    const kind = only !== undefined && list.length === 1 &&
        only.name.length === 1
      ? "file"
      : "directory";
    for (const [index, file] of list.entries()) {
      const path = await outputOf(output, file.name, kind);
      const which = list.length === 1 ? "" : `${index + 1}/${list.length} `;
      await this.#get(path, file.url, file, which);
    }
  }

  /** The files of a share; `undefined` for a link that is a file itself. */
  async #list(): Promise<ListedFile[] | undefined> {
    const { pathname } = this.#url;
    if (SECRET_ALONE.test(pathname)) this.#url.pathname = `${pathname}/`;
    if (!this.#url.pathname.endsWith("/")) return undefined;
    return await fetchList({
      fetch: this.#fetch,
      url: this.#url,
      clock: this.#clock,
      patienceMs: this.#values.patience * 1000,
      on: { onRetry: (error, waitMs) => this.#tellRetry(error, waitMs) },
    }, { signal: this.#signal });
  }

  async #get(
    path: string,
    url: URL,
    listed: ListedFile | undefined,
    which: string,
  ): Promise<void> {
    const digest = listed?.digest;
    const terminal = this.#terminal;
    if (await fileIs(path, digest)) {
      terminal.tell(`${shownName(path)} is there already, SHA-256 compared`);
      return terminal.print(path);
    }
    using part = await PartFile.open(path, url);
    const verdict = await download({
      clock: this.#clock,
      fetch: this.#fetch,
      url,
      part,
      digest,
      bytes: listed?.bytes,
      patienceMs: this.#values.patience * 1000,
      on: this.#listener(`${which}${path.split("/").at(-1) ?? path}`),
    }, { signal: this.#signal });
    await part.finish();
    terminal.show("");
    terminal.tell(
      `${shownName(path)}, ${formatBytes(part.bytes)}, ${
        verdict === "verified"
          ? `SHA-256 compared: ${part.digest.toHex()}`
          : `not compared, for the service states no SHA-256: ${part.digest.toHex()}`
      }`,
    );
    terminal.print(path);
  }

  #listener(name: string): DownloadListener {
    const terminal = this.#terminal;
    const meter = new Meter(name, (line) => terminal.show(line));
    return {
      onProgress: (bytes, all) => meter.update(bytes, all, this.#clock.nowMs()),
      onResume: (bytes) => {
        meter.restart();
        terminal.tell(`Going on after ${formatBytes(bytes)}`);
      },
      onAnew: () => {
        meter.restart();
        terminal.tell(
          "Beginning anew: what is there is not of this file, or cannot be resumed",
        );
      },
      onRetry: (error, waitMs) => this.#tellRetry(error, waitMs),
    };
  }

  #tellRetry(error: unknown, waitMs: number): void {
    const seconds = Math.round(waitMs / 1000);
    this.#terminal.tell(
      `Trying again in ${seconds} s: ${describeError(error)}`,
    );
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function stoppedError(): ConfigError {
  return new ConfigError(
    "get.stopped",
    "Told to stop; what is there is kept, and the same command goes on with it",
  );
}

/** @throws {ConfigError} `cli.link`, `http.scheme`; `proxy.not_anon`. */
function readLink(words: readonly string[]): URL {
  const [word, ...more] = words;
  if (word === undefined || more.length > 0) {
    throw new ConfigError(
      "cli.link",
      "Cannot download: write anonnet get LINK, with one link",
    );
  }
  const text = /^[a-z]+:\/\//i.test(word) ? word : `http://${word}`;
  const url = URL.parse(text.trim());
  if (url === null || url.username !== "" || url.password !== "") {
    throw new ConfigError(
      "cli.link",
      "Cannot download: the link makes no sense; write http://ADDRESS.anon/…",
    );
  }
  url.hash = "";
  checkTarget(url);
  return url;
}

/** @throws {ConfigError} `cli.proxy`. */
function parseProxy(text: string): URL {
  const url = URL.parse(text);
  const isProxy = url !== null &&
    ["http:", "socks5h:"].includes(url.protocol) && url.port !== "";
  if (isProxy) return url;
  throw new ConfigError(
    "cli.proxy",
    `it is "${text.slice(0, 80)}"; write http://127.0.0.1:9280 or ` +
      "socks5h://127.0.0.1:9250 (mind the h)",
  );
}

/** @throws {ConfigError} `cli.patience`. */
function parsePatience(text: string): number {
  const seconds = Number(text);
  if (/^[0-9]+$/.test(text) && seconds <= MAX_PATIENCE_SECONDS) return seconds;
  throw new ConfigError(
    "cli.patience",
    `it is "${text.slice(0, 40)}"; write a number of seconds from 0 to ` +
      `${MAX_PATIENCE_SECONDS}`,
  );
}
