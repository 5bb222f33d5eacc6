import assert from "node:assert/strict";
import { Meter } from "../../../lib/cli/share/meter.ts";

const MB = 1_000_000;

Deno.test("Meter shows how far, how fast and how long, a few times in a second", () => {
  const lines: string[] = [];
  const meter = new Meter("a.iso", (line) => lines.push(line));
  for (let ms = 0; ms <= 5_000; ms += 10) {
    meter.update(ms * 1_000, 100 * MB, ms);
  }
  assert.ok(lines.length >= 20 && lines.length <= 30, `${lines.length}`);
  assert.equal(
    lines.at(-1),
    "a.iso  █░░░░░░░░░░░░░░░░░░░  5 %  5.0 MB of 100 MB  1.0 MB/s  1 min 35 s left",
  );
  meter.update(100 * MB, 100 * MB, 5_001);
  assert.match(lines.at(-1) ?? "", /█{20} {2}100 % {2}100 MB of 100 MB/);
});

Deno.test("Meter takes what was there before for no speed, and follows the last ten seconds", () => {
  const lines: string[] = [];
  const meter = new Meter("a", (line) => lines.push(line));
  meter.update(0, 100 * MB, 0);
  meter.restart();
  meter.update(50 * MB, 100 * MB, 10);
  meter.update(51 * MB, 100 * MB, 1_010);
  assert.match(lines.at(-1) ?? "", / 1\.0 MB\/s/);
  for (let ms = 2_000; ms < 30_000; ms += 500) {
    meter.update(51 * MB, 100 * MB, ms);
  }
  assert.match(lines.at(-1) ?? "", / 0 bytes\/s$/);
});

Deno.test("Meter does without a length, and shows names that are fit for a line", () => {
  const lines: string[] = [];
  const meter = new Meter(
    `\u001b[2J${"x".repeat(100)}`,
    (line) => lines.push(line),
  );
  meter.update(1_500, undefined, 0);
  assert.match(lines[0] ?? "", /^\uFFFD\[2Jx{25}… {2}1\.5 kB$/);
  const empty = new Meter("e", (line) => lines.push(line));
  empty.update(0, 0, 0);
  assert.match(lines.at(-1) ?? "", /100 %/);
});
