// deno-lint-ignore-file no-console
/**
 * Many visitors at one service, over processes on this machine: how many requests
 * succeed, how long they take, and what the processes hold meanwhile.
 *
 *     deno task bench:visitors --visitors 500 --per-second 10 --think 30 --bytes 10240 --seconds 180 --out visitors.jsonl
 *     deno run --allow-read --allow-write --allow-run=gnuplot tools/plot_visitors.ts visitors.jsonl visitors.svg
 *
 * `--out` takes one JSON object in a line: `request` for each request, `sample`
 * every 5 s for the processes, `summary` at the end. With `--accept` the exit code
 * is 1 when less succeeded than `--least-percent`, the 99th percentile is above
 * `--most-ms`, the service held more than 250 MiB or lost a guard link, or the
 * connection with a byte each 30 s broke.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { askNode } from "../lib/cli/ask/ask_node.ts";
import { DenoFiles } from "../lib/storage/deno_files.ts";
import {
  type NodeProcess,
  ProcessNetwork,
} from "../tests/support/process_network.ts";
import { pause, startTarget } from "./network_load.ts";
import { cpuSeconds, residentMiB } from "./process_facts.ts";
import {
  type RequestFact,
  sendCrowd,
  SlowConnection,
} from "./visitor_crowd.ts";

const SAMPLE_MS = 5_000;
/** What the service may hold, MiB. */
const MOST_SERVICE_MIB = 250;
/** Between two bytes of the connection that shall live through all of it, s. */
const SLOW_SECONDS = 30;

const { values: flags } = parseArgs({
  options: {
    relays: { type: "string", default: "10" },
    proxies: { type: "string", default: "4" },
    visitors: { type: "string", default: "500" },
    "per-second": { type: "string", default: "10" },
    think: { type: "string", default: "30" },
    bytes: { type: "string", default: "10240" },
    seconds: { type: "string", default: "180" },
    patience: { type: "string", default: "30" },
    out: { type: "string" },
    logs: { type: "string" },
    "most-ms": { type: "string", default: "3000" },
    "least-percent": { type: "string", default: "99.9" },
    accept: { type: "boolean", default: false },
  },
});
const proxyCount = Number(flags.proxies);
const crowd = {
  visitors: Number(flags.visitors),
  arrivalsPerSecond: Number(flags["per-second"]),
  thinkSeconds: Number(flags.think),
  bytes: Number(flags.bytes),
  seconds: Number(flags.seconds),
  patienceSeconds: Number(flags.patience),
};

/** The processes, now and then. */
interface Sample {
  readonly type: "sample";
  readonly atSeconds: number;
  readonly serviceMiB: number;
  readonly proxiesMiB: number;
  /** The relay that holds most. */
  readonly relayMiB: number;
  readonly serviceCircuits: number;
  readonly serviceLinks: number;
  readonly sessions: number;
  readonly proxyCircuits: number;
  readonly relayedCircuits: number;
  /** Processor time that all of them took since the last sample, cores. */
  readonly cores: number;
  /** What became of circuits of their own since the beginning. */
  readonly service: PoolFacts;
  readonly proxies: PoolFacts;
}

/** What became of the circuits of some nodes, ever, and how they stand. */
interface PoolFacts {
  readonly built: number;
  readonly failed: number;
  readonly timedOut: number;
  readonly lost: number;
  readonly waiting: number;
  /** The longest that one of them gives a build, ms. */
  readonly buildTimeoutMs: number;
}

const files = new DenoFiles();
const lines: string[] = [];
const requests: RequestFact[] = [];
const samples: Sample[] = [];

function keep(line: RequestFact | Sample | object): void {
  lines.push(JSON.stringify(line));
}

// deno-lint-ignore no-explicit-any -- what a node says of itself is as it is
async function asked(node: NodeProcess, command: string): Promise<any> {
  try {
    return await askNode(files, node.state, command, {}, 4_000);
  } catch {
    return undefined; // A node that has no time to answer is a fact, too.
  }
}

async function sample(
  network: ProcessNetwork,
  service: NodeProcess,
  proxies: readonly NodeProcess[],
  startMs: number,
): Promise<Sample> {
  const nodes = [service, ...proxies, ...network.relays];
  const memory = await residentMiB(nodes.map(({ pid }) => pid));
  const of = (from: number, to: number) => memory.slice(from, to);
  const [own, state, hosted] = await Promise.all([
    asked(service, "circuits"),
    asked(service, "status"),
    asked(service, "services"),
  ]);
  const visits = await Promise.all(
    proxies.map((proxy) => asked(proxy, "circuits")),
  );
  const relayed = await Promise.all(
    network.relays.map((relay) => asked(relay, "circuits")),
  );
  return {
    type: "sample",
    atSeconds: Math.round((performance.now() - startMs) / 1000),
    serviceMiB: Math.round(memory[0] ?? 0),
    proxiesMiB: Math.round(Math.max(...of(1, 1 + proxies.length))),
    relayMiB: Math.round(Math.max(...of(1 + proxies.length, nodes.length))),
    serviceCircuits: own?.own?.circuits?.length ?? -1,
    serviceLinks: (state?.links?.links ?? -1) + (state?.links?.further ?? 0),
    sessions: hosted?.[0]?.sessions ?? -1,
    proxyCircuits: sum(visits.map((of) => of?.own?.circuits?.length ?? 0)),
    relayedCircuits: sum(relayed.map((of) => {
      const states: Record<string, number> = of?.relayed?.states ?? {};
      return sum(Object.values(states));
    })),
    cores: await usedCores(nodes),
    service: poolFacts([own]),
    proxies: poolFacts(visits),
  };
}

