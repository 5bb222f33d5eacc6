/**
 * A suite that tells what it is asked to compute, and what comes out in the clear:
 * all that a machine could ever look at, after it has taken off its layers.
 *
 * @module
 */
import type {
  CounterAead,
  CryptoSuite,
  KemPair,
} from "../../lib/crypto/suite.ts";

/** Hears of bytes; must not keep the array. */
export type Spy = (bytes: Uint8Array) => void;

/** `suite`, with every plaintext, message and key shown to `spy`. */
export function spyingSuite(suite: CryptoSuite, spy: Spy): CryptoSuite {
  const shown = <T extends Uint8Array | undefined>(bytes: T): T => {
    if (bytes !== undefined) spy(bytes);
    return bytes;
  };
  const all = (parts: readonly Uint8Array[]) => parts.forEach(spy);
  return {
    name: suite.name,
    sha256(...parts) {
      all(parts);
      return shown(suite.sha256(...parts));
    },
    hmac(key, ...parts) {
      all(parts);
      return shown(suite.hmac(key, ...parts));
    },
    hkdf(secret, salt, info, length) {
      all([secret, salt, info]);
      return shown(suite.hkdf(secret, salt, info, length));
    },
    hkdfExpand(key, info, length) {
      all([key, info]);
      return shown(suite.hkdfExpand(key, info, length));
    },
    scrypt: (password, salt, options) => suite.scrypt(password, salt, options),
    counterAead: (key) => spyingAead(suite.counterAead(shown(key)), spy),
    seal(key, nonce, plaintext, aad) {
      all([key, plaintext, ...aad === undefined ? [] : [aad]]);
      return shown(suite.seal(key, nonce, plaintext, aad));
    },
    open(key, nonce, sealed, aad) {
      all([key, sealed, ...aad === undefined ? [] : [aad]]);
      return shown(suite.open(key, nonce, sealed, aad));
    },
    keystream: (key) => suite.keystream(shown(key)),
    x25519Public: (secret) => shown(suite.x25519Public(secret)),
    x25519(secret, publicKey) {
      all([publicKey]);
      return shown(suite.x25519(secret, publicKey));
    },
    signer(seed) {
      const signer = suite.signer(seed);
      spy(signer.publicKey);
      return {
        publicKey: signer.publicKey,
        sign(message) {
          spy(message);
          return shown(signer.sign(message));
        },
      };
    },
    verify(publicKey, message, signature) {
      all([publicKey, message, signature]);
      return suite.verify(publicKey, message, signature);
    },
    async kemPair(seed) {
      return spyingKem(await suite.kemPair(seed), spy);
    },
    async encapsulate(publicKey, random) {
      spy(publicKey);
      const { ciphertext, secret } = await suite.encapsulate(publicKey, random);
      all([ciphertext, secret]);
      return { ciphertext, secret };
    },
  };
}

function spyingAead(aead: CounterAead, spy: Spy): CounterAead {
  return {
    seal(plaintext, out) {
      spy(plaintext);
      aead.seal(plaintext, out);
      spy(out);
    },
    open(sealed, out) {
      spy(sealed);
      const isRight = aead.open(sealed, out);
      if (isRight) spy(out);
      return isRight;
    },
    xorNext: (offset, bytes) => aead.xorNext(offset, bytes),
    wipe: () => aead.wipe(),
  };
}

function spyingKem(pair: KemPair, spy: Spy): KemPair {
  spy(pair.publicKey);
  return {
    publicKey: pair.publicKey,
    async decapsulate(ciphertext) {
      spy(ciphertext);
      const secret = await pair.decapsulate(ciphertext);
      spy(secret);
      return secret;
    },
    wipe: () => pair.wipe(),
  };
}
