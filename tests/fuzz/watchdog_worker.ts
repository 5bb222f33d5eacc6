/// <reference lib="deno.worker" />
/** The thread of a `Watchdog`. */
// deno-lint-ignore-file no-console -- the last word of a process that hangs
import process from "node:process";

let name = "";

/** Processor time of the whole process, s. On a busy machine its clock says little. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

self.onmessage = ({ data }: MessageEvent) => {
  if (typeof data.name === "string") name = data.name;
  if (data.beats === undefined) return;
  const beats: Int32Array = data.beats;
  let last = -1;
  let since = 0;
  setInterval(() => {
    const now = Atomics.load(beats, 0);
    if (now !== last) since = cpuSeconds();
    last = now;
    if (cpuSeconds() - since < data.limitSeconds) return;
    console.log(`FOUND ${name}: run ${now} of the process never ends`);
    Deno.kill(Deno.pid, "SIGTERM");
  }, 1000);
};
