/**
 * The platform's random generator, for real nodes.
 *
 * @module
 */
import type { Random } from "../base/random.ts";

/** Most bytes that `getRandomValues` gives in one call. */
const MAX_CALL_BYTES = 65_536;

/** Bytes fit for keys. */
export const systemRandom: Random = Object.freeze({
  bytes(length: number): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(length);
    for (let offset = 0; offset < length; offset += MAX_CALL_BYTES) {
      crypto.getRandomValues(out.subarray(offset, offset + MAX_CALL_BYTES));
    }
    return out;
  },
});
