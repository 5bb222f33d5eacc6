import assert from "node:assert/strict";
import { seededRandom } from "../../../lib/base/random.ts";
import { quickSuite } from "../../../lib/sim/world/quick_suite.ts";

const suite = quickSuite();
const random = seededRandom(1);

Deno.test("quickSuite() hashes alike what is alike, whatever its parts, and nothing else", () => {
  const [key, text] = [random.bytes(32), random.bytes(32)];
  const hash = suite.hmac(key, text);
  assert.equal(hash.length, 32);
  const parts = [text.subarray(0, 7), text.subarray(7)];
  assert.deepEqual(suite.hmac(key, ...parts), hash);
  for (const changed of [key, text]) {
    for (let at = 0; at < 32; at++) {
      changed[at] = 1 ^ (changed[at] ?? 0);
      assert.notDeepEqual(suite.hmac(key, text), hash);
      changed[at] = 1 ^ (changed[at] ?? 0);
    }
  }
});

Deno.test("quickSuite() spreads its hashes evenly, whatever the key", () => {
  for (let n = 0; n < 5; n++) {
    const key = random.bytes(32);
    const bins = new Float64Array(16);
    for (let draw = 0; draw < 4096; draw++) {
      const first = suite.hmac(key, random.bytes(32))[0] ?? 0;
      bins[first >> 4] = 1 + (bins[first >> 4] ?? 0);
    }
    const chi = bins.reduce((sum, count) => sum + (count - 256) ** 2 / 256, 0);
    // 15 degrees of freedom: above 44 once in ten thousand.
    assert.ok(chi < 44, `${chi}`);
  }
});
