// deno-lint-ignore-file no-console
/**
 * Many services in one process, over processes on this machine: how long until each
 * was visited from outside, what an idle one costs, and what the start asks of guards.
 *
 *     deno task long:services
 *     deno task long:services --services 50 --logs logs --kill-guard
 *
 *     relays ─ host: one service ────── its memory, before and after the others
 *            └ host: all services ◀──── one visitor, each service once
 *
 * The clock runs from the start of the host's process. With `--accept` the exit code is
 * 1 unless all were visited within `--most-seconds`, an idle service takes less than a
 * MiB, and no service was lost meanwhile.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { askNode } from "../lib/cli/ask/ask_node.ts";
import { DenoFiles } from "../lib/storage/deno_files.ts";
import { guardsOf } from "../tests/support/asked_node.ts";
import {
  type NodeProcess,
  ProcessNetwork,
} from "../tests/support/process_network.ts";
import { pause } from "./network_load.ts";
import { cpuSeconds, residentMiB } from "./process_facts.ts";

const { values: flags } = parseArgs({
  options: {
    relays: { type: "string", default: "10" },
    services: { type: "string", default: "200" },
    "at-once": { type: "string", default: "4" },
    "most-seconds": { type: "string", default: "300" },
    "give-up-seconds": { type: "string", default: "420" },
    "idle-seconds": { type: "string", default: "150" },
    "kill-guard": { type: "boolean", default: false },
    logs: { type: "string" },
    accept: { type: "boolean", default: false },
  },
});
const count = Number(flags.services);
const giveUpSeconds = Number(flags["give-up-seconds"]);

/** How often to look what is reachable, ms. */
const LOOK_MS = 500;
/** A visit that has not ended by then has failed, ms; it is tried again. */
const VISIT_MS = 30_000;
/** What an idle service may take, MiB. */
const MOST_IDLE_MIB = 1;
const BODY = "hello";
/** A client misses a dead guard by then, ms. */
const GUARD_SILENCE_MS = 10_000;
/** Longest wait for what the death of a guard took with it, ms. */
const HEAL_MS = 180_000;

const files = new DenoFiles();

/** What a service shows, as far as it is looked at here. */
interface Shown {
  readonly name: string;
  readonly host: string;
  readonly reachable: boolean;
  readonly points: number;
}

// deno-lint-ignore no-explicit-any -- what a node says of itself is as it is
async function asked(node: NodeProcess, command: string): Promise<any> {
  return await askNode(files, node.state, command, {}, 10_000)
    .catch(() => undefined);
}

async function memoryOf(node: NodeProcess): Promise<number> {
  const [mib = 0] = await residentMiB([node.pid]);
  return mib;
}

/** Visits each service once, as soon as it says that it can be reached. */
class Visitor {
  readonly #client: Deno.HttpClient;
  /** When each was visited, ms since the start. */
  readonly visited = new Map<string, number>();
  /** Visits that came to nothing. */
  failures = 0;
  readonly #under = new Map<string, Promise<void>>();

  constructor(proxy: NodeProcess) {
    this.#client = Deno.createHttpClient({
      proxy: { url: `http://${proxy.http}` },
      poolMaxIdlePerHost: 0,
    });
  }

  /** Begin what can be begun. */
  begin(services: readonly Shown[], startMs: number): void {
    for (const { host, reachable } of services) {
      if (this.#under.size >= Number(flags["at-once"])) return;
      if (!reachable || this.visited.has(host) || this.#under.has(host)) {
        continue;
      }
      const visit = this.#visit(host, startMs)
        .finally(() => this.#under.delete(host));
      this.#under.set(host, visit);
    }
  }

  async #visit(host: string, startMs: number): Promise<void> {
    try {
      const response = await fetch(`http://${host}/`, {
        client: this.#client,
        signal: AbortSignal.timeout(VISIT_MS),
      });
      if (await response.text() !== BODY) throw new Error("Not our target");
      this.visited.set(host, performance.now() - startMs);
    } catch {
      this.failures++;
    }
  }

  async end(): Promise<void> {
    await Promise.all(this.#under.values());
    this.#client.close();
  }
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? "never" : (ms / 1000).toFixed(1);
}

/**
 * Kill one guard of the host.
 *
 * @returns How long until all services had all of their points again.
 */
async function killGuard(): Promise<string> {
  const [guard] = await guardsOf(host, network.relays);
  await guard?.end("kill");
  const killedMs = performance.now();
  for (;;) {
    await pause(LOOK_MS);
    const services: Shown[] = await asked(host, "services") ?? [];
    const tookMs = performance.now() - killedMs;
    const isWhole = ({ reachable, points }: Shown) => reachable && points >= 3;
    const whole = services.filter(isWhole).length;
    // What died is missed after some seconds, and not before.
    if (tookMs > GUARD_SILENCE_MS && whole >= count) return seconds(tookMs);
    if (tookMs > HEAL_MS) return `never: ${whole} whole`;
  }
}

/** Answers each request with a few bytes. */
await using target = Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen() {} },
  () => new Response(BODY),
);
await using network = await ProcessNetwork.start({
  relays: Number(flags.relays),
});
const place = `80=127.0.0.1:${target.addr.port}`;
const alone = await network.start("run", "alone", [`--service=one,${place}`]);
const proxy = await network.proxy("visitor");
await pause(5_000);
const aloneMiB = await memoryOf(alone);

