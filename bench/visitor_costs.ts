// deno-lint-ignore-file no-console
/**
 * What a crowd costs of the processors, part by part, over processes on this machine:
 *
 *     warm       some visitors, so that all that they pass is compiled
 *     idle       all processes, and no visitor comes
 *     coming     newcomers, one request each
 *     resting    all sessions there, no request
 *     asking     requests of visitors that are there, each a new stream
 *
 *     deno task bench:visitor-costs --visitors 150 --per-second 6 --asks-per-second 15
 *
 * What `coming` takes beyond `idle`, and `asking` beyond `resting`, divided by its
 * events, is the cost of one. Packets are those of all programs in the network
 * namespace: `unshare --net` counts these alone. `PROFILE_DIR` takes V8 profiles of
 * two relays, the service and a proxy, one for each part.
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
import { Inspected } from "./inspected.ts";
import { download, pause, startTarget } from "./network_load.ts";
import { cpuSeconds, residentMiB, total } from "./process_facts.ts";

const { values: flags } = parseArgs({
  options: {
    relays: { type: "string", default: "10" },
    proxies: { type: "string", default: "4" },
    visitors: { type: "string", default: "150" },
    "per-second": { type: "string", default: "6" },
    "asks-per-second": { type: "string", default: "15" },
    bytes: { type: "string", default: "10240" },
    // Of the parts whose length no event decides.
    seconds: { type: "string", default: "20" },
  },
});
const visitors = Number(flags.visitors);
const bytes = Number(flags.bytes);
const seconds = Number(flags.seconds);
const perSecond = Number(flags["per-second"]);
const asksPerSecond = Number(flags["asks-per-second"]);
const PROFILE_DIR = Deno.env.get("PROFILE_DIR");
/** Visitors before any counts, and how many of them come in a second. */
const WARM_UP = { visitors: 24, perSecond: 4 } as const;
/** After visitors came or asked, until all is quiet again, ms. */
const QUIET_MS = 8_000;
const PATIENCE_MS = 30_000;
const FIRST_INSPECTOR = 19_229;
/** Processes of each command that are profiled. */
const PROFILED: Readonly<Record<string, number>> = {
  relay: 2,
  serve: 1,
  proxy: 1,
};

const files = new DenoFiles();
let failed = 0;

/** What grows while visitors come and ask. */
interface Counts {
  /** Processor time, s. */
  readonly relays: number;
  readonly service: number;
  readonly proxies: number;
  /** UDP packets that came in. */
  readonly datagrams: number;
  /** Circuits that the service and the proxies built, and that failed. */
  readonly circuits: number;
  readonly failedCircuits: number;
}

/** What a part took. */
interface Part extends Counts {
  readonly name: string;
  readonly seconds: number;
  readonly events: number;
  readonly serviceMiB: number;
}

/** UDP packets that came in, in this network namespace. */
async function datagrams(): Promise<number> {
  const { stdout } = await new Deno.Command("cat", {
    args: ["/proc/net/snmp"],
  }).output();
  const lines = new TextDecoder().decode(stdout).split("\n")
    .filter((line) => line.startsWith("Udp:"));
  return Number(lines[1]?.split(" ")[1] ?? 0);
}

/** Circuits that nodes built ever, and those that failed. */
async function circuitCounts(
  nodes: readonly NodeProcess[],
): Promise<{ built: number; failed: number }> {
  const counts = { built: 0, failed: 0 };
  for (const node of nodes) {
    // deno-lint-ignore no-explicit-any -- what a node says of itself is as it is
    const { own }: any = await askNode(files, node.state, "circuits", {}, 4000);
    counts.built += own.counts.built;
    counts.failed += own.counts.failed + own.counts.timedOut;
  }
  return counts;
}

/** Send events at a rate; resolves when all are done. */
async function send(
  events: number,
  perSecond: number,
  event: (index: number) => Promise<void>,
): Promise<void> {
  const startMs = performance.now();
  const under: Promise<void>[] = [];
  for (let index = 0; index < events; index++) {
    await pause(startMs + index * 1000 / perSecond - performance.now());
    under.push(event(index).catch(() => void failed++));
  }
  await Promise.all(under);
}

/** A network, and what it has used so far. */
class CrowdNetwork {
  readonly #network: ProcessNetwork;
  readonly #service: NodeProcess;
  readonly #proxies: readonly NodeProcess[];
  readonly #inspected: readonly Inspected[];

  constructor(
    network: ProcessNetwork,
    service: NodeProcess,
    proxies: readonly NodeProcess[],
    inspected: readonly Inspected[],
  ) {
    this.#network = network;
    this.#service = service;
    this.#proxies = proxies;
    this.#inspected = inspected;
  }

  /** A request of a visitor, for which a session begins if there is none. */
  async ask(visitor: number): Promise<void> {
    const proxy = this.#proxies[visitor % this.#proxies.length];
    const visit = {
      socks: proxy?.socks ?? "",
      host: this.#service.host,
      isolation: `visitor ${visitor}`,
    };
    const signal = AbortSignal.timeout(PATIENCE_MS);
    await download(visit, { bytes, signal });
  }

