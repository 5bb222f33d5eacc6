/**
 * One TCP connection to the control port: bytes to the session, replies and events
 * back. It is read while a command is carried out, so that a program that goes is
 * noticed at once.
 *
 * @module
 */
import { type Clock, sleep } from "../base/clock.ts";
import { textBytes } from "./byte_text.ts";
import { CommandReader, MAX_COMMAND_BYTES } from "./command_reader.ts";
import { formatEvent, formatReply, type Reply } from "./reply.ts";
import type { TorEvent } from "./tor_event.ts";
import type { TorSession } from "./tor_session.ts";

/**
 * What may wait for a program that does not read, bytes. Against one that asks for
 * events and leaves them: it is cut off, for it would take missing ones for none.
 */
const MAX_WAITING_BYTES = 512 * 1024;
/** What is read ahead of the command under way, bytes. */
const MAX_READ_AHEAD_BYTES = 2 * MAX_COMMAND_BYTES;
/** How long the last words may take to be read, ms. */
const FAREWELL_MS = 2_000;

const HTTP_PAGE = "HTTP/1.0 501 This is no web server\r\n" +
  "Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n" +
  "This port speaks the language of Tor's control port. It is neither a web " +
  "server nor a proxy.\n";

/** What a connection is made of. */
export interface TorConnectionOptions {
  readonly socket: Deno.TcpConn;
  readonly session: TorSession;
  readonly clock: Clock;
  /** Hears of faults of ours. */
  readonly onFault: (error: unknown) => void;
}

/** One program's connection. */
export class TorConnection {
  /** When it was opened. */
  readonly openedMs: number;
  readonly #options: TorConnectionOptions;
  readonly #reader = new CommandReader();
  readonly #outbox: string[] = [];
  #waitingBytes = 0;
  /** Wakes who waits for something to change. */
  #wake = Promise.withResolvers<void>();
  #isRead = false;
  #isWorkDone = false;
  #isClosed = false;

  constructor(options: TorConnectionOptions) {
    this.#options = options;
    this.openedMs = options.clock.nowMs();
  }

  /** Whether the program has shown who it is. */
  get isKnown(): boolean {
    return this.#options.session.isKnown;
  }

  /** Serve it until it ends. Never rejects. */
  async serve(): Promise<void> {
    const { session, onFault } = this.#options;
    const sending = this.#send();
    const reading = this.#read().finally(() => {
      this.#isRead = true;
      this.#change();
      // What lives as long as the program ends now, also what it just asked for.
      return session[Symbol.asyncDispose]();
    });
    try {
      await this.#work();
    } catch (error) {
      if (!this.#isClosed) onFault(error);
    } finally {
      this.#isWorkDone = true;
      this.#change();
      await Promise.race([sending, this.#farewell()]);
      this.close();
      const ends = await Promise.allSettled([reading, sending]);
      for (const end of ends) {
        if (end.status === "rejected") onFault(end.reason);
      }
    }
  }

  /** Tell the program of an event that it has asked for. */
  tell(event: TorEvent): void {
    const { session } = this.#options;
    if (!session.isKnown || !session.wants(event)) return;
    if (this.#waitingBytes > MAX_WAITING_BYTES) return this.close();
    this.#push(formatEvent(event.text));
  }

  /** Break it off. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#options.socket.close();
    this.#change();
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(16 * 1024);
    while (!this.#isClosed) {
      if (this.#reader.waitingBytes > MAX_READ_AHEAD_BYTES) {
        await this.#wake.promise;
        continue;
      }
      let count: number | null;
      try {
        count = await this.#options.socket.read(buffer);
      } catch {
        return; // reset by the program, or closed by us
      }
      if (count === null) return;
      this.#reader.push(buffer.subarray(0, count));
      this.#change();
    }
  }

  async #work(): Promise<void> {
    const { session } = this.#options;
    while (!this.#isClosed) {
      const wake = this.#wake.promise;
      const isFull = this.#waitingBytes > MAX_WAITING_BYTES;
      const command = isFull ? undefined : this.#reader.next();
      if (command === undefined) {
        if (this.#isRead && !isFull) return;
        await wake;
      } else if (command === "http") {
        return this.#push(HTTP_PAGE);
      } else if (command === "too_long") {
        return this.#push(
          formatReply({ code: 500, parts: [], last: "Line too long." }),
        );
      } else if (!this.#say(await session.answer(command))) return;
    }
  }

  /** @returns Whether the connection goes on. */
  #say(reply: Reply): boolean {
    this.#push(formatReply(reply));
    reply.onSent?.();
    return reply.isFinal !== true;
  }

  #push(text: string): void {
    this.#outbox.push(text);
    this.#waitingBytes += text.length;
    this.#change();
  }

  async #send(): Promise<void> {
    for (;;) {
      const wake = this.#wake.promise;
      const text = this.#outbox.shift();
      if (text === undefined) {
        if (this.#isWorkDone || this.#isClosed) return;
        await wake;
        continue;
      }
      const bytes = textBytes(text);
      try {
        for (let sent = 0; sent < bytes.length;) {
          sent += await this.#options.socket.write(bytes.subarray(sent));
        }
      } catch {
        return this.close(); // gone
      }
      this.#waitingBytes -= text.length;
      this.#change();
    }
  }

  async #farewell(): Promise<void> {
    if (this.#isClosed) return;
    const over = new AbortController();
    this.#endFarewell = () => over.abort();
    await sleep(this.#options.clock, FAREWELL_MS, { signal: over.signal })
      .catch(() => {});
  }

  #endFarewell = (): void => {};

  #change(): void {
    const { resolve } = this.#wake;
    this.#wake = Promise.withResolvers<void>();
    resolve();
    if (this.#isClosed) this.#endFarewell();
  }
}
