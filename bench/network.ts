// deno-lint-ignore-file no-console
/**
 * The whole network in separate processes: a client, a service, and six relays
 * between them, near and far apart.
 *
 *     deno task bench:network [near] [shares] [far] [memory] [stall]
 *
 * Figures and what they are held against are kept in docs/performance.md.
 *
 * @module
 */
import { FarLinks } from "../tests/support/far_links.ts";
import { dialBare } from "./bare_quic.ts";
import { PipeProcess } from "./circuit_processes.ts";
import {
  download,
  firstByte,
  pause,
  upload,
  type Visit,
} from "./network_load.ts";
import { NetworkWorld } from "./network_world.ts";
import { cpuSeconds, residentMiB, total } from "./process_facts.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** Relays to choose from: six are in use at a time. */
const RELAYS = 8;
/** Links from client to service. */
const LINKS = 7;
/** Delay of each link where they are far apart, ms one way. */
const DELAY_MS = 25;
/** The shortest answer over such a path, ms. */
const PATH_MS = 2 * LINKS * DELAY_MS;

const rows: string[][] = [];

/** Keep a figure. `aim` is what it is held against. */
function report(what: string, figure: string, aim = ""): void {
  rows.push([what, figure, aim]);
  console.log(`${what}: ${figure}${aim === "" ? "" : ` (aim: ${aim})`}`);
}

/** MiB/s and processor seconds per GiB of a load. */
async function loaded(
  world: NetworkWorld,
  bytes: number,
  load: () => Promise<unknown>,
): Promise<{ readonly rate: number; readonly cpu: number }> {
  const before = await world.cpuSeconds();
  const startMs = performance.now();
  await load();
  const seconds = (performance.now() - startMs) / 1000;
  const cpu = (await world.cpuSeconds() - before) * GIB / bytes;
  return { rate: bytes / MIB / seconds, cpu };
}

async function together(count: number, work: () => Promise<unknown>) {
  await Promise.all(Array.from({ length: count }, work));
}

async function near(): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const world = stack.use(await NetworkWorld.create({ relays: RELAYS }));
  const chain = stack.use(await BareChain.start());
  const { visit } = world;
  await download(visit, { bytes: 64 * MIB });

  const turns = [];
  for (let turn = 0; turn < 3; turn++) {
    const bytes = 128 * MIB;
    const one = await loaded(world, bytes, () => download(visit, { bytes }));
    const bare = await chain.rate(bytes / MIB);
    turns.push({ ...one, bare });
  }
  const rates = turns.map(({ rate }) => rate);
  const ratios = turns.map(({ rate, bare }) => rate / bare.rate);
  report("one stream, MiB/s", list(rates, 1), "25");
  report("… CPU s per GiB", list(turns.map(({ cpu }) => cpu), 1), "65");
  report(
    "bare chain, MiB/s",
    list(turns.map(({ bare }) => bare.rate), 1),
  );
  report("… CPU s per GiB", list(turns.map(({ bare }) => bare.cpu), 1));
  report("one stream beside the bare chain", list(ratios, 2), "0.4");

  const sent = await loaded(world, 96 * MIB, () => upload(visit, 96 * MIB));
  report("one stream, upload, MiB/s", sent.rate.toFixed(1));
  report("… CPU s per GiB", sent.cpu.toFixed(1));

  const eight = [];
  for (let turn = 0; turn < 2; turn++) {
    eight.push(
      await loaded(
        world,
        8 * 16 * MIB,
        () => together(8, () => download(visit, { bytes: 16 * MIB })),
      ),
    );
  }
  report("8 streams, MiB/s", list(eight.map(({ rate }) => rate), 1), "30");
  report("… CPU s per GiB", list(eight.map(({ cpu }) => cpu), 1), "65");
  const apart = await loaded(world, 8 * 8 * MIB, () => {
    let key = 0;
    return together(
      8,
      () =>
        download({ ...visit, isolation: `bulk ${key++}` }, { bytes: 8 * MIB }),
    );
  });
  report("8 streams over 8 sessions, MiB/s", apart.rate.toFixed(1));

  await reportFirstBytes(visit, 50, "ms", (ms) => ms.toFixed(1), {
    idle: "6",
    bulk: "",
    cold: "",
  });
}

