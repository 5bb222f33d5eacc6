/**
 * Draws how look-ups grow with the network, out of what `anonnet simulate --json`
 * prints, one experiment in a line:
 *
 *     for n in 100 200 500 1000 2000 5000; do
 *       deno task start simulate --world machines --relays $n --listed 300 --hours 0.2 --json
 *     done > curves.jsonl
 *     deno run --allow-read --allow-write --allow-run=gnuplot tools/plot_lookups.ts curves.jsonl docs/figures/lookups.svg
 *
 * It needs gnuplot (Debian: gnuplot-nox), which nothing else here does.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a tool talks to the terminal
import type { Experiment } from "../lib/sim/experiment.ts";
import type { SimulationReport } from "../lib/sim/simulation.ts";
import { drawWithGnuplot } from "./gnuplot.ts";

const [input, output] = Deno.args;
if (input === undefined || output === undefined) {
  console.error("Give the file with the experiments, and the SVG to write");
  Deno.exit(2);
}

/** One experiment, as it is printed. */
type Printed = SimulationReport & { readonly experiment: Experiment };

const text = await Deno.readTextFile(input);
const rows = text.split("\n").filter((line) => line !== "")
  .map((line) => JSON.parse(line) as Printed)
  .map(({ experiment: { relays }, total: { nodeLookups, valueLookups } }) =>
    [relays, nodeLookups.hops, nodeLookups.asked, valueLookups.asked].join(" ")
  );

const script = `
set terminal svg size 720,400 font "sans-serif,13" background "#ffffff"
set output "/dev/stdout"
set xlabel "relays"
set logscale x
set xtics nomirror (100, 200, 500, 1000, 2000, 5000)
set xrange [85:5900]
set ylabel "requests of a look-up"
set yrange [0:*]
set y2label "hops"
set y2range [0:4]
set y2tics 1
set mxtics 1
set ytics 10 nomirror
set key bottom right
set grid ytics
$data << END
${rows.join("\n")}
END
plot $data using 1:3 with linespoints lw 2 pt 7 title "requests, look-up of nodes", \\
     $data using 1:4 with linespoints lw 2 pt 5 title "requests, look-up of a value", \\
     $data using 1:2 axes x1y2 with linespoints lw 2 dt 2 pt 9 title "hops, look-up of nodes (right axis)"
`;
await drawWithGnuplot(script, output);
