/**
 * Two circuits that meet at the last relay of both, as those of a client and a
 * service do: the only way on which relays carry data. One end sends, and the
 * other answers.
 *
 * @module
 */
import type { Bytes } from "../../lib/base/bytes.ts";
import { BODY_BYTES, CELL_BYTES } from "../../lib/circuit/cell.ts";
import type { ClientCircuit } from "../../lib/circuit/client_circuit.ts";
import type { CellPort } from "../../lib/node/circuit/leg_carrier.ts";
import type { OwnCircuit } from "../../lib/node/circuit/own_circuit.ts";
import {
  encodeEstablishRendezvous,
  encodeRendezvous1,
} from "../../lib/service/meeting/rendezvous.ts";

/** Bodies that one body stands for, where they are counted. */
export const BURST_CELLS = 64;

/** What the service says to a client that has waited. */
export const RENDEZVOUS_REPLY: Bytes = Uint8Array.of(1, 2, 3);

/**
 * What an end does with data.
 *
 *     echo     each body goes back as it came
 *     sink     one body goes back for BURST_CELLS of them
 *     source   BURST_CELLS bodies go back for each of them
 */
export type AnsweringMode = "echo" | "sink" | "source";

const BODY: Bytes = new Uint8Array(BODY_BYTES);
const BURST: readonly Bytes[] = Array(BURST_CELLS).fill(BODY);

/** What goes back for a body, the `count`th of its circuit. */
const ANSWERS: Readonly<
  Record<AnsweringMode, (body: Uint8Array, count: number) => readonly Bytes[]>
> = {
  echo: (body) => [new Uint8Array(body)],
  sink: (_body, count) => count % BURST_CELLS === 0 ? [BODY] : [],
  source: () => BURST,
};

/** The end of a joined circuit that answers. */
export class AnsweringPort implements CellPort {
  readonly #circuit: OwnCircuit;
  readonly #answers: (body: Uint8Array, count: number) => readonly Bytes[];
  readonly #waiting: Bytes[] = [];
  #count = 0;

  private constructor(circuit: OwnCircuit, mode: AnsweringMode) {
    this.#circuit = circuit;
    this.#answers = ANSWERS[mode];
  }

  /** Answer what comes over `circuit`. */
  static attach(circuit: OwnCircuit, mode: AnsweringMode): void {
    circuit.attach(new AnsweringPort(circuit, mode));
  }

  fill(body: Uint8Array): boolean {
    const next = this.#waiting.shift();
    if (next !== undefined) body.set(next);
    return next !== undefined;
  }

  onCell(body: Uint8Array): void {
    this.#waiting.push(...this.#answers(body, ++this.#count));
    if (this.#waiting.length > 0) this.#circuit.wake();
  }
}

/**
 * Join two circuits that end at one relay.
 *
 * @param cookie 20 bytes that no other pair has at that relay.
 */
export async function joinCircuits(
  client: OwnCircuit,
  service: OwnCircuit,
  cookie: Bytes,
): Promise<void> {
  await client.ask("establish_rendezvous", encodeEstablishRendezvous(cookie));
  service.meet(encodeRendezvous1(cookie, RENDEZVOUS_REPLY));
  await client.met();
}

/** A sealed cell that carries a body of data, for circuits that are run by hand. */
export function dataCell(machine: ClientCircuit, body: Uint8Array): Bytes {
  const cell = new Uint8Array(CELL_BYTES);
  machine.dataBody(cell).set(body);
  machine.sealData(cell, body.length);
  return cell;
}
