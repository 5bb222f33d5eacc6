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
import { AnsweringPort, joinCircuits } from "../support/joined_circuits.ts";
import { untilFound } from "../support/polling.ts";
import {
  buildOver,
  openClient,
  type ProcessClient,
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

/** Who builds the circuits. */
interface Ends {
  readonly client: ProcessClient;
  readonly service: ProcessClient;
}

/** Two circuits that are joined. */
interface Pair {
  readonly near: OwnCircuit;
  readonly far: OwnCircuit;
}

async function startEnds(stack: AsyncDisposableStack): Promise<Ends> {
  return {
    client: stack.use(await openClient()),
    service: stack.use(await openClient()),
  };
}

async function startRelays(
  stack: AsyncDisposableStack,
  count: number,
): Promise<RelayProcess[]> {
  const relays = await Promise.all(
    Array.from({ length: count }, () => RelayProcess.start()),
  );
  for (const relay of relays) stack.use(relay);
  return relays;
}

/** A circuit over `path`, joined at its end to one over `farPath` that echoes. */
async function openEcho(
  { client, service }: Ends,
  path: readonly RelayProcess[],
  farPath: readonly RelayProcess[],
): Promise<Pair> {
  const near = await buildOver(client, path);
  const far = await buildOver(service, farPath);
  await joinCircuits(near, far, systemRandom.bytes(20));
  AnsweringPort.attach(far, "echo");
  return { near, far };
}

/** Wait until no circuit is left at these relays. */
async function allGone(relays: readonly RelayProcess[]): Promise<void> {
  for (const relay of relays) {
    await untilFound(
      async () => {
        const { stats, errors } = await relay.report();
        assert.deepEqual(errors, []);
        const isFree = Object.values(stats.states).every((count) =>
          count === 0
        );
        if (!isFree) return undefined;
        assert.equal(stats.waitingBytes, 0);
        return true;
      },
      FOUND_OUT_MS,
      "a relay without circuits",
    );
  }
}

/** Step: bytes go there and back over all relays. */
async function echoAll(relays: readonly RelayProcess[]): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const ends = await startEnds(stack);
  const pairs: Pair[] = [];
  const used = new Set<RelayProcess>();
  for (let i = 0; i < CIRCUITS; i++) {
    const [a, b, point, c, d] = [0, 1, 2, 3, 4].map((hop) =>
      relays[(3 * i + hop) % RELAYS]
    );
    assert.ok(a && b && point && c && d);
    for (const relay of [a, b, point]) used.add(relay);
    pairs.push(await openEcho(ends, [a, b, point], [d, c, point]));
  }
  assert.equal(used.size, RELAYS);
  const hashes = await Promise.all(
    pairs.map(({ near }) => new Echo(near, ECHO_BYTES / CIRCUITS).hashes()),
  );
  for (const [sent, received] of hashes) assert.equal(received, sent);
  assert.equal(new Set(hashes.map(([sent]) => sent)).size, CIRCUITS);
  for (const { near } of pairs) near.close();
  await allGone(relays);
  for (const { far } of pairs) {
    assert.deepEqual(await far.closed, { code: "destroyed" });
  }
  assert.deepEqual([ends.client.errors, ends.service.errors], [[], []]);
}

/** Step: nine relays carry circuits, and three of them are killed. */
async function killOneOfEach(relays: readonly RelayProcess[]): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const ends = await startEnds(stack);
  const circuits: OwnCircuit[] = [];
  for (let i = 0; i < 9; i += 3) {
    const path = relays.slice(i, i + 3);
    const { near, far } = await openEcho(ends, path, path.slice(2));
    // Under load: cells wait everywhere.
    new Echo(near, 1e9).hashes().catch(() => {});
    circuits.push(near, far);
  }
  const startMs = performance.now();
  const killed = [relays[0], relays[4], relays[8]];
  for (const relay of killed) relay?.process.kill();
  const ended = await Promise.all(circuits.map(({ closed }) => closed));
  assert.deepEqual(ended, Array(6).fill({ code: "destroyed" }));
  const others = relays.filter((relay) => !killed.includes(relay));
  await allGone(others);
  const tookMs = performance.now() - startMs;
  assert.ok(tookMs < FOUND_OUT_MS, `took ${tookMs} ms`);
  assert.deepEqual([ends.client.errors, ends.service.errors], [[], []]);
}

Deno.test(`circuits over ${RELAYS} relay processes`, async (t) => {
  await using stack = new AsyncDisposableStack();
  const relays = await startRelays(stack, RELAYS);
  await t.step(
    `${CIRCUITS} circuits of 3 hops, each joined to another of 3 hops, echo every byte, both ways at once`,
    () => echoAll(relays),
  );
  await t.step(
    "killing any relay of a circuit ends it at both ends, and frees all of it",
    () => killOneOfEach(relays),
  );
});
