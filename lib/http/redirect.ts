/**
 * Where a redirect leads, and what is sent there.
 *
 *     301, 302       POST becomes GET, without its body
 *     303            all but GET and HEAD become GET, without their bodies
 *     307, 308       the same again, with its body
 *
 * @see {@link https://fetch.spec.whatwg.org/#http-redirect-fetch | Fetch §4.4}
 * @module
 */
import { ProtocolError, UnreachableError } from "../base/errors.ts";
import { parseAnonHost } from "./anon_host.ts";
import { latin1Bytes } from "./latin1.ts";
import { NO_BODY, type OutgoingBody } from "./outgoing_body.ts";

/** Redirects that are followed. */
const MAX_REDIRECTS = 20;

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Fields that another origin must not get. */
const PRIVATE_FIELDS = ["authorization", "cookie", "proxy-authorization"];
/** Fields that say what a body is. */
const BODY_FIELDS = [
  "content-encoding",
  "content-language",
  "content-length",
  "content-location",
  "content-type",
];

/** One request as it goes out. */
export interface OutgoingRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body: OutgoingBody;
  /** Whether the body was no stream: a stream can be sent once. */
  readonly canRepeat: boolean;
  /** How many led here. */
  readonly redirects: number;
}

/**
 * The request that a response asks for; `undefined` when it is no redirect. The body
 * of one that is has been given up.
 *
 * @throws {ProtocolError} `proxy.not_anon` where it leads out of the network.
 * @throws {UnreachableError} `http.redirects`.
 * @throws {TypeError} where a stream would have to be sent twice.
 */
export async function followRedirect(
  before: OutgoingRequest,
  response: Response,
  mode: "follow" | "error" | "manual",
): Promise<OutgoingRequest | undefined> {
  const location = response.headers.get("location");
  if (!REDIRECTS.has(response.status) || location === null) return undefined;
  await response.body?.cancel();
  if (mode === "error") throw redirectError("one came, unwanted");
  if (before.redirects >= MAX_REDIRECTS) {
    throw redirectError("there are too many");
  }
  const url = locationOf(location, before.url);
  const isRepeatable = before.canRepeat && before.body.rest === undefined;
  if (response.status !== 303 && !isRepeatable) {
    throw new TypeError(
      "Cannot follow redirect: the body of the request is a stream, and cannot " +
        "be sent twice",
    );
  }
  const headers = new Headers(before.headers);
  if (url.origin !== before.url.origin) {
    for (const name of PRIVATE_FIELDS) headers.delete(name);
  }
  const redirects = before.redirects + 1;
  if (!becomesGet(response.status, before.method)) {
    return { ...before, url, headers, redirects };
  }
  for (const name of BODY_FIELDS) headers.delete(name);
  const empty = { method: "GET", body: NO_BODY, canRepeat: true };
  return { url, headers, redirects, ...empty };
}

function becomesGet(status: number, method: string): boolean {
  return status === 303
    ? method !== "GET" && method !== "HEAD"
    : status < 303 && method === "POST";
}

/** Browsers read the field as UTF-8, whatever HTTP says of it. */
function locationOf(location: string, base: URL): URL {
  const text = new TextDecoder().decode(latin1Bytes(location));
  const url = URL.parse(text, base);
  if (url === null) throw redirectError("its address is none");
  if (url.username !== "" || url.password !== "") {
    throw redirectError("its address has a user name or a password");
  }
  if (url.protocol !== "http:") {
    throw redirectError(`it leads to ${url.protocol} and not to http:`);
  }
  checkAnon(url);
  return url;
}

function checkAnon(url: URL): void {
  try {
    parseAnonHost(url.hostname);
  } catch (error) {
    throw new ProtocolError(
      "proxy.not_anon",
      `Cannot follow redirect to ${url.origin}: only .anon addresses are ` +
        `reachable`,
      { cause: error },
    );
  }
}

function redirectError(why: string): UnreachableError {
  return new UnreachableError(
    "http.redirects",
    `Cannot follow redirect: ${why}`,
  );
}
