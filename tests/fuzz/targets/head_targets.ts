/**
 * What visitors, services and programs of this machine write in text, and SOCKS.
 *
 * @module
 */
import { type Bytes, concat, utf8 } from "../../../lib/base/bytes.ts";
import { ProtocolError } from "../../../lib/base/errors.ts";
import { createBodyReader } from "../../../lib/http/body.ts";
import {
  HeadScanner,
  type HeadStrictness,
} from "../../../lib/http/head_scanner.ts";
import { latin1Bytes, latin1Text } from "../../../lib/http/latin1.ts";
import { decodeRequestHead } from "../../../lib/http/request.ts";
import { decodeResponseHead } from "../../../lib/http/response.ts";
import { parseAnonHost } from "../../../lib/http/anon_host.ts";
import { decodeSocksAuth } from "../../../lib/proxy/socks/socks_auth.ts";
import { decodeSocksGreeting } from "../../../lib/proxy/socks/socks_greeting.ts";
import { decodeSocksRequest } from "../../../lib/proxy/socks/socks_request.ts";
import { parseControlNote } from "../../../lib/control/control_note.ts";
import { SMUGGLING_CORPUS } from "../../http/smuggling_corpus.ts";
import { CONNECT, get, post } from "../../http/http_requests.ts";
import { HOST } from "../../proxy/world.ts";
import { type FuzzTarget, promise } from "../fuzz_target.ts";
import { decoderTarget, typeOf } from "./decoder_target.ts";

/** The head at the start of some bytes, found in one go and byte by byte. */
function headOf(bytes: Bytes, strictness: HeadStrictness): Bytes | undefined {
  const length = new HeadScanner(strictness).scan(bytes);
  const scanner = new HeadScanner(strictness);
  let found: number | undefined;
  const step = Math.max(1, bytes.length >> 7);
  for (let end = step; found === undefined && end < bytes.length; end += step) {
    found = scanner.scan(bytes.subarray(0, end));
  }
  found ??= scanner.scan(bytes);
  promise(found === length, `a head of ${length} bytes, in pieces of ${found}`);
  return length === undefined ? undefined : bytes.slice(0, length);
}

/** Requests of programs. */
export const REQUESTS: readonly string[] = [
  get("/"),
  get("/a?b=c", "Accept: */*", "Connection: keep-alive, X-Y"),
  CONNECT,
  `${post("Content-Length: 5")}hello`,
  `${post("Transfer-Encoding: chunked")}5\r\nhello\r\n0\r\n\r\n`,
  ...SMUGGLING_CORPUS.slice(0, 12).map(([, text]) => text),
];

/** Responses of services. */
export const RESPONSES: readonly string[] = [
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
  "HTTP/1.0 301 \r\nLocation: /\r\n\r\n",
  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
  "HTTP/1.1 200 OK\n folded: x\nX-A : b\n\n",
];

const REQUEST_HEAD = decoderTarget({
  name: "http/request_head",
  about: "heads of requests by programs and visitors",
  allowed: ["http", "proxy"],
  seeds: () => REQUESTS.map(latin1Bytes),
  decode: (bytes) => {
    const head = headOf(bytes, "strict");
    return head && decodeRequestHead(head);
  },
  word: (head) =>
    head === undefined ? "more" : `${head.target.type} ${head.body.type}`,
});

const RESPONSE_HEAD = decoderTarget({
  name: "http/response_head",
  about: "heads of responses by services",
  allowed: ["http"],
  seeds: () => RESPONSES.map(latin1Bytes),
  decode: (bytes) => {
    const head = headOf(bytes, "tolerant");
    return head && decodeResponseHead(head, "GET");
  },
  word: (head) =>
    head === undefined ? "more" : `${head.body.type} ${head.canReuse}`,
});

/** A chunked body, whole and byte by byte: payload, and bytes that it took. */
function chunked(bytes: Bytes, stepBytes: number) {
  const reader = createBodyReader({ type: "chunked" });
  const payload: Bytes[] = [];
  let taken = 0;
  for (let at = 0; at < bytes.length && !reader.isDone; at += stepBytes) {
    taken += reader.take(
      bytes.subarray(at, at + stepBytes),
      (part) => void payload.push(part.slice()),
    );
  }
  return { isDone: reader.isDone, taken, payload: concat(...payload) };
}