const words = Array.from(
  { length: count },
  (_, n) => `--service=s${n},${place}`,
);
const startMs = performance.now();
const relayPids = network.relays.map(({ pid }) => pid);
const relaysBefore = await cpuSeconds(relayPids);
const host = network.begin("run", "host", words);
let readyMs: number | undefined;
const ready = host.becomeReady(giveUpSeconds * 1000).then(
  () => readyMs = performance.now() - startMs,
  () => {},
);
const visitor = new Visitor(proxy);
let allReachableMs: number | undefined;
let lost = 0;
let before = new Set<string>();
let nextLineMs = 0;
for (;;) {
  const nowMs = performance.now() - startMs;
  if (nowMs > giveUpSeconds * 1000 || visitor.visited.size >= count) break;
  const services: Shown[] = await asked(host, "services") ?? [];
  const reachable = services.filter((service) => service.reachable);
  const now = new Set(reachable.map((service) => service.host));
  for (const host of before) if (!now.has(host)) lost++;
  before = now;
  if (now.size >= count) allReachableMs ??= nowMs;
  visitor.begin(services, startMs);
  if (nowMs >= nextLineMs) {
    nextLineMs = nowMs + 10_000;
    const circuits = await asked(host, "circuits");
    const { counts, waiting, buildTimeoutMs } = circuits?.own ?? {};
    console.log(JSON.stringify({
      s: Math.round(nowMs / 1000),
      reachable: now.size,
      visited: visitor.visited.size,
      failures: visitor.failures,
      lost,
      mib: Math.round(await memoryOf(host).catch(() => 0)),
      cpu: (await cpuSeconds([host.pid]).catch(() => [0]))[0],
      waiting,
      buildTimeoutMs,
      counts,
    }));
  }
  await pause(LOOK_MS);
}
await visitor.end();
const visitedMs = visitor.visited.size >= count
  ? Math.max(...visitor.visited.values())
  : undefined;
const [cpuAtVisited = 0] = await cpuSeconds([host.pid]);
const relaysAfter = await cpuSeconds(relayPids);
if (visitedMs !== undefined) await ready;
await pause(Number(flags["idle-seconds"]) * 1000);
const hostMiB = await memoryOf(host);
const [cpuIdle = 0] = await cpuSeconds([host.pid]);
const idleMiB = (hostMiB - aloneMiB) / Math.max(1, count - 1);
const status = await asked(host, "status");
const healedS = flags["kill-guard"] ? await killGuard() : undefined;
const summary = {
  services: count,
  visited: visitor.visited.size,
  allReachableS: seconds(allReachableMs),
  allVisitedS: seconds(visitedMs),
  readyS: seconds(readyMs),
  failedVisits: visitor.failures,
  lost,
  hostMiB: Math.round(hostMiB),
  aloneMiB: Math.round(aloneMiB),
  idleMiBPerService: idleMiB.toFixed(2),
  hostCpuS: cpuAtVisited.toFixed(1),
  idleCores: ((cpuIdle - cpuAtVisited) / Number(flags["idle-seconds"])).toFixed(
    2,
  ),
  relaysCpuS: relaysAfter.reduce((sum, s) => sum + s, 0) -
    relaysBefore.reduce((sum, s) => sum + s, 0),
  links: status?.links,
  healedS,
};
console.log(JSON.stringify(summary, null, 2));
if (flags.logs !== undefined) {
  await Deno.mkdir(flags.logs, { recursive: true });
  for (const node of [host, proxy]) {
    const log = await node.endAndGetLog();
    await Deno.writeTextFile(`${flags.logs}/${node.name}.log`, log);
  }
}
const isFine = visitedMs !== undefined &&
  visitedMs <= Number(flags["most-seconds"]) * 1000 &&
  idleMiB < MOST_IDLE_MIB && lost === 0;
if (flags.accept && !isFine) Deno.exitCode = 1;
