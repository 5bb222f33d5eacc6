/**
 * Charts of something that goes on in this process, behind the gate of the dashboard:
 * a simulation that is watched.
 *
 *     GET /<mount>/state, /<mount>/events    the charts, and how far it is
 *
 * @module
 */
import type { SocketAddress } from "../auth/socket_address.ts";
import type { JsonObject } from "../control/json.ts";
import type { SendEvent } from "./event_streams.ts";
import { WATCH_FILES } from "./page_files.ts";
import { PageServer, type PageServerOptions } from "./page_server.ts";

const WORDS = {
  code: "dashboard.in_use",
  what: "show the simulation",
  flag: "--watch-at",
};

/** The page, open until disposed of. */
export class WatchServer implements AsyncDisposable {
  readonly #server: PageServer;
  readonly #tabs = new Set<SendEvent>();
  #shown = "{}";

  /**
   * Listen.
   *
   * @throws {ConfigError} `control.public`, `dashboard.in_use`.
   */
  constructor(options: Omit<PageServerOptions, "words">) {
    this.#server = new PageServer({ ...options, words: WORDS }, {
      files: WATCH_FILES,
      get: (name) =>
        name === "state"
          ? Promise.resolve(
            new Response(this.#shown, {
              headers: { "content-type": "application/json" },
            }),
          )
          : undefined,
      // There is nothing to be done from the page.
      post: () => undefined,
      open: (send) => this.#open(send),
    });
  }

  /** Where it listens, with the port that was really bound. */
  get address(): SocketAddress {
    return this.#server.address;
  }

  /** An address for one browser, of use once and for `forMs`. */
  newUrl(forMs: number): string {
    return this.#server.newUrl(forMs);
  }

  /** Show this from now on. */
  show(state: JsonObject): void {
    this.#shown = JSON.stringify(state);
    for (const send of this.#tabs) send("state", this.#shown);
  }

  #open(send: SendEvent): Disposable {
    this.#tabs.add(send);
    send("state", this.#shown);
    return { [Symbol.dispose]: () => void this.#tabs.delete(send) };
  }

  /** Stop listening; open tabs are cut off. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }
}