const CHUNKED_BODY = decoderTarget({
  name: "http/chunked_body",
  about: "chunked bodies, whole and in pieces",
  allowed: ["http"],
  seeds: () =>
    [
      "5\r\nhello\r\n0\r\n\r\n",
      "1;a=b\r\nx\r\n00ff\r\n" + "y".repeat(255) + "\r\n0\r\nX-T: v\r\n\r\n",
      "fffffffffffff\r\n",
    ].map(latin1Bytes),
  decode: (bytes) => {
    const whole = codeOr(() => chunked(bytes, bytes.length + 1));
    const pieces = codeOr(() => chunked(bytes, 1));
    promise(
      JSON.stringify(whole) === JSON.stringify(pieces),
      "a body is another one in pieces",
    );
    return whole;
  },
  word: (value) => typeof value === "string" ? value : `${value.isDone}`,
});

/** What a function gives, or the code of what it throws. */
function codeOr<T>(work: () => T): T | string {
  try {
    return work();
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    throw error;
  }
}

const ANON_HOST = decoderTarget({
  name: "http/anon_host",
  about: "names that programs ask for",
  allowed: ["proxy"],
  seeds: () => [HOST, `www.${HOST}`, "example.com", "127.0.0.1"].map(utf8),
  decode: (bytes) => parseAnonHost(latin1Text(bytes)),
  check: (host) =>
    promise(/^([a-z0-9_-]{1,63}\.)+anon$/.test(host), `accepted: ${host}`),
});

/** A message of SOCKS, and what is asked for again once more of it has come. */
const SOCKS = decoderTarget({
  name: "socks/messages",
  about: "greetings, user names and requests of programs",
  allowed: ["socks", "proxy"],
  seeds: () => {
    const host = utf8(HOST);
    return [
      Uint8Array.of(0, 5, 2, 0, 2),
      Uint8Array.of(1, 1, 2, 65, 66, 1, 67),
      concat(
        Uint8Array.of(2, 5, 1, 0, 3, host.length),
        host,
        Uint8Array.of(0, 80),
      ),
      Uint8Array.of(2, 5, 0xf1, 0, 1, 127, 0, 0, 1, 0, 80),
      concat(Uint8Array.of(2, 5, 1, 0, 4), new Uint8Array(18)),
    ];
  },
  decode: (bytes) => {
    const read = [decodeSocksGreeting, decodeSocksAuth, decodeSocksRequest][
      (bytes[0] ?? 0) % 3
    ] ?? decodeSocksGreeting;
    const data = bytes.subarray(1);
    const value = read(data);
    if (value === undefined) return "more";
    promise(value.bytesRead <= data.length, "it took more than there was");
    promise(value.bytesRead <= 513, `it took ${value.bytesRead} bytes`);
    promise(
      read(data.subarray(0, value.bytesRead - 1)) === undefined,
      "it was complete without its last byte",
    );
    return Object.keys(value).join(" ");
  },
  word: (word) => typeOf({ type: word }),
});

const CONTROL_NOTE = decoderTarget({
  name: "control/note",
  about: "where the control interface is, as another program wrote it",
  allowed: ["control", "auth"],
  seeds: () => {
    const token = "a".repeat(52);
    return ["unix:control-socket", "tcp:127.0.0.1:4101"].map((place) =>
      utf8(`anonnet-control v1\n${place}\n${token}\n`)
    );
  },
  decode: (bytes) => parseControlNote(latin1Text(bytes)),
  word: ({ place }) => place.type,
});

/** Targets of heads, bodies and short messages. */
export const HEAD_TARGETS: readonly FuzzTarget[] = [
  REQUEST_HEAD,
  RESPONSE_HEAD,
  CHUNKED_BODY,
  ANON_HOST,
  SOCKS,
  CONTROL_NOTE,
];
