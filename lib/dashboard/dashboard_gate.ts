/**
 * Who may look at the dashboard: a browser in which its operator opened an address
 * that the node printed, and no other page, user or name.
 *
 *     http://127.0.0.1:9290/#<token>      the fragment never travels
 *     POST /session {token}               once, within its time
 *     ◀ 200 {path}, Set-Cookie: anonnet=<session>; Path=/<mount>/
 *     GET  /<mount>/…                     with the cookie
 *
 * A browser sends the cookies of a host to all of its ports, and another user of the
 * machine may listen at one: so the cookie belongs to a path that only pages of this
 * dashboard know, and is sent nowhere else.
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import { equalSecret, formatBase32, utf8 } from "../base/bytes.ts";
import type { Random } from "../base/random.ts";

/** Tokens that were printed and not used. The oldest goes first. */
const MAX_TOKENS = 16;
/** Browsers that may look. The oldest session goes first. */
const MAX_SESSIONS = 16;
/** How long a session lasts: a working day, ms. */
const SESSION_MS = 12 * 60 * 60 * 1000;
const SECRET_BYTES = 32;
const COOKIE = "anonnet";

/** A secret with its end. */
interface Lasting {
  readonly secret: string;
  readonly untilMs: number;
}

/** What is looked at of a request. */
export type GateRequest = Pick<Request, "method" | "url" | "headers">;

/** A session that was let in. */
export interface DashboardSession {
  readonly secret: string;
}

/** Tokens, sessions, and the checks on each request. */
export class DashboardGate {
  /** What all paths of pages begin with, as `/…/`. */
  readonly mount: string;
  readonly #random: Random;
  #tokens: Lasting[] = [];
  #sessions: Lasting[] = [];

  constructor(random: Random) {
    this.#random = random;
    this.mount = `/${this.#secret()}/`;
  }

  /** A token for one browser, of use once and for `forMs`. */
  newToken(forMs: number, nowMs: number): string {
    const secret = this.#secret();
    this.#tokens = [...this.#tokens, { secret, untilMs: nowMs + forMs }]
      .slice(-MAX_TOKENS);
    return secret;
  }

  /**
   * Begin a session for who has a token.
   *
   * @returns The value of `Set-Cookie`; `undefined` for a token that is wrong, stale
   * or used.
   */
  exchange(token: string, nowMs: number): string | undefined {
    const found = find(this.#tokens, token, nowMs);
    if (found === undefined) return undefined;
    this.#tokens = this.#tokens.filter((other) => other !== found);
    const secret = this.#secret();
    this.#sessions = [
      ...this.#sessions,
      { secret, untilMs: nowMs + SESSION_MS },
    ].slice(-MAX_SESSIONS);
    return `${COOKIE}=${secret}; Path=${this.mount}; HttpOnly; ` +
      `SameSite=Strict; Max-Age=${SESSION_MS / 1000}`;
  }

  /** The session whose cookie a request carries. */
  sessionOf(
    { headers }: Pick<GateRequest, "headers">,
    nowMs: number,
  ): DashboardSession | undefined {
    const cookies = (headers.get("cookie") ?? "").split("; ");
    const prefix = `${COOKIE}=`;
    const cookie = cookies.find((cookie) => cookie.startsWith(prefix)) ?? "";
    return find(this.#sessions, cookie.slice(prefix.length), nowMs);
  }

  #secret(): string {
    return formatBase32(this.#random.bytes(SECRET_BYTES));
  }
}

/** Looks at all of them, so that time tells nothing of which is near. */
function find(
  among: readonly Lasting[],
  given: string,
  nowMs: number,
): Lasting | undefined {
  const bytes = utf8(given);
  let found: Lasting | undefined;
  for (const one of among) {
    if (equalSecret(utf8(one.secret), bytes) && nowMs < one.untilMs) {
      found = one;
    }
  }
  return found;
}

/**
 * Whether a request comes from the dashboard's own pages, or from its user's own
 * hand, and is for this host by the very name that was printed.
 *
 * @param host Where we listen, as `127.0.0.1:9290`.
 */
export function isFromHere(request: GateRequest, host: string): boolean {
  const { method, headers } = request;
  if (headers.get("host") !== host) return false;
  const origin = headers.get("origin");
  if (origin !== null && origin !== `http://${host}`) return false;
  const site = headers.get("sec-fetch-site");
  if (site !== null && site !== "same-origin" && site !== "none") return false;
  if (method === "GET") return true;
  // Every browser sends the origin of a POST; a form cannot send JSON.
  return method === "POST" && origin !== null &&
    headers.get("content-type") === "application/json";
}
