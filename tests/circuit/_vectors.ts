/**
 * Makes `tests/vectors/circuit_*.json` from the reference. By hand, and only
 * when the protocol changes:
 *
 *     deno run --allow-write=tests/vectors tests/circuit/_vectors.ts
 *
 * @module
 */
import { x25519 } from "@noble/curves/ed25519.js";
import { sha256 } from "@noble/hashes/sha2.js";
import {
  referenceAnswer,
  referenceArrive,
  referenceBackward,
  referenceForward,
  referenceHandshake,
  ReferenceHop,
  type ReferenceKeys,
  referenceOpen,
  referenceSeal,
} from "./_reference.ts";

const SOURCE =
  'AnonNet, protocol §5 "Circuits", computed by tests/circuit/_reference.ts';
const CELL_BYTES = 4096;

/** Bytes that a reader can make again: SHA-256(label ‖ counter), cut. */
function bytesFor(label: string, length: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(length);
  for (let i = 0; 32 * i < length; i++) {
    const block = sha256(new TextEncoder().encode(`${label} ${i}`));
    out.set(block.subarray(0, length - 32 * i), 32 * i);
  }
  return out;
}

function handshakeVector(name: string) {
  const input = {
    nodeId: bytesFor(`${name} nodeId`, 32),
    onionSecret: bytesFor(`${name} b`, 32),
    clientSecret: bytesFor(`${name} x`, 32),
    kemSeed: bytesFor(`${name} dz`, 64),
    relaySecret: bytesFor(`${name} y`, 32),
    kemMessage: bytesFor(`${name} m`, 32),
  };
  const { request, reply, keys } = referenceHandshake(input);
  return {
    name,
    ...hexFields(input),
    onionKey: x25519.getPublicKey(input.onionSecret).toHex(),
    request: request.toHex(),
    reply: reply.toHex(),
    keys: hexFields({ ...keys }),
  };
}

function hexFields(fields: Record<string, Uint8Array>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, bytes]) => [name, bytes.toHex()]),
  );
}

/** A circuit that grows hop by hop, with cells each way at each length. */
function cellVectors() {
  const noise = bytesFor("noise", 4096);
  let noiseUsed = 0;
  const client: ReferenceHop[] = [];
  const relays: ReferenceHop[] = [];
  const hops: Record<string, string>[] = [];
  const cells: object[] = [];
  for (let hop = 1; hop <= 8; hop++) {
    const keys: ReferenceKeys = {
      forwardKey: bytesFor(`hop ${hop} forward`, 32),
      backwardKey: bytesFor(`hop ${hop} backward`, 32),
      fillerKey: bytesFor(`hop ${hop} filler`, 32),
      binding: bytesFor(`hop ${hop} binding`, 32),
    };
    hops.push(hexFields({ ...keys }));
    client.push(new ReferenceHop(keys));
    relays.push(new ReferenceHop(keys));
    for (const [number, count] of [1, 4, 1].entries()) {
      const label = `payload ${hop} ${number}`;
      const payload = bytesFor(label, count * CELL_BYTES - 129);
      const noiseBytes = 16 * (8 - hop);
      const forward = [
        referenceSeal(client, payload, noise.subarray(noiseUsed)),
      ];
      noiseUsed += noiseBytes;
      for (const relay of relays.slice(0, -1)) {
        forward.push(referenceForward(relay, forward.at(-1) as Uint8Array));
      }
      const last = relays.at(-1) as ReferenceHop;
      const arrived = referenceArrive(last, forward.at(-1) as Uint8Array);
      const backward = [referenceAnswer(last, arrived)];
      for (const relay of relays.slice(0, -1).reverse()) {
        backward.push(referenceBackward(relay, backward.at(-1) as Uint8Array));
      }
      const back = referenceOpen(client, backward.at(-1) as Uint8Array);
      if (back.toHex() !== payload.toHex()) throw new Error("not round");
      cells.push({
        hops: hop,
        cells: count,
        payload: label,
        forward: forward.map((cell) => sha256(cell).toHex()),
        backward: backward.map((cell) => sha256(cell).toHex()),
      });
    }
  }
  return {
    source: SOURCE,
    notes: [
      "A circuit that grows from 1 to 8 hops; after each hop a cell, a train of four and a cell each way.",
      "Payloads and noise: SHA-256(label ‖ ' ' ‖ i) for i = 0, 1, …, one after the other, cut to length.",
      "noise: all cells' noise bytes, in order, from label 'noise'.",
      "forward: SHA-256 of the cell that hop 1, 2, … gets; backward: of the cell that the last hop, the one before it, … sends.",
    ],
    cellBytes: CELL_BYTES,
    hops,
    cells,
  };
}

function write(name: string, value: unknown): void {
  const path = new URL(`../vectors/${name}`, import.meta.url);
  Deno.writeTextFileSync(path, JSON.stringify(value, null, 1) + "\n");
}

write("circuit_handshake.json", {
  source: SOURCE,
  notes: ["Hexadecimal. kemSeed is d ‖ z and kemMessage is m of FIPS 203."],
  handshakes: ["first", "second", "third"].map(handshakeVector),
});
write("circuit_cells.json", cellVectors());
