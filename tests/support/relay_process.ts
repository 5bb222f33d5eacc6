/**
 * A relay of network `local` in a process of its own that takes data as the last
 * hop, which no relay of ours does: for tests and benchmarks of circuits.
 *
 *     relay_process.ts refuse|echo|sink|source|raw [options as JSON]
 *
 *     refuse   as our relays do
 *     echo     each body goes back as it came
 *     sink     one body goes back for BURST_CELLS of them
 *     source   BURST_CELLS bodies go back for each of them
 *     raw      no onion at all: answers handshakes, takes RAW_BYTES, and sends as
 *              many zeros back
 *
 * It prints a line of JSON when it is ready, and one for each line on its
 * standard input; it ends when that ends.
 *
 * @module
 */
import { Identity, type NodeId } from "../../lib/auth/identity.ts";
import { networkParameters } from "../../lib/auth/network.ts";
import {
  createNodeRecord,
  decodeNodeRecord,
  type NodeRecord,
} from "../../lib/auth/node_record.ts";
import { RecordVerifier } from "../../lib/auth/record_verifier.ts";
import type { Bytes } from "../../lib/base/bytes.ts";
import { equalBytes } from "../../lib/base/bytes.ts";
import {
  BODY_BYTES,
  CELL_BYTES,
  encodeFirstCell,
} from "../../lib/circuit/cell.ts";
import {
  type OnionKey,
  REQUEST_BYTES,
  respondToHandshake,
} from "../../lib/circuit/handshake.ts";
import type { ByteStream } from "../../lib/transport/transport.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import type { LinkLimits } from "../../lib/link/link_limits.ts";
import {
  type CircuitLimits,
  CircuitServer,
  type CircuitStats,
} from "../../lib/node/relay/circuit_server.ts";
import { LinkTable, type TableLimits } from "../../lib/node/link/link_table.ts";
import type { RelayedCircuit } from "../../lib/node/relay/relayed_circuit.ts";
import { SystemClock } from "../../lib/machine/system_clock.ts";
import { systemRandom } from "../../lib/machine/system_random.ts";
import type { TransportLimits } from "../../lib/transport/endpoint_options.ts";
import { openQuicEndpoint } from "../../lib/transport/quic_endpoint.ts";
import { testContent } from "./nodes.ts";

/** Bodies that one body stands for, where they are counted. */
export const BURST_CELLS = 64;

/** What a relay process takes beside its mode. */
export interface RelayProcessOptions {
  readonly circuits?: Partial<CircuitLimits>;
  readonly links?: Partial<LinkLimits>;
  readonly table?: Partial<TableLimits>;
  readonly transport?: Partial<TransportLimits>;
}

/** What it prints first: its record, in hex. */
export interface RelayReady {
  readonly record: string;
}

/** What it prints when asked. */
export interface RelayReport {
  readonly stats: CircuitStats;
  readonly links: number;
  /** Bodies that ended here. */
  readonly bodies: number;
  /** Bytes, after a collection where `gc` is exposed. */
  readonly residentBytes: number;
  readonly heapBytes: number;
  readonly externalBytes: number;
  /** Own failures. */
  readonly errors: readonly string[];
}

/** The record of a relay process that is ready. */
export function recordOf(ready: RelayReady): NodeRecord {
  return decodeNodeRecord(
    nativeSuite(),
    networkParameters("local"),
    Uint8Array.fromHex(ready.record),
    Date.now(),
  );
}

/** What a circuit to a `raw` process carries each way. */
export const RAW_BYTES: number = 64 * 1024 * 1024;

/** A cell goes back for so many bytes, and so many steps may be under way. */
export const RAW_STEP_BYTES: number = 1024 * 1024;
/** See {@linkcode RAW_STEP_BYTES}. */
export const RAW_WINDOW_STEPS = 4;

const BODY: Bytes = new Uint8Array(BODY_BYTES);

/** What is done with a body, by mode. `count` is that of the circuit. */
const MODES: Readonly<
  Record<
    string,
    (circuit: RelayedCircuit, body: Uint8Array, count: number) => void
  >
> = {
  echo: (circuit, body) => void circuit.sendData(body),
  sink: (circuit, _body, count) => {
    if (count % BURST_CELLS === 0) circuit.sendData(BODY);
  },
  source: (circuit) => {
    for (let i = 0; i < BURST_CELLS; i++) circuit.sendData(BODY);
  },
};

