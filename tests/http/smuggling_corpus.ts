import { HOST as A } from "../proxy/world.ts";

/** A head of these lines. */
export function head(requestLine: string, ...fields: string[]): string {
  return [requestLine, ...fields, "", ""].join("\r\n");
}

const GET = `GET http://${A}/ HTTP/1.1`;
const POST = `POST http://${A}/ HTTP/1.1`;
const HOST = `Host: ${A}`;

/** Requests that two readers could take for different things, and plain nonsense. */
export const SMUGGLING_CORPUS:
  readonly (readonly [code: string, text: string])[] = [
    // Two lengths.
    [
      "content_length",
      head(POST, HOST, "Content-Length: 5", "Content-Length: 6"),
    ],
    [
      "content_length",
      head(POST, HOST, "Content-Length: 5", "Content-Length: 5"),
    ],
    ["content_length", head(POST, HOST, "Content-Length: 5, 5")],
    ["content_length", head(POST, HOST, "Content-Length: 5,6")],
    ["content_length", head(POST, HOST, "Content-Length:")],
    ["content_length", head(POST, HOST, "Content-Length: -1")],
    ["content_length", head(POST, HOST, "Content-Length: +1")],
    ["content_length", head(POST, HOST, "Content-Length: 0x10")],
    ["content_length", head(POST, HOST, "Content-Length: 1_0")],
    ["content_length", head(POST, HOST, "Content-Length: 1 0")],
    ["content_length", head(POST, HOST, "Content-Length: 9999999999999999")],
    // A length and chunks.
    [
      "transfer_encoding",
      head(POST, HOST, "Content-Length: 5", "Transfer-Encoding: chunked"),
    ],
    [
      "transfer_encoding",
      head(POST, HOST, "Transfer-Encoding: chunked", "Content-Length: 5"),
    ],
    // Chunks that are spelt so that one reader does not see them.
    ["transfer_encoding", head(POST, HOST, "Transfer-Encoding: xchunked")],
    [
      "transfer_encoding",
      head(POST, HOST, "Transfer-Encoding: chunked, identity"),
    ],
    [
      "transfer_encoding",
      head(POST, HOST, "Transfer-Encoding: identity, chunked"),
    ],
    [
      "transfer_encoding",
      head(POST, HOST, "Transfer-Encoding: chunked, chunked"),
    ],
    ["transfer_encoding", head(POST, HOST, "Transfer-Encoding: gzip, chunked")],
    ["transfer_encoding", head(POST, HOST, 'Transfer-Encoding: "chunked"')],
    ["transfer_encoding", head(POST, HOST, "Transfer-Encoding: chunked;q=1")],
    ["transfer_encoding", head(POST, HOST, "Transfer-Encoding:")],
    [
      "transfer_encoding",
      head(POST, HOST, "Transfer-Encoding: chunked", "Transfer-Encoding: x"),
    ],
    [
      "transfer_encoding",
      head(
        POST,
        HOST,
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: chunked",
      ),
    ],
    [
      "transfer_encoding",
      head(`POST http://${A}/ HTTP/1.0`, "Transfer-Encoding: chunked"),
    ],
    ["field", head(POST, HOST, "Transfer-Encoding : chunked")],
    ["field", head(POST, HOST, "Transfer-Encoding\t: chunked")],
    ["field", head(POST, HOST, "Content-Length : 5")],
    ["folded", head(POST, HOST, "Transfer-Encoding:", " chunked")],
    ["folded", head(POST, HOST, "X: y", "\tTransfer-Encoding: chunked")],
    ["folded", head(POST, HOST, "Content-Length: 5", " 6")],
    ["folded", head(GET, " Host: x", HOST)],
    ["line_end", head(POST, HOST, "X: y\nTransfer-Encoding: chunked")],
    ["line_end", head(POST, HOST, "X: y\rTransfer-Encoding: chunked")],
    ["character", head(POST, HOST, "Transfer-Encoding: \x0bchunked")],
    ["character", head(POST, HOST, "Transfer-Encoding: chunked\0")],
    ["field", head(POST, HOST, "\xa0Transfer-Encoding: chunked")],
    ["field", head(POST, HOST, "Transfer-Encoding\xa0: chunked")],
    ["field", head(POST, HOST, "X")],
    ["field", head(POST, HOST, ": x")],
    // Two hosts.
    ["host", head(GET)],
    ["host", head(GET, HOST, HOST)],
    ["host", head(GET, HOST, "Host: example.com")],
    ["host", head(GET, "Host: example.com")],
    ["host", head(GET, `Host: ${A}:81`)],
    ["host", head(`GET http://${A}:81/ HTTP/1.1`, HOST)],
    ["host", head(GET, "Host:")],
    ["host", head(GET, `Host: ${A}, example.com`)],
    ["host", head(GET, `Host: http://${A}`)],
    ["host", head(GET, `Host: x@${A}`)],
    ["host", head(GET, `Host: ${A}/`)],
    ["host", head(GET, `Host: ${A}.`)],
    ["host", head(`CONNECT ${A}:443 HTTP/1.1`, "Host: example.com:443")],
    ["host", head(`CONNECT ${A}:443 HTTP/1.1`, `Host: ${A}:80`)],
    ["host", head("GET / HTTP/1.1")],
    ["host", head("GET / HTTP/1.0", "Host: a", "Host: b")],
    // A tunnel with a body, whose bytes would be its first.
    [
      "content_length",
      head(`CONNECT ${A}:443 HTTP/1.1`, HOST, "Content-Length: 5"),
    ],
    [
      "content_length",
      head(`CONNECT ${A}:443 HTTP/1.1`, HOST, "Transfer-Encoding: chunked"),
    ],
    // Request lines.
    ["request_line", head(`GET  http://${A}/ HTTP/1.1`, HOST)],
    ["request_line", head(`GET http://${A}/  HTTP/1.1`, HOST)],
    ["request_line", head(`GET http://${A}/ HTTP/1.1 `, HOST)],
    ["request_line", head(` GET http://${A}/ HTTP/1.1`, HOST)],
    ["request_line", head(`GET\thttp://${A}/ HTTP/1.1`, HOST)],
    ["request_line", head(`GET http://${A}/ b HTTP/1.1`, HOST)],
    ["request_line", head(`GET http://${A}/`, HOST)],
    ["request_line", head("GET", HOST)],
    ["request_line", head(`G(T http://${A}/ HTTP/1.1`, HOST)],
    ["request_line", head(`G\xe9T http://${A}/ HTTP/1.1`, HOST)],
    ["request_line", head(`GET http://${A}/ http/1.1`, HOST)],
    ["request_line", head(`GET http://${A}/ HTTP/1.10`, HOST)],
    ["request_line", head(`GET http://${A}/ HTTP/1`, HOST)],
    ["request_line", head(`GET http://${A}/ HTTP/01.1`, HOST)],
    ["version", head(`GET http://${A}/ HTTP/2.0`, HOST)],
    ["version", head("PRI * HTTP/2.0")],
    ["version", head(`GET http://${A}/ HTTP/1.2`, HOST)],
    ["version", head(`GET http://${A}/ HTTP/0.9`, HOST)],
    // Targets.
    ["scheme", head(`GET https://${A}/ HTTP/1.1`, HOST)],
    ["scheme", head(`GET ftp://${A}/ HTTP/1.1`, HOST)],
    ["scheme", head(`GET file:///etc/passwd HTTP/1.1`, HOST)],
    ["target", head(`GET ${A} HTTP/1.1`, HOST)],
    ["target", head(`GET ${A}:80 HTTP/1.1`, HOST)],
    ["target", head(`GET .${A}/ HTTP/1.1`, HOST)],
    ["target", head(`GET http:/${A}/ HTTP/1.1`, HOST)],
    ["target", head("GET http:///path HTTP/1.1", HOST)],
    ["target", head("GET http://:80/ HTTP/1.1", HOST)],
    ["target", head(`GET http://user@${A}/ HTTP/1.1`, HOST)],
    ["target", head(`GET http://user:pass@${A}/ HTTP/1.1`, HOST)],
    ["target", head(`GET http://${A}@example.com/ HTTP/1.1`, HOST)],
    ["target", head(`GET http://${A}\\@example.com/ HTTP/1.1`, HOST)],
    ["target", head(`GET http://${A}:/ HTTP/1.1`, HOST)],
    ["target", head(`GET http://${A}:8o/ HTTP/1.1`, HOST)],
    ["target", head(`GET http://${A}:-1/ HTTP/1.1`, HOST)],
    ["target", head(`GET http://${A}:80:80/ HTTP/1.1`, HOST)],
    ["target", head(`GET http://${A}/#fragment HTTP/1.1`, HOST)],
    ["target", head("GET http://[::1/ HTTP/1.1", HOST)],
    ["target", head("GET http://::1/ HTTP/1.1", HOST)],
    ["target", head(`CONNECT ${A} HTTP/1.1`, HOST)],
    ["target", head(`CONNECT ${A}: HTTP/1.1`, HOST)],
    ["target", head(`CONNECT http://${A}:443/ HTTP/1.1`, HOST)],
    ["target", head("CONNECT /path HTTP/1.1", HOST)],
    ["target", head("CONNECT :443 HTTP/1.1", HOST)],
  ];
