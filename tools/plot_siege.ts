/**
 * Draws how a siege goes over time, out of what `anonnet simulate --json` prints for
 * one experiment with `--flood`, `--liars` or `--botnet`:
 *
 *     deno task start simulate --relays 100 --liars 10% --botnet 3 --hours 24 --json > siege.json
 *     deno run --allow-read --allow-write --allow-run=gnuplot tools/plot_siege.ts siege.json siege.svg
 *
 * It needs gnuplot (Debian: gnuplot-nox), which nothing else here does.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a tool talks to the terminal
import type { SimulationReport } from "../lib/sim/simulation.ts";
import { drawWithGnuplot } from "./gnuplot.ts";

const [input, output] = Deno.args;
if (input === undefined || output === undefined) {
  console.error("Give the file with the experiment, and the SVG to write");
  Deno.exit(2);
}

const report = JSON.parse(await Deno.readTextFile(input)) as SimulationReport;
const first = report.rows[0]?.minute ?? 0;
const lines: string[] = [];
for (const { minute, relays, hostile, nodeLookups, siege } of report.rows) {
  if (siege === undefined) {
    console.error("The experiment has no siege: nothing to draw");
    Deno.exit(2);
  }
  const { circuits, newClients, relayLists } = siege;
  const shares = [
    hostile / relays,
    circuits.guard,
    circuits.ends,
    newClients.guard,
    nodeLookups.found,
    relayLists.honest,
  ];
  const cells = shares.map((share) => share === null ? "NaN" : 100 * share);
  lines.push([(minute - first) / 60, ...cells].join(" "));
}

const CURVES = [
  "2:hostile relays, of all",
  "3:circuits with a hostile guard",
  "4:circuits with two hostile ends",
  "5:clients that have just begun: hostile guard",
  "6:look-ups that succeed",
  "7:honest relays, in lists of relays",
] as const;
const curves = CURVES.map((curve) => {
  const [column, title] = curve.split(/:(.*)/s);
  return `$data using 1:${column} with linespoints lw 2 title "${title}"`;
});
const script = `
set terminal svg size 720,440 font "sans-serif,13" background "#ffffff"
set output "/dev/stdout"
set xlabel "hours"
set ylabel "per cent"
set yrange [0:105]
set key outside bottom center maxcols 2
set grid ytics
$data << END
${lines.join("\n")}
END
plot ${curves.join(", \\\n     ")}
`;
await drawWithGnuplot(script, output);
