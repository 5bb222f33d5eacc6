/**
 * The way to services: a node of our own, or the proxy of one that runs.
 *
 *     --proxy URL                       that proxy
 *     a node runs on --state            its proxy
 *     otherwise                         a node in this process
 *
 * @module
 */
import { formatBase32 } from "../../base/bytes.ts";
import {
  ConfigError,
  errorCode,
  ProtocolError,
  UnreachableError,
} from "../../base/errors.ts";
import { isJsonObject } from "../../control/json.ts";
import { parseAnonHost } from "../../http/anon_host.ts";
import { HttpClient } from "../../http/client.ts";
import type { Log } from "../../log/log.ts";
import { systemRuntime } from "../../machine/runtime.ts";
import { Node, type NodeOptions } from "../../node/node.ts";
import type { Fetch } from "../../share/download/patience.ts";
import type { Files } from "../../storage/files.ts";
import { askNode } from "../ask/ask_node.ts";

/** Redirects that are followed. */
const MAX_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Random bytes of a user name: downloads of two runs share no circuit. */
const ISOLATION_BYTES = 10;

/** What asking for files takes; dispose of it when all are there. */
export interface SiteClient extends AsyncDisposable {
  readonly fetch: Fetch;
}

/** How a client is found. */
export interface SiteClientOptions {
  /** Default: that of the node on the state directory, or none. */
  readonly proxy: URL | undefined;
  readonly node: Omit<NodeOptions, "signal" | "holder">;
  readonly files: Files;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * Open a client.
 *
 * @throws {ConfigError} `get.no_proxy` where the node that runs has none; as a node's
 * start.
 * @throws the signal's reason.
 */
export async function openSiteClient(
  options: SiteClientOptions,
): Promise<SiteClient> {
  const proxy = options.proxy ?? await proxyOfNode(options);
  return proxy === undefined ? await ownNode(options) : viaProxy(proxy);
}

async function ownNode(
  { node: options, log, signal }: SiteClientOptions,
): Promise<SiteClient> {
  const runtime = await systemRuntime(log);
  const holder = `pid ${Deno.pid}`;
  const node = await Node.start({ ...options, holder, signal }, runtime);
  const { client } = node;
  if (client === undefined) throw new TypeError("The node is no client");
  const { gateway } = client;
  const { clock } = runtime;
  const http = new HttpClient({ gateway, clock, signal });
  return {
    fetch: following((url, init) =>
      http.fetch(url, { ...init, redirect: "manual" })
    ),
    async [Symbol.asyncDispose]() {
      http[Symbol.dispose]();
      await node[Symbol.asyncDispose]();
    },
  };
}

function viaProxy(url: URL): SiteClient {
  const word = crypto.getRandomValues(new Uint8Array(ISOLATION_BYTES));
  const username = formatBase32(word);
  const client = Deno.createHttpClient({
    proxy: { url: url.href, basicAuth: { username, password: "get" } },
  });
  return {
    fetch: following((url, init) =>
      fetch(url, { ...init, redirect: "manual", client })
    ),
    [Symbol.asyncDispose]() {
      client.close();
      return Promise.resolve();
    },
  };
}

/** Follow redirects, within the network: nothing else is ever asked for. */
function following(ask: Fetch): Fetch {
  return async (url, init) => {
    let target = url;
    for (let count = 0; count <= MAX_REDIRECTS; count++) {
      checkTarget(target);
      const response = await ask(target, init);
      const location = response.headers.get("location");
      if (!REDIRECTS.has(response.status) || location === null) return response;
      await response.body?.cancel();
      const next = URL.parse(location, target);
      if (next === null) break;
      target = next;
    }
    throw new ProtocolError(
      "get.redirects",
      "Cannot download: the service sends us in circles, or nowhere",
    );
  };
}

/**
 * @throws {ConfigError} `http.scheme`.
 * @throws {ProtocolError} `proxy.not_anon`.
 */
export function checkTarget(url: URL): void {
  if (url.protocol !== "http:") {
    throw new ConfigError(
      "http.scheme",
      "Cannot download: the link has to begin with http://; the network itself " +
        "encrypts and proves the address",
    );
  }
  parseAnonHost(url.hostname);
}

/** The proxy of the node that has the state directory; `undefined` where none runs. */
async function proxyOfNode(
  { node: { state }, files }: SiteClientOptions,
): Promise<URL | undefined> {
  try {
    const status = await askNode(files, state, "status");
    const { http, socks } = isJsonObject(status)
      ? status
      : { http: null, socks: null };
    if (typeof http === "string") return new URL(`http://${http}`);
    if (typeof socks === "string") return new URL(`socks5h://${socks}`);
  } catch (error) {
    const isOurs = error instanceof ConfigError ||
      error instanceof UnreachableError;
    if (!isOurs) throw error;
    if (errorCode(error) === "storage.denied") throw error;
    return undefined; // none runs, or it has just ended
  }
  throw new ConfigError(
    "get.no_proxy",
    `Cannot download: the node that runs on state directory "${state}" has no ` +
      "proxy; name another directory with --state, or a proxy with --proxy",
  );
}
