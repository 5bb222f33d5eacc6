// deno-lint-ignore-file no-console
/**
 * What workers give a relay: the bytes that one relay command carries, and the processor
 * time that it takes for them, with one worker and with two, while the same two pairs of
 * ends send over it all the time.
 *
 *     client ── circuit ──▶ worker ◀── circuit ── end        × 2, both ways in turn
 *
 *     deno task bench:workers --rounds 5
 *
 * The ends take processor time as well, and more of it than the relay: the share that
 * the relay's threads waited for a core says whether there was one left for it.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { parseNodeAddress } from "../lib/auth/node_address.ts";
import type { NodeRecord } from "../lib/auth/node_record.ts";
import { peerOf } from "../lib/node/link/link_dial.ts";
import { startRelay } from "../tests/support/process.ts";
import {
  openClient,
  type ProcessClient,
} from "../tests/support/relay_processes.ts";
import { TemporaryDirectory } from "../tests/support/temporary_directory.ts";
import { circuitRate } from "./circuit_flows.ts";
import { EndProcess } from "./circuit_processes.ts";
import { processorFacts, total } from "./process_facts.ts";

const { values: flags } = parseArgs({
  options: { rounds: { type: "string", default: "5" } },
});
const PAIRS = 2;
const BYTES_PER_MIB = 1024 * 1024;

/** What one relay command did. */
interface Figures {
  readonly mibPerSecond: number;
  /** Time that its threads ran, and that they waited for a core, each second. */
  readonly cores: number;
  readonly waited: number;
}

/** The record that a worker shows who dials it. */
async function recordAt(
  client: ProcessClient,
  address: string,
): Promise<NodeRecord> {
  const link = await client.links.getOrDial(peerOf(parseNodeAddress(address)));
  if (link.record === undefined) throw new Error("The relay shows no record");
  return link.record;
}

async function measure(workers: number): Promise<Figures> {
  await using home = await TemporaryDirectory.create();
  await using relay = await startRelay(home.pathOf("relay"), [
    `--workers=${workers}`,
  ]);
  const ready = relay.ready as {
    readonly workers?: readonly { readonly address: string }[];
  };
  const places = ready.workers ?? [{ address: relay.address }];
  await using client = await openClient();
  const points = await Promise.all(
    places.map(async ({ address }) => ({
      record: await recordAt(client, address),
    })),
  );
  await using stack = new AsyncDisposableStack();
  const ends: EndProcess[] = [];
  for (let i = 0; i < PAIRS; i++) {
    ends.push(stack.use(await EndProcess.start()));
  }
  const run = (way: "sink" | "source") =>
    Promise.all(ends.map((end, index) => {
      const point = points[index % points.length];
      return circuitRate(client, point ? [point] : [], end, way);
    }));
  await run("sink"); // compiles
  const beganMs = performance.now();
  const [before] = await processorFacts([relay.process.pid]);
  const rates: number[] = [];
  for (const way of ["sink", "source"] as const) {
    rates.push(total(await run(way)));
  }
  const [after] = await processorFacts([relay.process.pid]);
  const seconds = (performance.now() - beganMs) / 1000;
  return {
    mibPerSecond: total(rates) / rates.length * 1e6 / BYTES_PER_MIB,
    cores: ((after?.ranS ?? 0) - (before?.ranS ?? 0)) / seconds,
    waited: ((after?.waitedS ?? 0) - (before?.waitedS ?? 0)) / seconds,
  };
}

/** The one in the middle. */
function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

const found: { readonly one: Figures; readonly two: Figures }[] = [];
for (let round = 0; round < Number(flags.rounds); round++) {
  // Each is first in its turn.
  const isOneFirst = round % 2 === 0;
  const first = await measure(isOneFirst ? 1 : 2);
  const second = await measure(isOneFirst ? 2 : 1);
  found.push(
    isOneFirst ? { one: first, two: second } : { one: second, two: first },
  );
}
for (const name of ["one", "two"] as const) {
  const of = (field: keyof Figures) =>
    found.map((round) => round[name][field]).toSorted((a, b) => a - b);
  const shown = (field: keyof Figures) => {
    const values = of(field);
    return `${median(values).toFixed(2)} (${values.at(0)?.toFixed(2)} to ${
      values.at(-1)?.toFixed(2)
    })`;
  };
  console.log(
    `${name} of ${navigator.hardwareConcurrency} cores' workers: ` +
      `${shown("mibPerSecond")} MiB/s, ${shown("cores")} cores, ` +
      `${shown("waited")} waited for`,
  );
}
const ratios = (field: keyof Figures) =>
  median(found.map(({ one, two }) => two[field] / one[field])).toFixed(2);
console.log(
  `two beside one: ${ratios("mibPerSecond")} of the bytes, ` +
    `${ratios("cores")} of the processor time`,
);
