/**
 * Checks of ML-KEM-768 inputs, on the bytes, alike for both implementations.
 *
 *     encapsulation key    768 coefficients of 12 bits, each below 3329 ‖ ρ
 *                          1152                                           32   bytes
 *     ciphertext           1088 bytes, any
 *
 * @see FIPS 203 §7.2 and §7.3
 * @module
 */
import { ProtocolError } from "../base/errors.ts";
import { KEM_CIPHERTEXT_BYTES, KEM_PUBLIC_BYTES } from "./suite.ts";

/** The field's order q. */
const Q = 3329;
/** Bytes of the packed coefficients. */
const PACKED_BYTES = 1152;

/** @throws {ProtocolError} `crypto.kem_key` unless FIPS 203 §7.2 allows the key. */
export function checkKemKey(publicKey: Uint8Array): void {
  if (publicKey.length !== KEM_PUBLIC_BYTES) {
    throw new ProtocolError(
      "crypto.kem_key",
      `Cannot encapsulate: a key of ${publicKey.length} bytes`,
    );
  }
  for (let i = 0; i < PACKED_BYTES; i += 3) {
    const middle = publicKey[i + 1] as number;
    const low = (publicKey[i] as number) | ((middle & 0x0f) << 8);
    const high = (middle >> 4) | ((publicKey[i + 2] as number) << 4);
    if (low >= Q || high >= Q) {
      throw new ProtocolError(
        "crypto.kem_key",
        "Cannot encapsulate: a coefficient of the key is not reduced",
      );
    }
  }
}

/** @throws {ProtocolError} `crypto.kem_length` unless 1088 bytes. */
export function checkKemCiphertext(ciphertext: Uint8Array): void {
  if (ciphertext.length !== KEM_CIPHERTEXT_BYTES) {
    throw new ProtocolError(
      "crypto.kem_length",
      `Cannot decapsulate a ciphertext of ${ciphertext.length} bytes`,
    );
  }
}
