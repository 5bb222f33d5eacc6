/**
 * A client in this process that keeps circuits ready over relays that it is told
 * of: the pool of real nodes, without their relay list.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { NodeId } from "../../lib/auth/identity.ts";
import type { NodeRecord } from "../../lib/auth/node_record.ts";
import { networkParameters } from "../../lib/auth/network.ts";
import { CircuitPoolDriver } from "../../lib/node/circuit/circuit_pool_driver.ts";
import {
  GUARD_SILENCE,
  LONGEST_DIAL_WAIT_MS,
} from "../../lib/node/client_role.ts";
import { GuardMemory } from "../../lib/node/circuit/guard_memory.ts";
import { OwnCircuit } from "../../lib/node/circuit/own_circuit.ts";
import type { RelayDirectory } from "../../lib/node/directory/relay_directory.ts";
import type { PoolStatus } from "../../lib/pool/pool_status.ts";
import type { CircuitPurpose } from "../../lib/pool/purpose.ts";
import { PURPOSE_RULES, PURPOSES } from "../../lib/pool/purpose.ts";
import { MemoryFiles } from "../../lib/storage/memory_files.ts";
import { StateDirectory } from "../../lib/storage/state_directory.ts";
import { RecordingLog } from "./recording_log.ts";
import { openClient } from "./relay_processes.ts";

const NEVER = new AbortController().signal;

/** A pool of circuits, and what is under it. */
export class PooledClient implements AsyncDisposable {
  readonly #pool: CircuitPoolDriver;
  readonly #stack: AsyncDisposableStack;

  private constructor(pool: CircuitPoolDriver, stack: AsyncDisposableStack) {
    this.#pool = pool;
    this.#stack = stack;
  }

  /** Start it, with all the relays that there are. */
  static async start(relays: readonly NodeRecord[]): Promise<PooledClient> {
    await using stack = new AsyncDisposableStack();
    const client = stack.use(
      await openClient({
        transport: GUARD_SILENCE,
        longestDialWaitMs: LONGEST_DIAL_WAIT_MS,
      }),
    );
    const { crypto, random, clock } = client;
    const state = stack.use(
      await StateDirectory.open("state", {
        files: new MemoryFiles(),
        crypto,
        holder: "test",
        onSetAside: () => {},
      }),
    );
    const { blobs } = state;
    const { onError } = client;
    const directory: RelayDirectory = {
      version: 1,
      snapshot: () => relays,
      onChange: () => ({ [Symbol.dispose]() {} }),
    };
    const pool = stack.use(
      new CircuitPoolDriver({
        network: networkParameters("local"),
        runtime: { clock, random, crypto, log: new RecordingLog() },
        memory: await GuardMemory.load({
          crypto,
          random,
          blobs,
          onError,
          onTenureError: onError,
        }),
        links: client.links,
        relays: directory,
      }),
    );
    return new PooledClient(pool, stack.move());
  }

  /** Its first hops, as far as they are stored. */
  get guards(): readonly NodeId[] {
    return this.#pool.guards.map(({ nodeId }) => nodeId);
  }

  /** Hops of all circuits, built and being built. */
  get hops(): number {
    return this.#status.circuits
      .reduce((sum, { hops }) => sum + hops.length, 0);
  }

  get counts(): PoolStatus["counts"] {
    return this.#status.counts;
  }

  /** Whether as many circuits are ready as there shall be, and none is being built. */
  get isWarm(): boolean {
    const { circuits } = this.#status;
    const ready = (purpose: CircuitPurpose) =>
      circuits.filter((one) =>
        one.purpose === purpose && one.state === "unused"
      )
        .length >= PURPOSE_RULES[purpose].warmLeast;
    return circuits.every(({ state }) => state !== "building") &&
      PURPOSES.every(ready);
  }

  /** A circuit for anything. */
  async take(): Promise<OwnCircuit> {
    const circuit = await this.#pool.take({
      purpose: "rendezvous",
      signal: NEVER,
    });
    assert.ok(circuit instanceof OwnCircuit);
    return circuit;
  }

  get #status(): PoolStatus {
    return this.#pool.status;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}
