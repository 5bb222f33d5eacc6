/**
 * Passwords of the control port, as `tor --hash-password` prints them.
 *
 *     16: salt(8) count(1) hash(20)              29 bytes in hexadecimal
 *     count = (16 + low 4 bits) · 2^(high 4 bits + 6) bytes of S2K
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc2440#section-3.6.1.3 | RFC 2440 §3.6.1.3}
 * @module
 */
import { type Bytes, equalSecret, wipe } from "../base/bytes.ts";
import { ConfigError } from "../base/errors.ts";
import { saltedS2k } from "../crypto/foreign_hashes.ts";
import { parseHex } from "./byte_text.ts";

const PREFIX = "16:";
const SALT_BYTES = 8;
const HASH_BYTES = 20;

/** A password that was hashed. Prints as `[scrubbed]`. */
export class PasswordHash {
  readonly #salt: Bytes;
  readonly #count: number;
  readonly #hash: Bytes;

  private constructor(bytes: Bytes) {
    this.#salt = bytes.slice(0, SALT_BYTES);
    const count = bytes[SALT_BYTES] as number;
    this.#count = (16 + (count & 15)) << ((count >> 4) + 6);
    this.#hash = bytes.slice(SALT_BYTES + 1);
  }

  /** @throws {ConfigError} `torcontrol.password_hash`; the message does not repeat it. */
  static parse(text: string): PasswordHash {
    const bytes = text.startsWith(PREFIX)
      ? parseHex(text.slice(PREFIX.length))
      : undefined;
    if (bytes?.length === SALT_BYTES + 1 + HASH_BYTES) {
      return new PasswordHash(bytes);
    }
    throw new ConfigError(
      "torcontrol.password_hash",
      "it is no hash of a password: write 16: and 58 hexadecimal digits, as " +
        "tor --hash-password prints them",
    );
  }

  /** Whether this is the password. */
  isOf(password: Uint8Array): boolean {
    const hash = saltedS2k(password, this.#salt, this.#count);
    const isRight = equalSecret(hash, this.#hash);
    wipe(hash);
    return isRight;
  }

  toJSON(): string {
    return "[scrubbed]";
  }

  [Symbol.for("Deno.customInspect")](): string {
    return "PasswordHash([scrubbed])";
  }
}
