/**
 * The body of a message that arrives, as a web stream: framing taken off, and
 * nothing read that its reader has not asked for.
 *
 *     source ── framing taken off ──▶ ReadableStream
 *
 * @see protocol §8.4 "HTTP"
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { onAbort } from "../base/on_abort.ts";
import { type BodyLength, createBodyReader } from "./body.ts";
import type { ByteSource } from "./byte_source.ts";

/** What becomes of a body that is read; one of `onEnd` and `onBroken` is called, once. */
export interface BodyEvents {
  /** Its reader asks for the first time. */
  onStart?(): Promise<void>;
  /** All of it has been read; what follows is the next message. */
  onEnd(): void;
  /**
   * The connection is of no more use.
   *
   * @param error What was wrong with the body; `undefined` where its reader has
   * cancelled it, or the signal has aborted.
   */
  onBroken(error: unknown): void;
}

/**
 * Read a body. An empty one has ended when this returns: its reader need not ask.
 *
 * @param signal Fails the body with its reason, also while nothing is read.
 */
export function readBody(
  source: ByteSource,
  length: BodyLength,
  events: BodyEvents,
  signal: AbortSignal,
): ReadableStream<Bytes> {
  const body = new IncomingBody(source, length, events);
  let listening: Disposable | undefined;
  return new ReadableStream<Bytes>({
    start(controller) {
      if (body.endAtOnce()) return controller.close();
      listening = onAbort(signal, (reason) => {
        if (body.break()) controller.error(reason);
      });
    },
    async pull(controller) {
      try {
        for (const part of await body.next()) controller.enqueue(part);
        if (!body.isOver) return;
        controller.close();
      } catch (error) {
        body.break(error);
        controller.error(error);
      }
      listening?.[Symbol.dispose]();
    },
    cancel() {
      listening?.[Symbol.dispose]();
      body.break();
    },
  }, { highWaterMark: 0 });
}

/** How far one body has been read. */
class IncomingBody {
  readonly #source: ByteSource;
  readonly #reader;
  readonly #events: BodyEvents;
  #isStarted = false;
  #isOver = false;

  constructor(source: ByteSource, length: BodyLength, events: BodyEvents) {
    this.#source = source;
    this.#reader = createBodyReader(length);
    this.#events = events;
  }

  /** Whether nothing more will come of it, good or bad. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether there is nothing of it to wait for. */
  endAtOnce(): boolean {
    if (this.#reader.isDone) this.#end();
    return this.#isOver;
  }

  /** The next parts; none at the end alone. */
  async next(): Promise<Bytes[]> {
    if (!this.#isStarted) await this.#events.onStart?.();
    this.#isStarted = true;
    const parts: Bytes[] = [];
    while (parts.length === 0 && !this.#isOver) {
      await this.#read(parts);
      if (this.#reader.isDone) this.#end();
    }
    return parts;
  }

  /** It will never be whole. @returns Whether that is news. */
  break(error?: unknown): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#events.onBroken(error);
    return true;
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#events.onEnd();
  }

  async #read(parts: Bytes[]): Promise<void> {
    const source = this.#source;
    if (source.bytes.length === 0 && !await source.more()) {
      return this.#reader.end();
    }
    if (this.#isOver) return;
    // Copied: the source reads into the same memory again.
    const count = this.#reader.take(
      source.bytes,
      (part) => parts.push(new Uint8Array(part)),
    );
    source.take(count);
  }
}
