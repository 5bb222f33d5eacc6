/**
 * One side of a stream in the in-memory network. It keeps QUIC's habits, the bad
 * ones too: no reset, an end that tells nothing, windows that fill up, a blocked
 * write that only the peer or the end of the connection frees.
 *
 *     write ─▶ [window] ─▶ lane ─▶ chunks ─▶ read
 *       ▲                             │
 *       └── credit, an eighth at once ┘
 *
 * @see protocol §3.1 "Transport"
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { lost } from "./_failures.ts";
import type { ByteStream } from "./transport.ts";

/** What a stream may send to its other side; the connection carries it. */
export type StreamMessage =
  | { readonly type: "data"; readonly bytes: Bytes }
  | { readonly type: "fin" }
  | { readonly type: "stop" }
  | { readonly type: "credit"; readonly bytes: number };

/** What is sent in place of a write. */
export interface SeenWrite {
  readonly bytes: Uint8Array;
  /** How much later than the line would carry it, ms. */
  readonly delayMs: number;
}

/** What a stream needs of its connection. */
export interface StreamHost {
  /** Whether the connection has ended. */
  readonly ended: boolean;
  /** Bytes that may be under way or unread in one direction. */
  readonly windowBytes: number;
  /** Show a write to those who watch, and ask those who meddle. */
  observe(stream: MemoryStream, bytes: Uint8Array): SeenWrite;
  /** `delayMs` later than the line would carry it. */
  send(stream: MemoryStream, message: StreamMessage, delayMs: number): void;
  /** Both halves have ended. */
  finished(stream: MemoryStream): void;
}

interface WaitingWrite extends SeenWrite {
  sent: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

interface WaitingRead {
  readonly view: Bytes;
  readonly resolve: (view: Bytes | undefined) => void;
  readonly reject: (error: Error) => void;
}

const TAKEN = Promise.resolve();
const FIN: StreamMessage = { type: "fin" };
const STOP: StreamMessage = { type: "stop" };

/** A stream as one side sees it. */
export class MemoryStream implements ByteStream {
  /** Number of the stream in its network, the same on both sides. */
  readonly id: number;
  /** The other side; `undefined` until the peer has seen the stream. */
  peer: MemoryStream | undefined;
  readonly #host: StreamHost;

  #window: number;
  #writes: WaitingWrite[] = [];
  #writeEnd: Promise<void> | undefined;
  #onWriteEnd: (() => void) | undefined;
  #finSent = false;
  #stopped = false;

  #chunks: Bytes[] = [];
  #chunkHead = 0;
  #headOffset = 0;
  #uncredited = 0;
  #pendingRead: WaitingRead | undefined;
  #finReceived = false;
  #cancelled = false;
  #readDone = false;

  constructor(host: StreamHost, id: number) {
    this.#host = host;
    this.id = id;
    this.#window = host.windowBytes;
  }

