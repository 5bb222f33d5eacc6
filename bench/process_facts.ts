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

/** Resident memory of each process, MiB. */
export async function residentMiB(pids: readonly number[]): Promise<number[]> {
  const text = await read(pids.map((pid) => `/proc/${pid}/status`));
  return [...text.matchAll(/^VmRSS:\s+([0-9]+) kB$/gm)]
    .map(([, kib]) => Number(kib) / 1024);
}

async function read(files: readonly string[]): Promise<string> {
  const { success, stdout } = await new Deno.Command("cat", {
    args: [...files],
    stderr: "null",
  }).output();
  if (!success) throw new Error("A process has ended");
  return new TextDecoder().decode(stdout);
}

/** Sum of numbers. */
export function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
