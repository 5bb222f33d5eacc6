import assert from "node:assert/strict";
import { formatDuration, formatFacts } from "../../../lib/cli/ask/status.ts";

Deno.test("formatDuration() shows the two largest units", () => {
  for (
    const [ms, text] of [
      [0, "0 s"],
      [999, "0 s"],
      [1000, "1 s"],
      [61_000, "1 min 1 s"],
      [3_600_000, "1 h"],
      [3_601_000, "1 h 1 s"],
      [90_061_000, "1 d 1 h"],
    ] as const
  ) assert.equal(formatDuration(ms), text);
});

Deno.test("formatFacts() names facts in words, and indents facts within facts", () => {
  assert.deepEqual(
    formatFacts({ state: "fine", links: { turnedAway: 3 }, uptimeMs: 5000 }),
    [
      "state                fine",
      "links",
      "  turned away        3",
      "uptime               5 s",
    ],
  );
});

Deno.test("formatFacts() tells what a node does not have from what it does not know", () => {
  assert.deepEqual(
    formatFacts({ publicKey: null, address: null, dht: null }),
    [
      "public key           none",
      "address              none",
      "dht                  none",
    ],
  );
  assert.deepEqual(
    formatFacts({ publicKey: "abc", address: null, socks: null }),
    [
      "public key           abc",
      "address              unknown",
      "socks                none",
    ],
  );
});
