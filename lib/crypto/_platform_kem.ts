/**
 * ML-KEM-768 by a WebCrypto that is handed in, or by noble where that has none.
 *
 * WebCrypto hands out ML-KEM behind promises alone, and that is why the suite
 * has promises at all.
 *
 * @see {@link https://wicg.github.io/webcrypto-modern-algos/ | Modern Algorithms in WebCrypto}
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { checkLength, wipedError } from "./_checks.ts";
import { checkKemCiphertext, checkKemKey } from "./_kem_encoding.ts";
import { nobleEncapsulate, nobleKemPair } from "./noble.ts";
import { type CryptoSuite, KEM_SEED_BYTES, type KemPair } from "./suite.ts";

const ML_KEM_768 = "ML-KEM-768";

type KemUsage = "encapsulateBits" | "decapsulateBits";

/** The part of WebCrypto that TypeScript's library does not describe yet. */
interface KemSubtle {
  importKey(
    format: "raw-seed" | "raw-public",
    data: Uint8Array,
    algorithm: string,
    extractable: boolean,
    usages: readonly KemUsage[],
  ): Promise<CryptoKey>;
  exportKey(format: "raw-public", key: CryptoKey): Promise<ArrayBuffer>;
  getPublicKey(
    key: CryptoKey,
    usages: readonly KemUsage[],
  ): Promise<CryptoKey>;
  encapsulateBits(
    algorithm: string,
    publicKey: CryptoKey,
  ): Promise<{ sharedKey: ArrayBuffer; ciphertext: ArrayBuffer }>;
  decapsulateBits(
    algorithm: string,
    privateKey: CryptoKey,
    ciphertext: Uint8Array,
  ): Promise<ArrayBuffer>;
}

/** The part of a suite that is here. */
type Kem = Pick<CryptoSuite, "kemPair" | "encapsulate">;

/** ML-KEM-768 by `subtle`, a platform's `crypto.subtle`. */
export function platformKem(subtle: object): Kem {
  return isKemSubtle(subtle)
    ? {
      kemPair: (seed) => importPair(subtle, seed),
      encapsulate: (publicKey) => encapsulate(subtle, publicKey),
    }
    : { kemPair: nobleKemPair, encapsulate: nobleEncapsulate };
}

function isKemSubtle(subtle: object): subtle is KemSubtle {
  return ["encapsulateBits", "decapsulateBits", "getPublicKey"]
    .every((method) => method in subtle);
}

async function importPair(
  subtle: KemSubtle,
  seed: Uint8Array,
): Promise<KemPair> {
  checkLength(seed, KEM_SEED_BYTES, "ML-KEM seed");
  const key = await subtle.importKey("raw-seed", seed, ML_KEM_768, false, [
    "decapsulateBits",
  ]);
  const publicKey = await subtle.getPublicKey(key, ["encapsulateBits"]);
  let secret: CryptoKey | undefined = key;
  return {
    publicKey: new Uint8Array(await subtle.exportKey("raw-public", publicKey)),
    async decapsulate(ciphertext) {
      if (secret === undefined) throw wipedError("ML-KEM key");
      checkKemCiphertext(ciphertext);
      return new Uint8Array(
        await subtle.decapsulateBits(ML_KEM_768, secret, ciphertext),
      );
    },
    wipe() {
      secret = undefined; // the bytes are the platform's to erase
    },
  };
}

/** Encapsulate with the platform's randomness. */
async function encapsulate(
  subtle: KemSubtle,
  publicKey: Uint8Array,
): Promise<{ ciphertext: Bytes; secret: Bytes }> {
  checkKemKey(publicKey);
  const key = await subtle.importKey(
    "raw-public",
    publicKey,
    ML_KEM_768,
    false,
    ["encapsulateBits"],
  );
  const { ciphertext, sharedKey } = await subtle.encapsulateBits(
    ML_KEM_768,
    key,
  );
  return {
    ciphertext: new Uint8Array(ciphertext),
    secret: new Uint8Array(sharedKey),
  };
}
