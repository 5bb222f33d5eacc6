/**
 * The DHT's promises over many seeds, summed up:
 *
 *     DHT_SIM_SEEDS=1-200 DHT_SIM_RELAYS=500 deno task long:dht-sim
 *     DHT_SIM_SEEDS=21-40 DHT_SIM_FILE=seeds.jsonl deno task long:dht-sim
 *
 * With a file, each experiment is a line of it, and those of former runs count
 * too: seeds can be run in parts. Ends with an error when a promise is broken.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a measurement talks to the terminal
import { networkParameters } from "../lib/auth/network.ts";
import { runExperiment } from "../lib/sim/experiment.ts";
import {
  DHT_PROMISES,
  experimentOf,
  type Found,
  foundIn,
} from "../tests/sim/dht_promises.ts";
import { readLines, seedsOf } from "./seed_file.ts";

/** One experiment, as a line of the file. */
interface Line {
  readonly promise: string;
  readonly relays: number;
  readonly seed: number;
  readonly nodes: Found;
  readonly values: Found;
}

const network = networkParameters("local");
const relays = Number(Deno.env.get("DHT_SIM_RELAYS") ?? 500);
const file = Deno.env.get("DHT_SIM_FILE");
const lines: Line[] = file === undefined ? [] : await readLines(file);

for (const seed of seedsOf(Deno.env.get("DHT_SIM_SEEDS") ?? "200")) {
  for (const promise of DHT_PROMISES) {
    const isDone = lines.some((line) =>
      line.promise === promise.name && line.relays === relays &&
      line.seed === seed
    );
    if (isDone) continue;
    const size = { relays, seed };
    const report = await runExperiment(network, experimentOf(promise, size));
    const line = { promise: promise.name, ...size, ...foundIn(report) };
    lines.push(line);
    const text = JSON.stringify(line);
    console.log(text);
    if (file !== undefined) {
      await Deno.writeTextFile(file, `${text}\n`, { append: true });
    }
  }
}

let isBroken = false;
for (const { name, least, about } of DHT_PROMISES) {
  const runs = lines.filter((line) =>
    line.promise === name && line.relays === relays
  );
  for (const kind of about) {
    const count = runs.reduce((sum, line) => sum + line[kind].count, 0);
    const found = runs.reduce((sum, line) => sum + line[kind].found, 0);
    const share = found / count;
    if (!(share >= least)) isBroken = true;
    console.log(
      `${name}: ${found} of ${count} ${kind} (${
        (100 * share).toFixed(3)
      } %, promised ${100 * least} %), ${runs.length} seeds, ${relays} relays`,
    );
  }
}
if (isBroken) Deno.exit(1);
