/**
 * The dashboard of a running node: a small HTTP server for browsers of its operator,
 * on this machine alone.
 *
 *     GET  /                   asks for the session with the token of the fragment
 *     POST /session            token for cookie
 *     GET  /<mount>/           the pages, and their files
 *     GET  /<mount>/state      snapshot, history and log at once
 *     GET  /<mount>/events     the same as it changes; 503 when too many tabs are open
 *     GET  /<mount>/qr?text=   a picture of an address of our own services
 *     POST /<mount>/new-identity, /<mount>/close-session
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import { renderSVG } from "uqr";
import {
  formatSocketAddress,
  type SocketAddress,
} from "../auth/socket_address.ts";
import type { Clock } from "../base/clock.ts";
import {
  AnonNetError,
  ConfigError,
  describeError,
  errorCode,
} from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { checkLoopback } from "../control/control_server.ts";
import { isJsonObject, type JsonObject } from "../control/json.ts";
import { type PortWords, serveTcp } from "../control/listen.ts";
import type { LogTail } from "../log/log_tail.ts";
import {
  DashboardGate,
  type DashboardSession,
  isFromHere,
} from "./dashboard_gate.ts";
import { EventStreams, linesOf } from "./event_streams.ts";
import { OPEN_FILES, PAGE_FILES, type PageFile } from "./page_files.ts";
import { type Sampled, Sampler } from "./sampler.ts";

const WORDS: PortWords = {
  code: "dashboard.in_use",
  what: "open the dashboard",
  flag: "--dashboard-at",
};

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

/** Longest body of a request. */
const MAX_BODY_BYTES = 4 * 1024;

/** Commands that a page may have carried out. */
const COMMANDS = ["new-identity", "close-session"] as const;

/** All that a page may load is here, and no other page may hold or read it. */
const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
};

/** A dashboard, open until disposed of. */
export class DashboardServer implements AsyncDisposable {
  /** Where it listens, with the port that was really bound. */
  readonly address: SocketAddress;
  readonly #options: DashboardOptions;
  readonly #gate: DashboardGate;
  readonly #sampler: Sampler;
  readonly #streams: EventStreams;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #stop = new AbortController();

  /**
   * Listen.
   *
   * @throws {ConfigError} `control.public` for an address that other machines reach,
   * `dashboard.in_use`.
   */
  constructor(options: DashboardOptions) {
    const { host, port } = options.address;
    checkLoopback(host);
    this.#options = options;
    this.#gate = new DashboardGate(options.random);
    this.#server = serveTcp(
      {
        hostname: host,
        port,
        signal: this.#stop.signal,
        onListen() {},
      },
      (request) => this.#answer(request),
      WORDS,
    );
    this.address = { host, port: this.#server.addr.port };
    const { node, clock, onError, tail } = options;
    this.#sampler = new Sampler(node, clock, onError);
    this.#streams = new EventStreams({ sampler: this.#sampler, tail });
  }

  /** An address for one browser, of use once and for `forMs`. */
  newUrl(forMs: number): string {
    const token = this.#gate.newToken(forMs, this.#options.clock.nowMs());
    return `http://${formatSocketAddress(this.address)}/#${token}`;
  }

