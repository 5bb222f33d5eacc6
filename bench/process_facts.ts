/**
 * What the kernel knows of processes: processor time and resident memory. Linux
 * alone, by a program of its own: reading these files would take all permissions.
 *
 * @see {@link https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html | proc_pid_stat(5)}
 * @module
 */

/** Of the kernel's clock as it shows it to programs. */
const TICKS_PER_SECOND = 100;

/** Processor time that each process has used, both in it and for it, s. */
export async function cpuSeconds(pids: readonly number[]): Promise<number[]> {
  const text = await read(pids.map((pid) => `/proc/${pid}/stat`));
  return text.trimEnd().split("\n").map((line) => {
    // Behind the name, which may hold anything: state, then 10 more, then both.
    const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  });
}

/** What a process had of the processors, all its threads together. */
export interface ProcessorFacts {
  /** Time on a processor, s. */
  readonly ranS: number;
  /** Time in which threads had something to do and no processor, s. */
  readonly waitedS: number;
}

/** What each process had of the processors; see proc_pid_schedstat of the kernel. */
export async function processorFacts(
  pids: readonly number[],
): Promise<ProcessorFacts[]> {
  const script = "for pid; do cat /proc/$pid/task/*/schedstat; echo; done";
  const text = await run("sh", ["-c", script, "sh", ...pids.map(String)]);
  return text.split("\n\n").slice(0, pids.length).map((lines) => {
    const threads = lines.split("\n").map((line) => line.split(" "));
    const seconds = (column: number) =>
      total(threads.map((thread) => Number(thread[column] ?? 0))) / 1e9;
    return { ranS: seconds(0), waitedS: seconds(1) };
  });
}

/** Resident memory of each process, MiB. */
export async function residentMiB(pids: readonly number[]): Promise<number[]> {
  const text = await read(pids.map((pid) => `/proc/${pid}/status`));
  return [...text.matchAll(/^VmRSS:\s+([0-9]+) kB$/gm)]
    .map(([, kib]) => Number(kib) / 1024);
}

function read(files: readonly string[]): Promise<string> {
  return run("cat", files);
}

async function run(program: string, args: readonly string[]): Promise<string> {
  const { success, stdout } = await new Deno.Command(program, {
    args: [...args],
    stderr: "null",
  }).output();
  if (!success) throw new Error("A process has ended");
  return new TextDecoder().decode(stdout);
}

/** Sum of numbers. */
export function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
