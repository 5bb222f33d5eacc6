/**
 * Bytes through joined circuits, and through chains of bare pipes.
 *
 * @module
 */
import type { CellPort } from "../lib/node/circuit/leg_carrier.ts";
import { CELL_BYTES } from "../lib/circuit/cell.ts";
import type { OwnCircuitHost } from "../lib/node/circuit/circuit_build.ts";
import type { OwnCircuit } from "../lib/node/circuit/own_circuit.ts";
import { systemRandom } from "../lib/machine/system_random.ts";
import { encodeEstablishRendezvous } from "../lib/service/meeting/rendezvous.ts";
import { BURST_CELLS } from "../tests/support/joined_circuits.ts";
import {
  buildOver,
  type RelayProcess,
} from "../tests/support/relay_processes.ts";
import { dialBare } from "./bare_quic.ts";
import type { EndProcess, PipeProcess } from "./circuit_processes.ts";

const MIB = 1024 * 1024;
const TRANSFER_BYTES = 96 * MIB;
const TRANSFER_CELLS = TRANSFER_BYTES / CELL_BYTES;
const CHUNK_BYTES = 64 * 1024;
/** Cells under way at most: half of what a relay lets wait. */
const WINDOW_CELLS = 1024;

/** Sends cells within a window that answers open, until a number has come back. */
export class Flow implements CellPort {
  readonly done = Promise.withResolvers<void>();
  readonly #circuit: OwnCircuit;
  #toSend: number;
  #toReceive: number;
  #mayBeUnderWay: number;
  /** How many cells an answer stands for. */
  readonly #perAnswer: number;

  constructor(
    circuit: OwnCircuit,
    { send, receive, window, perAnswer }: {
      readonly send: number;
      readonly receive: number;
      readonly window: number;
      readonly perAnswer: number;
    },
  ) {
    this.#circuit = circuit;
    this.#toSend = send;
    this.#toReceive = receive;
    this.#mayBeUnderWay = window;
    this.#perAnswer = perAnswer;
    circuit.attach(this);
    circuit.closed.then((end) => {
      if (this.#toReceive > 0) this.done.reject(new Error(end.code));
    });
  }

  fill(_body: Uint8Array): boolean {
    if (this.#toSend < 1 || this.#mayBeUnderWay < 1) return false;
    this.#toSend--;
    this.#mayBeUnderWay--;
    return true;
  }

  onCell(_body: Uint8Array): void {
    this.#mayBeUnderWay += this.#perAnswer;
    if (--this.#toReceive === 0) this.done.resolve();
    if (this.#mayBeUnderWay >= 1) this.#circuit.wake();
  }
}

/** Which way the bytes go: to the far end, or from it. */
export type Way = "sink" | "source";

const FLOWS = {
  sink: {
    send: TRANSFER_CELLS,
    receive: TRANSFER_CELLS / BURST_CELLS,
    window: WINDOW_CELLS,
    perAnswer: BURST_CELLS,
  },
  source: {
    send: TRANSFER_CELLS / BURST_CELLS,
    receive: TRANSFER_CELLS,
    window: WINDOW_CELLS / BURST_CELLS,
    perAnswer: 1 / BURST_CELLS,
  },
} as const;

/** MB/s over a circuit of these relays, the last of which joins it to `end`. */
export async function circuitRate(
  client: OwnCircuitHost,
  relays: readonly Pick<RelayProcess, "record">[],
  end: EndProcess,
  way: Way,
): Promise<number> {
  const circuit = await buildOver(client, relays);
  const point = relays[relays.length - 1];
  if (point === undefined) throw new RangeError("Cannot join without a relay");
  const cookie = systemRandom.bytes(20);
  await circuit.ask("establish_rendezvous", encodeEstablishRendezvous(cookie));
  await end.meet({
    record: point.record.encoded.toHex(),
    cookie: cookie.toHex(),
    mode: way,
  });
  await circuit.met();
  const startMs = performance.now();
  await new Flow(circuit, FLOWS[way]).done.promise;
  const ms = performance.now() - startMs;
  circuit.close();
  return TRANSFER_BYTES / 1000 / ms;
}

/** MB/s over bare pipes. */
export async function bareRate(
  first: PipeProcess,
  way: Way,
): Promise<number> {
  const conn = await dialBare(first.port);
  const stream = await conn.createBidirectionalStream();
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader({ mode: "byob" });
  const startMs = performance.now();
  if (way === "sink") {
    await writer.write(Uint8Array.of(0, 0));
    const chunk = new Uint8Array(CHUNK_BYTES);
    for (let sent = 0; sent < TRANSFER_BYTES; sent += CHUNK_BYTES) {
      await writer.write(chunk);
    }
    await writer.close();
  } else await writer.write(Uint8Array.of(1, TRANSFER_BYTES / MIB));
  let buffer = new Uint8Array(CHUNK_BYTES);
  for (;;) {
    const { value, done } = await reader.read(buffer);
    if (done) break;
    buffer = new Uint8Array(value.buffer);
  }
  const ms = performance.now() - startMs;
  conn.close();
  return TRANSFER_BYTES / 1000 / ms;
}

/** A byte to the end of a chain of bare pipes and back, ms. */
export async function bareRoundTrip(
  first: PipeProcess,
): Promise<() => Promise<number>> {
  const conn = await dialBare(first.port);
  const stream = await conn.createBidirectionalStream();
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader({ mode: "byob" });
  await writer.write(Uint8Array.of(2, 2));
  return async () => {
    const startMs = performance.now();
    await writer.write(Uint8Array.of(3));
    await reader.read(new Uint8Array(1));
    return performance.now() - startMs;
  };
}
