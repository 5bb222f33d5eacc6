import assert from "node:assert/strict";
import { concat } from "../../lib/base/bytes.ts";
import { sleep } from "../../lib/base/clock.ts";
import { seededRandom, shuffled } from "../../lib/base/random.ts";
import { CELL_BYTES, SIZE_BYTES, unitBytes } from "../../lib/circuit/cell.ts";
import {
  BareClient,
  type BarePipe,
  joinCircuits,
  sealedBody,
} from "./bare_client.ts";
import { type CircuitWire, CircuitWires } from "./circuit_wires.ts";
import {
  PlaceClassifier,
  type Sample,
  shareRun,
  unevenness,
} from "./cell_statistics.ts";
import { seeds, sized } from "./seeds.ts";
import { inWholeWorld, type WholeWorld } from "./whole_world.ts";

const DIRECTIONS = ["forward", "backward"] as const;

/** Two who join circuits of random lengths again and again, and what goes over the wires. */
async function inPipeWorld(
  seed: number,
  test: (
    world: WholeWorld,
    wires: CircuitWires,
    pipe: (hops: number, others: number) => Promise<BarePipe>,
  ) => Promise<void>,
): Promise<void> {
  const random = seededRandom(seed * 31);
  await inWholeWorld({ seed, relays: 12 }, async (world) => {
    const wires = new CircuitWires(world.network);
    await using one = await BareClient.open(world, "one");
    await using other = await BareClient.open(world, "other");
    await test(world, wires, async (hops, others) => {
      const relays = shuffled(random, world.relays);
      const path = relays.slice(0, hops);
      const point = path.slice(-1);
      const back = [...relays.slice(hops, hops + others - 1), ...point];
      const [a, b] = [await one.build(path), await other.build(back)];
      return await joinCircuits(world, a, b);
    });
  });
}

async function exchange(
  world: WholeWorld,
  { one, other }: BarePipe,
  cells: number,
  isTrain: (number: number) => boolean = () => false,
): Promise<void> {
  const sizeOf = (n: number) => isTrain(n) ? "train" : "cell";
  const bodies = Array.from(
    { length: cells },
    (_, n) => sealedBody(world, n, sizeOf(n)),
  );
  const answers = bodies.map((_, n) =>
    sealedBody(world, 1000 + n, sizeOf(n + 1))
  );
  one.send(...bodies);
  other.send(...answers);
  while (one.received.length < cells || other.received.length < cells) {
    await sleep(world.clock, 10);
  }
  assert.deepEqual(other.received, bodies);
  assert.deepEqual(one.received, answers);
}

function close({ one, other }: BarePipe): Promise<unknown> {
  one.circuit.close();
  other.circuit.close();
  return Promise.all([one.circuit.closed, other.circuit.closed]);
}

/**
 * Cells and trains of a direction behind the first, which holds a handshake in the
 * clear.
 */
function cellsOf(wire: CircuitWire, direction: "forward" | "backward") {
  const bytes = wire.bytes(direction);
  const cells: Uint8Array[] = [];
  for (let at = CELL_BYTES; at < bytes.length;) {
    const end = at + unitBytes(bytes, at);
    cells.push(bytes.subarray(at, end));
    at = end;
  }
  return cells;
}

/** Sizes of all but those that built the circuit, which grow fewer at each hop. */
function lastSizes(cells: readonly Uint8Array[], count: number): number[] {
  return cells.slice(-count).map((cell) => cell[0] ?? 0);
}

for (const seed of seeds(1)) {
  Deno.test(`all that circuits write is whole cells, which look like noise (seed ${seed})`, () =>
    inPipeWorld(seed, async (world, wires, pipe) => {
      for (let round = 0; round < 6; round++) {
        const joined = await pipe(1 + round % 5, 1 + (round * 3) % 5);
        const first = wires.all.length - (1 + round % 5) -
          (1 + (round * 3) % 5);
        await exchange(world, joined, 12, (n) => n % 3 === round % 3);
        await close(joined);
        // Whatever is a train at one hop is one at all of them.
        const [mine, theirs] = [round, round + 2].map((shift) =>
          Array.from({ length: 12 }, (_, n) => n % 3 === shift % 3 ? 4 : 1)
        );
        for (const [index, wire] of wires.all.slice(first).entries()) {
          const [there, back] = index < 1 + round % 5
            ? [mine, theirs]
            : [theirs, mine];
          assert.deepEqual(lastSizes(cellsOf(wire, "forward"), 12), there);
          assert.deepEqual(lastSizes(cellsOf(wire, "backward"), 12), back);
        }
      }
      const counts = new Float64Array(256);
      let cells = 0;
      for (const wire of wires.all) {
        for (const direction of DIRECTIONS) {
          const odd = wire.writes[direction]
            .filter((length) => length % CELL_BYTES !== 0);
          assert.deepEqual(odd, []);
          for (const cell of cellsOf(wire, direction)) {
            cells++;
            assert.ok(cell[0] === 1 || cell[0] === 4);
            for (const byte of cell.subarray(SIZE_BYTES)) {
              counts[byte] = (counts[byte] ?? 0) + 1;
            }
          }
        }
      }
      assert.ok(cells > 500, `${cells} cells`);
      const deviations = unevenness(counts);
      assert.ok(Math.abs(deviations) < 5, `${deviations} σ from even`);
    }));
}

