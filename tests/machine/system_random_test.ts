import assert from "node:assert/strict";
import { systemRandom } from "../../lib/machine/system_random.ts";

Deno.test("systemRandom gives any number of bytes, all of them drawn", () => {
  for (const length of [0, 1, 65_535, 65_536, 65_537, 200_000]) {
    const bytes = systemRandom.bytes(length);
    assert.equal(bytes.length, length);
    // The end of each piece would stay zero if a piece were missed.
    for (let end = 64; end <= length; end += 64) {
      assert.ok(bytes.subarray(end - 64, end).some((byte) => byte !== 0));
    }
  }
  assert.notDeepEqual(systemRandom.bytes(16), systemRandom.bytes(16));
});
