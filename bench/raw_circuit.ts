/**
 * Circuits by hand: cells sealed before they are needed, and read when wanted.
 *
 * @module
 */
import { type Bytes, concat } from "../lib/base/bytes.ts";
import { CELL_BYTES } from "../lib/circuit/cell.ts";
import { ClientCircuit } from "../lib/circuit/client_circuit.ts";
import type { OwnCircuitHost } from "../lib/node/circuit/circuit_build.ts";
import type { ByteStream } from "../lib/transport/transport.ts";
import {
  RAW_BYTES,
  RAW_STEP_BYTES,
  RAW_WINDOW_STEPS,
} from "../tests/support/relay_process.ts";
import type { RelayProcess } from "../tests/support/relay_processes.ts";

const CHUNK_BYTES = 64 * 1024;

/** A circuit that is built, and its stream. */
interface RawCircuit {
  readonly stream: ByteStream;
  readonly machine: ClientCircuit;
}

/** Build a circuit over these relays. */
async function openRaw(
  client: OwnCircuitHost,
  relays: readonly RelayProcess[],
): Promise<RawCircuit> {
  const { clock, crypto, random } = client;
  const [first, ...rest] = relays;
  if (first === undefined) throw new RangeError("Cannot build without a hop");
  const stream = await client.links.openCircuit(first.record);
  const machine = new ClientCircuit(crypto, random);
  const finish = async (request: Bytes | undefined) => {
    if (request === undefined) throw new Error("The circuit is closed");
    await stream.write(request);
    const event = machine.receive(await readCell(stream), clock.nowMs());
    if (event?.type !== "reply") throw new Error(`No reply: ${event?.type}`);
    await machine.finishHop(event.reply);
  };
  await finish(await machine.create(first.record, clock.nowMs()));
  for (const { record } of rest) {
    await finish(await machine.extend(record, clock.nowMs()));
  }
  return { stream, machine };
}

/** The relay alone: cells that were sealed before, and an end that opens none. */
export async function relayRates(
  client: OwnCircuitHost,
  relay: RelayProcess,
  end: RelayProcess,
): Promise<{ readonly forward: number; readonly backward: number }> {
  const { stream, machine } = await openRaw(client, [relay, end]);
  const seal = () => {
    const cell = new Uint8Array(CELL_BYTES);
    machine.sealData(cell, 1);
    return cell;
  };
  const cells = Array.from({ length: RAW_BYTES / CELL_BYTES }, seal);
  const chunks = Array.from(
    { length: RAW_BYTES / CHUNK_BYTES },
    (_, i) => concat(...cells.slice(i * 16, (i + 1) * 16)),
  );
  const answers = Array.from({ length: RAW_BYTES / RAW_STEP_BYTES }, seal);
  let buffer = new Uint8Array(CHUNK_BYTES);
  let received = 0;
  const receive = async (bytes: number) => {
    while (received < bytes) {
      const chunk = await stream.read(buffer);
      if (chunk === undefined) throw new Error("cut");
      received += chunk.length;
      buffer = new Uint8Array(chunk.buffer);
    }
  };
  const startMs = performance.now();
  for (const [i, chunk] of chunks.entries()) {
    const steps = Math.floor(i * CHUNK_BYTES / RAW_STEP_BYTES);
    await receive((steps - RAW_WINDOW_STEPS) * CELL_BYTES);
    await stream.write(chunk);
  }
  const answered = answers.length * CELL_BYTES;
  await receive(answered);
  const turnMs = performance.now();
  for (const [i, answer] of answers.entries()) {
    await receive(answered + (i + 1) * RAW_STEP_BYTES);
    await stream.write(answer);
  }
  const endMs = performance.now();
  stream.cancel();
  return {
    forward: RAW_BYTES / 1000 / (turnMs - startMs),
    backward: RAW_BYTES / 1000 / (endMs - turnMs),
  };
}

async function readCell(stream: ByteStream): Promise<Bytes> {
  let cell = new Uint8Array(CELL_BYTES);
  for (let filled = 0; filled < CELL_BYTES;) {
    const chunk = await stream.read(cell.subarray(filled));
    if (chunk === undefined) throw new Error("cut");
    filled += chunk.length;
    cell = new Uint8Array(chunk.buffer);
  }
  return cell;
}
