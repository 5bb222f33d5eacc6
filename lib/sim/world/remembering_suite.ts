/**
 * The cryptography of a simulation: the real one, but a signature that one node
 * has made or verified is known to be right by all. The same bytes verify the
 * same wherever they are, so no node sees a difference; and half of what a
 * handshake costs is saved.
 *
 * @module
 */
import { type Bytes, concat, equalBytes } from "../../base/bytes.ts";
import { RecentMap } from "../../base/recent_map.ts";
import { repeatableSuite } from "../../crypto/repeatable.ts";
import type { CryptoSuite, Signer } from "../../crypto/suite.ts";

/** Signatures remembered, about 1 KiB each: most are verified a moment after they are made. */
const MAX_SIGNATURES = 8192;

/** A suite that repeats itself, and remembers, for all nodes of one simulation. */
export function rememberingSuite(): CryptoSuite {
  const suite = repeatableSuite();
  /** What is signed, and by whom, of signatures that are right. */
  const right = new RecentMap<string, Bytes>(MAX_SIGNATURES);
  const remember = (signed: Bytes, signature: Uint8Array) =>
    right.set(keyOf(signature), signed);
  return {
    ...suite,
    name: "remembering",
    signer(seed): Signer {
      const signer = suite.signer(seed);
      return {
        publicKey: signer.publicKey,
        sign(message) {
          const signature = signer.sign(message);
          remember(concat(signer.publicKey, message), signature);
          return signature;
        },
      };
    },
    verify(publicKey, message, signature) {
      const signed = concat(publicKey, message);
      const known = right.get(keyOf(signature));
      if (known !== undefined && equalBytes(known, signed)) return true;
      if (!suite.verify(publicKey, message, signature)) return false;
      remember(signed, signature);
      return true;
    },
  };
}

function keyOf(signature: Uint8Array): string {
  return Reflect.apply(String.fromCharCode, undefined, signature);
}
