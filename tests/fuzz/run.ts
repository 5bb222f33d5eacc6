/**
 * Fuzzes for a while, and ends with an error where it found anything:
 *
 *     deno task long:fuzz [seconds] [seed] [part of a target's name]
 *     deno task long:fuzz 3600 7 session
 *
 * A line for each target at the end, and one for each finding at once: its input goes
 * to a file, and the corpora grow. The same seed makes the same mutations of the same
 * inputs. Ctrl-C ends it early.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a measurement talks to the terminal
import process from "node:process";
import { ALL_TARGETS } from "./all_targets.ts";
import { CodeCoverage } from "./code_coverage.ts";
import { formatFinding, writeCorpus } from "./corpus.ts";
import { collectGarbage, Executor, memoryBytes } from "./execution.ts";
import { type Found, Fuzzer } from "./fuzzer.ts";
import { Watchdog } from "./watchdog.ts";

/** How long a decoder runs before the next has its turn, ms. */
const DECODER_TURN_MS = 500;
/** The same for a machine: its runs are longer, and go deeper. */
const MACHINE_TURN_MS = 2000;
/** What a target may leave on the heap in all its turns, bytes. */
const MAX_LEFT_BYTES = 48 * 1024 * 1024;

/** Times that all inputs of a pool are run again when a target seems to leave much … */
const REPLAY_ROUNDS = 4;
/** … and what each may leave, bytes. */
const MAX_REPLAY_BYTES = 512 * 1024;

const [seconds = "3600", seed = "1", part = ""] = Deno.args;
const targets = ALL_TARGETS.filter(({ name }) => name.includes(part));
if (targets.length === 0) {
  throw new TypeError(`No target has "${part}" in its name`);
}

using watchdog = new Watchdog();
using coverage = new CodeCoverage();
using executor = new Executor({
  costs: "counted",
  onRun: (name) => watchdog.begin(name),
});

const endMs = performance.now() + Number(seconds) * 1000;
const fuzzers: Fuzzer[] = [];
for (const target of targets) {
  fuzzers.push(await Fuzzer.start(target, executor, coverage, Number(seed)));
}
const leftBytes = new Map<Fuzzer, number>();
const told = new Set<Found>();
let grown = 0;

let isStopped = false;
const stop = () => void (isStopped = true);
Deno.addSignalListener("SIGINT", stop);

while (performance.now() < endMs && !isStopped) {
  for (const fuzzer of fuzzers) {
    if (isStopped) break;
    await turn(fuzzer);
    for (const found of fuzzer.found) await tell(found);
  }
}
Deno.removeSignalListener("SIGINT", stop);

for (const { target, executions, outcomes, poolSize, found } of fuzzers) {
  console.log(
    `${target.name}: ${executions} runs, ${outcomes} outcomes, ` +
      `${poolSize} inputs in the pool, ${found.length} findings`,
  );
}
for (const { target, corpus } of fuzzers) {
  await writeCorpus(target.name, corpus);
}
const { user, system } = process.cpuUsage();
console.log(
  `${coverage.size} blocks of code, ${told.size + grown} findings, ` +
    `${Math.round((user + system) / 1e6)} s of processor time`,
);
if (told.size + grown > 0) Deno.exit(1);

async function turn(fuzzer: Fuzzer): Promise<void> {
  const { name } = fuzzer.target;
  await collectGarbage();
  const before = memoryBytes();
  const turnEndMs = performance.now() +
    (fuzzer.target.hasSteps ? MACHINE_TURN_MS : DECODER_TURN_MS);
  while (performance.now() < turnEndMs) {
    if (fuzzer.isSilent) break;
    await fuzzer.step();
  }
  await collectGarbage();
  const left = (leftBytes.get(fuzzer) ?? 0) + memoryBytes() - before;
  leftBytes.set(fuzzer, left);
  if (left < MAX_LEFT_BYTES) return;
  leftBytes.set(fuzzer, 0);
  if (!await growsByReplay(fuzzer)) return;
  grown++;
  console.log(`FOUND ${name}: its runs leave more and more on the heap`);
}

/**
 * Whether the same inputs leave something each time. What was left before may be what
 * we keep ourselves: pools, compiled code, and its counts.
 */
async function growsByReplay(fuzzer: Fuzzer): Promise<boolean> {
  await fuzzer.replay();
  for (let round = 0; round < REPLAY_ROUNDS; round++) {
    await collectGarbage();
    const before = memoryBytes();
    await fuzzer.replay();
    await collectGarbage();
    const left = memoryBytes() - before;
    console.log(`${fuzzer.target.name} left ${left} bytes in round ${round}`);
    if (left < MAX_REPLAY_BYTES) return false;
  }
  return true;
}

async function tell(found: Found): Promise<void> {
  if (told.has(found)) return;
  told.add(found);
  const { target, what, input } = found;
  const file = await Deno.makeTempFile({ prefix: "fuzz-", suffix: ".json" });
  await Deno.writeTextFile(file, formatFinding({ target, about: what, input }));
  console.log(`FOUND ${target}: ${what}\n    kept as ${file}`);
}
