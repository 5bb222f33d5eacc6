/**
 * Draws what `deno task bench:peers --out peers.jsonl` wrote: each figure of this network
 * as a ratio to that of Tor, longer is better.
 *
 *     deno run --allow-read --allow-write --allow-run=gnuplot tools/plot_peers.ts peers.jsonl docs/figures/peers.svg
 *
 * It needs gnuplot (Debian: gnuplot-nox), which nothing else here does.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a tool talks to the terminal
import { median } from "../bench/peers/measure.ts";
import { drawWithGnuplot } from "./gnuplot.ts";

const [input, output] = Deno.args;
if (input === undefined || output === undefined) {
  console.error("Give the file with the run, and the SVG to write");
  Deno.exit(2);
}

const lines = (await Deno.readTextFile(input)).trimEnd().split("\n")
  .map((line) => JSON.parse(line));
const rows: string[] = [];
for (const where of new Set(lines.map((line) => line.where))) {
  const values = (network: string, figure: string): number[] =>
    lines.filter((line) => line.where === where && line.network === network)
      .map(({ figures }) => figures[figure]);
  const first = lines.find((line) => line.where === where);
  for (const figure of Object.keys(first.figures)) {
    const own = median(values("anonnet", figure));
    const tor = median(values("tor", figure));
    // Of times, costs and memory less is better.
    const better = figure.endsWith("MiB/s") ? own / tor : tor / own;
    rows.push(`"${figure} (${where})" ${better.toFixed(3)}`);
  }
}
rows.reverse();

const script = `
set terminal svg size 760,${
  80 + 24 * rows.length
} font "sans-serif,12" background "#ffffff"
set output "/dev/stdout"
$rows << END
${rows.join("\n")}
END
set xlabel "times as good as Tor on the same machine"
set logscale x 2
set xrange [0.25:16]
set yrange [-0.7:${rows.length - 0.3}]
set grid xtics
set arrow from 1, graph 0 to 1, graph 1 nohead lw 2 lc rgb "#888888"
set style fill solid 0.8
unset key
plot $rows using (1):0:(1):2:($0-0.35):($0+0.35):ytic(1) with boxxyerror lc rgb "#3366aa"
`;
await drawWithGnuplot(script, output);
