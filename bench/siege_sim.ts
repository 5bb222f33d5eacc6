/**
 * What a besieged network promises over many seeds, summed up:
 *
 *     SIEGE_SEEDS=1-200 SIEGE_RELAYS=200 SIEGE_FILE=docs/figures/siege_promises.jsonl deno task long:siege
 *
 * With a file, each experiment is a line of it, and those of former runs count too:
 * seeds can be run in parts, and a run that was ended goes on where it was. With
 * `SIEGE_PROMISES` only promises are run whose names hold that text. Ends with an
 * error when a promise is broken: shares of circuits and of look-ups over all seeds,
 * lists in each of them.
 *
 * Of each figure it prints the mean and the interval in which the mean of endlessly many
 * seeds is, at 95 % (Student's t); the spread, which is the standard deviation of one seed;
 * the least and the most.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a measurement talks to the terminal
import { networkOf, runExperiment } from "../lib/sim/experiment.ts";
import {
  SIEGE_PROMISES,
  siegeExperiment,
  siegeFigures,
} from "../tests/sim/siege_promises.ts";
import { readLines, seedsOf } from "./seed_file.ts";
import { summaryOf } from "./summary.ts";

/** One experiment, as a line of the file. */
interface Line {
  readonly promise: string;
  readonly relays: number;
  readonly seed: number;
  readonly figures: Readonly<Record<string, number>>;
  readonly seconds: number;
}

/** Clients of one network, each with circuits of its own. */
const CLIENTS = 1000;

const relays = Number(Deno.env.get("SIEGE_RELAYS") ?? 200);
const file = Deno.env.get("SIEGE_FILE");
const wanted = Deno.env.get("SIEGE_PROMISES") ?? "";
const promises = SIEGE_PROMISES.filter(({ name }) => name.includes(wanted));
const lines: Line[] = file === undefined ? [] : await readLines(file);

for (const seed of seedsOf(Deno.env.get("SIEGE_SEEDS") ?? "200")) {
  for (const promise of promises) {
    const isDone = lines.some((line) =>
      line.promise === promise.name && line.relays === relays &&
      line.seed === seed
    );
    if (isDone) continue;
    const size = { relays, seed };
    const experiment = siegeExperiment(promise, { ...size, clients: CLIENTS });
    const beganMs = performance.now();
    const report = await runExperiment(networkOf(experiment), experiment);
    const line = {
      promise: promise.name,
      ...size,
      figures: siegeFigures(report),
      seconds: Math.round((performance.now() - beganMs) / 1000),
    };
    lines.push(line);
    const text = JSON.stringify(line);
    console.log(text);
    if (file !== undefined) {
      await Deno.writeTextFile(file, `${text}\n`, { append: true });
    }
  }
}

let isBroken = false;
for (const { name, bounds } of promises) {
  const runs = lines.filter((line) =>
    line.promise === name && line.relays === relays
  );
  console.log(`${name}: ${runs.length} seeds, ${relays} relays`);
  const figures = Object.keys(runs[0]?.figures ?? {});
  for (const figure of figures) {
    const values = runs.map(({ figures }) => figures[figure] ?? NaN);
    const { mean, spread, error } = summaryOf(values);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const bound = bounds.find((bound) => bound.figure === figure);
    const { least = 0, most = 1 } = bound ?? {};
    const isKept = figure.includes("lists")
      ? low >= least && high <= most
      : mean >= least && mean <= most;
    if (!isKept) isBroken = true;
    console.log(
      `  ${figure}: ${percent(mean)} ± ${percent(error)}, spread ` +
        `${percent(spread)}, ${percent(low)} to ${percent(high)}` +
        (bound === undefined
          ? ""
          : `, promised ${percent(least)} to ${percent(most)}`),
    );
  }
}
if (isBroken) Deno.exit(1);

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}
