// deno-lint-ignore-file no-console -- a measurement talks to the terminal
/**
 * This network beside a private Tor network on the same machine: the same hosts, the
 * same requests by the same curl, in turns.
 *
 *     deno task bench:peers                       three networks of each kind, near and 25 ms apart
 *     deno task bench:peers --networks 1 --only near --out peers.jsonl
 *     deno run --allow-read --allow-write --allow-run=gnuplot tools/plot_peers.ts peers.jsonl docs/figures/peers.svg
 *
 * Prints a table of medians and ranges, and the ratio of the two; `--out` takes the
 * figures of each network as a line of JSON. Networks of one kind differ by a quarter:
 * only ratios of one run, of several networks, on a machine that does nothing else, say
 * something. Needs root, `ip`, `curl` and `tor` (Debian: iproute2, curl, tor), and `cc`
 * (gcc) for networks whose hosts are apart. Without `tor` this program is measured alone.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { startAnonnet } from "./peers/anonnet_peer.ts";
import { type Figures, type Load, measure, median } from "./peers/measure.ts";
import type { PeerNetwork } from "./peers/peer_network.ts";
import { hasTor, startTor } from "./peers/tor_peer.ts";

const { values: flags } = parseArgs({
  options: {
    networks: { type: "string", default: "3" },
    only: { type: "string", default: "near,far" },
    "far-ms": { type: "string", default: "25" },
    mib: { type: "string", default: "64" },
    out: { type: "string" },
  },
});

/** One network, measured. */
interface Line {
  readonly where: string;
  readonly network: PeerNetwork["name"];
  readonly version: string;
  readonly figures: Figures;
}

const mib = Number(flags.mib);
const NEAR: Load = {
  oneMiB: mib,
  eachMiB: mib / 4,
  streams: 8,
  runs: 3,
  small: 30,
};
const FAR: Load = { ...NEAR, runs: 1, small: 16 };
const farMs = Number(flags["far-ms"]);
const wanted = flags.only.split(",");
const places = [
  { where: "near", apartMs: 0, load: NEAR },
  { where: `${farMs} ms`, apartMs: farMs, load: FAR },
].filter(({ apartMs }) => wanted.includes(apartMs === 0 ? "near" : "far"));
const kinds = await hasTor() ? [startTor, startAnonnet] : [startAnonnet];

const lines: Line[] = [];
for (const { where, apartMs, load } of places) {
  for (let turn = 0; turn < Number(flags.networks); turn++) {
    for (const start of kinds) {
      const directory = await Deno.makeTempDir({ prefix: "anonnet-peers-" });
      try {
        await using network = await started(start, directory, apartMs);
        const { name, version } = network;
        const figures = await measure(network, load, apartMs > 0);
        const line = { where, network: name, version, figures };
        lines.push(line);
        const text = JSON.stringify(line);
        console.log(text);
        if (flags.out !== undefined) {
          await Deno.writeTextFile(flags.out, `${text}\n`, { append: true });
        }
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
    }
  }
  printTable(where);
}

/** A network; tried three times, for authorities that miss a vote have no consensus for long. */
async function started(
  start: typeof startTor,
  directory: string,
  apartMs: number,
): Promise<PeerNetwork> {
  for (let tries = 1;; tries++) {
    const home = `${directory}/${tries}`;
    await Deno.mkdir(home);
    try {
      return await start(home, apartMs);
    } catch (error) {
      if (tries === 3) throw error;
      console.error(`Starting a network again: ${error}`);
    }
  }
}

/** Medians and ranges over the networks of each kind, as the rows of a Markdown table. */
function printTable(where: string): void {
  const of = (network: PeerNetwork["name"]) =>
    lines.filter((line) => line.where === where && line.network === network)
      .map(({ figures }) => figures);
  const [own, tor] = [of("anonnet"), of("tor")];
  console.log(`\n| ${where} | AnonNet | Tor | ratio |`);
  console.log("| --- | --- | --- | --- |");
  for (const figure of Object.keys(own[0] ?? {})) {
    const column = (all: readonly Figures[]) =>
      all.map((figures) => figures[figure] ?? NaN);
    const cell = (all: readonly Figures[]) => {
      const values = column(all);
      if (values.length === 0) return "";
      const [low, high] = [Math.min(...values), Math.max(...values)];
      return `${short(median(values))} (${short(low)} to ${short(high)})`;
    };
    const ratio = median(column(own)) / median(column(tor));
    console.log(
      `| ${figure} | ${cell(own)} | ${cell(tor)} | ` +
        `${tor.length === 0 ? "" : ratio.toFixed(2)} |`,
    );
  }
}

function short(value: number): string {
  return value >= 10 ? value.toFixed(0) : value.toPrecision(2);
}
