/**
 * A secret key in a file that a person can back up, print or paste.
 *
 *     anonnet-ed25519-seed v1
 *     aadq4fi4emvdcob7izgviw3cnfyho7ufrsjzviniv63l3rgl2lmq
 *     eknymlp6
 *
 * Three lines: what it is; the 32 bytes of the seed in base32; a checksum, the
 * first 5 bytes of SHA-256("anonnet v1 key file" ‖ 0 ‖ seed) in base32. Spaces
 * and line ends around the lines are ignored, since editors add them.
 *
 * @see protocol §9.1 "State directory"
 * @module
 */
import {
  type Bytes,
  equalBytes,
  formatBase32,
  parseBase32,
  utf8,
} from "../base/bytes.ts";
import { type CryptoSuite, ED25519_KEY_BYTES } from "../crypto/suite.ts";

/** What each key file begins with. */
export const KEY_KIND = "anonnet-ed25519-seed";
const VERSION = 1;
const CHECKSUM_BYTES = 5;
const CHECKSUM_CONTEXT = utf8("anonnet v1 key file");
const ZERO = new Uint8Array(1);

/** Most bytes of a key file; nothing longer is read. */
export const MAX_KEY_FILE_BYTES = 4096;

/** What a key file turned out to hold. */
export type KeyContent =
  | { readonly type: "key"; readonly seed: Bytes }
  /** Torn, mistyped, or not a key file. */
  | { readonly type: "damaged" }
  /** Written by a later version of this program: nothing is wrong with it. */
  | { readonly type: "newer" };

/** The text of a key file. It is the secret itself. */
export function formatKey(crypto: CryptoSuite, seed: Uint8Array): string {
  return `${KEY_KIND} v${VERSION}\n${formatBase32(seed)}\n${
    formatBase32(checksum(crypto, seed))
  }\n`;
}

/** Read what {@linkcode formatKey} made. Never throws. */
export function parseKey(crypto: CryptoSuite, text: string): KeyContent {
  const lines = text.trim().split("\n").map((line) => line.trim());
  const [title, seedText, checksumText] = lines;
  const match = /^(anonnet-[a-z0-9-]+) v([0-9]{1,4})$/.exec(title ?? "");
  if (match === null) return { type: "damaged" };
  if (match[1] !== KEY_KIND || Number(match[2]) > VERSION) {
    return { type: "newer" };
  }
  const seed = parseBase32(seedText ?? "");
  const sum = parseBase32(checksumText ?? "");
  const whole = lines.length === 3 && Number(match[2]) === VERSION &&
    seed?.length === ED25519_KEY_BYTES && sum !== undefined &&
    equalBytes(sum, checksum(crypto, seed));
  return whole ? { type: "key", seed } : { type: "damaged" };
}

function checksum(crypto: CryptoSuite, seed: Uint8Array): Uint8Array {
  return crypto.sha256(CHECKSUM_CONTEXT, ZERO, seed).subarray(
    0,
    CHECKSUM_BYTES,
  );
}