let processorSeconds = 0;
let processorAtMs = 0;

/** Cores that processes used on average since this was last asked. */
async function usedCores(nodes: readonly NodeProcess[]): Promise<number> {
  const before = { seconds: processorSeconds, atMs: processorAtMs };
  const used = await cpuSeconds(nodes.map(({ pid }) => pid));
  processorSeconds = sum(used);
  processorAtMs = performance.now();
  const cores = (processorSeconds - before.seconds) /
    (processorAtMs - before.atMs) * 1000;
  return before.atMs === 0 ? 0 : Math.round(cores * 100) / 100;
}

// deno-lint-ignore no-explicit-any -- as above
function poolFacts(answers: readonly any[]): PoolFacts {
  const of = (name: string) =>
    sum(answers.map((answer) => answer?.own?.counts?.[name] ?? 0));
  return {
    built: of("built"),
    failed: of("failed"),
    timedOut: of("timedOut"),
    lost: of("lost"),
    waiting: sum(answers.map((answer) => answer?.own?.waiting ?? 0)),
    buildTimeoutMs: Math.max(
      ...answers.map((answer) => answer?.own?.buildTimeoutMs ?? 0),
    ),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((before, number) => before + number, 0);
}

function quantile(sorted: readonly number[], part: number): number {
  const at = Math.min(sorted.length - 1, Math.floor(part * sorted.length));
  return Math.round(sorted[at] ?? NaN);
}

/** Figures of requests that began within a part of the run. */
function figures(of: readonly RequestFact[]) {
  const took = of.filter(({ error }) => error === undefined)
    .map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  return {
    requests: of.length,
    failed: of.length - took.length,
    succeededPercent: Math.round(took.length / of.length * 100_000) / 1000,
    medianMs: quantile(took, 0.5),
    p90Ms: quantile(took, 0.9),
    p99Ms: quantile(took, 0.99),
    worstMs: quantile(took, 1),
  };
}

/** How often a process wrote each message above `debug` and `info`. */
function warnings(log: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const line of log.split("\n")) {
    if (!line.startsWith("{")) continue;
    const { level, message } = JSON.parse(line);
    if (level === "info" || level === "debug") continue;
    const text = `${level}: ${message}`;
    counts[text] = (counts[text] ?? 0) + 1;
  }
  return counts;
}

async function run(): Promise<boolean> {
  await using stack = new AsyncDisposableStack();
  const network = stack.use(
    await ProcessNetwork.start({ relays: Number(flags.relays) }),
  );
  const target = startTarget();
  stack.defer(() => target.close());
  const service = await network.serve(
    [`80=127.0.0.1:${target.addr.port}`],
    ["--log-level=debug"],
  );
  const proxies = await Promise.all(
    Array.from(
      { length: proxyCount },
      (_, i) => network.proxy(`proxy-${i}`, ["--log-level=debug"]),
    ),
  );
  const place = {
    proxies: proxies.map(({ socks }) => socks),
    host: service.host,
  };
  const slow = new SlowConnection(place, SLOW_SECONDS);
  const startMs = performance.now();
  let isOver = false;
  const sampling = (async () => {
    while (!isOver) {
      const now = await sample(network, service, proxies, startMs);
      samples.push(now);
      keep(now);
      console.error(JSON.stringify({ ...now, ...figures(requests) }));
      await pause(SAMPLE_MS);
    }
  })();
  await sendCrowd(place, crowd, (fact) => {
    requests.push(fact);
    keep(fact);
  });
  isOver = true;
  await sampling;
  const slowEnd = await slow.end();
  const third = crowd.seconds / 3;
  const logs = new Map<string, string>();
  for (const node of [service, ...proxies, ...network.relays]) {
    logs.set(node.name, await node.endAndGetLog());
  }
  if (flags.logs !== undefined) {
    await Deno.mkdir(flags.logs, { recursive: true });
    for (const [name, log] of logs) {
      await Deno.writeTextFile(`${flags.logs}/${name}.log`, log);
    }
  }
  const serviceLog = logs.get(service.name) ?? "";
  const closedLinks = [
    ...serviceLog.matchAll(/"link\.(silent|lost|stalled)"/g),
  ];
  const summary = {
    type: "summary",
    ...crowd,
    all: figures(requests),
    first: figures(requests.filter(({ request }) => request === 0)),
    earliestThird: figures(
      requests.filter(({ atSeconds }) => atSeconds < third),
    ),
    latestThird: figures(
      requests.filter(({ atSeconds }) => atSeconds >= 2 * third),
    ),
    slowConnection: slowEnd ?? `lived, ${slow.bytes} bytes`,
    serviceMostMiB: Math.max(...samples.map(({ serviceMiB }) => serviceMiB)),
    guardLinksLost: closedLinks.length,
    warnings: Object.fromEntries(
      [...logs].map(([name, log]) => [name, warnings(log)]),
    ),
  };
  keep(summary);
  if (flags.out !== undefined) {
    await Deno.writeTextFile(flags.out, `${lines.join("\n")}\n`);
  }
  console.log(JSON.stringify(summary, undefined, 2));
  return summary.all.succeededPercent >= Number(flags["least-percent"]) &&
    summary.all.p99Ms <= Number(flags["most-ms"]) &&
    summary.serviceMostMiB <= MOST_SERVICE_MIB && closedLinks.length === 0 &&
    slowEnd === undefined;
}

const isAccepted = await run();
Deno.exit(flags.accept && !isAccepted ? 1 : 0);