  /** Do some work, and see what it takes. */
  async part(
    name: string,
    events: number,
    work: () => Promise<void>,
  ): Promise<Part> {
    for (const process of this.#inspected) await process.start();
    const before = await this.#count();
    const startMs = performance.now();
    await work();
    const took = (performance.now() - startMs) / 1000;
    const after = await this.#count();
    if (PROFILE_DIR !== undefined) {
      for (const [index, process] of this.#inspected.entries()) {
        await process.stop(PROFILE_DIR, `${name}-${index}`);
      }
    }
    const [memory = 0] = await residentMiB([this.#service.pid]);
    const part: Part = {
      name,
      seconds: took,
      events,
      serviceMiB: memory,
      relays: after.relays - before.relays,
      service: after.service - before.service,
      proxies: after.proxies - before.proxies,
      datagrams: after.datagrams - before.datagrams,
      circuits: after.circuits - before.circuits,
      failedCircuits: after.failedCircuits - before.failedCircuits,
    };
    console.error(JSON.stringify(part));
    return part;
  }

  async #count(): Promise<Counts> {
    const used = async (of: readonly NodeProcess[]) =>
      total(await cpuSeconds(of.map(({ pid }) => pid)));
    const counts = await circuitCounts([this.#service, ...this.#proxies]);
    return {
      relays: await used(this.#network.relays),
      service: await used([this.#service]),
      proxies: await used(this.#proxies),
      datagrams: await datagrams(),
      circuits: counts.built,
      failedCircuits: counts.failed,
    };
  }
}

/** What an event of a part costs beyond the part that it stands upon. */
function costOf(part: Part, ground: Part) {
  const each = (name: "relays" | "service" | "proxies" | "datagrams") =>
    (part[name] - ground[name] / ground.seconds * part.seconds) / part.events;
  const ms = (seconds: number) => Math.round(seconds * 10_000) / 10;
  return {
    ms: ms(each("relays") + each("service") + each("proxies")),
    relays: ms(each("relays")),
    service: ms(each("service")),
    proxies: ms(each("proxies")),
    datagrams: Math.round(each("datagrams")),
  };
}

/** Cores that all processes used on average. */
function cores({ relays, service, proxies, seconds }: Part): number {
  return Math.round((relays + service + proxies) / seconds * 1000) / 1000;
}

async function run(): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const inspectors: { command: string; port: number }[] = [];
  const processes = stack.use(
    await ProcessNetwork.start({
      relays: Number(flags.relays),
      program: (command) => {
        const there = inspectors.filter((one) => one.command === command);
        const isWanted = PROFILE_DIR !== undefined &&
          there.length < (PROFILED[command] ?? 0);
        if (!isWanted) return {};
        const port = FIRST_INSPECTOR + inspectors.length;
        inspectors.push({ command, port });
        return { permissions: ["-P", `--inspect=127.0.0.1:${port}`] };
      },
    }),
  );
  const target = startTarget();
  stack.defer(() => target.close());
  const service = await processes.serve([`80=127.0.0.1:${target.addr.port}`]);
  const proxies: NodeProcess[] = [];
  for (let index = 0; index < Number(flags.proxies); index++) {
    proxies.push(await processes.proxy(`proxy-${index}`));
  }
  const inspected = await Promise.all(
    inspectors.map(({ command, port }) => Inspected.connect(command, port)),
  );
  stack.defer(() => inspected.forEach((one) => one.close()));
  const network = new CrowdNetwork(processes, service, proxies, inspected);
  await pause(QUIET_MS);
  const warm = await network.part("warm", WARM_UP.visitors, () =>
    // No visitor of later parts.
    send(
      WARM_UP.visitors,
      WARM_UP.perSecond,
      (index) => network.ask(visitors + index),
    ));
  await pause(QUIET_MS);
  const rest = () => pause(seconds * 1000);
  const idle = await network.part("idle", 0, rest);
  const coming = await network.part(
    "coming",
    visitors,
    () => send(visitors, perSecond, (index) => network.ask(index)),
  );
  await pause(QUIET_MS);
  const resting = await network.part("resting", 0, rest);
  const asks = Math.round(asksPerSecond * seconds);
  const asking = await network.part(
    "asking",
    asks,
    () => send(asks, asksPerSecond, (index) => network.ask(index % visitors)),
  );
  const summary = {
    failed,
    idleCores: cores(idle),
    restingCores: cores(resting),
    newcomer: costOf(coming, idle),
    request: costOf(asking, resting),
    serviceMiB: Object.fromEntries(
      [warm, idle, coming, resting, asking]
        .map(({ name, serviceMiB }) => [name, Math.round(serviceMiB)]),
    ),
  };
  console.log(JSON.stringify(summary, undefined, 2));
}

await run();
Deno.exit(failed === 0 ? 0 : 1);
