/**
 * Checks of arguments that both implementations make alike. A wrong length is a
 * mistake of our own code, never the peer's: decoders fix lengths at the door.
 *
 * @module
 */
import { BugError } from "../base/errors.ts";
import { KEY_BYTES, type ScryptOptions, TAG_BYTES } from "./suite.ts";

/** Most bytes that HKDF-SHA-256 can give (RFC 5869 §2.3). */
const MAX_HKDF_BYTES = 255 * 32;

/** Most memory of one scrypt run: parameters above it are a mistake of ours. */
export const MAX_SCRYPT_BYTES = 256 * 1024 * 1024;

/** Most bytes asked of scrypt. */
const MAX_SCRYPT_OUTPUT_BYTES = 1024;

/** @throws {RangeError} unless `bytes` are `length`. */
export function checkLength(
  bytes: Uint8Array,
  length: number,
  what: string,
): void {
  if (bytes.length !== length) {
    throw new RangeError(
      `Cannot use ${what}: ${bytes.length} bytes instead of ${length}`,
    );
  }
}

/** A private copy of a symmetric key. @throws {RangeError} unless 32 bytes. */
export function copyKey(key: Uint8Array): Uint8Array<ArrayBuffer> {
  checkLength(key, KEY_BYTES, "key");
  return new Uint8Array(key);
}

/** @throws {RangeError} unless `out` has room for the ciphertext and its tag, exactly. */
export function checkSealOutput(plaintext: Uint8Array, out: Uint8Array): void {
  checkLength(out, plaintext.length + TAG_BYTES, "output of seal");
}

/** @throws {RangeError} unless `out` has room for the plaintext, exactly. */
export function checkOpenOutput(sealed: Uint8Array, out: Uint8Array): void {
  if (sealed.length < TAG_BYTES) {
    throw new RangeError(`Cannot open a box of ${sealed.length} bytes`);
  }
  checkLength(out, sealed.length - TAG_BYTES, "output of open");
}

/** @throws {RangeError} unless HKDF can give `length` bytes. */
export function checkHkdfLength(length: number): void {
  if (!Number.isInteger(length) || length < 0 || length > MAX_HKDF_BYTES) {
    throw new RangeError(`Cannot derive ${length} bytes by HKDF`);
  }
}

/** @throws {RangeError} unless a key is as long as HKDF-Expand wants it. */
export function checkExpandKey(key: Uint8Array): void {
  if (key.length < KEY_BYTES) {
    throw new RangeError(`Cannot derive from a key of ${key.length} bytes`);
  }
}

/** @throws {RangeError} unless RFC 7914 §2 and our limits allow `options`. */
export function checkScrypt(options: ScryptOptions): void {
  const { N, r, p, length } = options;
  const natural = (n: number) => Number.isSafeInteger(n) && n >= 1;
  if (
    !natural(r) || !natural(p) || !natural(N) || N < 2 || N > 2 ** 30 ||
    (N & (N - 1)) !== 0
  ) {
    throw new RangeError(`Cannot run scrypt with N ${N}, r ${r}, p ${p}`);
  }
  if (128 * r * (N + p) > MAX_SCRYPT_BYTES) {
    throw new RangeError(
      `Cannot run scrypt with N ${N}, r ${r}, p ${p}: above 256 MiB`,
    );
  }
  if (!natural(length) || length > MAX_SCRYPT_OUTPUT_BYTES) {
    throw new RangeError(`Cannot derive ${length} bytes by scrypt`);
  }
}

/** The error of an object that was used after `wipe()`. */
export function wipedError(what: string): BugError {
  return new BugError("crypto.wiped", `Cannot use ${what}: its key is wiped`);
}
