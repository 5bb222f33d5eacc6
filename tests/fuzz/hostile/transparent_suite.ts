import { concat } from "../../../lib/base/bytes.ts";
import { type CryptoSuite, TAG_BYTES } from "../../../lib/crypto/suite.ts";

/**
 * A suite that seals messages as they are. What a peer that holds the keys can write
 * is any plaintext: so mutation goes below the encryption.
 */
export function transparent(suite: CryptoSuite): CryptoSuite {
  return {
    ...suite,
    name: "transparent",
    seal: (_key, _nonce, plaintext) =>
      concat(plaintext, new Uint8Array(TAG_BYTES)),
    open: (_key, _nonce, sealed) =>
      sealed.length < TAG_BYTES ? undefined : sealed.slice(0, -TAG_BYTES),
  };
}
