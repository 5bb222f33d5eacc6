import assert from "node:assert/strict";
import {
  parseByteRate,
  parseBytes,
  parseCount,
  parseTrafficLimit,
} from "../../../lib/cli/flags/sizes.ts";

const BAD_SIZE = { code: "cli.size" };

Deno.test("parseByteRate() takes bytes and bits per second", () => {
  const rates: [string, number][] = [
    ["5000000", 5e6],
    ["5000k", 5e6],
    ["5M", 5e6],
    ["1MB", 1e6],
    ["10Mbit", 1.25e6],
    ["1.5MB", 1.5e6],
    ["1Gbit", 125e6],
    ["1MiB", 1_048_576],
  ];
  for (const [text, bytes] of rates) assert.equal(parseByteRate(text), bytes);
});

Deno.test("parseByteRate() refuses what is no rate", () => {
  const texts = ["", "0", "-1", "1 MB", "1mb", "1Mb", "1MB/s", "1e6", "0x10"];
  for (const text of [...texts, "9".repeat(16), "9000000TB", "5Mbits"]) {
    assert.throws(() => parseByteRate(text), BAD_SIZE, text);
  }
});

Deno.test("parseBytes() takes no bits", () => {
  assert.equal(parseBytes("64MiB"), 67_108_864);
  assert.throws(() => parseBytes("8Mbit"), BAD_SIZE);
});

Deno.test("parseTrafficLimit() takes bytes in a day, week or month", () => {
  assert.deepEqual(parseTrafficLimit("500GB/month"), {
    bytes: 5e11,
    unit: "month",
  });
  assert.deepEqual(parseTrafficLimit("1GiB/day"), {
    bytes: 2 ** 30,
    unit: "day",
  });
  for (const text of ["500GB", "500GB/", "/day", "1GB/year", "1GB/day/day"]) {
    assert.throws(() => parseTrafficLimit(text), BAD_SIZE, text);
  }
});

Deno.test("parseCount() takes whole numbers", () => {
  assert.equal(parseCount("100"), 100);
  for (const text of ["", "-1", "1.5", "1k"]) {
    assert.throws(() => parseCount(text), BAD_SIZE, text);
  }
});
