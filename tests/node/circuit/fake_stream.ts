/**
 * A stream in the hands of a test: it brings what it is given, and takes writes
 * when it is told to.
 *
 * @module
 */
import type { Bytes } from "../../../lib/base/bytes.ts";
import { UnreachableError } from "../../../lib/base/errors.ts";
import type { ByteStream } from "../../../lib/transport/transport.ts";

interface PendingRead {
  readonly room: Bytes;
  readonly resolve: (view: Bytes | undefined) => void;
  readonly reject: (error: Error) => void;
}

/** One side of it. */
export class FakeStream implements ByteStream {
  /** Rooms that reads had, in bytes. */
  readonly rooms: number[] = [];
  /** What was written, copied when the write began. */
  readonly written: Bytes[] = [];
  readonly #writes: PromiseWithResolvers<void>[] = [];
  #arrived: Bytes = new Uint8Array();
  #isAtEnd = false;
  #pending: PendingRead | undefined;
  isWriteClosed = false;
  isCancelled = false;

  /** Let bytes arrive. */
  arrive(bytes: Uint8Array): void {
    const all = new Uint8Array(this.#arrived.length + bytes.length);
    all.set(this.#arrived);
    all.set(bytes, this.#arrived.length);
    this.#arrived = all;
    this.#serve();
  }

  /** Let the stream end, behind what has arrived. */
  end(): void {
    this.#isAtEnd = true;
    this.#serve();
  }

  /** Let the read that waits fail. */
  fail(): void {
    this.#pending?.reject(new UnreachableError("transport.lost", "Cannot"));
    this.#pending = undefined;
  }

  /** Whether a read waits. */
  get isAwaited(): boolean {
    return this.#pending !== undefined;
  }

  /** Writes that are under way. */
  get writing(): number {
    return this.#writes.length;
  }

  /** The oldest write is taken. */
  async take(): Promise<void> {
    this.#writes.shift()?.resolve();
    await settle();
  }

  /** The oldest write fails. */
  async refuse(): Promise<void> {
    this.#writes.shift()?.reject(
      new UnreachableError("transport.lost", "Cannot"),
    );
    await settle();
  }

  read(buffer: Bytes): Promise<Bytes | undefined> {
    const { byteOffset, length } = buffer;
    this.rooms.push(length);
    const room = new Uint8Array(buffer.buffer.transfer(), byteOffset, length);
    return new Promise((resolve, reject) => {
      this.#pending = { room, resolve, reject };
      this.#serve();
    });
  }

  write(bytes: Uint8Array): Promise<void> {
    const write = Promise.withResolvers<void>();
    this.written.push(new Uint8Array(bytes));
    this.#writes.push(write);
    return write.promise;
  }

  closeWrite(): Promise<void> {
    this.isWriteClosed = true;
    return Promise.resolve();
  }

  cancel(): void {
    this.isCancelled = true;
    this.end();
  }

  #serve(): void {
    const pending = this.#pending;
    if (pending === undefined) return;
    const { room, resolve } = pending;
    if (this.#arrived.length === 0 && !this.#isAtEnd) return;
    this.#pending = undefined;
    if (this.#arrived.length === 0) return resolve(undefined);
    const part = this.#arrived.subarray(0, room.length);
    this.#arrived = this.#arrived.slice(part.length);
    room.set(part);
    resolve(room.subarray(0, part.length));
  }
}

/** Let promises settle. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}