  async #answer(request: Request): Promise<Response> {
    const response = await this.#route(request).catch((error) => {
      if (error instanceof ConfigError) {
        return failure(400, error.code, error.message);
      }
      if (!(error instanceof AnonNetError)) this.#options.onError(error);
      return failure(500, errorCode(error), describeError(error));
    });
    for (const [name, value] of Object.entries(HEADERS)) {
      response.headers.set(name, value);
    }
    return response;
  }

  async #route(request: Request): Promise<Response> {
    if (!isFromHere(request, formatSocketAddress(this.address))) {
      return new Response(null, { status: 403 });
    }
    const pathname = URL.parse(request.url)?.pathname ?? "";
    const { mount } = this.#gate;
    if (!pathname.startsWith(mount)) {
      return await this.#openDoor(request, pathname.slice(1));
    }
    const session = this.#gate.sessionOf(
      request,
      this.#options.clock.nowMs(),
    );
    const name = pathname.slice(mount.length);
    if (session === undefined) return noSession(name);
    return request.method === "POST"
      ? await this.#command(request, name)
      : await this.#page(request, name, session);
  }

  async #openDoor(request: Request, name: string): Promise<Response> {
    if (request.method === "GET") return fileOf(OPEN_FILES, name);
    if (name !== "session") return notFound();
    const { token } = await readBody(request);
    const cookie = this.#gate.exchange(
      typeof token === "string" ? token : "",
      this.#options.clock.nowMs(),
    );
    if (cookie === undefined) {
      return failure(
        403,
        "dashboard.token",
        "The address was used, or is too old",
      );
    }
    return Response.json({ path: this.#gate.mount }, {
      headers: { "set-cookie": cookie },
    });
  }

  async #page(
    request: Request,
    name: string,
    session: DashboardSession,
  ): Promise<Response> {
    if (name === "state") {
      return Response.json({
        snapshot: await this.#sampler.snapshot(),
        history: this.#sampler.history(),
        log: linesOf(this.#options.tail?.after(0) ?? []),
      });
    }
    if (name === "events") return this.#events(session);
    if (name === "qr") {
      return picture(new URL(request.url).searchParams.get("text") ?? "");
    }
    return fileOf(PAGE_FILES, name);
  }

  #events(session: DashboardSession): Response {
    const stream = this.#streams.open(session);
    if (stream === undefined) {
      return failure(
        503,
        "dashboard.too_many_tabs",
        "Too many tabs are open: this one asks now and then",
      );
    }
    return new Response(stream, {
      headers: { "content-type": "text/event-stream" },
    });
  }

  async #command(request: Request, name: string): Promise<Response> {
    const command = COMMANDS.find((command) => command === name);
    if (command === undefined) return notFound();
    const args = await readBody(request);
    return Response.json(await this.#options.node.ask(command, args));
  }

  /** Stop listening; open tabs are cut off. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#streams[Symbol.dispose]();
    this.#stop.abort();
    await this.#server.finished;
    await this.#sampler[Symbol.asyncDispose]();
  }
}

/** Who comes without a session sees how to get one; a script sees a code. */
function noSession(name: string): Response {
  if (name === "") {
    return new Response(null, { status: 303, headers: { location: "/" } });
  }
  return failure(
    403,
    "dashboard.session",
    "The session has ended: anonnet dashboard prints an address for a new one",
  );
}

function fileOf(
  files: ReadonlyMap<string, PageFile>,
  name: string,
): Response {
  const file = files.get(name);
  if (file === undefined) return notFound();
  return new Response(file.text, { headers: { "content-type": file.type } });
}

/** @throws {ConfigError} `dashboard.qr` for a text that is no address. */
function picture(text: string): Response {
  if (!/^[a-z2-7]{56}\.anon$/.test(text)) {
    throw new ConfigError("dashboard.qr", "The text is no .anon address");
  }
  return new Response(renderSVG(text), {
    headers: { "content-type": "image/svg+xml" },
  });
}

/** @throws {ConfigError} `dashboard.body`. */
async function readBody(request: Request): Promise<JsonObject> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) {
      throw new ConfigError("dashboard.body", "The request is too long");
    }
    chunks.push(chunk);
  }
  try {
    const value: unknown = JSON.parse(await new Blob(chunks).text());
    if (isJsonObject(value)) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new ConfigError("dashboard.body", "The request is not a JSON object");
}

function notFound(): Response {
  return failure(404, "dashboard.path", "There is no such page");
}

function failure(status: number, code: string, message: string): Response {
  return Response.json({ code, message }, { status });
}
