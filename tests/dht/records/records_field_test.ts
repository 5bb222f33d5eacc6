import assert from "node:assert/strict";
import { encodeRecordsField } from "../../../lib/dht/records/records_field.ts";
import { encodeCbor } from "../../../lib/wire/cbor.ts";
import { testBytes } from "../../support/nodes.ts";

Deno.test("encodeRecordsField() is the last pair of a deterministic map", () => {
  for (const size of [0, 23, 24, 255, 256, 65_535]) {
    for (const count of [0, 1, 23, 24, 255]) {
      if (size * count > 1e6) continue;
      const records = Array(count).fill(testBytes("record", size));
      const map = encodeCbor({ records });
      assert.deepEqual(encodeRecordsField(records), map.subarray(1));
    }
  }
});

Deno.test("encodeRecordsField() refuses what its heads cannot say", () => {
  const records = Array(256).fill(new Uint8Array());
  assert.throws(() => encodeRecordsField(records), RangeError);
  const record = new Uint8Array(65_536);
  assert.throws(() => encodeRecordsField([record]), RangeError);
});
