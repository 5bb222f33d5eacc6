/**
 * Draws what `deno task bench:visitors --out visitors.jsonl` wrote: requests and
 * their times, and what the processes held meanwhile.
 *
 *     deno run --allow-read --allow-write --allow-run=gnuplot tools/plot_visitors.ts visitors.jsonl docs/figures/visitors.svg
 *
 * It needs gnuplot (Debian: gnuplot-nox), which nothing else here does.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a tool talks to the terminal
import { drawWithGnuplot } from "./gnuplot.ts";

const [input, output] = Deno.args;
if (input === undefined || output === undefined) {
  console.error("Give the file with the run, and the SVG to write");
  Deno.exit(2);
}

const text = await Deno.readTextFile(input);
const lines = text.split("\n").filter((line) => line !== "")
  .map((line) => JSON.parse(line));
const requests = lines.filter(({ type }) => type === "request");
const served = requests.filter(({ error }) => error === undefined)
  .map(({ atSeconds, tookMs }) => `${atSeconds} ${tookMs}`);
const failed = requests.filter(({ error }) => error !== undefined)
  .map(({ atSeconds, tookMs }) => `${atSeconds} ${tookMs}`);
const samples = lines
  .filter(({ type, serviceCircuits }) =>
    type === "sample" && serviceCircuits >= 0
  )
  .map(({ atSeconds, serviceMiB, sessions, serviceCircuits }) =>
    [atSeconds, serviceMiB, sessions, serviceCircuits].join(" ")
  );

const script = `
set terminal svg size 720,640 font "sans-serif,13" background "#ffffff"
set output "/dev/stdout"
set multiplot layout 2,1
set grid ytics
set ytics nomirror
set ylabel "ms of a request"
set logscale y
set key top left
$served << END
${served.join("\n")}
END
$failed << END
${failed.join("\n")}
END
$samples << END
${samples.join("\n")}
END
plot $served using 1:2 with dots lw 2 title "succeeded"${
  failed.length > 0
    ? ', $failed using 1:2 with points pt 2 lc rgb "red" title "failed"'
    : ""
}
unset logscale y
set xlabel "s"
set ylabel "sessions, circuits of the service"
set yrange [0:*]
set y2label "MiB"
set y2range [0:*]
set y2tics
plot $samples using 1:3 with lines lw 2 title "sessions", \\
     $samples using 1:4 with lines lw 2 title "circuits", \\
     $samples using 1:2 axes x1y2 with lines lw 2 dt 2 title "memory of the service (right axis)"
unset multiplot
`;
await drawWithGnuplot(script, output);
