/**
 * Draws how often a besieged network's figures were how high over many seeds, out of
 * the file that `deno task long:siege` keeps:
 *
 *     deno run --allow-read --allow-write --allow-run=gnuplot tools/plot_siege_seeds.ts docs/figures/siege_promises.jsonl docs/figures/siege_seeds.svg
 *
 * Each curve rises by one seed at the figure of that seed; upright lines are what is
 * promised of the mean. It needs gnuplot (Debian: gnuplot-nox).
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a tool talks to the terminal
import { drawWithGnuplot } from "./gnuplot.ts";

/** What is drawn of a line of the file. */
interface Line {
  readonly promise: string;
  readonly relays: number;
  readonly figures: Readonly<Record<string, number>>;
}

const CURVES = [
  { promise: "a tenth declares any bandwidth", figure: "guard", most: 12 },
  { promise: "a tenth declares any bandwidth", figure: "both ends", most: 1.5 },
  { promise: "a fifth declares any bandwidth", figure: "guard", most: 24 },
  { promise: "a fifth declares any bandwidth", figure: "both ends", most: 6 },
] as const;

const [input, output, size = "200"] = Deno.args;
if (input === undefined || output === undefined) {
  console.error("Give the file of the seeds, and the SVG to write");
  Deno.exit(2);
}

const lines = (await Deno.readTextFile(input)).split("\n")
  .filter((line) => line !== "")
  .map((line) => JSON.parse(line) as Line)
  .filter(({ relays }) => relays === Number(size));
const data: string[] = [];
const plots: string[] = [];
for (const [index, { promise, figure, most }] of CURVES.entries()) {
  const shares = lines.filter((line) => line.promise === promise)
    .map(({ figures }) => 100 * (figures[figure] ?? NaN))
    .toSorted((a, b) => a - b);
  const steps = shares.map((share, at) =>
    `${share} ${100 * (at + 1) / shares.length}`
  );
  data.push(`$curve${index} << END`, "0 0", ...steps, "END");
  const who = promise.startsWith("a tenth") ? "10 %" : "20 %";
  const color = index + 1;
  plots.push(
    `$curve${index} using 1:2 with steps lw 2 lc ${color} title "${who}, ${figure}"`,
    `"+" using (${most}):($1 * 100 / 30) with lines dt 2 lc ${color} notitle`,
  );
}
const script = `
set terminal svg size 720,440 font "sans-serif,13" background "#ffffff"
set output "/dev/stdout"
set xlabel "per cent of circuits that one party sees so"
set ylabel "per cent of the seeds at or below"
set xrange [0:30]
set yrange [0:100]
set samples 2
set key outside bottom center maxcols 2
set grid
${data.join("\n")}
plot ${plots.join(", \\\n     ")}
`;
await drawWithGnuplot(script, output);
