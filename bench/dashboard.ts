// deno-lint-ignore-file no-console
/**
 * What the dashboard costs a node: processor share and resident memory of nodes that
 * have none, that have one at which no tab looks, and of one at which a tab looks, page
 * after page. All of them run at the same time, in one network of processes, and do the
 * same: what differs is the dashboard.
 *
 *     relays ─┬─ plain × N      relay, proxies and a service
 *             ├─ open × N       the same, with --dashboard
 *             └─ seen × 1       the same, and Chromium looks
 *
 *     deno task bench:dashboard --seconds 25 --nodes 3
 *
 * Chromium is a program of its own: what it costs is not the node's.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { Chromium } from "../tests/support/chromium.ts";
import { runProgram } from "../tests/support/process.ts";
import {
  type NodeProcess,
  ProcessNetwork,
} from "../tests/support/process_network.ts";
import { pause } from "./network_load.ts";
import { processorFacts, residentMiB } from "./process_facts.ts";
import { summaryOf } from "./summary.ts";

const { values: flags } = parseArgs({
  options: {
    // Of each measurement.
    seconds: { type: "string", default: "25" },
    // Of each kind.
    nodes: { type: "string", default: "3" },
    // After the start, until the nodes are at rest.
    warm: { type: "string", default: "45" },
  },
});
const seconds = Number(flags.seconds);
const count = Number(flags.nodes);
const PAGES = ["now", "services", "visits", "circuits", "relay", "log"];
const BROWSER_MS = 9 * 60_000;

/** Processor share of each process over the next while, in percent of a core. */
async function shares(pids: readonly number[]): Promise<number[]> {
  const before = await processorFacts(pids);
  const beganMs = performance.now();
  await pause(seconds * 1000);
  const after = await processorFacts(pids);
  const tookS = (performance.now() - beganMs) / 1000;
  return after.map(({ ranS }, index) =>
    100 * (ranS - (before[index]?.ranS ?? 0)) / tookS
  );
}

function words(values: readonly number[], unit: string): string {
  const { mean, error } = summaryOf(values);
  const spread = Number.isNaN(error) ? "" : ` ± ${error.toFixed(2)}`;
  return `${mean.toFixed(2)}${spread} ${unit}`;
}

await using network = await ProcessNetwork.start({ relays: 4 });
await using site = Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen() {} },
  () => new Response("hello"),
);
const start = (name: string, ...more: readonly string[]) =>
  network.start("run", name, [
    "--relay",
    "--listen=127.0.0.1:0",
    "--dial-from=127.0.0.1:0",
    "--socks=127.0.0.1:0",
    "--http=127.0.0.1:0",
    `--service=blog,80=127.0.0.1:${site.addr.port}`,
    ...more,
  ]);
const plain: NodeProcess[] = [];
const open: NodeProcess[] = [];
for (let n = 0; n < count; n++) {
  plain.push(await start(`plain${n}`));
  const at = "--dashboard-at=127.0.0.1:0";
  open.push(await start(`open${n}`, "--dashboard", at));
}
const [seen] = open;
if (seen === undefined) throw new RangeError("Cannot measure without nodes");
await pause(Number(flags.warm) * 1000);

const pidsOf = (nodes: readonly NodeProcess[]) => nodes.map(({ pid }) => pid);
const all = [...pidsOf(plain), ...pidsOf(open)];
const tell = (
  what: string,
  shareOf: readonly number[],
  memoryOf: readonly number[],
) => {
  const [without, without2] = [shareOf, memoryOf].map((of) =>
    of.slice(0, count)
  );
  console.log(
    `${what.padEnd(12)} plain ${words(without ?? [], "%")}, ` +
      `open ${words(shareOf.slice(count + 1), "%")}, ` +
      `seen ${(shareOf[count] ?? NaN).toFixed(2)} % | ` +
      `plain ${words(without2 ?? [], "MiB")}, ` +
      `open ${words(memoryOf.slice(count), "MiB")}`,
  );
};
tell("no tab", await shares(all), await residentMiB(all));
await using browser = await Chromium.start(BROWSER_MS);
const tab = await browser.newTab();
const { stdout } = await runProgram(["dashboard", `--state=${seen.state}`]);
await tab.open(stdout.trim());
await tab.until(`document.querySelector("#link")?.dataset.state === "live"`);
for (const page of PAGES) {
  await tab.evaluate(`location.hash = "#${page}"`);
  await pause(2000);
  tell(page, await shares(all), await residentMiB(all));
}

// The same processes before and after: what differs between processes is more than that.
const closed = await residentMiB(pidsOf(plain));
for (const { state } of plain) {
  await runProgram(["dashboard", `--state=${state}`]);
}
await pause(seconds * 1000);
const opened = await residentMiB(pidsOf(plain));
const grown = opened.map((mib, index) => mib - (closed[index] ?? NaN));
console.log(`opening it   plain ${words(grown, "MiB")} more`);
