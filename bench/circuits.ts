/**
 * Circuits over relays that are processes of their own, beside chains of as many
 * bare QUIC pipes, in one run.
 *
 *     deno task bench:circuits [relay] [throughput] [chain] [builds] [memory] [stalled]
 *
 * Figures are kept in docs/performance.md.
 *
 * @module
 */
import { CELL_BYTES } from "../lib/circuit/cell.ts";
import type { OwnCircuit } from "../lib/node/circuit/own_circuit.ts";
import type { RelayReport } from "../tests/support/relay_process.ts";
import {
  buildOver,
  openClient,
  RelayProcess,
} from "../tests/support/relay_processes.ts";
import { bareRate, bareRoundTrip, circuitRate } from "./circuit_flows.ts";
import { PipeProcess } from "./circuit_processes.ts";
import { openRaw, relayRates } from "./raw_circuit.ts";

const MIB = 1024 * 1024;
/** Circuits at which memory is looked at. */
const IDLE_CIRCUITS = [1000, 2000, 4000, 6000] as const;
const STALLED_CIRCUITS = 1000;
const CIRCUITS_PER_CLIENT = 50;

async function relayAlone(): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const client = stack.use(await openClient());
  const relay = stack.use(await RelayProcess.start("refuse"));
  const end = stack.use(await RelayProcess.start("raw"));
  const last = stack.use(await PipeProcess.start("end"));
  const pipe = stack.use(await PipeProcess.start(last.port));
  const turns = [];
  for (let turn = 0; turn < 6; turn++) {
    const ours = await relayRates(client, relay, end);
    const forward = await bareRate(pipe, "sink");
    const backward = await bareRate(pipe, "source");
    turns.push({ ours, bare: { forward, backward } });
  }
  for (const way of ["forward", "backward"] as const) {
    const ours = turns.map((turn) => turn.ours[way]);
    const bare = turns.map((turn) => turn.bare[way]);
    const ratios = turns.map((turn) => turn.ours[way] / turn.bare[way]);
    print(
      `1 relay alone, ${way}: ${list(ours)} MB/s, bare ${
        list(bare)
      } MB/s, ratio ${median(ratios).toFixed(2)}, ${
        Math.round(median(ours) * 1e6 / CELL_BYTES)
      } cells/s`,
    );
  }
}

/** Chains of so many relays and a last hop. */
async function throughput(counts: readonly number[]): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const client = stack.use(await openClient());
  const relays = await startRelays(stack, 3, "refuse");
  const ends = {
    sink: stack.use(await RelayProcess.start("sink")),
    source: stack.use(await RelayProcess.start("source")),
  };
  const pipes = [stack.use(await PipeProcess.start("end"))];
  for (let i = 0; i < 3; i++) {
    const next = pipes.at(-1)?.port ?? 0;
    pipes.push(stack.use(await PipeProcess.start(next)));
  }
  for (const count of counts) {
    for (const way of ["sink", "source"] as const) {
      const ratios: number[] = [];
      const ours: number[] = [];
      const bare: number[] = [];
      for (let turn = 0; turn < 4; turn++) {
        const path = [...relays.slice(0, count), ends[way]];
        const pipe = pipes[count];
        if (pipe === undefined) throw new Error("no pipe");
        const a = await circuitRate(client, path, way);
        const b = await bareRate(pipe, way);
        ours.push(a);
        bare.push(b);
        ratios.push(a / b);
      }
      print(
        `${count} relays, ${way}: ${list(ours)} MB/s, bare ${
          list(bare)
        } MB/s, ratio ${median(ratios).toFixed(2)}, ${
          Math.round(median(ours) * 1e6 / CELL_BYTES)
        } cells/s`,
      );
    }
  }
}

async function builds(): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const client = stack.use(await openClient());
  const relays = await startRelays(stack, 3, "refuse");
  const pipes = [stack.use(await PipeProcess.start("end"))];
  for (let i = 0; i < 2; i++) {
    pipes.push(stack.use(await PipeProcess.start(pipes[i]?.port ?? 0)));
  }
  // What a client without any work to do would need for three hops.
  let bareMs = 0;
  for (const pipe of pipes) {
    const roundTrip = await bareRoundTrip(pipe);
    bareMs += await medianOf(roundTrip);
  }
  const open = await buildOver(client, relays);
  const pingMs = await medianOf(() => open.ping());
  open.close();
  const buildMs = await medianOf(async () => {
    const startMs = performance.now();
    const circuit = await buildOver(client, relays);
    const ms = performance.now() - startMs;
    circuit.close();
    return ms;
  });
  print(
    `3 hops built in ${buildMs.toFixed(2)} ms, 3 bare round trips in ${
      bareMs.toFixed(2)
    } ms; ping over 3 hops ${pingMs.toFixed(2)} ms`,
  );
  for (const hops of [1, 3]) {
    const count = 300;
    const startMs = performance.now();
    let next = 0;
    const work = async () => {
      while (next++ < count) {
        (await buildOver(client, relays.slice(0, hops))).close();
      }
    };
    await Promise.all(Array.from({ length: 16 }, work));
    const perSecond = count * 1000 / (performance.now() - startMs);
    print(`${hops} hops: ${perSecond.toFixed(0)} builds/s, 16 at once`);
  }
}

