/**
 * A circuit whose client writes its payloads by hand and has them sealed as they are.
 *
 * @module
 */
import type { Random } from "../../../lib/base/random.ts";
import {
  CELL_BYTES,
  decodeFirstCell,
  decodePayload,
  encodeFirstCell,
  PAYLOAD_OFFSET,
} from "../../../lib/circuit/cell.ts";
import type { HopTarget } from "../../../lib/circuit/client_circuit.ts";
import {
  decodeClientBound,
  encodeControl,
} from "../../../lib/circuit/control_messages.ts";
import {
  ControlReader,
  encodeControlCells,
} from "../../../lib/circuit/control_stream.ts";
import {
  ClientHandshake,
  REPLY_BYTES,
} from "../../../lib/circuit/handshake.ts";
import { OnionClient } from "../../../lib/circuit/onion_client.ts";
import { STREAM_TYPE } from "../../../lib/link/rpc.ts";
import type { ByteStream } from "../../../lib/transport/transport.ts";
import { CIRCUIT_CRYPTO, readCell } from "../../node/circuit/circuit_world.ts";

/** One circuit over a stream of its own. */
export class HostileCircuit {
  readonly stream: ByteStream;
  readonly #random: Random;
  readonly #onion: OnionClient;
  /** Relays that it runs over. */
  hops = 0;

  private constructor(stream: ByteStream, random: Random) {
    this.stream = stream;
    this.#random = random;
    this.#onion = new OnionClient(CIRCUIT_CRYPTO, random);
  }

  /** A circuit of one hop. */
  static async create(
    stream: ByteStream,
    target: HopTarget,
    random: Random,
  ): Promise<HostileCircuit> {
    const circuit = new HostileCircuit(stream, random);
    const handshake = await ClientHandshake.start(
      CIRCUIT_CRYPTO,
      target,
      random,
    );
    await stream.write(Uint8Array.of(STREAM_TYPE.circuit));
    await stream.write(encodeFirstCell(handshake.request));
    const first = await readCell(stream) ?? new Uint8Array(0);
    await circuit.#finish(
      handshake,
      decodeFirstCell(first, REPLY_BYTES) ?? first,
    );
    return circuit;
  }

  /** Another hop behind the last. */
  async extend(target: HopTarget): Promise<void> {
    const handshake = await ClientHandshake.start(
      CIRCUIT_CRYPTO,
      target,
      this.#random,
    );
    const { request } = handshake;
    const message = {
      type: "extend",
      record: target.encoded,
      request,
    } as const;
    const cells = encodeControlCells(encodeControl(message));
    const reader = new ControlReader();
    await this.#write(cells);
    for (;;) {
      const cell = await readCell(this.stream);
      if (cell === undefined || this.#onion.open(cell) !== undefined) return;
      const payload = decodePayload(cell);
      if (payload === undefined) return;
      const bytes = reader.push(payload.body);
      if (bytes === undefined) continue;
      const answer = decodeClientBound(bytes);
      if (answer.type !== "extended") return;
      return await this.#finish(handshake, answer.reply);
    }
  }

  /** Send one payload, or what stands in place of one: command, length, body, zeros. */
  async say(payload: Uint8Array): Promise<void> {
    const cell = new Uint8Array(CELL_BYTES);
    cell.set(payload.subarray(0, CELL_BYTES - PAYLOAD_OFFSET), PAYLOAD_OFFSET);
    await this.#write(cell);
  }

  async #write(cells: Uint8Array): Promise<void> {
    for (let at = 0; at < cells.length; at += CELL_BYTES) {
      this.#onion.seal(cells.subarray(at, at + CELL_BYTES));
    }
    await this.stream.write(cells);
  }

  async #finish(handshake: ClientHandshake, reply: Uint8Array): Promise<void> {
    const result = await handshake.finish(reply);
    if (!result.ok) throw new TypeError(`Not built: ${result.failure}`);
    this.#onion.addHop(result.keys);
    this.hops++;
  }
}
