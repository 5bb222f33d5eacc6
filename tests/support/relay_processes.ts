/**
 * Relay processes, and a client in this one.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { Identity } from "../../lib/auth/identity.ts";
import { networkParameters } from "../../lib/auth/network.ts";
import type { NodeRecord } from "../../lib/auth/node_record.ts";
import { RecordVerifier } from "../../lib/auth/record_verifier.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { CellBuffers } from "../../lib/node/circuit/cell_buffers.ts";
import { LinkTable } from "../../lib/node/link/link_table.ts";
import { OwnCircuit } from "../../lib/node/circuit/own_circuit.ts";
import type { OwnCircuitHost } from "../../lib/node/circuit/circuit_build.ts";
import { SystemClock } from "../../lib/machine/system_clock.ts";
import { systemRandom } from "../../lib/machine/system_random.ts";
import type { TransportLimits } from "../../lib/transport/endpoint_options.ts";
import { openQuicEndpoint } from "../../lib/transport/quic_endpoint.ts";
import { LineProcess } from "./line_process.ts";
import {
  recordOf,
  type RelayProcessOptions,
  type RelayReady,
  type RelayReport,
} from "./relay_process.ts";

const RELAY = fileURLToPath(new URL("./relay_process.ts", import.meta.url));

/** Lets processes collect garbage when they are asked to. */
export const EXPOSE_GC = "--v8-flags=--expose-gc";

/** A relay process. */
export class RelayProcess implements AsyncDisposable {
  readonly process: LineProcess;
  readonly record: NodeRecord;

  private constructor(process: LineProcess, ready: RelayReady) {
    this.process = process;
    this.record = recordOf(ready);
  }

  /** @param flags More flags for Deno. */
  static async start(
    options: RelayProcessOptions = {},
    flags: readonly string[] = [],
  ): Promise<RelayProcess> {
    const process = new LineProcess(RELAY, [JSON.stringify(options)], {
      flags,
    });
    return new RelayProcess(process, await process.line<RelayReady>());
  }

  /** How it is now. */
  report(): Promise<RelayReport> {
    return this.process.ask<RelayReport>("report");
  }

  /** The same, after a collection of garbage where {@linkcode EXPOSE_GC} is set: for measuring memory. */
  cleanReport(): Promise<RelayReport> {
    return this.process.ask<RelayReport>("collect");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.process[Symbol.asyncDispose]();
  }
}

/** A client of relay processes. */
export interface ProcessClient extends OwnCircuitHost, AsyncDisposable {
  readonly links: LinkTable;
  /** What it reported as its own failures. */
  readonly errors: unknown[];
}

/** Where a client's links differ from those of a relay. */
export interface ClientLinks {
  readonly transport?: Partial<TransportLimits>;
  readonly longestDialWaitMs?: number;
}

/** Start a node in this process that only builds circuits. */
export async function openClient(
  { transport, ...links }: ClientLinks = {},
): Promise<ProcessClient> {
  const crypto = nativeSuite();
  const network = networkParameters("local");
  const clock = new SystemClock();
  const errors: unknown[] = [];
  const onError = (error: unknown) => void errors.push(error);
  const newIdentity = () => Identity.generate(crypto, systemRandom);
  const identity = newIdentity();
  const endpoint = await openQuicEndpoint({
    address: { host: "127.0.0.1", port: 0 },
    alpn: network.alpn,
    identity,
    crypto,
    ...transport && { limits: transport },
  });
  const table = new LinkTable({
    endpoint,
    crypto,
    network,
    clock,
    random: systemRandom,
    verifier: new RecordVerifier(crypto, network),
    identity,
    identityFor: newIdentity,
    ...links,
    handlers: {
      onRequest: () => Promise.resolve(undefined),
      onCircuit: (_link, stream) => stream.cancel(),
      onError,
    },
  });
  table.start();
  return {
    crypto,
    clock,
    random: systemRandom,
    links: table,
    buffers: new CellBuffers(),
    onError,
    errors,
    [Symbol.asyncDispose]: () => table.close(),
  };
}

/** Build a circuit that can be built. */
export async function buildOver(
  client: OwnCircuitHost,
  relays: readonly Pick<RelayProcess, "record">[],
): Promise<OwnCircuit> {
  const path = relays.map(({ record }) => record);
  const result = await OwnCircuit.build(client, path);
  if (!result.ok) throw new Error(JSON.stringify(result.failure));
  return result.circuit;
}
