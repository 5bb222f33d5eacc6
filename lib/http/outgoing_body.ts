/**
 * The body of a message that is sent: each part goes out when it is there. One that
 * is there as a whole is sent with its length, which more programs understand than
 * chunks, and can be sent again.
 *
 *     bytes                       ── length ──▶ stream      wholeBody
 *     ReadableStream, all there   ── length ──▶ stream      measureBody
 *     ReadableStream              ── chunks ──▶ stream      measureBody
 *
 * @see protocol §8.4 "HTTP"
 * @module
 */
import { type Bytes, concat } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { onAbort } from "../base/on_abort.ts";
import type { BodyLength } from "./body.ts";
import type { GatewayStream } from "./gateway.ts";
import { latin1Bytes } from "./latin1.ts";

/** Bytes of a stream that are looked at, at most, to see whether it ends there. */
const MEASURED_BYTES = 64 * 1024;

const CRLF = latin1Bytes("\r\n");
const LAST_CHUNK = latin1Bytes("0\r\n\r\n");

/** A body to send, as far as it has been read. */
export interface OutgoingBody {
  readonly length: BodyLength;
  /** What has been read of it. */
  readonly begun: readonly Bytes[];
  /** What is still to come; `undefined` when that was all: then it can be sent again. */
  readonly rest: RestOfBody | undefined;
}

/** The part of a stream that has not been read. */
interface RestOfBody {
  readonly reader: ReadableStreamDefaultReader<unknown>;
  /** A read that is under way. */
  readonly next: Promise<ReadableStreamReadResult<unknown>>;
}

/** No body at all. */
export const NO_BODY: OutgoingBody = {
  length: { type: "none" },
  begun: [],
  rest: undefined,
};

/** A body of these bytes. */
export function wholeBody(...begun: readonly Bytes[]): OutgoingBody {
  const bytes = begun.reduce((sum, part) => sum + part.length, 0);
  if (bytes === 0) return NO_BODY;
  return { length: { type: "length", bytes }, begun, rest: undefined };
}

/** What measuring takes. */
export interface MeasureOptions {
  readonly clock: Clock;
  /** How long to wait for its first byte, ms; what follows must be there at once. */
  readonly firstByteMs: number;
}

/**
 * Read the beginning of a stream, to see whether it is a short one: only what is
 * there without waiting, so that nothing is kept back.
 *
 * @throws what the stream fails with meanwhile; {@linkcode TypeError} where it gives
 * something else than bytes.
 */
export async function measureBody(
  body: ReadableStream<unknown>,
  { clock, firstByteMs }: MeasureOptions,
): Promise<OutgoingBody> {
  const reader = body.getReader();
  const begun: Bytes[] = [];
  let bytes = 0;
  let patience = new Patience(clock, firstByteMs);
  try {
    for (let isEnough = false;; isEnough = bytes > MEASURED_BYTES) {
      const next = reader.read();
      const result = await Promise.race([next, patience.over]);
      if (result === undefined) return chunkedBody(begun, { reader, next });
      if (result.done) return wholeBody(...begun);
      const part = bytesOf(result.value);
      begun.push(new Uint8Array(part));
      bytes += part.length;
      if (isEnough) {
        return chunkedBody(begun, { reader, next: reader.read() });
      }
      if (begun.length > 1) continue;
      patience.drop();
      patience = new Patience(clock, 0);
    }
  } catch (error) {
    reader.cancel(error).catch(() => {});
    throw error;
  } finally {
    patience.drop();
  }
}

function chunkedBody(begun: Bytes[], rest: RestOfBody): OutgoingBody {
  rest.next.catch(() => {}); // it fails again where it is awaited
  return { length: { type: "chunked" }, begun, rest };
}

/** A wait that can be dropped. */
class Patience {
  readonly over: Promise<undefined>;
  readonly #timer;

  constructor(clock: Clock, delayMs: number) {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.over = promise;
    this.#timer = clock.schedule(delayMs, () => resolve(undefined));
  }

  drop(): void {
    this.#timer.cancel();
  }
}

/** What became of a body: it was sent, or failed itself. */
export type BodyFate =
  | { readonly type: "sent" }
  | { readonly type: "failed"; readonly error: unknown };

/**
 * Write a head and the body behind it, framed as its length says; one of type `close`
 * goes as it is. A body that is longer or shorter than its length fails.
 *
 * @param signal Gives up, also while the body has nothing to give: it is cancelled
 * with the reason.
 * @throws what the stream fails with; the body is cancelled then.
 * @throws the signal's reason.
 */
export async function writeMessage(
  stream: Pick<GatewayStream, "write">,
  head: string,
  { length, begun, rest }: OutgoingBody,
  signal: AbortSignal,
): Promise<BodyFate> {
  const isChunked = length.type === "chunked";
  let left = length.type === "length" ? length.bytes : Infinity;
  const write = async (bytes: Uint8Array) => {
    if (bytes.length === 0) return; // an empty chunk would be the last one
    left -= bytes.length;
    const size = latin1Bytes(`${bytes.length.toString(16)}\r\n`);
    await stream.write(isChunked ? concat(size, bytes, CRLF) : bytes);
  };
  const cancel = (reason: unknown) => {
    rest?.reader.cancel(reason).catch(() => {});
  };
  const refuse = (): BodyFate => {
    const error = new TypeError(
      "Cannot send body: its length is not what its Content-Length says",
    );
    cancel(error);
    return { type: "failed", error };
  };
  using _listening = onAbort(signal, cancel);
  try {
    await stream.write(latin1Bytes(head));
    for (const part of begun) {
      if (part.length > left) return refuse();
      await write(part);
    }
    for (let next = rest?.next; rest !== undefined;) {
      const part = await readPart(next ?? rest.reader.read());
      signal.throwIfAborted(); // a stream that was cancelled seems to have ended
      if (part.type === "failed") cancel(part.error);
      if (part.type === "failed") return part;
      if (part.type === "end") break;
      if (part.bytes.length > left) return refuse();
      await write(part.bytes);
      next = undefined;
    }
    if (Number.isFinite(left) && left > 0) return refuse();
    if (isChunked) await stream.write(LAST_CHUNK);
    return { type: "sent" };
  } catch (error) {
    cancel(error);
    throw error;
  }
}

type Part =
  | { readonly type: "bytes"; readonly bytes: Uint8Array }
  | { readonly type: "end" }
  | { readonly type: "failed"; readonly error: unknown };

async function readPart(
  next: Promise<ReadableStreamReadResult<unknown>>,
): Promise<Part> {
  try {
    const { done, value } = await next;
    return done ? { type: "end" } : { type: "bytes", bytes: bytesOf(value) };
  } catch (error) {
    return { type: "failed", error };
  }
}

/** @throws {TypeError} where a stream gives something else than bytes. */
function bytesOf(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new TypeError("Cannot send body: its stream gives no Uint8Array");
}