/** How streams of one session share it. */
async function shares(): Promise<void> {
  await using world = await NetworkWorld.create({ relays: RELAYS });
  const { visit } = world;
  const received = Array.from({ length: 8 }, () => 0);
  let whenFirstEnds: number[] | undefined;
  await Promise.all(received.map(async (_, i) => {
    const onBytes = (count: number) => received[i] = (received[i] ?? 0) + count;
    await download(visit, { bytes: 16 * MIB, onBytes });
    whenFirstEnds ??= received.map((bytes) => bytes / MIB);
  }));
  report(
    "8 streams, MiB of each when the first has its 16",
    list((whenFirstEnds ?? []).toSorted((a, b) => a - b), 1),
  );
  const times: number[] = [];
  const bytes = 100 * MIB;
  const hundred = await loaded(world, bytes, () =>
    together(
      100,
      async () => times.push(await download(visit, { bytes: MIB })),
    ));
  report("100 downloads of 1 MiB at once: whole", String(times.length), "100");
  report("… MiB/s", hundred.rate.toFixed(1));
  report(
    "… ms of the first, the median one and the last",
    [0, 0.5, 1].map((q) => quantile(times, q).toFixed(0)).join(", "),
  );
}

async function far(): Promise<void> {
  await using world = await NetworkWorld.create({
    relays: RELAYS,
    delayMs: DELAY_MS,
  });
  const { visit } = world;
  await firstByte(visit);
  await reportFirstBytes(visit, 15, "path round trips", inTrips, {
    idle: "1.1",
    bulk: "1.5",
    cold: "4",
  });
  const turns = [];
  for (let turn = 0; turn < 3; turn++) {
    const bytes = 128 * MIB;
    turns.push(await loaded(world, bytes, () => download(visit, { bytes })));
  }
  report(
    `far: one stream of 128 MiB, MiB/s`,
    list(turns.map(({ rate }) => rate), 1),
    "12",
  );
  report("… CPU s per GiB", list(turns.map(({ cpu }) => cpu), 1));
  await using chain = await BareChain.start(DELAY_MS);
  const bare = [await chain.rate(64), await chain.rate(64)];
  report(
    "far: bare chain, 64 MiB, MiB/s",
    list(bare.map(({ rate }) => rate), 1),
  );
}

function inTrips(ms: number): string {
  return `${(ms / PATH_MS).toFixed(2)} (${ms.toFixed(0)} ms)`;
}

/** First byte of a new stream: alone, beside a bulk transfer, and of a new session. */
async function reportFirstBytes(
  visit: Visit,
  count: number,
  unit: string,
  format: (ms: number) => string,
  aims: Readonly<Record<"idle" | "bulk" | "cold", string>>,
): Promise<void> {
  const show = (what: string, times: readonly number[], aim: string) =>
    report(
      `first byte, ${what}, median and 9th decile, ${unit}`,
      `${format(quantile(times, 0.5))}, ${format(quantile(times, 0.9))}`,
      aim,
    );
  const idle: number[] = [];
  for (let i = 0; i < count; i++) idle.push(await firstByte(visit));
  show("idle", idle, aims.idle);

  const control = new AbortController();
  let received = 0;
  const bulk = download(visit, {
    bytes: GIB,
    signal: control.signal,
    onBytes: (bytes) => received += bytes,
  });
  bulk.catch(() => {});
  // The path is full by then.
  while (received < 24 * MIB) await pause(50);
  const beside: number[] = [];
  for (let i = 0; i < count; i++) beside.push(await firstByte(visit));
  control.abort();
  await bulk.catch(() => {});
  show("beside a bulk transfer", beside, aims.bulk);

  const cold: number[] = [];
  for (let i = 0; i < Math.min(count, 15); i++) {
    // Circuits are built ahead: time for that is part of being idle.
    await pause(1500);
    cold.push(await firstByte({ ...visit, isolation: `cold ${i}` }));
  }
  show("cold", cold, aims.cold);
}

