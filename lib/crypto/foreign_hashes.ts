/**
 * Hashes that formats of other programs need, and our protocol never uses.
 *
 *     SHA3-256   the checksum in an address of Tor's form
 *     SHA-1      S2K, by which Tor stores the password of its control port
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc2440#section-3.6.1.3 | RFC 2440 §3.6.1.3}
 * @module
 */
import { sha1 } from "@noble/hashes/legacy.js";
import { sha3_256 as sha3 } from "@noble/hashes/sha3.js";
import { type Bytes, concat, wipe } from "../base/bytes.ts";

/** SHA3-256 of the parts, one after the other. */
export function sha3_256(...parts: readonly Uint8Array[]): Bytes {
  return new Uint8Array(sha3(concat(...parts)));
}

/**
 * The iterated and salted S2K of OpenPGP with SHA-1: salt and password, over and over,
 * until `count` bytes were hashed, and once at least.
 *
 * @returns 20 bytes.
 */
export function saltedS2k(
  password: Uint8Array,
  salt: Uint8Array,
  count: number,
): Bytes {
  const unit = concat(salt, password);
  const hash = sha1.create();
  for (let left = Math.max(count, unit.length); left > 0; left -= unit.length) {
    hash.update(left < unit.length ? unit.subarray(0, left) : unit);
  }
  wipe(unit);
  return new Uint8Array(hash.digest());
}
