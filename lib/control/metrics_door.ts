/**
 * Who may read a node's metrics: a monitoring system with a token of its own, which
 * opens nothing else, and no web page.
 *
 *     GET /metrics
 *     Host: <exactly where we listen>        a rebound name is another host
 *     Authorization: Bearer <metrics token>  not that of the control interface
 *     no Origin, no Sec-Fetch-Site           a browser's script would send them
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import { equalSecret, utf8 } from "../base/bytes.ts";
import { ConfigError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { controlHost } from "./control_gate.ts";
import { type ControlPlace, newControlToken } from "./control_note.ts";

const PATH = "/metrics";
const TOKEN = /^[a-z2-7]{52}$/;

/** What a door is made of. */
export interface MetricsDoorOptions {
  readonly token: string;
  /** The media type of pages. */
  readonly type: string;
  /** Makes the page. */
  readonly page: () => string;
}

/** Lets requests for metrics in, wherever they arrive. */
export class MetricsDoor {
  readonly #options: MetricsDoorOptions;

  constructor(options: MetricsDoorOptions) {
    this.#options = options;
  }

  /**
   * Answer a request that arrived at `place`: 200 with the page, or 403 and no word of
   * what was wrong.
   *
   * @returns `undefined` where it asks for something else than metrics.
   */
  answer(
    { method, url, headers }: Pick<Request, "method" | "url" | "headers">,
    place: ControlPlace,
  ): Response | undefined {
    const { token, type, page } = this.#options;
    // The token first and always, so that time tells nothing of the rest.
    const isTrusted = equalSecret(
      utf8(headers.get("authorization") ?? ""),
      utf8(`Bearer ${token}`),
    );
    if (URL.parse(url)?.pathname !== PATH) return undefined;
    const isOurs = method === "GET" &&
      headers.get("host") === controlHost(place) &&
      !headers.has("origin") && !headers.has("sec-fetch-site");
    if (!isTrusted || !isOurs) return new Response(null, { status: 403 });
    return new Response(page(), { headers: { "content-type": type } });
  }
}

/** A new token, as its file holds it. */
export function newMetricsToken(random: Random): string {
  return newControlToken(random);
}

/**
 * Read the file of a token: 52 characters and at most a line end.
 *
 * @param path For the message.
 * @throws {ConfigError} `control.metrics_token` for anything else.
 */
export function parseMetricsToken(text: string, path: string): string {
  const token = text.replace(/\r?\n$/, "");
  if (TOKEN.test(token)) return token;
  throw new ConfigError(
    "control.metrics_token",
    `Cannot read the token for metrics: "${path}" does not hold one; remove it, ` +
      `and the next start makes a new one`,
  );
}