/** Resident memory of a relay per circuit that only waits. */
async function memory(): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const client = stack.use(await openClient());
  const many = 1_000_000;
  const options = {
    transport: { maxStreams: 2 * Math.max(...IDLE_CIRCUITS) },
    links: {
      openStreams: many,
      circuits: { perSecond: many, burst: many },
    },
    circuits: { circuits: many, circuitsPerPeer: many },
  };
  const middle = stack.use(await RelayProcess.start("refuse", options));
  const last = stack.use(await RelayProcess.start("refuse", options));
  const report = async () => ({
    count: circuits.length,
    middle: await middle.cleanReport(),
    last: await last.cleanReport(),
  });
  const circuits: OwnCircuit[] = [];
  let before = await report();
  // What the first ones take, the program has taken for good: the slopes count.
  for (const count of IDLE_CIRCUITS) {
    while (circuits.length < count) {
      const batch = Array.from(
        { length: 50 },
        () => buildOver(client, [middle, last]),
      );
      circuits.push(...await Promise.all(batch));
    }
    const now = await report();
    for (const place of ["middle", "last"] as const) {
      printGrowth(place, [before.count, before[place]], [
        now.count,
        now[place],
      ]);
    }
    before = now;
  }
  for (const circuit of circuits) circuit.close();
}

/** What each circuit took between two reports. */
function printGrowth(
  place: string,
  [fewer, before]: readonly [number, RelayReport],
  [more, now]: readonly [number, RelayReport],
): void {
  const growth = (key: "residentBytes" | "heapBytes" | "externalBytes") =>
    ((now[key] - before[key]) / (more - fewer) / 1024).toFixed(1);
  print(
    `idle circuits ${fewer} to ${more}, ${place} relay: ${
      growth("residentBytes")
    } KiB each, of which heap ${growth("heapBytes")}, buffers ${
      growth("externalBytes")
    }`,
  );
}

/** A relay whose neighbours ask for much on many circuits, and read nothing. */
async function stalled(): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const transport = { maxStreams: STALLED_CIRCUITS };
  const many = STALLED_CIRCUITS;
  const links = {
    openStreams: many,
    circuits: { perSecond: many, burst: many },
  };
  const relay = stack.use(
    await RelayProcess.start("source", { transport, links }),
  );
  const before = await relay.report();
  for (let i = 0; i < STALLED_CIRCUITS / CIRCUITS_PER_CLIENT; i++) {
    const client = stack.use(await openClient());
    for (let j = 0; j < CIRCUITS_PER_CLIENT; j++) {
      const { stream, machine } = await openRaw(client, [relay]);
      // As many cells as a relay may hold back, and the transport does.
      for (let k = 0; k < 30; k++) {
        await stream.write(machine.sendData(new Uint8Array(1)));
      }
    }
  }
  const client = stack.use(await openClient());
  const honest = await buildOver(client, [relay]);
  const roundTripMs = await honest.ping();
  const { stats, residentBytes } = await relay.report();
  print(
    `${STALLED_CIRCUITS} stalled circuits: ${
      (stats.waitingBytes / MIB).toFixed(0)
    } of ${(stats.quotaBytes / MIB).toFixed(0)} MiB wait, ${
      ((residentBytes - before.residentBytes) / MIB).toFixed(0)
    } MiB resident, ends ${JSON.stringify(stats.ends)}; ping of another ${
      roundTripMs.toFixed(1)
    } ms`,
  );
}

async function startRelays(
  stack: AsyncDisposableStack,
  count: number,
  mode: "refuse",
): Promise<RelayProcess[]> {
  const relays: RelayProcess[] = [];
  const links = { circuits: { perSecond: 1e6, burst: 1e6 } };
  while (relays.length < count) {
    relays.push(stack.use(await RelayProcess.start(mode, { links })));
  }
  return relays;
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

function list(values: readonly number[]): string {
  return values.map((value) => value.toFixed(0)).join(" ");
}

async function medianOf(measure: () => Promise<number>): Promise<number> {
  const values: number[] = [];
  while (values.length < 30) values.push(await measure());
  return median(values);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? NaN;
}

const wanted = new Set(Deno.args);
const want = (name: string) => wanted.size === 0 || wanted.has(name);
if (want("relay")) await relayAlone();
if (want("throughput")) await throughput([1, 2, 3]);
if (wanted.has("chain")) await throughput([3]);
if (want("builds")) await builds();
if (want("memory")) await memory();
if (want("stalled")) await stalled();
Deno.exit(0);
