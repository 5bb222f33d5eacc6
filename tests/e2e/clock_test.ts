/** Relay processes whose machines show another time than the others. */
import assert from "node:assert/strict";
import { logLine, ProgramProcess, runProgram } from "../support/process.ts";
import { ProcessNetwork } from "../support/process_network.ts";

const HOUR_MS = 3_600_000;
const SHIFT = new URL("../support/shifted_clock.ts", import.meta.url);
const WRONG =
  "The clock of this machine seems to be wrong: set it, and the node goes on";

/** What `status` and `doctor` say of the clock. */
async function told(state: string): Promise<readonly string[]> {
  const status = await runProgram(["status", `--state=${state}`]);
  const doctor = await runProgram(["doctor", `--state=${state}`]);
  assert.equal(doctor.code, 1, doctor.stdout);
  return [status.stdout, doctor.stdout];
}

for (
  const [what, shiftMs, words] of [
    ["two days ahead", 48 * HOUR_MS, /clock seems to be at least .* ahead/],
    [
      "three hours behind",
      -3 * HOUR_MS,
      /clock seems to be at least .* behind/,
    ],
  ] as const
) {
  Deno.test(`a relay process whose clock is ${what} waits, says so to status and doctor, and is ready once it is set`, async () => {
    await using network = await ProcessNetwork.start({ relays: 3 });
    const shift = network.home.pathOf("shift");
    await Deno.writeTextFile(shift, String(shiftMs));
    const state = network.home.pathOf("wrong");
    const preload = `--preload=${SHIFT.href}?file=${encodeURIComponent(shift)}`;
    await using relay = ProgramProcess.start([
      "relay",
      "--network=local",
      `--state=${state}`,
      `--bootstrap=${network.relays[0]?.address}`,
      "--listen=127.0.0.1:0",
      "--ready-json",
      "--log-format=json",
    ], { permissions: ["-P", preload] });
    await logLine(relay, WRONG);
    // Again, after its waits: it neither ends nor blames the keys.
    await logLine(relay, WRONG);
    await logLine(relay, WRONG);
    for (const page of await told(state)) assert.match(page, words);
    await Deno.writeTextFile(shift, "0");
    await relay.stdout.until((line) => line.startsWith("{"), 60_000);
    const { stdout } = await runProgram(["doctor", `--state=${state}`]);
    assert.match(stdout, /^ok +clock/m);
    await relay.stop();
  });
}
