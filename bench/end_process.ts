/**
 * The far end of joined circuits, as a process of its own.
 *
 *     deno run end_process.ts
 *
 * For each line on its standard input, an {@linkcode EndOrder}, it builds a circuit
 * of one hop to a relay where a client waits, meets that client, and answers its
 * data from then on. It prints a line of JSON when it is ready, and one for each
 * circuit that it has joined; it ends when its standard input does.
 *
 * @module
 */
import { networkParameters } from "../lib/auth/network.ts";
import { decodeNodeRecord } from "../lib/auth/node_record.ts";
import { nativeSuite } from "../lib/crypto/native.ts";
import { OwnCircuit } from "../lib/node/circuit/own_circuit.ts";
import { encodeRendezvous1 } from "../lib/service/meeting/rendezvous.ts";
import {
  type AnsweringMode,
  AnsweringPort,
  RENDEZVOUS_REPLY,
} from "../tests/support/joined_circuits.ts";
import { openClient } from "../tests/support/relay_processes.ts";

/** Whom to meet, and what to do with the data. */
export interface EndOrder {
  /** Of the relay, in hex. */
  readonly record: string;
  /** That the client waits with, in hex. */
  readonly cookie: string;
  readonly mode: AnsweringMode;
}

async function main(): Promise<void> {
  const network = networkParameters("local");
  await using client = await openClient();
  print({ ready: true });
  const chunks = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
  // Its parent waits for each answer, so that a line comes in one piece.
  for await (const line of chunks) {
    const { record, cookie, mode }: EndOrder = JSON.parse(line);
    const relay = decodeNodeRecord(
      nativeSuite(),
      network,
      Uint8Array.fromHex(record),
      Date.now(),
    );
    const result = await OwnCircuit.build(client, [relay]);
    if (!result.ok) throw new Error(JSON.stringify(result.failure));
    const { circuit } = result;
    circuit.meet(
      encodeRendezvous1(Uint8Array.fromHex(cookie), RENDEZVOUS_REPLY),
    );
    AnsweringPort.attach(circuit, mode);
    print({ joined: true });
  }
}

function print(value: Readonly<Record<string, true>>): void {
  Deno.stdout.writeSync(
    new TextEncoder().encode(`${JSON.stringify(value)}\n`),
  );
}

if (import.meta.main) await main();
