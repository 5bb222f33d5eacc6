/**
 * The control interface of a running node: a small HTTP server that only
 * programs of the same user can speak to.
 *
 *     200 result · 400 the request is wrong · 404 no such command
 *     500 the command failed · 403 everything that is not let in
 *
 * `GET /metrics` goes by a door of its own, with another token.
 *
 * Errors have the body `{"code": "…", "message": "…"}`; a 403 has none.
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import {
  AnonNetError,
  ConfigError,
  describeError,
  errorCode,
} from "../base/errors.ts";
import { isLoopback } from "../auth/socket_address.ts";
import { admitRequest } from "./control_gate.ts";
import type { ControlPlace } from "./control_note.ts";
import type { MetricsDoor } from "./metrics_door.ts";
import { type PortWords, serveTcp } from "./listen.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "./json.ts";

/**
 * Carries out one command.
 *
 * @throws {ConfigError} when the arguments are wrong; other errors when it failed.
 */
export type ControlHandler = (
  args: JsonObject,
  options: { readonly signal: AbortSignal },
) => JsonValue | Promise<JsonValue>;

/** What a server is made of. */
export interface ControlServerOptions {
  readonly place: ControlPlace;
  readonly token: string;
  /** Answers requests for metrics. Default: they are refused like any other. */
  readonly metrics?: Pick<MetricsDoor, "answer"> | undefined;
  /** Hears of commands that failed through our own fault. */
  readonly onError: (command: string, error: unknown) => void;
}

const WORDS: PortWords = {
  code: "control.in_use",
  what: "open the control interface",
  flag: "--control",
};

/** Longest body of a request. Commands are short; a mistake must not fill memory. */
const MAX_BODY_BYTES = 64 * 1024;

/** The control interface, open until disposed of. */
export class ControlServer implements AsyncDisposable {
  /** Where it listens, with the port that was really bound. */
  readonly place: ControlPlace;
  readonly #token: string;
  readonly #metrics: ControlServerOptions["metrics"];
  readonly #onError: ControlServerOptions["onError"];
  readonly #handlers = new Map<string, ControlHandler>();
  readonly #server:
    | Deno.HttpServer<Deno.NetAddr>
    | Deno.HttpServer<
      Deno.UnixAddr
    >;
  readonly #stop = new AbortController();

  /**
   * Listen. A unix socket's path must be free, and its directory closed to
   * other users.
   *
   * @throws {ConfigError} `control.public` for an address that other machines
   * reach, `control.in_use`; the system's own errors otherwise.
   */
  constructor(options: ControlServerOptions) {
    this.#token = options.token;
    this.#metrics = options.metrics;
    this.#onError = options.onError;
    const { signal } = this.#stop;
    const answer = (request: Request) => this.#answer(request);
    if (options.place.type === "unix") {
      const { path } = options.place;
      this.#server = Deno.serve({ path, signal, onListen() {} }, answer);
      this.place = options.place;
    } else {
      const { host, port } = options.place.address;
      checkLoopback(host);
      this.#server = serveTcp(
        { hostname: host, port, signal, onListen() {} },
        answer,
        WORDS,
      );
      this.place = {
        type: "tcp",
        address: { host, port: this.#server.addr.port },
      };
    }
  }

  /** Have `handler` carry out the command `name`, letters and hyphens. */
  register(name: string, handler: ControlHandler): void {
    if (this.#handlers.has(name)) {
      throw new RangeError(`Cannot register command ${name}: there is one`);
    }
    this.#handlers.set(name, handler);
  }

  /**
   * Carry out a command for another part of this process.
   *
   * @throws {ConfigError} `control.command` when there is none of the name; and what
   * its handler throws.
   */
  async run(name: string, args: JsonObject): Promise<JsonValue> {
    const handler = this.#handlers.get(name);
    if (handler !== undefined) {
      return await handler(args, { signal: this.#stop.signal });
    }
    throw new ConfigError("control.command", "There is no such command");
  }

  async #answer(request: Request): Promise<Response> {
    const metrics = this.#metrics?.answer(request, this.place);
    if (metrics !== undefined) return metrics;
    const command = admitRequest(request, this.place, this.#token);
    if (command === undefined) return new Response(null, { status: 403 });
    try {
      const args = parseArguments(await readBody(request));
      return Response.json(await this.run(command, args));
    } catch (error) {
      if (error instanceof ConfigError) {
        const status = error.code === "control.command" ? 404 : 400;
        return failure(status, error.code, error.message);
      }
      if (!(error instanceof AnonNetError)) this.#onError(command, error);
      return failure(500, errorCode(error), describeError(error));
    }
  }

  /** Stop listening; commands under way hear of it by their signal. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new ConfigError("control.closed", "The node is stopping"));
    await this.#server.finished;
  }
}

/**
 * Refuse an address that other machines reach: the token would cross the network
 * in the clear.
 *
 * @throws {ConfigError} `control.public`.
 */
export function checkLoopback(host: string): void {
  if (isLoopback(host)) return;
  throw new ConfigError(
    "control.public",
    `Cannot open the control interface at "${host}": it is for this machine ` +
      `alone; write 127.0.0.1:PORT or [::1]:PORT`,
  );
}

async function readBody(request: Request): Promise<string> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) {
      throw new ConfigError("control.body", "The request is too long");
    }
    chunks.push(chunk);
  }
  return await new Blob(chunks).text();
}

function parseArguments(text: string): JsonObject {
  try {
    const value: unknown = text === "" ? {} : JSON.parse(text);
    if (isJsonObject(value)) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new ConfigError("control.body", "The request is not a JSON object");
}

function failure(status: number, code: string, message: string): Response {
  return Response.json({ code, message }, { status });
}