/** As many bare pipes as there are links. */
class BareChain implements AsyncDisposable {
  readonly #pids: readonly number[];
  readonly #front: number;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    pids: readonly number[],
    front: number,
    stack: AsyncDisposableStack,
  ) {
    this.#pids = pids;
    this.#front = front;
    this.#stack = stack;
  }

  /** @param delayMs Of each link one way. Default: no forwarder at all. */
  static async start(delayMs?: number): Promise<BareChain> {
    await using starting = new AsyncDisposableStack();
    const pids: number[] = [];
    let next: number | "end" = "end";
    for (let i = 0; i < LINKS; i++) {
      const pipe: PipeProcess = starting.use(await PipeProcess.start(next));
      pids.push(pipe.process.pid);
      next = pipe.port;
      if (delayMs === undefined) continue;
      const far = starting.use(
        await FarLinks.start({ delayMs, ports: [next] }),
      );
      next = far.fronts[0] ?? next;
    }
    return new BareChain(pids, Number(next), starting.move());
  }

  /** Send over one stream. */
  async rate(
    mib: number,
  ): Promise<{ readonly rate: number; readonly cpu: number }> {
    const connection = await dialBare(this.#front);
    const stream = await connection.createBidirectionalStream();
    const writer = stream.writable.getWriter();
    const before = total(await cpuSeconds(this.#pids));
    const startMs = performance.now();
    await writer.write(Uint8Array.of(1, mib));
    const received = await drain(stream.readable);
    if (received !== mib * MIB) throw new Error(`${received} bytes`);
    const seconds = (performance.now() - startMs) / 1000;
    const after = total(await cpuSeconds(this.#pids));
    connection.close();
    return { rate: mib / seconds, cpu: (after - before) * 1024 / mib };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** Read to the end. @returns How many bytes. */
async function drain(
  readable: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<number> {
  const reader = readable.getReader({ mode: "byob" });
  let buffer = new Uint8Array(64 * 1024);
  for (let received = 0;;) {
    const { value, done } = await reader.read(buffer);
    if (value !== undefined) received += value.length;
    if (done) return received;
    buffer = new Uint8Array(value.buffer);
  }
}

async function memory(): Promise<void> {
  await using world = await NetworkWorld.create({ relays: RELAYS });
  const { visit, network, service, proxy } = world;
  const show = async (when: string) => {
    const [client = 0, host = 0, ...relays] = await residentMiB(
      [proxy, service, ...network.relays].map(({ pid }) => pid),
    );
    const figures = [
      `client ${client.toFixed(0)}`,
      `service ${host.toFixed(0)}`,
      `relays ${list(relays, 0)}`,
    ];
    report(`resident ${when}, MiB`, figures.join(", "), "150");
  };
  await firstByte(visit);
  await show("idle");
  for (const streams of [1, 8, 100]) {
    const bytes = Math.floor(512 * MIB / streams);
    await together(streams, () => download(visit, { bytes }));
    await show(`after 512 MiB over ${streams} streams`);
  }
  await pause(10_000);
  await show("10 s later");
}

/** Longest pause of a download when a relay of its path dies. */
async function stall(): Promise<void> {
  const count = Number(Deno.env.get("STALLS") ?? 50);
  await using world = await NetworkWorld.create({
    relays: 14,
    // 100 ms path round trip.
    delayMs: 100 / 2 / LINKS,
  });
  const { visit, network } = world;
  let lastMs = performance.now();
  let longestMs = 0;
  const control = new AbortController();
  const running = download(visit, {
    bytes: 100 * GIB,
    pace: "paced",
    signal: control.signal,
    onBytes() {
      const nowMs = performance.now();
      longestMs = Math.max(longestMs, nowMs - lastMs);
      lastMs = nowMs;
    },
  });
  let failure: unknown;
  running.catch((error) => failure = error);
  const stalls: number[] = [];
  for (let kill = 0; kill < count && failure === undefined; kill++) {
    // Time for a warm leg, and for the guards to be forgiven.
    await pause(6_000);
    const pids = network.relays.map(({ pid }) => pid);
    const before = await cpuSeconds(pids);
    await pause(2_000);
    const after = await cpuSeconds(pids);
    const busy = network.relays
      .map((relay, i) => ({
        relay,
        used: (after[i] ?? 0) - (before[i] ?? 0),
      }))
      .sort((a, b) => b.used - a.used);
    const victim = busy[kill % 6]?.relay;
    if (victim === undefined) throw new Error("no relay");
    longestMs = 0;
    lastMs = performance.now();
    await victim.end("kill");
    await pause(5_000);
    longestMs = Math.max(longestMs, performance.now() - lastMs);
    stalls.push(longestMs);
    console.log(`  ${kill + 1}: ${longestMs.toFixed(0)} ms (${victim.name})`);
    victim.begin();
    await victim.becomeReady();
  }
  if (failure !== undefined) throw failure;
  control.abort();
  await running.catch(() => {});
  report(
    `stall when a relay of the path dies, median, 9th decile and worst of ${stalls.length}, ms`,
    [0.5, 0.9, 1].map((q) => quantile(stalls, q).toFixed(0)).join(", "),
    "2000",
  );
}

function list(values: readonly number[], digits: number): string {
  return values.map((value) => value.toFixed(digits)).join(" ");
}

function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[
    Math.min(sorted.length - 1, Math.floor(part * sorted.length))
  ] ??
    NaN;
}

const parts = { near, shares, far, memory, stall };
const wanted = new Set(Deno.args);
for (const [name, measure] of Object.entries(parts)) {
  if (wanted.size > 0 && !wanted.has(name)) continue;
  rows.push([`**${name}**`, "", ""]);
  await measure();
}
console.log("\n| | | aim |\n| --- | --- | --- |");
for (const row of rows) console.log(`| ${row.join(" | ")} |`);
Deno.exit(0);