  read(buffer: Bytes): Promise<Bytes | undefined> {
    if (buffer.length === 0 || this.#pendingRead !== undefined) {
      return Promise.reject(
        new TypeError("Cannot read: no room, or a read is under way"),
      );
    }
    const { byteOffset, length } = buffer;
    const view = new Uint8Array(buffer.buffer.transfer(), byteOffset, length);
    if (this.#host.ended) return Promise.reject(lost());
    if (this.#chunkHead < this.#chunks.length) {
      return Promise.resolve(this.#take(view));
    }
    if (this.#finReceived || this.#cancelled) {
      this.#endReading();
      return Promise.resolve(undefined);
    }
    return new Promise((resolve, reject) => {
      this.#pendingRead = { view, resolve, reject };
    });
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#host.ended || this.#writeEnd !== undefined) {
      return Promise.reject(lost());
    }
    if (this.#stopped) {
      this.#sendFin();
      return Promise.reject(lost());
    }
    if (bytes.length === 0) return TAKEN;
    const seen = this.#host.observe(this, bytes);
    if (this.#writes.length === 0 && seen.bytes.length <= this.#window) {
      this.#sendPart(seen, 0, seen.bytes.length);
      return TAKEN;
    }
    return new Promise((resolve, reject) => {
      this.#writes.push({ ...seen, sent: 0, resolve, reject });
      this.#pump();
    });
  }

  closeWrite(): Promise<void> {
    if (this.#writeEnd === undefined) {
      if (this.#writes.length === 0 || this.#host.ended) {
        this.#sendFin();
        this.#writeEnd = TAKEN;
      } else {
        this.#writeEnd = new Promise((resolve) => this.#onWriteEnd = resolve);
      }
    }
    return this.#writeEnd;
  }

  cancel(): void {
    if (!this.#cancelled && !this.#readDone) {
      this.#cancelled = true;
      this.#chunks = [];
      this.#chunkHead = 0;
      this.#pendingRead?.resolve(undefined);
      this.#pendingRead = undefined;
      if (!this.#host.ended && !this.#finReceived) {
        this.#host.send(this, STOP, 0);
      }
      if (this.#finReceived) this.#endReading();
    }
    // As in QUIC, the write that has begun stays; those behind it are dropped.
    for (const write of this.#writes.splice(1)) write.reject(lost());
    this.closeWrite();
  }

  /** The peer's message has arrived. */
  receive(message: StreamMessage): void {
    switch (message.type) {
      case "data":
        return this.#receiveData(message.bytes);
      case "fin":
        this.#finReceived = true;
        if (this.#cancelled) this.#endReading();
        if (this.#pendingRead !== undefined) {
          const { resolve } = this.#pendingRead;
          this.#pendingRead = undefined;
          this.#endReading();
          resolve(undefined);
        }
        return;
      case "stop":
        this.#stopped = true;
        if (this.#writes.length > 0) {
          for (const write of this.#writes.splice(0)) write.reject(lost());
          this.#sendFin();
        }
        return;
      case "credit":
        this.#window += message.bytes;
        return this.#pump();
    }
  }

  /** The connection has ended. */
  fail(): void {
    this.#chunks = [];
    this.#chunkHead = 0;
    for (const write of this.#writes.splice(0)) write.reject(lost());
    this.#onWriteEnd?.();
    this.#pendingRead?.reject(lost());
    this.#pendingRead = undefined;
  }

  #receiveData(bytes: Bytes): void {
    if (this.#cancelled) return;
    this.#chunks.push(bytes);
    if (this.#pendingRead === undefined) return;
    const { view, resolve } = this.#pendingRead;
    this.#pendingRead = undefined;
    resolve(this.#take(view));
  }

  /** Fill `view` with what has arrived, over the borders of chunks as QUIC does. */
  #take(view: Bytes): Bytes {
    let filled = 0;
    while (filled < view.length) {
      const chunk = this.#chunks[this.#chunkHead];
      if (chunk === undefined) break;
      const end = Math.min(
        chunk.length,
        this.#headOffset + view.length - filled,
      );
      view.set(
        this.#headOffset === 0 && end === chunk.length
          ? chunk
          : chunk.subarray(this.#headOffset, end),
        filled,
      );
      filled += end - this.#headOffset;
      this.#headOffset = end;
      if (end === chunk.length) {
        this.#headOffset = 0;
        this.#chunkHead++;
      }
    }
    if (this.#chunkHead === this.#chunks.length) {
      this.#chunks.length = 0;
      this.#chunkHead = 0;
    } else if (this.#chunkHead > 64) {
      this.#chunks.splice(0, this.#chunkHead);
      this.#chunkHead = 0;
    }
    this.#uncredited += filled;
    if (this.#uncredited * 8 >= this.#host.windowBytes && !this.#finReceived) {
      this.#host.send(this, { type: "credit", bytes: this.#uncredited }, 0);
      this.#uncredited = 0;
    }
    return view.subarray(0, filled);
  }

  #pump(): void {
    for (;;) {
      const write = this.#writes[0];
      if (write === undefined) return;
      const end = Math.min(write.bytes.length, write.sent + this.#window);
      this.#sendPart(write, write.sent, end);
      write.sent = end;
      if (end < write.bytes.length) return;
      this.#writes.shift();
      write.resolve();
      if (this.#writes.length === 0 && this.#writeEnd !== undefined) {
        this.#sendFin();
      }
    }
  }

  #sendPart({ bytes, delayMs }: SeenWrite, start: number, end: number): void {
    if (end === start) return;
    this.#window -= end - start;
    const whole = end - start === bytes.length;
    // A copy: the caller may use its array again once the write has resolved.
    const copy = new Uint8Array(whole ? bytes : bytes.subarray(start, end));
    this.#host.send(this, { type: "data", bytes: copy }, delayMs);
  }

  #sendFin(): void {
    if (this.#finSent || this.#host.ended) return;
    this.#finSent = true;
    this.#host.send(this, FIN, 0);
    this.#onWriteEnd?.();
    if (this.#readDone) this.#host.finished(this);
  }

  #endReading(): void {
    if (this.#readDone || !this.#finReceived) return;
    this.#readDone = true;
    if (this.#finSent) this.#host.finished(this);
  }
}
