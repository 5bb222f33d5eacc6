/**
 * Requests over a link. One stream carries one request and its answer:
 *
 *     stream type 0x01 │ length(4) │ {method, body}          requester →
 *                        length(4) │ {body} or {error}       ← responder
 *
 * Bodies are opaque here: the owner of a method encodes and decodes them.
 *
 * @see protocol §3.5 "Streams and requests"
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { concat } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import { encodeCbor } from "../wire/cbor.ts";
import { decodeFields } from "../wire/fields.ts";
import { DEFAULT_FRAME_BYTES, encodeFrame } from "../wire/framing.ts";

/** First byte of every stream after the handshake's. */
export const STREAM_TYPE = { rpc: 0x01, circuit: 0x02 } as const;

/** The method that every link answers by itself, with an empty body. */
export const PING_METHOD = "link.ping";

/** Longest name of a method, bytes. */
const MAX_METHOD_BYTES = 32;

/** What the envelope may add to a body. */
const ENVELOPE_BYTES = 64;

/** Longest body of a request or an answer: it fills a default frame. */
export const MAX_BODY_BYTES = DEFAULT_FRAME_BYTES - ENVELOPE_BYTES;

const METHOD = /^[a-z0-9_.]{1,32}$/;
const MAX_ERROR_BYTES = 16;
const RPC_ERRORS = ["busy", "unknown_method", "failed"] as const;

/** One question. */
interface RpcRequest {
  /** `folder.verb`: lower-case letters, digits, `_` and `.`, at most 32. */
  readonly method: string;
  readonly body: Bytes;
}

/** Why a question has no answer. */
type RpcErrorCode = typeof RPC_ERRORS[number];

/** What comes back. */
export type RpcAnswer =
  | { readonly type: "ok"; readonly body: Bytes }
  | { readonly type: "error"; readonly code: RpcErrorCode };

/**
 * A whole request as it goes onto a new stream: type byte and frame.
 *
 * @throws {RangeError} for a method or a body that cannot be sent.
 */
export function encodeRequestStream(
  method: string,
  body: Uint8Array,
): Bytes {
  if (!METHOD.test(method) || body.length > MAX_BODY_BYTES) {
    throw new RangeError(`Cannot request ${method} of ${body.length} bytes`);
  }
  const frame = encodeFrame(encodeCbor({ method, body }));
  return concat(Uint8Array.of(STREAM_TYPE.rpc), frame);
}

/**
 * Read the frame of a request.
 *
 * @throws {ProtocolError} `wire.*` if it is malformed, `link.method` for a name
 * that cannot be, `link.request_size` if the body is too long.
 */
export function decodeRequest(frame: Uint8Array): RpcRequest {
  const fields = decodeFields(frame, "request");
  const method = fields.text("method", MAX_METHOD_BYTES);
  const body = fields.bytes("body", {});
  fields.finish();
  if (!METHOD.test(method)) {
    throw new ProtocolError("link.method", "Cannot read request: its method");
  }
  if (body.length > MAX_BODY_BYTES) {
    throw new ProtocolError(
      "link.request_size",
      `Cannot read request: ${body.length} bytes`,
    );
  }
  return { method, body };
}

/**
 * The frame of an answer, ready to be sent.
 *
 * @throws {RangeError} if the body is too long.
 */
export function encodeAnswer(answer: RpcAnswer): Bytes {
  if (answer.type === "error") {
    return encodeFrame(encodeCbor({ error: answer.code }));
  }
  if (answer.body.length > MAX_BODY_BYTES) {
    throw new RangeError(`Cannot answer with ${answer.body.length} bytes`);
  }
  return encodeFrame(encodeCbor({ body: answer.body }));
}

/** Read the frame of an answer. @throws {ProtocolError} `wire.*`, `link.answer`. */
export function decodeAnswer(frame: Uint8Array): RpcAnswer {
  const fields = decodeFields(frame, "answer");
  const answer: RpcAnswer = fields.has("error")
    ? { type: "error", code: errorOf(fields.text("error", MAX_ERROR_BYTES)) }
    : { type: "ok", body: fields.bytes("body", {}) };
  fields.finish();
  return answer;
}

function errorOf(text: string): RpcErrorCode {
  const code = RPC_ERRORS.find((known) => known === text);
  if (code !== undefined) return code;
  throw new ProtocolError("link.answer", "Cannot read answer: its error");
}
