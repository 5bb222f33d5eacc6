/**
 * Circuits over relays that are processes of their own.
 *
 *     ECHO_MIB=100 deno task test tests/e2e/echo_test.ts      or: deno task long:echo
 */
import type { CellPort } from "../../lib/node/circuit/leg_carrier.ts";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { BODY_BYTES } from "../../lib/circuit/cell.ts";
import type { OwnCircuit } from "../../lib/node/circuit/own_circuit.ts";
import { systemRandom } from "../../lib/machine/system_random.ts";
import {
  buildOver,
  openClient,
  RelayProcess,
} from "../support/relay_processes.ts";

const MIB = 1024 * 1024;
const ECHO_BYTES = Number(Deno.env.get("ECHO_MIB") ?? 4) * MIB;
const RELAYS = 10;
const CIRCUITS = 4;
/** Cells of one circuit under way: half of what a relay lets wait. */
const WINDOW_CELLS = 1024;
/** A neighbour that says nothing for 10 s is gone; machines that test are slow. */
const FOUND_OUT_MS = 90_000;

/** Sends random bytes and compares what comes back, within a window. */
class Echo implements CellPort {
  readonly #circuit: OwnCircuit;
  readonly #sent = createHash("sha256");
  readonly #received = createHash("sha256");
  readonly #done = Promise.withResolvers<void>();
  #toSend: number;
  #toReceive: number;

  constructor(circuit: OwnCircuit, bytes: number) {
    this.#circuit = circuit;
    this.#toSend = this.#toReceive = Math.ceil(bytes / BODY_BYTES);
    circuit.closed.then(({ code }) =>
      this.#done.reject(new Error(`the circuit has ended: ${code}`))
    );
    circuit.attach(this);
  }

  /** Resolves with both hashes when all is back. */
  async hashes(): Promise<readonly [sent: string, received: string]> {
    await this.#done.promise;
    return [this.#sent.digest("hex"), this.#received.digest("hex")];
  }

  fill(body: Uint8Array): boolean {
    const underWay = this.#toReceive - this.#toSend;
    if (this.#toSend === 0 || underWay >= WINDOW_CELLS) return false;
    this.#toSend--;
    body.set(systemRandom.bytes(body.length));
    this.#sent.update(body);
    return true;
  }

  onCell(body: Uint8Array): void {
    this.#received.update(body);
    if (--this.#toReceive === 0) this.#done.resolve();
    this.#circuit.wake();
  }
}

async function startRelays(
  stack: AsyncDisposableStack,
  count: number,
): Promise<RelayProcess[]> {
  const relays = await Promise.all(
    Array.from({ length: count }, () => RelayProcess.start("echo")),
  );
  for (const relay of relays) stack.use(relay);
  return relays;
}

/** Wait until no circuit is left at these relays. */
async function allGone(relays: readonly RelayProcess[]): Promise<void> {
  for (const relay of relays) {
    for (;;) {
      const { stats, errors } = await relay.report();
      assert.deepEqual(errors, []);
      if (Object.values(stats.states).some((count) => count > 0)) continue;
      assert.equal(stats.waitingBytes, 0);
      break;
    }
  }
}

Deno.test(`${CIRCUITS} circuits of 3 hops over ${RELAYS} relay processes echo every byte, both ways at once`, async () => {
  await using stack = new AsyncDisposableStack();
  const relays = await startRelays(stack, RELAYS);
  const client = stack.use(await openClient());
  const circuits: OwnCircuit[] = [];
  const used = new Set<RelayProcess>();
  for (let i = 0; i < CIRCUITS; i++) {
    const path = [0, 1, 2].map((hop) => relays[(3 * i + hop) % RELAYS])
      .filter((relay) => relay !== undefined);
    for (const relay of path) used.add(relay);
    circuits.push(await buildOver(client, path));
  }
  assert.equal(used.size, RELAYS);
  const hashes = await Promise.all(
    circuits.map((circuit) =>
      new Echo(circuit, ECHO_BYTES / CIRCUITS).hashes()
    ),
  );
  for (const [sent, received] of hashes) assert.equal(received, sent);
  assert.equal(new Set(hashes.map(([sent]) => sent)).size, CIRCUITS);
  for (const circuit of circuits) circuit.close();
  await allGone(relays);
  assert.deepEqual(client.errors, []);
});

Deno.test("killing any relay of a circuit ends it at both ends, and frees all of it", async () => {
  await using stack = new AsyncDisposableStack();
  const relays = await startRelays(stack, 9);
  const client = stack.use(await openClient());
  const circuits: OwnCircuit[] = [];
  for (let i = 0; i < 9; i += 3) {
    const circuit = await buildOver(client, relays.slice(i, i + 3));
    // Under load: cells wait everywhere.
    new Echo(circuit, 1e9).hashes().catch(() => {});
    circuits.push(circuit);
  }
  const startMs = performance.now();
  const killed = [relays[0], relays[4], relays[8]];
  for (const relay of killed) relay?.process.kill();
  const ends = await Promise.all(circuits.map(({ closed }) => closed));
  assert.deepEqual(ends, Array(3).fill({ code: "destroyed" }));
  const others = relays.filter((relay) => !killed.includes(relay));
  await allGone(others);
  const tookMs = performance.now() - startMs;
  assert.ok(tookMs < FOUND_OUT_MS, `took ${tookMs} ms`);
  assert.deepEqual(client.errors, []);
});
