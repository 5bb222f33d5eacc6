/**
 * Another time than this machine's, for one process: given to `deno run --preload`, with
 * the file behind `?file=` that holds by how many ms the calendar is ahead.
 *
 * @module
 */
const file = new URL(import.meta.url).searchParams.get("file") ?? "";
const now = Date.now;
let shiftMs = 0;

function look(): void {
  shiftMs = Number(Deno.readTextFileSync(file));
}

look();
Deno.unrefTimer(setInterval(look, 200));
Date.now = () => now() + shiftMs;
