/**
 * Bodies of forms, as browsers and those who mean no good write them.
 *
 * @module
 */
import { concat, utf8 } from "../../../lib/base/bytes.ts";
import { HOST } from "../../proxy/world.ts";

export const BOUNDARY = "----boundary7MA4YWxk";

/** A part of a form: a file of this name. */
export function filePart(name: string, content: Uint8Array | string) {
  const bytes = typeof content === "string" ? utf8(content) : content;
  return concat(
    utf8(
      `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\n` +
        "Content-Type: application/octet-stream\r\n\r\n",
    ),
    bytes,
    utf8("\r\n"),
  );
}

export const END = utf8(`--${BOUNDARY}--\r\n`);

/** A request with such a body. */
export function formRequest(
  body: ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer>,
  { path = "/", type = `multipart/form-data; boundary=${BOUNDARY}`, signal }: {
    readonly path?: string;
    readonly type?: string;
    readonly signal?: AbortSignal;
  } = {},
): Request {
  return new Request(`http://${HOST}${path}`, {
    method: "POST",
    body,
    headers: { "content-type": type },
    ...signal && { signal },
  });
}

/** A body in pieces of this many bytes. */
export function inPieces(
  bytes: Uint8Array,
  size: number,
): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at += size));
    },
  });
}
