/**
 * Pages for browsers of one operator, on this machine alone, behind a gate. What the
 * pages show and do is their owner's.
 *
 *     GET  /                   asks for the session with the token of the fragment
 *     POST /session            token for cookie
 *     GET  /<mount>/           the pages, and their files
 *     GET  /<mount>/events     what changes; 503 when too many tabs are open
 *     GET  /<mount>/…          what the owner answers
 *     POST /<mount>/…          what the owner does
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
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
import { DashboardGate, isFromHere } from "./dashboard_gate.ts";
import { EventStreams, type StreamSource } from "./event_streams.ts";
import { OPEN_FILES, type PageFile } from "./page_files.ts";

/** What is behind the gate. */
export interface PageOwner extends StreamSource {
  /** Files by the names that follow the mount. */
  readonly files: ReadonlyMap<string, PageFile>;
  /** Answer a GET of another name. @returns `undefined` where there is no such page. */
  get(name: string, url: URL): Promise<Response> | undefined;
  /** Carry out a POST. @returns `undefined` where there is no such command. */
  post(name: string, body: JsonObject): Promise<Response> | undefined;
}

/** What a server is made of. */
export interface PageServerOptions {
  readonly address: SocketAddress;
  /** How the operator moves it to another port. */
  readonly words: PortWords;
  readonly clock: Clock;
  readonly random: Random;
  /** Hears of what failed through our own fault. */
  readonly onError: (error: unknown) => void;
}

/** Longest body of a request. */
const MAX_BODY_BYTES = 4 * 1024;

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

/** The server, open until disposed of. */
export class PageServer implements AsyncDisposable {
  /** Where it listens, with the port that was really bound. */
  readonly address: SocketAddress;
  readonly #options: PageServerOptions;
  readonly #owner: PageOwner;
  readonly #gate: DashboardGate;
  readonly #streams: EventStreams;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #stop = new AbortController();

  /**
   * Listen.
   *
   * @throws {ConfigError} `control.public` for an address that other machines reach,
   * and the code of `words` for a port that is taken.
   */
  constructor(options: PageServerOptions, owner: PageOwner) {
    const { host, port } = options.address;
    checkLoopback(host);
    this.#options = options;
    this.#owner = owner;
    this.#gate = new DashboardGate(options.random);
    this.#streams = new EventStreams(owner);
    this.#server = serveTcp(
      { hostname: host, port, signal: this.#stop.signal, onListen() {} },
      (request) => this.#answer(request),
      options.words,
    );
    this.address = { host, port: this.#server.addr.port };
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
    const url = URL.parse(request.url);
    const { mount } = this.#gate;
    if (url === null) return notFound();
    if (!url.pathname.startsWith(mount)) {
      return await this.#openDoor(request, url.pathname.slice(1));
    }
    const nowMs = this.#options.clock.nowMs();
    const session = this.#gate.sessionOf(request, nowMs);
    const name = url.pathname.slice(mount.length);
    if (session === undefined) return noSession(name);
    if (request.method === "POST") {
      const body = await readBody(request);
      return await this.#owner.post(name, body) ?? notFound();
    }
    if (name === "events") {
      const stream = this.#streams.open(session);
      return stream === undefined ? tooManyTabs() : new Response(stream, {
        headers: { "content-type": "text/event-stream" },
      });
    }
    return await this.#owner.get(name, url) ?? fileOf(this.#owner.files, name);
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

  /** Stop listening; open tabs are cut off. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#streams[Symbol.dispose]();
    this.#stop.abort();
    await this.#server.finished;
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

function tooManyTabs(): Response {
  return failure(
    503,
    "dashboard.too_many_tabs",
    "Too many tabs are open: this one asks now and then",
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
