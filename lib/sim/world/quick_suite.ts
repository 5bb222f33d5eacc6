/**
 * The cryptography of worlds whose machines hash much and prove nothing: a keyed hash
 * that takes a fiftieth of the time of HMAC and is no secret to any reader of it. What a
 * relay draws by it is drawn alike where no relay of the world tries to foresee it.
 *
 * @module
 */
import type { Bytes } from "../../base/bytes.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import { rememberingSuite } from "./remembering_suite.ts";

const HASH_BYTES = 32;
/** Of FNV-1a, which walks the bytes, and of what mixes its bits afterwards (MurmurHash 3). */
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
const MIX_FIRST = 0x85ebca6b;
const MIX_SECOND = 0xc2b2ae35;

/** {@linkcode rememberingSuite}, with a keyed hash that is cheap and not secure. */
export function quickSuite(): CryptoSuite {
  return { ...rememberingSuite(), name: "quick", hmac: quickHash };
}

function quickHash(
  key: Uint8Array,
  ...parts: readonly Uint8Array[]
): Bytes {
  let state = walk(FNV_OFFSET, key);
  for (const part of parts) state = walk(state, part);
  const hash = new Uint8Array(HASH_BYTES);
  const view = new DataView(hash.buffer);
  for (let at = 0; at < HASH_BYTES; at += 4) {
    state = mix(state + at);
    view.setUint32(at, state);
  }
  return hash;
}

function walk(state: number, bytes: Uint8Array): number {
  for (const byte of bytes) state = Math.imul(state ^ byte, FNV_PRIME);
  return state;
}

function mix(word: number): number {
  let mixed = word ^ (word >>> 16);
  mixed = Math.imul(mixed, MIX_FIRST);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, MIX_SECOND);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