/** Relays of each circuit whose places a classifier learns. */
const PLACES = 4;
const ROUNDS = sized(6, 40);

/** Cells of a direction in rounds of pipes between circuits of equal length. */
async function samplesOf(
  seed: number,
): Promise<Record<"forward" | "backward", Sample[][]>> {
  const samples = { forward: [] as Sample[][], backward: [] as Sample[][] };
  await inPipeWorld(seed, async (world, wires, pipe) => {
    for (let round = 0; round < ROUNDS; round++) {
      const first = wires.all.length;
      const joined = await pipe(PLACES, PLACES);
      await exchange(world, joined, 30);
      await close(joined);
      for (const direction of DIRECTIONS) {
        samples[direction].push(
          wires.all.slice(first).flatMap((wire, index) =>
            cellsOf(wire, direction).slice(1).map((cell, n, cells) => ({
              cell,
              before: cells[n - 1] ?? cell,
              place: index % PLACES,
            }))
          ),
        );
      }
    }
  });
  return samples;
}

for (const seed of seeds(1)) {
  Deno.test(`no observer tells the place of a wire in a circuit by its cells (seed ${seed})`, async () => {
    const samples = await samplesOf(seed);
    for (const direction of DIRECTIONS) {
      const rounds = samples[direction];
      const known = rounds.slice(0, ROUNDS / 2).flat();
      const others = rounds.slice(ROUNDS / 2).flat();
      assert.equal(new Set(known.map(({ place }) => place)).size, PLACES);
      const accuracy = new PlaceClassifier(known, PLACES).accuracy(others);
      const chance = 1 / PLACES;
      const deviation = Math.sqrt(chance * (1 - chance) / others.length);
      assert.ok(
        Math.abs(accuracy - chance) < 5 * deviation,
        `${direction}: right in ${accuracy} of ${others.length}`,
      );
      // A byte that counted hops would be noticed, and so would one that stays.
      for (const leak of [countsHops, repeatsItself]) {
        const leaking = new PlaceClassifier(known.map(leak), PLACES);
        const caught = leaking.accuracy(others.map(leak));
        assert.ok(caught > 1.5 * chance, `${direction}: ${caught} of a leak`);
      }
    }
  });
}

function countsHops({ cell, before, place }: Sample): Sample {
  const marked = cell.slice();
  marked[4000] = place;
  return { cell: marked, before, place };
}

/** At the second place, one byte is the same in each two cells. */
function repeatsItself({ cell, before, place }: Sample): Sample {
  const marked = cell.slice();
  if (place === 1) marked[17] = before[17] ?? 0;
  return { cell: marked, before, place };
}

for (const seed of seeds(1)) {
  Deno.test(`no two wires of a pipe carry the same bytes (seed ${seed})`, () =>
    inPipeWorld(seed, async (world, wires, pipe) => {
      for (let round = 0; round < sized(12, 500); round++) {
        const first = wires.all.length;
        const [hops, others] = [1 + round % 6, 2 + (round * 5) % 5];
        const joined = await pipe(hops, others);
        await exchange(world, joined, 3, (n) => n === round % 6);
        await close(joined);
        const here = wires.all.slice(first);
        assert.equal(here.length, hops + others);
        const bytes = here.flatMap((
          wire,
        ) => [
          withoutName(withoutSizes(wire.bytes("forward"))),
          withoutSizes(wire.bytes("backward")),
        ]);
        for (const [index, one] of bytes.entries()) {
          for (const other of bytes.slice(index + 1)) {
            assert.ok(!shareRun(one, other), `round ${round}`);
          }
        }
        wires.all.length = first;
      }
    }));
}

/** Without what is the same on all wires on purpose. */
function withoutSizes(bytes: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + unitBytes(bytes, at);
    parts.push(bytes.subarray(at + SIZE_BYTES, end));
    at = end;
  }
  return concat(...parts);
}

/** Without the id and the key of the relay at its end, which are public. */
function withoutName(bytes: Uint8Array): Uint8Array {
  return bytes.fill(0, 0, 64);
}

Deno.test("shareRun() finds a run wherever it stands, and does not take zeros for one", () => {
  const [one, other] = [seededRandom(1).bytes(300), seededRandom(2).bytes(300)];
  assert.ok(!shareRun(one, other));
  assert.ok(!shareRun(new Uint8Array(300), new Uint8Array(300)));
  for (const at of [0, 1, 7, 100, 285]) {
    const tainted = other.slice();
    tainted.set(one.subarray(33, 48), at);
    assert.ok(shareRun(one, tainted), `at ${at}`);
  }
});
