import assert from "node:assert/strict";
import type { Bytes } from "../../../lib/base/bytes.ts";
import { VirtualClock } from "../../../lib/base/virtual_clock.ts";
import {
  LostSessions,
  MAX_TOLD,
} from "../../../lib/node/host/lost_sessions.ts";
import { decodeRendezvous1 } from "../../../lib/service/meeting/rendezvous.ts";
import { createDrain } from "../../../lib/sim/world/drain.ts";

/** A circuit that a client waits at the end of. */
class ToldCircuit {
  readonly #closed = Promise.withResolvers<void>();
  readonly told: Bytes[] = [];
  isOpen = true;

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  meet(body: Bytes): void {
    this.told.push(body);
  }

  close(): void {
    this.isOpen = false;
    this.#closed.resolve();
  }
}

const tellAll = (lost: LostSessions, count: number) =>
  Array.from({ length: count }, (_, index) => {
    const circuit = new ToldCircuit();
    const cookie = new Uint8Array(20).fill(index);
    lost.tell({ cookie, unknown: new Uint8Array(32).fill(index) }, circuit);
    return circuit;
  });
const openOf = (circuits: readonly ToldCircuit[]) =>
  circuits.filter(({ isOpen }) => isOpen).length;

Deno.test("LostSessions tells each client once, and closes what the client leaves open after seconds", async () => {
  const clock = new VirtualClock({ drain: createDrain() });
  using lost = new LostSessions(clock);
  const circuits = tellAll(lost, 2);
  const [left] = circuits;
  assert.equal(left?.told.length, 1);
  const { reply } = decodeRendezvous1(left.told[0] ?? new Uint8Array());
  assert.equal(reply.length, 32);
  left.close();
  await clock.advance(4_999);
  assert.equal(openOf(circuits), 1);
  await clock.advance(1);
  assert.equal(openOf(circuits), 0);
  assert.equal(clock.pending, 0);
});

Deno.test("LostSessions holds so many circuits at once: the oldest goes for another, and all of them in the end", async () => {
  const clock = new VirtualClock({ drain: createDrain() });
  const lost = new LostSessions(clock);
  const circuits = tellAll(lost, MAX_TOLD);
  assert.equal(openOf(circuits), MAX_TOLD);
  const more = tellAll(lost, 3);
  await clock.advance(0);
  assert.equal(openOf(circuits), MAX_TOLD - 3);
  assert.deepEqual(circuits.slice(0, 4).map(({ isOpen }) => isOpen), [
    false,
    false,
    false,
    true,
  ]);
  lost[Symbol.dispose]();
  assert.equal(openOf([...circuits, ...more]), 0);
});
