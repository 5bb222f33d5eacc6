/**
 * The dashboard of a running node: what its pages show, and what they may have it do.
 *
 *     GET  /<mount>/state      snapshot, history and log at once
 *     GET  /<mount>/events     the same as it changes
 *     GET  /<mount>/qr?text=   a picture of an address of our own services
 *     POST /<mount>/new-identity, /<mount>/close-session
 *     POST /<mount>/guards     their names, for a while and this page alone
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import { renderSVG } from "uqr";
import type { SocketAddress } from "../auth/socket_address.ts";
import type { Clock } from "../base/clock.ts";
import { ConfigError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { JsonObject, JsonValue } from "../control/json.ts";
import type { LogTail, TailLine } from "../log/log_tail.ts";
import type { SendEvent } from "./event_streams.ts";
import { PAGE_FILES } from "./page_files.ts";
import { PageServer } from "./page_server.ts";
import { type Sampled, Sampler } from "./sampler.ts";

const WORDS = {
  code: "dashboard.in_use",
  what: "open the dashboard",
  flag: "--dashboard-at",
};

/** Commands that a page may have carried out. */
const COMMANDS = ["new-identity", "close-session"] as const;

/** How long a page shows the names of guards once it was told to, ms. */
const UNLOCKED_MS = 5 * 60 * 1000;

/** What a dashboard is made of. */
export interface DashboardOptions {
  readonly address: SocketAddress;
  readonly node: Sampled;
  /** The log's last lines; without it the page of the log is empty. */
  readonly tail: Pick<LogTail, "after"> | undefined;
  readonly clock: Clock;
  readonly random: Random;
  /** Hears of what failed through our own fault. */
  readonly onError: (error: unknown) => void;
}

/** A dashboard, open until disposed of. */
export class DashboardServer implements AsyncDisposable {
  readonly #options: DashboardOptions;
  readonly #sampler: Sampler;
  readonly #server: PageServer;

  /**
   * Listen.
   *
   * @throws {ConfigError} `control.public` for an address that other machines reach,
   * `dashboard.in_use`.
   */
  constructor(options: DashboardOptions) {
    this.#options = options;
    this.#server = new PageServer({ ...options, words: WORDS }, {
      files: PAGE_FILES,
      get: (name, url) => this.#get(name, url),
      post: (name, body) => this.#post(name, body),
      open: (send) => this.#open(send),
    });
    const { node, clock, onError } = options;
    this.#sampler = new Sampler(node, clock, onError);
  }

  /** Where it listens, with the port that was really bound. */
  get address(): SocketAddress {
    return this.#server.address;
  }

  /** An address for one browser, of use once and for `forMs`. */
  newUrl(forMs: number): string {
    return this.#server.newUrl(forMs);
  }

  #get(name: string, url: URL): Promise<Response> | undefined {
    if (name === "state") return this.#state();
    if (name === "qr") return picture(url.searchParams.get("text") ?? "");
    return undefined;
  }

  async #state(): Promise<Response> {
    return Response.json({
      snapshot: await this.#sampler.snapshot(),
      history: this.#sampler.history(),
      log: linesOf(this.#options.tail?.after(0) ?? []),
    });
  }

  #post(name: string, body: JsonObject): Promise<Response> | undefined {
    if (name === "guards") return this.#guards();
    const command = COMMANDS.find((command) => command === name);
    return command && this.#command(command, body);
  }

  async #command(name: string, args: JsonObject): Promise<Response> {
    return Response.json(await this.#options.node.ask(name, args));
  }

  /** The page that asked forgets them in time; we keep no word of it. */
  async #guards(): Promise<Response> {
    const guards = await this.#options.node.ask("guards", {});
    return Response.json({ guards, forMs: UNLOCKED_MS });
  }

  #open(send: SendEvent): Disposable {
    const { tail } = this.#options;
    let lastLine = 0;
    const sendLog = () => {
      const lines = tail?.after(lastLine) ?? [];
      const last = lines.at(-1);
      if (last === undefined) return;
      const text = JSON.stringify(linesOf(lines));
      if (send("log", text)) lastLine = last.number;
    };
    send("history", JSON.stringify(this.#sampler.history()));
    sendLog();
    return this.#sampler.listen({
      onSnapshot(text) {
        send("snapshot", text);
        sendLog();
      },
      onHistory: (text) => void send("history", text),
    });
  }

  /** Stop listening; open tabs are cut off. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
    await this.#sampler[Symbol.asyncDispose]();
  }
}

/** @throws {ConfigError} `dashboard.qr` for a text that is no address. */
function picture(text: string): Promise<Response> {
  if (!/^[a-z2-7]{56}\.anon$/.test(text)) {
    throw new ConfigError("dashboard.qr", "The text is no .anon address");
  }
  return Promise.resolve(
    new Response(renderSVG(text), {
      headers: { "content-type": "image/svg+xml" },
    }),
  );
}

/** Lines as the pages take them. */
function linesOf(lines: readonly TailLine[]): JsonValue {
  return lines.map(({ number, json }) => ({ number, json }));
}
