/**
 * What goes over the wires of circuits: each circuit stream between two machines,
 * and every write on it.
 *
 * @module
 */
import { concat } from "../../lib/base/bytes.ts";
import type {
  Interception,
  MemoryNetwork,
  ObservedWrite,
} from "../../lib/transport/memory_network.ts";

/** First byte of a stream that is a circuit (protocol §3.5 "Streams and requests"). */
const CIRCUIT_TYPE = 0x02;

/** One circuit stream between two neighbours. */
export class CircuitWire {
  /** Who opened it: the neighbour nearer to the client. */
  readonly from: string;
  readonly to: string;
  /** Lengths of all writes, the first byte of the stream apart. */
  readonly writes: Record<"forward" | "backward", number[]> = {
    forward: [],
    backward: [],
  };
  readonly #chunks: Record<"forward" | "backward", Uint8Array[]> = {
    forward: [],
    backward: [],
  };

  constructor(from: string, to: string) {
    this.from = from;
    this.to = to;
  }

  /** All bytes of one direction. */
  bytes(direction: "forward" | "backward"): Uint8Array {
    return concat(...this.#chunks[direction]);
  }

  /** A node writes. */
  add(from: string, bytes: Uint8Array): void {
    const direction = from === this.from ? "forward" : "backward";
    this.writes[direction].push(bytes.length);
    this.#chunks[direction].push(new Uint8Array(bytes));
  }
}

/** What a tamperer does with a write on a circuit. */
export type Tamperer = (
  wire: CircuitWire,
  direction: "forward" | "backward",
  bytes: Uint8Array,
) => Interception | undefined;

/** All circuit streams of a network from now on. */
export class CircuitWires {
  /** In the order in which they were opened. */
  readonly all: CircuitWire[] = [];
  /** Changes what is written, if set. */
  tamper: Tamperer | undefined;
  readonly #byStream = new Map<string, CircuitWire | undefined>();

  constructor(network: MemoryNetwork) {
    network.intercept = (write) => this.#intercept(write);
    network.observe = (write) =>
      this.#wireOf(write)?.add(
        write.from.host,
        write.bytes,
      );
  }

  #intercept(write: ObservedWrite): Interception | undefined {
    const wire = this.#wireOf(write, "look");
    if (wire === undefined) return undefined;
    const direction = write.from.host === wire.from ? "forward" : "backward";
    return this.tamper?.(wire, direction, write.bytes);
  }

  #wireOf(
    { connection, stream, from, to, bytes }: ObservedWrite,
    how: "look" | "open" = "open",
  ): CircuitWire | undefined {
    const key = `${connection} ${stream}`;
    if (this.#byStream.has(key) || how === "look") {
      return this.#byStream.get(key);
    }
    const isCircuit = bytes.length === 1 && bytes[0] === CIRCUIT_TYPE;
    const wire = isCircuit ? new CircuitWire(from.host, to.host) : undefined;
    this.#byStream.set(key, wire);
    if (wire !== undefined) this.all.push(wire);
    return undefined; // the type byte itself is no cell
  }
}
