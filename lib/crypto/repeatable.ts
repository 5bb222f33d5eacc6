/**
 * A suite for worlds that must repeat themselves: the platform's speed where it
 * answers at once, noble where it would answer from another thread or with
 * randomness of its own. Its promises settle within microtasks, so a virtual
 * clock that waits for those waits for all of it.
 *
 * @see docs/decisions/0003-two-crypto-implementations.md
 * @module
 */
import { nativeSuite } from "./native.ts";
import { nobleSuite } from "./noble.ts";
import type { CryptoSuite } from "./suite.ts";

/** Same calls and same `Random`, same bytes and same order of events. */
export function repeatableSuite(): CryptoSuite {
  const { scrypt, kemPair, encapsulate } = nobleSuite();
  return {
    ...nativeSuite(),
    name: "repeatable",
    scrypt,
    kemPair,
    encapsulate,
  };
}
