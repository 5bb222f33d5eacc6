/**
 * A relay process that three hosts attack by all ways at once, each with a process of
 * its own, while clients come that have never been connected before.
 *
 *     deno task long:siege-relay
 *
 * It prints what newcomers got, and what it cost. Hosts are addresses of 127.0.0.0/8 in
 * other /24s, which Linux alone has without being told to.
 *
 * On the Internet attackers have processors of their own; here they would take the
 * relay's and the newcomers'. So they have what those leave, and the figures say how
 * long the others waited for a processor, how much the attackers did, and what a relay
 * carries meanwhile that is not attacked.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import {
  type ProcessorFacts,
  processorFacts,
} from "../../bench/process_facts.ts";
import { sleep } from "../../lib/base/clock.ts";
import { assertServed, Door, type Service } from "../siege/newcomers.ts";
import { QuicSiege } from "../siege/siege_world.ts";
import { LineProcess } from "../support/line_process.ts";
import type { RelayReport } from "../support/relay_process.ts";
import { RelayProcess } from "../support/relay_processes.ts";

/** How long they attack: a minute in the long task, and not at all beside other tests. */
const SECONDS = Number(Deno.env.get("SIEGE_SECONDS") ?? 0);
const HOSTS = ["127.1.1.1", "127.1.2.1", "127.1.3.1"];
/** Links of each host and attack. */
const LINKS = 2;
const GOODPUT_MS = 2_000;
/** Time in which the attack alone is looked at, ms. */
const ALONE_MS = 3_000;
const MIB = 1024 * 1024;

const RAIDER = fileURLToPath(
  new URL("../support/raider_process.ts", import.meta.url),
);

/** How processes are, at one time. */
interface Look {
  readonly atMs: number;
  readonly processors: readonly ProcessorFacts[];
  readonly report: RelayReport;
}

type Pids = Readonly<Record<string, number>>;

async function look(relay: RelayProcess, pids: Pids): Promise<Look> {
  const processors = await processorFacts(Object.values(pids));
  return { atMs: performance.now(), processors, report: await relay.report() };
}

/** What happened between two looks: parts of a processor, and circuits created per second. */
function between(before: Look, after: Look, pids: Pids) {
  const seconds = (after.atMs - before.atMs) / 1000;
  const created = after.report.stats.created - before.report.stats.created;
  const parts = Object.keys(pids).map((name, index) => {
    const [from, to] = [before.processors[index], after.processors[index]];
    const part = (which: "ranS" | "waitedS") =>
      (((to?.[which] ?? 0) - (from?.[which] ?? 0)) / seconds).toFixed(2);
    return [name, `ran ${part("ranS")}, waited ${part("waitedS")}`] as const;
  });
  return {
    ...Object.fromEntries(parts),
    createdPerSecond: Math.round(created / seconds),
  };
}

/** The middle one by goodput, and the least of what else they got. */
function summaryOf(services: readonly Service[]): Service {
  return {
    circuits: Math.min(...services.map(({ circuits }) => circuits)),
    introductions: Math.min(
      ...services.map(({ introductions }) => introductions),
    ),
    goodput: medianOf(services.map(({ goodput }) => goodput)),
  };
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** What a relay holds, as it counts it and as the kernel does, MiB. */
function memoryOf({ stats, ...report }: RelayReport) {
  const mib = (bytes: number) => (bytes / MIB).toFixed(1);
  return {
    cells: mib(stats.waitingBytes - stats.messageBytes),
    messages: mib(stats.messageBytes),
    records: mib(report.recordBytes),
    quota: mib(stats.quotaBytes),
    heap: mib(report.heapBytes),
    external: mib(report.externalBytes),
    resident: mib(report.residentBytes),
  };
}

Deno.test({
  name:
    "newcomers are served by a relay that three hosts attack by all ways at once, and it stays under its quota",
  ignore: SECONDS === 0 || Deno.build.os !== "linux",
  async fn() {
    await using stack = new AsyncDisposableStack();
    const start = async () =>
      stack.use(
        await RelayProcess.start({ countsHosts: true, keepsRecords: true }),
      );
    const [relay, beside] = [await start(), await start()];
    const world = new QuicSiege(1);
    stack.defer(() => world.close());
    const doorOf = (to: RelayProcess) =>
      Door.open(
        world,
        to.record,
        () => Promise.resolve(beside.record),
        GOODPUT_MS,
      );
    const [door, other] = [await doorOf(relay), await doorOf(beside)];
    // What runs for the first time is being compiled.
    await Promise.all([door.measure(), other.goodput()]);
    const quiet = await door.measure();
    const calm = await relay.report();
    const record = relay.record.encoded.toHex();
    const raiders = HOSTS.map((host) =>
      stack.use(
        new LineProcess(RAIDER, [host, record, `${LINKS}`], {
          priority: "low",
        }),
      )
    );
    for (const raider of raiders) await raider.line();
    const pids = {
      relay: relay.process.pid,
      newcomers: Deno.pid,
      ...Object.fromEntries(
        raiders.map(({ pid }, index) => [HOSTS[index], pid]),
      ),
    };
    await sleep(world.clock, ALONE_MS);
    const begun = await look(relay, pids);
    await sleep(world.clock, ALONE_MS);
    const alone = await look(relay, pids);
    let most = alone.report;
    const services: Service[] = [];
    const notAttacked: number[] = [];
    while (performance.now() - alone.atMs < SECONDS * 1000) {
      services.push(await door.measure());
      const report = await relay.report();
      if (report.residentBytes > most.residentBytes) most = report;
      notAttacked.push(await other.goodput());
    }
    const end = await look(relay, pids);
    const served = summaryOf(services);
    const told = JSON.stringify({
      quiet,
      served,
      services,
      notAttacked: medianOf(notAttacked),
      attackAlone: between(begun, alone, pids),
      attackAndNewcomers: between(alone, end, pids),
      memory: { quiet: memoryOf(calm), most: memoryOf(most) },
      most,
    });
    Deno.stdout.writeSync(new TextEncoder().encode(`${told}\n`));
    assertServed(quiet, served);
    assert.ok(most.residentBytes < most.stats.quotaBytes, told);
    assert.deepEqual(most.errors, []);
  },
});
