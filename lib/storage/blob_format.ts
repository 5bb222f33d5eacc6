/**
 * Bytes in a file, so that a torn, truncated or exchanged file is noticed.
 *
 *     "anonnet blob"   version   length          checksum   body
 *     12               1         4, big-endian   16         length     bytes
 *
 *     checksum = first 16 bytes of SHA-256("anonnet v1 blob" ‖ 0 ‖ name ‖ 0 ‖ body)
 *
 * The checksum finds accidents. A program that can write here can forge it.
 *
 * @see protocol §9.1 "State directory"
 * @module
 */
import { type Bytes, concat, equalBytes, utf8 } from "../base/bytes.ts";
import type { CryptoSuite } from "../crypto/suite.ts";

/** What each blob begins with. */
export const BLOB_MAGIC: Bytes = utf8("anonnet blob");
const VERSION = 1;
const CHECKSUM_BYTES = 16;
const VERSION_OFFSET = BLOB_MAGIC.length;
const LENGTH_OFFSET = VERSION_OFFSET + 1;
const CHECKSUM_OFFSET = LENGTH_OFFSET + 4;
const BODY_OFFSET = CHECKSUM_OFFSET + CHECKSUM_BYTES;

const CHECKSUM_CONTEXT = utf8("anonnet v1 blob");
const ZERO = new Uint8Array(1);

/**
 * Most bytes of one body. Blobs are read and written whole; what grows beyond
 * this wants another form.
 */
export const MAX_BLOB_BYTES = 64 * 1024 * 1024;

/** Most bytes of a file that holds one. */
export const MAX_BLOB_FILE_BYTES = MAX_BLOB_BYTES + BODY_OFFSET;

/** What a file turned out to hold. */
export type BlobContent =
  | { readonly type: "whole"; readonly body: Bytes }
  /** Torn, truncated, or not one of ours. */
  | { readonly type: "damaged" }
  /** Written by a later version of this program: nothing is wrong with it. */
  | { readonly type: "newer"; readonly version: number };

/**
 * The bytes of a file that holds `body` under `name`.
 *
 * @throws {RangeError} when the body is longer than {@linkcode MAX_BLOB_BYTES}.
 */
export function encodeBlob(
  crypto: CryptoSuite,
  name: string,
  body: Uint8Array,
): Bytes {
  if (body.length > MAX_BLOB_BYTES) {
    throw new RangeError(`Cannot store a blob of ${body.length} bytes`);
  }
  const header = new Uint8Array(BODY_OFFSET);
  header.set(BLOB_MAGIC);
  header[VERSION_OFFSET] = VERSION;
  new DataView(header.buffer).setUint32(LENGTH_OFFSET, body.length);
  header.set(checksum(crypto, name, body), CHECKSUM_OFFSET);
  return concat(header, body);
}

/** Read what {@linkcode encodeBlob} made. Never throws. */
export function decodeBlob(
  crypto: CryptoSuite,
  name: string,
  file: Uint8Array,
): BlobContent {
  const version = file[VERSION_OFFSET];
  if (
    version === undefined ||
    !equalBytes(file.subarray(0, BLOB_MAGIC.length), BLOB_MAGIC) ||
    version === 0
  ) return { type: "damaged" };
  if (version > VERSION) return { type: "newer", version };
  if (file.length < BODY_OFFSET) return { type: "damaged" };
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const body = new Uint8Array(file.subarray(BODY_OFFSET));
  const whole = view.getUint32(LENGTH_OFFSET) === body.length &&
    equalBytes(
      file.subarray(CHECKSUM_OFFSET, BODY_OFFSET),
      checksum(crypto, name, body),
    );
  return whole ? { type: "whole", body } : { type: "damaged" };
}

function checksum(
  crypto: CryptoSuite,
  name: string,
  body: Uint8Array,
): Uint8Array {
  return crypto.sha256(CHECKSUM_CONTEXT, ZERO, utf8(name), ZERO, body)
    .subarray(0, CHECKSUM_BYTES);
}
