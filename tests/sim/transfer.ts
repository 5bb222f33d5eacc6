/**
 * A transfer in both directions at once, whole or not.
 *
 *     client ── upload ──▶ service
 *     client ◀─ download ─ service
 *
 * @module
 */
import assert from "node:assert/strict";
import { equalBytes } from "../../lib/base/bytes.ts";
import { type Clock, sleep } from "../../lib/base/clock.ts";
import type { Random } from "../../lib/base/random.ts";
import type { SessionStreamHandle } from "../../lib/node/session/session_stream.ts";
import type { StreamHandler } from "../../lib/node/host/stream_target.ts";

/** Bytes written at once, unless a pace says otherwise. */
const CHUNK_BYTES = 16 * 1024;

/** One direction, as its receiver sees it. */
export class Received {
  /** What is sent, all of it. */
  readonly sent: Uint8Array;
  bytes = 0;
  isWhole = false;
  /** When the last bytes came, ms. */
  lastMs: number | undefined;
  /** Bytes that came, and when. */
  readonly arrivals: { readonly atMs: number; readonly bytes: number }[] = [];
  readonly #clock: Clock;

  constructor(clock: Clock, sent: Uint8Array) {
    this.#clock = clock;
    this.sent = sent;
  }

  /** Read to the end. @throws when anything but the next byte of `sent` comes. */
  async read(stream: Pick<SessionStreamHandle, "read">): Promise<void> {
    for (;;) {
      const chunk = await stream.read();
      if (chunk === undefined) break;
      const expected = this.sent.subarray(
        this.bytes,
        this.bytes + chunk.length,
      );
      assert.ok(equalBytes(chunk, expected), `other bytes at ${this.bytes}`);
      this.bytes += chunk.length;
      this.lastMs = this.#clock.nowMs();
      this.arrivals.push({ atMs: this.lastMs, bytes: chunk.length });
    }
    assert.equal(this.bytes, this.sent.length, "the end came too soon");
    this.isWhole = true;
  }

  /** The longest time without a byte from `fromMs` on, until all were there, ms. */
  longestGapMs(fromMs: number, untilMs: number): number {
    let before = fromMs;
    let longest = 0;
    for (const { atMs } of this.arrivals) {
      if (atMs <= fromMs) continue;
      if (atMs > untilMs) break;
      longest = Math.max(longest, atMs - before);
      before = atMs;
    }
    return this.isWhole && (this.lastMs ?? 0) <= untilMs
      ? longest
      : Math.max(longest, untilMs - before);
  }
}

/** How fast senders have something to say. */
export interface Pace {
  /** Between two chunks, ms; 0: as fast as they are taken. */
  readonly everyMs: number;
  /** Bytes of a chunk. */
  readonly bytes: number;
}

/** Bytes both ways over one stream. */
export class Transfer {
  readonly up: Received;
  readonly down: Received;
  /** What serving it failed with. */
  failure: unknown;

  readonly #clock: Clock;
  readonly #pace: Pace;

  constructor(
    clock: Clock,
    random: Random,
    sizes: { readonly up: number; readonly down: number },
    pace: Pace = { everyMs: 0, bytes: CHUNK_BYTES },
  ) {
    this.#clock = clock;
    this.#pace = pace;
    this.up = new Received(clock, random.bytes(sizes.up));
    this.down = new Received(clock, random.bytes(sizes.down));
  }

  /** For the service. */
  readonly serve: StreamHandler = async (stream) => {
    stream.accept();
    let isHeard = false;
    const read = async () => {
      const chunk = await stream.read();
      isHeard = true;
      return chunk;
    };
    try {
      await Promise.all([
        this.up.read({ read }),
        this.#send(stream, this.down.sent),
      ]);
    } catch (error) {
      // Where nothing came, the client is served on a stream of another meeting.
      if (isHeard) this.failure ??= error;
      throw error;
    }
  };

  /** For the client. */
  async run(stream: SessionStreamHandle): Promise<void> {
    await Promise.all([
      this.#send(stream, this.up.sent),
      this.down.read(stream),
    ]);
    await stream.closed;
  }

  /** Write all of `bytes`, and the end. */
  async #send(stream: SessionStreamHandle, bytes: Uint8Array): Promise<void> {
    const { everyMs, bytes: chunk } = this.#pace;
    for (let at = 0; at < bytes.length; at += chunk) {
      await stream.write(bytes.subarray(at, at + chunk));
      if (everyMs > 0) await sleep(this.#clock, everyMs);
    }
    await stream.closeWrite();
  }
}
