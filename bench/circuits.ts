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
import { systemRandom } from "../lib/machine/system_random.ts";
import { joinCircuits } from "../tests/support/joined_circuits.ts";
import type { RelayReport } from "../tests/support/relay_process.ts";
import {
  buildOver,
  EXPOSE_GC,
  openClient,
  RelayProcess,
} from "../tests/support/relay_processes.ts";
import { bareRate, bareRoundTrip, circuitRate, Flow } from "./circuit_flows.ts";
import { EndProcess, PipeProcess } from "./circuit_processes.ts";
import { relayRates } from "./raw_circuit.ts";

const MIB = 1024 * 1024;
/** Circuits at which memory is looked at. */
const IDLE_CIRCUITS = [1000, 2000, 4000, 6000] as const;
const STALLED_CIRCUITS = 1000;
const CIRCUITS_PER_CLIENT = 50;
/** Longer than all of it takes, and its end, ms. */
const STALLED_WATCH_MS = 120_000;
/** So many cells for each are 3 GiB: more than the transport of their clients holds. */
const STALLED_FLOW = { send: 768, receive: 1, window: 768, perAnswer: 0 };

async function relayAlone(): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const client = stack.use(await openClient());
  const relay = stack.use(await RelayProcess.start());
  const end = stack.use(await RelayProcess.start({ onCircuit: "carry" }));
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

/** Chains of so many relays and an end: the last relay joins two circuits. */
async function throughput(counts: readonly number[]): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const client = stack.use(await openClient());
  const relays = await startRelays(stack, 3);
  const end = stack.use(await EndProcess.start());
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
        const path = relays.slice(0, count);
        const pipe = pipes[count];
        if (pipe === undefined) throw new Error("no pipe");
        const a = await circuitRate(client, path, end, way);
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
  const relays = await startRelays(stack, 3);
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
  const start = () => RelayProcess.start(options, [EXPOSE_GC]);
  const middle = stack.use(await start());
  const last = stack.use(await start());
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

/** A relay whose neighbours are sent much on many circuits, and read nothing. */
async function stalled(): Promise<void> {
  await using stack = new AsyncDisposableStack();
  // One client sends on all of them, and links ask for streams as well.
  const many = 2 * STALLED_CIRCUITS;
  const transport = { maxStreams: many };
  const links = {
    openStreams: many,
    circuits: { perSecond: many, burst: many },
  };
  const relay = stack.use(
    await RelayProcess.start({ transport, links }),
  );
  const before = await relay.report();
  const sender = stack.use(await openClient({ transport }));
  const senders: OwnCircuit[] = [];
  for (let i = 0; i < STALLED_CIRCUITS / CIRCUITS_PER_CLIENT; i++) {
    const client = stack.use(await openClient());
    for (let j = 0; j < CIRCUITS_PER_CLIENT; j++) {
      // No port takes what comes, so that the client reads no further.
      const near = await buildOver(client, [relay]);
      const far = await buildOver(sender, [relay]);
      await joinCircuits(near, far, systemRandom.bytes(20));
      senders.push(far);
    }
  }
  const honest = await buildOver(stack.use(await openClient()), [relay]);
  for (const far of senders) {
    new Flow(far, STALLED_FLOW).done.promise.catch(() => {});
  }
  let waitingBytes = 0;
  let residentBytes = 0;
  let roundTripMs = 0;
  const startMs = performance.now();
  while (performance.now() - startMs < STALLED_WATCH_MS) {
    roundTripMs = Math.max(roundTripMs, await honest.ping());
    const now = await relay.report();
    waitingBytes = Math.max(waitingBytes, now.stats.waitingBytes);
    residentBytes = Math.max(residentBytes, now.residentBytes);
  }
  const { stats } = await relay.report();
  print(
    `${STALLED_CIRCUITS} stalled circuits: at most ${
      (waitingBytes / MIB).toFixed(0)
    } of ${(stats.quotaBytes / MIB).toFixed(0)} MiB wait, ${
      ((residentBytes - before.residentBytes) / MIB).toFixed(0)
    } MiB resident, ends ${
      JSON.stringify(stats.ends)
    }; pings of another within ${roundTripMs.toFixed(1)} ms`,
  );
}

async function startRelays(
  stack: AsyncDisposableStack,
  count: number,
): Promise<RelayProcess[]> {
  const relays: RelayProcess[] = [];
  const links = { circuits: { perSecond: 1e6, burst: 1e6 } };
  while (relays.length < count) {
    relays.push(stack.use(await RelayProcess.start({ links })));
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
