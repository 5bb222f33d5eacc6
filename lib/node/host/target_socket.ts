/**
 * A TCP connection to a target that can be broken off.
 *
 *     close    FIN: the target has all of it
 *     reset    RST: the target must not take what it has for all of it
 *
 * Over `node:net`, since the platform's own connections cannot send a reset. Left to
 * itself, `node:net` drops what a target has said as soon as a write to it fails: here
 * a failed write ends its direction alone, and what was said is read to its end.
 *
 * The system tells of a target's reset once, to a write or to a read, and `node:net`
 * tells of a failed write without why. So a write that fails before the target's end
 * was seen counts as its reset.
 *
 * @see docs/decisions/0036-a-cut-is-a-reset.md
 * @module
 */
import { Socket } from "node:net";
import { setImmediate } from "node:timers";
import type { SocketAddress } from "../../auth/socket_address.ts";
import type { TargetConnection } from "./target_connection.ts";

/**
 * Turns of the event loop until a write that failed is told of. By then an end that
 * was read is known to be the target's own, and not what is left to read of a reset.
 */
const SURE_TURNS = 2;

type Done = (error?: Error | null) => void;

/** A socket that lives on when a write fails. */
class HalfSocket extends Socket {
  hasWriteFailed = false;
  /** Hears that the system has nothing more to read. */
  onLastRead = () => {};

  override _write(
    chunk: unknown,
    encoding: BufferEncoding,
    done: Done,
  ): void {
    super._write(chunk, encoding, this.#surviving(done));
  }

  override _final(done: Done): void {
    super._final(this.#surviving(done));
  }

  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    if (chunk === null) this.onLastRead();
    return super.push(chunk, encoding);
  }

  #surviving(done: Done): Done {
    return (error) => {
      if (error) this.hasWriteFailed = true;
      done();
    };
  }
}

/** One connection to a target. */
export class TargetSocket implements TargetConnection {
  readonly #socket = new HalfSocket({ allowHalfOpen: true });
  /** What was read of the socket and not taken. */
  #left: Uint8Array = new Uint8Array(0);
  #isEnded = false;
  #isEndSure = false;
  #isClosed = false;
  #error: unknown;
  #wake = () => {};
  /** Fails the write under way when the socket has closed. */
  #failWrite = () => {};

  private constructor() {
    const socket = this.#socket;
    socket.onLastRead = () => {
      afterTurns(SURE_TURNS, () => {
        this.#isEndSure = true;
        this.#wake();
      });
    };
    socket.on("readable", () => this.#wake());
    socket.on("end", () => {
      this.#isEnded = true;
      this.#wake();
    });
    socket.on("error", (error) => this.#error ??= error);
    socket.on("close", () => {
      this.#isClosed = true;
      this.#wake();
      this.#failWrite();
    });
  }

  /**
   * Connect.
   *
   * @param signal Ends the attempt, which then rejects, and leaves nothing.
   */
  static async connect(
    { host, port }: SocketAddress,
    signal: AbortSignal,
  ): Promise<TargetSocket> {
    const connection = new TargetSocket();
    const socket = connection.#socket;
    const giveUp = () => connection.close();
    signal.addEventListener("abort", giveUp);
    try {
      signal.throwIfAborted();
      await new Promise<void>((resolve, reject) => {
        socket.once("close", () => reject(connection.#error));
        socket.connect({ host, port }, resolve);
      });
    } catch (error) {
      giveUp();
      throw error;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
    // A keystroke must not wait for the acknowledgement of the one before.
    socket.setNoDelay(true);
    return connection;
  }

  async read(into: Uint8Array): Promise<number | null> {
    while (this.#left.length === 0) {
      const chunk: Uint8Array | null = this.#socket.read();
      if (chunk !== null) this.#left = chunk;
      else if (this.#isEnded && this.#isEndSure) return null;
      else if (this.#isClosed && !this.#isEnded) throw this.#broken();
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
    const count = Math.min(this.#left.length, into.length);
    into.set(this.#left.subarray(0, count));
    this.#left = this.#left.subarray(count);
    return count;
  }

  /** @throws {Deno.errors.ConnectionReset} or, where the target's end was seen before, `BrokenPipe`. */
  async write(bytes: Uint8Array): Promise<number> {
    await this.#perform((done) => this.#socket.write(bytes, done));
    return bytes.length;
  }

  async closeWrite(): Promise<void> {
    await this.#perform((done) => this.#socket.end(done));
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.destroy();
    this.#wake();
  }

  reset(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.resetAndDestroy();
    this.#wake();
  }

  async #perform(operation: (done: Done) => void): Promise<void> {
    if (this.#isClosed) throw this.#broken();
    const { promise, resolve } = Promise.withResolvers<void>();
    // A socket that is destroyed need not call back.
    this.#failWrite = resolve;
    operation(() => resolve());
    await promise;
    if (this.#isClosed || this.#socket.hasWriteFailed) throw this.#broken();
  }

  #broken(): Error {
    return this.#isEndSure
      ? new Deno.errors.BrokenPipe("The target takes no more")
      : new Deno.errors.ConnectionReset("The target has broken off");
  }
}

function afterTurns(turns: number, then: () => void): void {
  setImmediate(() => turns > 1 ? afterTurns(turns - 1, then) : then());
}
