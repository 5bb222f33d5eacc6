/**
 * The one stream of a circuit of our own, and the machine at its end: cells of
 * data to and from the attached port, the rest to the circuit.
 *
 *     stream ─▶ CellReader ─▶ ClientCircuit ─┬─ data ─▶ CellPort
 *                                            └─ else ─▶ sink
 *     stream ◀─ CellOutlet ◀─ ClientCircuit ◀─── fill ─ CellPort
 *
 * Cells are made when the stream takes them, so none grows old in a queue.
 *
 * @see protocol §5.5 "Extending, using, destroying"
 * @module
 */
import type { CellPort } from "./leg_carrier.ts";
import type { Bytes } from "../../base/bytes.ts";
import type { Timer } from "../../base/clock.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import { CELL_BYTES, TRAIN_BYTES, unitBytes } from "../../circuit/cell.ts";
import {
  ClientCircuit,
  type ClientEvent,
} from "../../circuit/client_circuit.ts";
import type { ByteStream } from "../../transport/transport.ts";
import { CellOutlet } from "./cell_outlet.ts";
import { CellReader } from "./cell_reader.ts";
import type { CircuitEnd, OwnCircuitHost } from "./circuit_build.ts";

/** Tuning: time that the last cells have to be written once we close, ms. */
const CLOSE_TIMEOUT_MS = 2000;

/** What the client closes a circuit with. */
export const DONE: CircuitEnd = { code: "done" };

/** What came of a cell, but for data and ends. */
export type CircuitEvent = Exclude<
  ClientEvent,
  { readonly type: "data" | "closed" }
>;

/** Hears of what comes. */
export interface CircuitStreamSink {
  onEvent(event: CircuitEvent): void;
  /** The circuit has ended: its keys and its stream are gone. Called once. */
  onEnd(end: CircuitEnd): void;
}

/** Data that came before a port was attached, and what follows it. */
interface HeldCells {
  readonly body: Uint8Array;
  readonly cells: Bytes;
  /** Where the cell after it begins. */
  readonly next: number;
}

/** One stream. */
export class CircuitStream {
  readonly machine: ClientCircuit;
  readonly #host: OwnCircuitHost;
  readonly #stream: ByteStream;
  readonly #sink: CircuitStreamSink;
  readonly #reader: CellReader;
  readonly #outlet: CellOutlet;
  #port: CellPort | undefined;
  #expectsData = false;
  #held: HeldCells | undefined;
  readonly #timer: MachineTimer;
  #closeTimer: Timer | undefined;
  #end: CircuitEnd | undefined;
  #cellsCarried = 0;

