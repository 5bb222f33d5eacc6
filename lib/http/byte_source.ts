/**
 * Bytes that arrive in pieces, for readers that look first and take later.
 *
 *     taken ┊ bytes: arrived, not taken ┊ more(): still to come
 *
 * @module
 */
import { BugError } from "../base/errors.ts";
import type { GatewayStream } from "./gateway.ts";

/** Most that waits in a source: enough for the longest head. */
export const MAX_SOURCE_BYTES = 64 * 1024;
/** What a connection costs before it has shown that it sends much. */
const FIRST_BYTES = 4 * 1024;

/** Fills the first bytes of what it is given, and says how many; `null` at the end. */
export type ReadInto = (
  into: Uint8Array<ArrayBuffer>,
) => Promise<number | null>;

/** A reader with one buffer of its own, which grows while reads fill it. */
export class ByteSource {
  readonly #read: ReadInto;
  #buffer = new Uint8Array(FIRST_BYTES);
  #start = 0;
  #end = 0;
  #wasFilled = false;
  #reading: Promise<boolean> | undefined;

  constructor(read: ReadInto) {
    this.#read = read;
  }

  /** What has arrived and was not taken; valid until the next `more`. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  /** Whether `more` would have nowhere to put anything. */
  get isFull(): boolean {
    return this.#end - this.#start >= MAX_SOURCE_BYTES;
  }

  /** Drop the first `count` of `bytes`. */
  take(count: number): void {
    this.#start += count;
    if (this.#start > this.#end) {
      throw new BugError("proxy.take", "Cannot take what has not arrived");
    }
  }

  /**
   * Wait until there is more in `bytes`; `false` at the end. Calls while one is
   * under way share its result.
   *
   * @throws {BugError} `proxy.full` when `isFull`: callers have a limit below.
   */
  more(): Promise<boolean> {
    return this.#reading ??= this.#readMore().finally(() => {
      this.#reading = undefined;
    });
  }

  async #readMore(): Promise<boolean> {
    this.#makeRoom();
    const room = this.#buffer.subarray(this.#end);
    const count = await this.#read(room);
    if (count === null) return false;
    this.#wasFilled = count === room.length;
    this.#end += count;
    return true;
  }

  #makeRoom(): void {
    if (this.isFull) throw new BugError("proxy.full", "Cannot read any more");
    const size = this.#buffer.length;
    const held = this.bytes;
    const wantsMore = held.length > size / 2 ||
      (this.#wasFilled && held.length === 0);
    if (wantsMore && size < MAX_SOURCE_BYTES) {
      this.#buffer = new Uint8Array(2 * size);
      this.#buffer.set(held);
    } else if (held.length === 0) {
      // Nothing to keep.
    } else if (this.#end === size) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
    } else return;
    this.#start = 0;
    this.#end = held.length;
  }
}

/** A source over a stream of the gateway. */
export function streamSource(stream: GatewayStream): ByteSource {
  let left: Uint8Array = new Uint8Array(0);
  return new ByteSource(async (into) => {
    if (left.length === 0) {
      const chunk = await stream.read();
      if (chunk === undefined) return null;
      left = chunk;
    }
    const count = Math.min(left.length, into.length);
    into.set(left.subarray(0, count));
    left = left.subarray(count);
    return count;
  });
}
