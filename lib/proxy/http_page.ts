/**
 * The proxy's own pages: what it is, and what went wrong. Plain HTML with no
 * script, no link to the outside and nothing in it that a client or service sent.
 *
 * @see protocol §8.5 "Pages of the proxy"
 * @module
 */
import { type Bytes, concat, utf8 } from "../base/bytes.ts";
import { describeFailure } from "./failure.ts";
import { formatHead, type HttpField, httpField } from "../http/head.ts";
import { latin1Bytes } from "../http/latin1.ts";

/** Names of the statuses that our own answers have. */
const REASONS: ReadonlyMap<number, string> = new Map([
  [200, "OK"],
  [400, "Bad Request"],
  [403, "Forbidden"],
  [404, "Not Found"],
  [405, "Method Not Allowed"],
  [408, "Request Timeout"],
  [414, "URI Too Long"],
  [431, "Request Header Fields Too Large"],
  [500, "Internal Server Error"],
  [502, "Bad Gateway"],
  [503, "Service Unavailable"],
  [504, "Gateway Timeout"],
  [505, "HTTP Version Not Supported"],
]);

const METHOD_NOT_ALLOWED = 405;

/** How a page goes out. */
export interface PageDelivery {
  /** What becomes of the connection. */
  readonly connection: "close" | "keep-alive";
  /** `HEAD` gets the head alone. Default `GET`. */
  readonly method?: string;
  /** Methods for the `Allow` of a 405 (RFC 9110 §15.5.6). */
  readonly allow?: string;
}

/** A page of ours. */
export interface Page extends PageDelivery {
  readonly status: number;
  /** Plain text. */
  readonly title: string;
  /** Plain text; an empty line makes a paragraph. */
  readonly text: string;
  /** A code of protocol §8.2 "Errors", for programs. */
  readonly code?: string;
}

/** A page as a whole response. */
export function encodePage(page: Page): Bytes {
  const paragraphs = page.text.split("\n\n")
    .map((text) => `<p>${escapeHtml(text)}</p>`);
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${
    escapeHtml(page.title)
  }</title>
<style>body{font:16px/1.5 sans-serif;max-width:40em;margin:4em auto;padding:0 1em}</style></head>
<body><h1>${escapeHtml(page.title)}</h1>
${paragraphs.join("\n")}
<p><small>AnonNet proxy${
    page.code === undefined ? "" : ` · ${escapeHtml(page.code)}`
  }</small></p></body></html>
`;
  const fields = page.code === undefined ? [] : [
    // RFC 9209: a program can tell our errors from those of the service.
    httpField("Proxy-Status", `anonnet; details="${page.code}"`),
  ];
  if (page.status === METHOD_NOT_ALLOWED && page.allow !== undefined) {
    fields.push(httpField("Allow", page.allow));
  }
  const body = { type: "text/html; charset=utf-8", text: html };
  return encodeOwn(page.status, fields, body, page);
}

/** The page that tells a person about an error. */
export function encodeFailurePage(
  error: unknown,
  delivery: PageDelivery,
): Bytes {
  const { code, status, title, text } = describeFailure(error);
  return encodePage({ ...delivery, status, title, text, code });
}

/** The page at `/`. */
export function encodeStatusPage(delivery: PageDelivery): Bytes {
  return encodePage({
    ...delivery,
    status: 200,
    title: "The AnonNet proxy is running",
    text:
      "This is an HTTP proxy for .anon addresses, and for nothing else.\n\n" +
      "To visit them, take a browser profile that you use for nothing else, and set this address as its HTTP and HTTPS proxy for everything, " +
      "or give it the address of this page with /strict.pac behind it for automatic configuration. " +
      "What is not .anon is then refused, and goes nowhere.\n\n" +
      "With /proxy.pac instead, only .anon goes through the proxy: " +
      "a page can then have your browser fetch things from ordinary sites directly, which shows them who you are.",
  });
}

/** The files at `/strict.pac` and `/proxy.pac`, for a proxy at `address`. */
export function encodePacFile(
  address: string,
  reach: PacReach,
  delivery: PageDelivery,
): Bytes {
  const body = { type: PAC_CONTENT_TYPE, text: formatPacFile(address, reach) };
  return encodeOwn(200, [], body, delivery);
}

function encodeOwn(
  status: number,
  fields: readonly HttpField[],
  body: { readonly type: string; readonly text: string },
  { connection, method = "GET" }: PageDelivery,
): Bytes {
  const bytes = utf8(body.text);
  const head = formatHead(
    `HTTP/1.1 ${status} ${REASONS.get(status) ?? "Error"}`,
    [
      ...fields,
      httpField("Content-Type", body.type),
      httpField("Content-Length", String(bytes.length)),
      httpField("Cache-Control", "no-store"),
      httpField(
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
      ),
      // Other sites must not find out by loading these that we are here.
      httpField("Cross-Origin-Resource-Policy", "same-origin"),
      httpField("X-Content-Type-Options", "nosniff"),
      httpField("Connection", connection),
    ],
  );
  return method === "HEAD"
    ? latin1Bytes(head)
    : concat(latin1Bytes(head), bytes);
}

function escapeHtml(text: string): string {
  return text.replace(
    /[&<>"']/g,
    (character) => `&#${character.charCodeAt(0)};`,
  );
}

/** What the files are served as. */
const PAC_CONTENT_TYPE = "application/x-ns-proxy-autoconfig";

/**
 * What a browser sends to the proxy: everything, of which what is not `.anon` is
 * refused, and goes nowhere; or `.anon` names alone. Then a page of a service can have
 * the browser fetch things from ordinary hosts, and be told by them who it is.
 */
export type PacReach = "all" | "anon";

/**
 * The file for a proxy that is found at `address`, as `HOST:PORT`. A name with a final
 * dot is sent here too, to be refused: a browser that takes it for an ordinary name
 * would ask a resolver. For the same reason there is no "; DIRECT" after the proxy.
 */
function formatPacFile(address: string, reach: PacReach): string {
  if (reach === "all") {
    return `function FindProxyForURL(url, host) {
  return "PROXY ${address}";
}
`;
  }
  return `function FindProxyForURL(url, host) {
  if (/(^|\\.)anon\\.?$/i.test(host)) return "PROXY ${address}";
  return "DIRECT";
}
`;
}
