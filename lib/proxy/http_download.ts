/**
 * The service's half of an exchange: the body of its response on its way to the
 * client.
 *
 *     service sends     HTTP/1.1 client gets    HTTP/1.0 client gets
 *     a length          the same                the same
 *     chunks            the same                what was in them
 *     until it ends     chunks                  the same
 *
 * @see protocol §8.4 "HTTP"
 * @module
 */
import { concat } from "../base/bytes.ts";
import type { ByteSource } from "../http/byte_source.ts";
import type { ClientConnection } from "./client_connection.ts";
import { type BodyLength, createBodyReader } from "../http/body.ts";
import { latin1Bytes } from "../http/latin1.ts";

const CRLF = latin1Bytes("\r\n");
const LAST_CHUNK = latin1Bytes("0\r\n\r\n");

/** How the bytes of a body change on their way to the client. */
type BodyPassage =
  /** Not at all. */
  | "raw"
  /** Their chunks are taken off, for HTTP/1.0. */
  | "unchunked"
  /** They are put into chunks, so that an end that was not meant shows. */
  | "chunked";

/** Which passage a body takes. */
function bodyPassage(
  body: BodyLength,
  version: "1.0" | "1.1",
): BodyPassage {
  if (version === "1.0") return body.type === "chunked" ? "unchunked" : "raw";
  return body.type === "close" ? "chunked" : "raw";
}

/** What a body is sent by. */
export interface ResponseBodyOptions {
  readonly length: BodyLength;
  /** What the client speaks. */
  readonly version: "1.0" | "1.1";
  /** Bytes came in. */
  readonly onProgress: () => void;
}

/**
 * Send a body to its end; what the source holds after it stays there.
 *
 * @throws {ProtocolError} `http.chunk`, `http.trailer`, `http.body_cut`: the client
 * must not be made to believe that it has all of it. What either side throws.
 */
export async function sendResponseBody(
  client: ClientConnection,
  source: ByteSource,
  { length, version, onProgress }: ResponseBodyOptions,
): Promise<void> {
  const reader = createBodyReader(length);
  const passage = bodyPassage(length, version);
  while (!reader.isDone) {
    if (source.bytes.length === 0 && !await source.more()) {
      reader.end();
      break;
    }
    onProgress();
    const { bytes } = source;
    const payload: Uint8Array[] = [];
    const count = reader.take(bytes, (part) => payload.push(part));
    await client.write(passed(passage, bytes.subarray(0, count), payload));
    source.take(count);
  }
  if (passage === "chunked") await client.write(LAST_CHUNK);
}

/** What the client gets of `raw`, in which `payload` is. */
function passed(
  passage: BodyPassage,
  raw: Uint8Array,
  payload: readonly Uint8Array[],
): Uint8Array {
  switch (passage) {
    case "raw":
      return raw;
    case "unchunked":
      return concat(...payload);
    case "chunked":
      return concat(latin1Bytes(`${raw.length.toString(16)}\r\n`), raw, CRLF);
  }
}
