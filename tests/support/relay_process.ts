/**
 * A relay of network `local` in a process of its own, for tests and benchmarks of
 * circuits.
 *
 *     relay_process.ts [options as JSON]
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
import { equalBytes } from "../../lib/base/bytes.ts";
import {
  CELL_BYTES,
  decodeFirstCell,
  encodeFirstCell,
  writeSize,
} from "../../lib/circuit/cell.ts";
import {
  type OnionKey,
  REQUEST_BYTES,
  respondToHandshake,
} from "../../lib/circuit/handshake.ts";
import type { ByteStream } from "../../lib/transport/transport.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import type { LinkLimits } from "../../lib/link/link_limits.ts";
import { RecordStore } from "../../lib/dht/records/record_store.ts";
import type { Load } from "../../lib/link/link_state.ts";
import { LoadWatch } from "../../lib/node/link/load_watch.ts";
import {
  type CircuitLimits,
  CircuitServer,
  type CircuitStats,
  type DhtAnswerer,
} from "../../lib/node/relay/circuit_server.ts";
import { LinkTable, type TableLimits } from "../../lib/node/link/link_table.ts";
import { SystemClock } from "../../lib/machine/system_clock.ts";
import { systemRandom } from "../../lib/machine/system_random.ts";
import type { TransportLimits } from "../../lib/transport/endpoint_options.ts";
import { openQuicEndpoint } from "../../lib/transport/quic_endpoint.ts";
import { testContent } from "./nodes.ts";
import { RecordingLog } from "./recording_log.ts";

/** What a relay process is made of. */
export interface RelayProcessOptions {
  /**
   * What becomes of circuits: `serve` as our relays do; `carry` with no onion at
   * all: it answers handshakes, takes {@linkcode RAW_BYTES}, and sends as many
   * zeros back. Default `serve`.
   */
  readonly onCircuit?: "serve" | "carry";
  readonly circuits?: Partial<CircuitLimits>;
  readonly links?: Partial<LinkLimits>;
  readonly table?: Partial<TableLimits>;
  readonly transport?: Partial<TransportLimits>;
  /** Count peers by the prefixes of their hosts, as on the Internet. Default: no. */
  readonly countsHosts?: boolean;
  /** Keep the records that circuits bring, in a store of this relay alone. Default: no. */
  readonly keepsRecords?: boolean;
}

/** What it prints first: its record, in hex. */
export interface RelayReady {
  readonly record: string;
}

/** What it prints when asked. */
export interface RelayReport {
  readonly stats: CircuitStats;
  readonly links: number;
  /** Handshakes towards it, and dials of its own, under way. */
  readonly handshakes: number;
  readonly dials: number;
  readonly load: Load;
  /** Of the records that it keeps. */
  readonly recordBytes: number;
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

/** What a circuit to a relay that carries only bytes takes, and gives. */
export const RAW_BYTES: number = 64 * 1024 * 1024;

/** A cell goes back for so many bytes, and so many steps may be under way. */
export const RAW_STEP_BYTES: number = 1024 * 1024;
/** See {@linkcode RAW_STEP_BYTES}. */
export const RAW_WINDOW_STEPS = 4;

async function main(options: RelayProcessOptions): Promise<void> {
  const crypto = nativeSuite();
  const network = networkParameters("local");
  const counting = options.countsHosts
    ? { ...network, allowPrivateAddresses: false }
    : network;
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
    admit: () => {
      watch.onNewcomer();
      return table.load !== "overloaded";
    },
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
  const store = new RecordStore({
    crypto,
    network,
    random: systemRandom,
    isAmongClosest: () => true,
  });
  const errors: string[] = [];
  const onError = (error: unknown) => void errors.push(String(error));
  const table: LinkTable = new LinkTable({
    endpoint,
    crypto,
    network: counting,
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
        watch.onNewcomer();
        if (options.onCircuit !== "carry") server.accept(link, stream);
        else carryRaw(stream, identity.nodeId, onion).catch(onError);
      },
      onError,
    },
  });
  const server: CircuitServer = new CircuitServer({
    crypto,
    clock,
    random: systemRandom,
    network: counting,
    ownId: identity.nodeId,
    onionKeys: {
      find: (key) => equalBytes(key, onionKey) ? onionSecret : undefined,
    },
    links: table,
    verifier: new RecordVerifier(crypto, network),
    ...options.keepsRecords ? { answerDht: keepIn(store, clock) } : {},
    ...options.circuits === undefined ? {} : { limits: options.circuits },
    onError,
  });
  using watch = new LoadWatch({
    clock,
    log: new RecordingLog(),
    quotaShare: () => server.quotaShare,
    links: table,
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
      handshakes: table.stats.answering,
      dials: table.stats.dialling,
      load: table.load,
      recordBytes: store.bytes,
      residentBytes: rss,
      heapBytes: heapUsed,
      externalBytes: external,
      errors,
    });
  }
  await server[Symbol.asyncDispose]();
  await table.close();
}

/** Keeps what circuits bring, and finds it, at this relay alone. */
function keepIn(store: RecordStore, clock: SystemClock): DhtAnswerer {
  return ({ account }, request) => {
    const { id } = request;
    const unixMs = clock.unixMs();
    if (request.type === "dht_get") {
      const [record] = store.get(request.key, unixMs);
      return Promise.resolve(
        record === undefined
          ? { type: "dht_missing", id }
          : { type: "dht_found", id, record },
      );
    }
    const { record } = request;
    const { type } = store.put(record, account.name, clock.nowMs(), unixMs);
    return Promise.resolve(
      type === "stored"
        ? { type: "dht_stored", id, copies: 1 }
        : { type: "dht_rejected", id, code: "overloaded" },
    );
  };
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
    decodeFirstCell(first, REQUEST_BYTES) ?? first,
    systemRandom,
  );
  if (!response.ok) return stream.cancel();
  await stream.write(encodeFirstCell(response.reply));
  const answer = new Uint8Array(CELL_BYTES);
  writeSize(answer);
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
  for (let at = 0; at < chunk.length; at += CELL_BYTES) {
    writeSize(chunk.subarray(at, at + CELL_BYTES));
  }
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
  const [json = "{}"] = Deno.args;
  await main(JSON.parse(json));
}
