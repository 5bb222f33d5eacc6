import assert from "node:assert/strict";
import { concat } from "../../lib/base/bytes.ts";
import { sleep } from "../../lib/base/clock.ts";
import { CELL_BYTES, TRAIN_CELLS } from "../../lib/circuit/cell.ts";
import {
  BareClient,
  type BarePipe,
  joinCircuits,
  sealedBody,
} from "./bare_client.ts";
import { type CircuitWire, CircuitWires } from "./circuit_wires.ts";
import { inWholeWorld, type WholeWorld } from "./whole_world.ts";

/** Relays of each circuit; the last of both is the same. */
const HOPS = 3;
/** Cells that go through before one is tampered with, and that are sent after it. */
const BEFORE = 3;
const AFTER = 3;
/** One cell at a time, ms. */
const CELL_EVERY_MS = 200;

type Direction = "forward" | "backward";

/** What becomes of the cells on a wire, the last good one and those that follow. */
type Tampering = (good: Uint8Array, bad: Uint8Array) => {
  /** Written in place of the next cell. */
  readonly now: Uint8Array;
  /** Written in front of the one after it. */
  readonly later?: Uint8Array;
  /** Written behind that. */
  readonly last?: Uint8Array;
};

const TAMPERINGS: Readonly<Record<string, Tampering>> = {
  "a bit flipped near the front": (_, bad) => ({ now: flipped(bad, 150) }),
  "a bit flipped in the middle": (_, bad) => ({ now: flipped(bad, 2000) }),
  "a bit of the tag flipped": (_, bad) => ({
    now: flipped(bad, CELL_BYTES - 1),
  }),
  "a cell that says it is a train": (_, bad) => ({ now: trained(bad) }),
  "a cell lost": () => ({ now: new Uint8Array() }),
  "a cell doubled": (_, bad) => ({ now: concat(bad, bad) }),
  "an old cell in its place": (good) => ({ now: good }),
  "an old cell before it": (good, bad) => ({ now: concat(good, bad) }),
  "zeros in its place": () => ({ now: new Uint8Array(CELL_BYTES) }),
  "two cells swapped": (_, bad) => ({ now: new Uint8Array(), last: bad }),
  "half a cell lost": (_, bad) => ({ now: bad.subarray(CELL_BYTES / 2) }),
};

function flipped(cell: Uint8Array, at: number): Uint8Array {
  const copy = cell.slice();
  copy[at] = (copy[at] ?? 0) ^ 0x40;
  return copy;
}

function trained(cell: Uint8Array): Uint8Array {
  const copy = cell.slice();
  copy[0] = TRAIN_CELLS;
  return copy;
}

/** What could be seen of a circuit that was tampered with. */
interface Outcome {
  /** Cells that arrived at the other end: how many, and whether as they were sent. */
  readonly arrived: number;
  readonly areRight: boolean;
  /** How the sender's circuit ended, as its client knows. */
  readonly end: unknown;
  /** Bytes that went back on the wire, to the relay that tampered. */
  readonly backBytes: number;
}

/** Tamper with cell 4 of those that `from` sends, on one wire of the way. */
async function tamper(
  world: WholeWorld,
  wires: CircuitWires,
  { one, other }: BarePipe,
  wire: CircuitWire,
  direction: Direction,
  tampering: Tampering,
): Promise<Outcome> {
  const bodies = Array.from(
    { length: BEFORE + 1 + AFTER },
    (_, n) => sealedBody(world, n),
  );
  const back = direction === "forward" ? "backward" : "forward";
  const backBefore = wire.bytes(back).length;
  let good: Uint8Array = new Uint8Array();
  let count = 0;
  let plan: ReturnType<Tampering> | undefined;
  wires.tamper = (at, way, bytes) => {
    if (at !== wire || way !== direction) return undefined;
    const number = count++;
    if (number < BEFORE) good = bytes.slice();
    else if (number === BEFORE) {
      plan = tampering(good, bytes.slice());
      return { bytes: plan.now };
    } else if (number === BEFORE + 1 && plan?.last !== undefined) {
      return { bytes: concat(bytes, plan.last) };
    }
    return undefined;
  };
  for (const body of bodies) {
    one.send(body);
    await sleep(world.clock, CELL_EVERY_MS);
  }
  wires.tamper = undefined;
  await sleep(world.clock, 2_000);
  assert.ok(plan !== undefined, "no cell came by");
  const open = [one, other].filter(({ circuit }) => circuit.isOpen);
  assert.equal(open.length, 0, "a circuit is still open");
  await other.circuit.closed;
  return {
    arrived: other.received.length,
    areRight: other.received.every((body, n) =>
      body.every((byte, at) => byte === bodies[n]?.[at])
    ),
    end: await one.circuit.closed,
    backBytes: wire.bytes(back).length - backBefore,
  };
}

/** Each wire of a pipe with the direction that cells from `one` have on it. */
const PLACES = Array.from({ length: 2 * HOPS }, (_, index) => ({
  index,
  direction: index < HOPS ? "forward" as const : "backward" as const,
  name: index < HOPS
    ? `wire ${index + 1} of the sender's circuit`
    : `wire ${index - HOPS + 1} of the receiver's circuit`,
}));

for (const { index, direction, name } of PLACES) {
  Deno.test(`a cell that was tampered with on ${name} ends both circuits, and nothing of it arrives`, () =>
    inWholeWorld({ relays: 2 * HOPS - 1 }, async (world) => {
      const wires = new CircuitWires(world.network);
      await using one = await BareClient.open(world, "one");
      await using other = await BareClient.open(world, "other");
      const paths = [
        world.relays.slice(0, HOPS),
        [...world.relays.slice(HOPS), ...world.relays.slice(HOPS - 1, HOPS)],
      ] as const;
      const outcomes: Outcome[] = [];
      for (const [what, tampering] of Object.entries(TAMPERINGS)) {
        const first = wires.all.length;
        const pipe = await joinCircuits(
          world,
          await one.build(paths[0]),
          await other.build(paths[1]),
        );
        const wire = wires.all[first + index];
        assert.ok(wire !== undefined);
        const outcome = await tamper(
          world,
          wires,
          pipe,
          wire,
          direction,
          tampering,
        );
        assert.ok(outcome.areRight, `${what}: what arrived was never sent`);
        // The first of two equal cells is the client's own next one.
        const most = what === "a cell doubled" ? BEFORE + 1 : BEFORE;
        assert.ok(
          outcome.arrived >= BEFORE && outcome.arrived <= most,
          `${what}: ${outcome.arrived} cells arrived`,
        );
        outcomes.push(outcome);
      }
      // The relay that tampers learns the same from all of it: the circuit is over.
      for (const { backBytes, end } of outcomes) {
        assert.equal(backBytes, 0);
        assert.deepEqual(end, { code: "destroyed" });
      }
    }));
}
