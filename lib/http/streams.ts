/**
 * Bodies of HTTP messages between a connection and web streams, both ways, with
 * nothing held that nobody has asked for.
 *
 *     source ── framing taken off ──▶ ReadableStream          readBody
 *     ReadableStream ── length, or chunks ──▶ stream          measureBody, writeBody
 *
 * @see protocol §8.4 "HTTP"
 * @module
 */
import { type Bytes, concat } from "../base/bytes.ts";
import type { ByteSource } from "./byte_source.ts";
import type { GatewayStream } from "./gateway.ts";
import { type BodyLength, createBodyReader } from "./body.ts";
import { latin1Bytes } from "./latin1.ts";

/**
 * Bytes of a body that are read before its head is written: one that ends within
 * them is sent with its length, which more programs understand than chunks.
 */
const MEASURED_BYTES = 64 * 1024;

const CRLF = latin1Bytes("\r\n");
const LAST_CHUNK = latin1Bytes("0\r\n\r\n");

/** What becomes of a body that is read. */
export interface BodyEvents {
  /** Asked for the first time. */
  onStart?(): Promise<void>;
  /** All of it has been read; what follows is the next message. */
  onEnd(): void;
  /** It is cut, or nobody wants it: the connection is of no more use. */
  onBroken(): void;
}

/**
 * A body that arrives, without its framing.
 *
 * @param reason What to fail with instead of the connection's own error, if there
 * is something better to say.
 */
export function readBody(
  source: ByteSource,
  length: BodyLength,
  events: BodyEvents,
  reason: () => unknown = () => undefined,
): ReadableStream<Bytes> {
  const reader = createBodyReader(length);
  let isStarted = false;
  const next = async (): Promise<Bytes[]> => {
    for (;;) {
      if (source.bytes.length === 0 && !await source.more()) reader.end();
      const payload: Bytes[] = [];
      // Copied: the source reads into the same memory again.
      const count = reader.take(
        source.bytes,
        (part) => payload.push(new Uint8Array(part)),
      );
      source.take(count);
      if (payload.length > 0 || reader.isDone) return payload;
    }
  };
  return new ReadableStream<Bytes>({
    async pull(controller) {
      try {
        if (!isStarted) await events.onStart?.();
        isStarted = true;
        for (const part of await next()) controller.enqueue(part);
        if (!reader.isDone) return;
        events.onEnd();
        controller.close();
      } catch (error) {
        events.onBroken();
        controller.error(reason() ?? error);
      }
    },
    cancel: () => events.onBroken(),
  }, { highWaterMark: 0 });
}

/** A body to send, as far as it has been read. */
export interface MeasuredBody {
  readonly length: BodyLength;
  /** What has been read of it. */
  readonly begun: readonly Bytes[];
  /** What is still to come; `undefined` when that was all. */
  readonly rest: ReadableStreamDefaultReader<Uint8Array> | undefined;
}

/** No body at all. */
export const NO_BODY: MeasuredBody = {
  length: { type: "none" },
  begun: [],
  rest: undefined,
};

/** Read the beginning of a body, to see whether it is a short one. */
export async function measureBody(
  body: ReadableStream<Uint8Array> | null,
): Promise<MeasuredBody> {
  if (body === null) return NO_BODY;
  const rest = body.getReader();
  const begun: Bytes[] = [];
  let bytes = 0;
  while (bytes <= MEASURED_BYTES) {
    const { done, value } = await rest.read();
    if (done) {
      const length = bytes === 0
        ? NO_BODY.length
        : { type: "length", bytes } as const;
      return { length, begun, rest: undefined };
    }
    begun.push(new Uint8Array(value));
    bytes += value.length;
  }
  return { length: { type: "chunked" }, begun, rest };
}

/**
 * Write a body behind its head, framed as its length says; one of type `close` goes
 * as it is.
 */
export async function writeBody(
  stream: Pick<GatewayStream, "write">,
  { length, begun, rest }: MeasuredBody,
): Promise<void> {
  const isChunked = length.type === "chunked";
  const write = async (bytes: Uint8Array) => {
    if (bytes.length === 0) return; // an empty chunk would be the last one
    const size = latin1Bytes(`${bytes.length.toString(16)}\r\n`);
    await stream.write(isChunked ? concat(size, bytes, CRLF) : bytes);
  };
  for (const part of begun) await write(part);
  if (rest !== undefined) {
    for (;;) {
      const { done, value } = await rest.read();
      if (done) break;
      await write(value);
    }
  }
  if (isChunked) await stream.write(LAST_CHUNK);
}