  /** @param stream Owned: closed both ways in the end. */
  constructor(
    host: OwnCircuitHost,
    stream: ByteStream,
    hopTimeoutMs: number,
    sink: CircuitStreamSink,
  ) {
    this.#host = host;
    this.#stream = stream;
    this.#sink = sink;
    this.machine = new ClientCircuit(host.crypto, host.random, {
      hopTimeoutMs,
    });
    this.#timer = new MachineTimer(host.clock, () => this.#onTime());
    this.#reader = new CellReader(stream, host.buffers, {
      onCells: (cells) => this.#receive(cells, 0),
      onEnd: () => this.#onStreamEnd(),
      onError: (error) => this.fail(error),
    });
    this.#outlet = new CellOutlet(stream, host.buffers, {
      fill: (batch) => this.#fill(batch),
      onEnd: (how) =>
        how === "drained" ? this.finish(DONE) : this.#onStreamEnd(),
    });
    this.#reader.start();
  }

  /** How the circuit ended; `undefined` while it has not. */
  get end(): CircuitEnd | undefined {
    return this.#end;
  }

  /** Whether data may come. */
  get expectsData(): boolean {
    return this.#expectsData;
  }

  /** Cells of data that it has carried, both ways together. */
  get cellsCarried(): number {
    return this.#cellsCarried;
  }

  /** Write sealed control cells, and see when their answer is due. */
  send(cells: Bytes): void {
    this.#outlet.send(cells);
    this.arm();
  }

  /** There may be data to send. */
  wake(): void {
    this.#outlet.wake();
  }

  /** Data may come: the circuit has been joined, or is about to be. */
  expectData(): void {
    this.#expectsData = true;
  }

  /** Carry data for `port`, beginning with what has come already. */
  attach(port: CellPort): void {
    this.#port = port;
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) {
      port.onCell(held.body);
      this.#receive(held.cells, held.next);
      this.#host.buffers.giveBack(held.cells.buffer);
      this.#reader.resume();
    }
    this.wake();
  }

  /** Set the timer for what is due next. */
  arm(): void {
    if (this.#end === undefined) this.#timer.set(this.machine.deadlineMs);
  }

  /** End once what there is to write is written. Idempotent. */
  close(): void {
    if (this.#end !== undefined || this.#closeTimer !== undefined) return;
    const { clock } = this.#host;
    this.#closeTimer = clock.schedule(
      CLOSE_TIMEOUT_MS,
      () => this.finish(DONE),
      { keepAlive: false },
    );
    this.#outlet.end();
  }

  /** Our own failure: the circuit is of no more use. */
  fail(error: unknown): void {
    this.finish(DONE);
    this.#host.onError(error);
  }

  /** End now. Idempotent. */
  finish(end: CircuitEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#timer.stop();
    this.#closeTimer?.cancel();
    this.machine.destroy();
    this.#outlet.stop();
    this.#reader.stop();
    this.#stream.closeWrite();
    this.#stream.cancel();
    if (this.#held !== undefined) {
      this.#host.buffers.giveBack(this.#held.cells.buffer);
      this.#held = undefined;
    }
    this.#sink.onEnd(end);
  }

  /** @returns Whether the memory of `cells` is kept. */
  #receive(cells: Bytes, start: number): boolean {
    const { clock } = this.#host;
    for (let at = start; at < cells.length;) {
      if (this.#end !== undefined) return false;
      const next = at + unitBytes(cells, at);
      const cell = cells.subarray(at, next);
      at = next;
      const event = this.machine.receive(cell, clock.nowMs());
      if (event === undefined) continue;
      switch (event.type) {
        case "data":
          if (this.#onData(event.body, cell.length)) break;
          // Read no more until a port is attached: the relays hold what follows.
          this.#held = { body: event.body, cells, next };
          this.#reader.pause();
          return true;
        case "closed":
          this.finish(event.failure);
          break;
        default:
          this.#sink.onEvent(event);
      }
    }
    return false;
  }

  /** @returns Whether the port took it, or none may take it. */
  #onData(body: Uint8Array, bytes: number): boolean {
    this.#cellsCarried += bytes / CELL_BYTES;
    if (this.#port !== undefined) this.#port.onCell(body);
    else if (this.#expectsData) return false;
    else this.finish({ code: "protocol", hop: this.machine.hops });
    return true;
  }

  #fill(batch: Bytes): number {
    const { machine } = this;
    const port = this.#port;
    let bytes = 0;
    if (port === undefined) return bytes;
    try {
      while (bytes < batch.length && machine.state === "open") {
        const next = bytes + (port.trainWaits?.() ? TRAIN_BYTES : CELL_BYTES);
        if (next > batch.length) break;
        const cell = batch.subarray(bytes, next);
        const body = machine.dataBody(cell);
        if (!port.fill(body) || this.#end !== undefined) break;
        machine.sealData(cell, body.length);
        this.#cellsCarried += cell.length / CELL_BYTES;
        bytes = next;
      }
    } catch (error) {
      this.fail(error);
      return 0;
    }
    return bytes;
  }

  #onTime(): void {
    const event = this.machine.onTime(this.#host.clock.nowMs());
    if (event?.type === "closed") this.finish(event.failure);
    else this.arm();
  }

  #onStreamEnd(): void {
    const event = this.machine.onStreamEnd();
    if (event?.type === "closed") this.finish(event.failure);
  }
}
