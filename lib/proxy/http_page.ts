/**
 * The proxy's own pages: what it is, and what went wrong. Plain HTML with no
 * script, no link to the outside and nothing in it that somebody sent.
 *
 * @see protocol §8.5 "Pages of the proxy"
 * @module
 */
import { type Bytes, concat, utf8 } from "../base/bytes.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import { describeFailure } from "./failure.ts";
import { formatHead, type HttpField, httpField } from "../http/head.ts";
import { latin1Bytes } from "../http/latin1.ts";
import { formatPacFile, PAC_CONTENT_TYPE } from "./pac_file.ts";

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

/** How a page goes out. */
export interface PageDelivery {
  /** What becomes of the connection. */
  readonly connection: "close" | "keep-alive";
  /** `HEAD` gets the head alone. Default `GET`. */
  readonly method?: string;
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
      "To visit them, set this address as the HTTP and HTTPS proxy of a browser profile that you use for nothing else, " +
      "or give the browser the address of this page with /proxy.pac behind it for automatic configuration. " +
      "With the latter, pages can still make your browser contact ordinary sites directly.",
  });
}

/** The file at `/proxy.pac`. */
export function encodePacFile(
  address: SocketAddress,
  delivery: PageDelivery,
): Bytes {
  const body = { type: PAC_CONTENT_TYPE, text: formatPacFile(address) };
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