async function main(mode: string, options: RelayProcessOptions): Promise<void> {
  const crypto = nativeSuite();
  const network = networkParameters("local");
  const clock = new SystemClock();
  const identity = Identity.generate(crypto, systemRandom);
  const onionSecret = systemRandom.bytes(32);
  const onionKey = crypto.x25519Public(onionSecret);
  const onion = { secret: onionSecret, publicKey: onionKey };
  const endpoint = await openQuicEndpoint({
    address: { host: "127.0.0.1", port: 0 },
    alpn: network.alpn,
    identity,
    crypto,
    limits: options.transport ?? {},
  });
  const { encoded } = createNodeRecord(
    crypto,
    identity,
    network,
    testContent({
      onionKey,
      addresses: [endpoint.localAddress],
      sequence: clock.unixMs(),
      expiry: clock.unixMs() + 3_600_000,
    }),
  );
  const errors: string[] = [];
  const onError = (error: unknown) => void errors.push(String(error));
  const table = new LinkTable({
    endpoint,
    crypto,
    network,
    clock,
    random: systemRandom,
    verifier: new RecordVerifier(crypto, network),
    identity,
    record: () => encoded,
    ...options.links === undefined ? {} : { linkLimits: options.links },
    ...options.table === undefined ? {} : { tableLimits: options.table },
    handlers: {
      onRequest: () => Promise.resolve(undefined),
      onCircuit: (link, stream) => {
        if (mode !== "raw") server.accept(link.nodeId, stream);
        else carryRaw(stream, identity.nodeId, onion).catch(onError);
      },
      onError,
    },
  });
  let bodies = 0;
  const counts = new WeakMap<RelayedCircuit, number>();
  const take = MODES[mode];
  const server = new CircuitServer({
    crypto,
    clock,
    random: systemRandom,
    network,
    ownId: identity.nodeId,
    onionKeys: {
      find: (key) => equalBytes(key, onionKey) ? onionSecret : undefined,
    },
    links: table,
    ...options.circuits === undefined ? {} : { limits: options.circuits },
    ...take === undefined ? {} : {
      onData: (circuit: RelayedCircuit, body: Uint8Array) => {
        const count = (counts.get(circuit) ?? 0) + 1;
        counts.set(circuit, count);
        bodies++;
        take(circuit, body, count);
      },
    },
    onError,
  });
  table.start();
  print<RelayReady>({ record: encoded.toHex() });
  const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
  for await (const line of lines) {
    const { gc } = globalThis as { gc?: () => void };
    if (line.startsWith("collect")) gc?.();
    const { rss, heapUsed, external } = Deno.memoryUsage();
    print<RelayReport>({
      stats: server.stats,
      links: table.stats.links,
      bodies,
      residentBytes: rss,
      heapBytes: heapUsed,
      externalBytes: external,
      errors,
    });
  }
  await server[Symbol.asyncDispose]();
  await table.close();
}

/** Answer the handshake of a circuit, and then only carry bytes. */
async function carryRaw(
  stream: ByteStream,
  nodeId: NodeId,
  onionKey: OnionKey,
): Promise<void> {
  const first = new Uint8Array(CELL_BYTES);
  for (let filled = 0; filled < first.length;) {
    const chunk = await stream.read(new Uint8Array(first.length - filled));
    if (chunk === undefined) return stream.cancel();
    first.set(chunk, filled);
    filled += chunk.length;
  }
  const response = await respondToHandshake(
    nativeSuite(),
    { nodeId, onionKeys: [onionKey] },
    first.subarray(0, REQUEST_BYTES),
    systemRandom,
  );
  if (!response.ok) return stream.cancel();
  await stream.write(encodeFirstCell(response.reply));
  const answer = new Uint8Array(CELL_BYTES);
  let buffer = new Uint8Array(64 * 1024);
  let received = 0;
  const receive = async (bytes: number) => {
    while (received < bytes) {
      const chunk = await stream.read(buffer);
      if (chunk === undefined) throw new Error("the circuit has ended");
      const before = received;
      received += chunk.length;
      buffer = new Uint8Array(chunk.buffer);
      const answers =
        Math.floor(Math.min(received, RAW_BYTES) / RAW_STEP_BYTES) -
        Math.floor(before / RAW_STEP_BYTES);
      for (let i = 0; i < answers; i++) await stream.write(answer);
    }
  };
  await receive(RAW_BYTES);
  const chunk = new Uint8Array(64 * 1024);
  for (let sent = 0; sent < RAW_BYTES; sent += chunk.length) {
    const underWay = RAW_WINDOW_STEPS * RAW_STEP_BYTES;
    const answers = Math.floor((sent - underWay) / RAW_STEP_BYTES);
    if (answers > 0) await receive(RAW_BYTES + answers * CELL_BYTES);
    await stream.write(chunk);
  }
  while (await stream.read(new Uint8Array(CELL_BYTES)) !== undefined);
  stream.cancel();
}

function print<T>(value: T): void {
  Deno.stdout.writeSync(
    new TextEncoder().encode(`${JSON.stringify(value)}\n`),
  );
}

if (import.meta.main) {
  const [mode = "refuse", json = "{}"] = Deno.args;
  await main(mode, JSON.parse(json));
}
