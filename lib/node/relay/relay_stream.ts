/**
 * One of the two streams of a circuit at a relay: a reader that never stops, a
 * writer that no reader waits for, and an end that comes once.
 *
 *     close ─▶ what waits is written, or FLUSH_MS pass ─▶ both directions end
 *
 * There is no reset: the other side sees the end of the stream, behind all that
 * was written before.
 *
 * @see protocol §5.5 "Extending, using, destroying"
 * @module
 */
import type { Bytes } from "../../base/bytes.ts";
import type { Timer } from "../../base/clock.ts";
import type { ByteStream } from "../../transport/transport.ts";
import { CellReader } from "../circuit/cell_reader.ts";
import { CellWriter, type CellWriterHost } from "../circuit/cell_writer.ts";
import { HeldMessage } from "./held_message.ts";

/**
 * Tuning: time that what waits has to be written once the circuit has ended, ms.
 * A neighbour that takes nothing must not keep the memory of circuits that are
 * gone.
 */
export const FLUSH_MS = 5000;

/** How a stream is closed: after what waits has been written, or without it. */
export type CloseManner = "flush" | "drop";

/** What a stream tells its circuit. */
export interface RelayStreamSink {
  /** Whole cells; as in `CellSink`, which calls it without a detour. */
  readonly onCells: (cells: Bytes) => boolean;
  /** The beginning of a train takes more of the quota: look whether it is over. */
  onHeld(): void;
  /** The other side has ended it, or its link is gone. */
  onHangUp(): void;
  /** Closed, and nothing of it is left. Called once. */
  onGone(): void;
  /** `onCells` has thrown: close. */
  onError(error: unknown): void;
}

/** One stream. */
export class RelayStream<Owner> {
  /** Takes cells of the circuit; the stream alone ends it. */
  readonly writer: CellWriter<Owner>;
  readonly #stream: ByteStream;
  readonly #host: CellWriterHost<Owner>;
  readonly #sink: RelayStreamSink;
  readonly #reader: CellReader;
  readonly #begun: HeldMessage<Owner>;
  #isClosed = false;
  #isReading = true;
  #isWriting = true;
  #flushTimer: Timer | undefined;

  /** @param stream Owned: closed both ways in the end. */
  constructor(
    stream: ByteStream,
    host: CellWriterHost<Owner>,
    owner: Owner,
    sink: RelayStreamSink,
  ) {
    this.#stream = stream;
    this.#host = host;
    this.#sink = sink;
    this.#begun = new HeldMessage(host.quota, owner, "cells");
    this.#reader = new CellReader(stream, host.buffers, {
      onCells: sink.onCells,
      onBegun: (heldBytes) => {
        this.#begun.set(heldBytes, host.clock.nowMs());
        if (!this.#isClosed) sink.onHeld();
      },
      onEnd: () => this.#onReaderEnd(),
      onError: (error) => sink.onError(error),
    });
    this.writer = new CellWriter(
      stream,
      host,
      owner,
      () => this.#onWriterEnd(),
    );
  }

  /** Begin to read. Call once. */
  start(): void {
    this.#reader.start();
  }

  /** End both directions. A `drop` overrules an earlier `flush`. */
  close(manner: CloseManner): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#reader.stop();
      if (this.#isWriting) this.#flush();
      else this.#endStream();
    }
    if (manner === "drop") this.#drop();
  }

  #flush(): void {
    this.writer.end();
    if (!this.#isWriting) return;
    const { clock } = this.#host;
    this.#flushTimer = clock.schedule(FLUSH_MS, () => this.#drop(), {
      keepAlive: false,
    });
  }

  #drop(): void {
    if (!this.#isWriting) return;
    this.#flushTimer?.cancel();
    this.writer.drop();
    this.#stream.cancel();
  }

  /** A plain end: the transport takes less for it than for giving up. */
  #endStream(): void {
    this.#flushTimer?.cancel();
    this.#stream.closeWrite();
    this.#stream.cancel();
  }

  #onReaderEnd(): void {
    this.#isReading = false;
    if (!this.#isClosed) this.#sink.onHangUp();
    else if (!this.#isWriting) this.#sink.onGone();
  }

  #onWriterEnd(): void {
    this.#isWriting = false;
    if (!this.#isClosed) return this.#sink.onHangUp();
    this.#endStream();
    if (!this.#isReading) this.#sink.onGone();
  }
}
