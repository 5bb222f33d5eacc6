/**
 * Identities and node records for tests, the same ones in every run.
 *
 * @module
 */
import { type Bytes, utf8 } from "../../lib/base/bytes.ts";
import { seededRandom } from "../../lib/base/random.ts";
import type { CryptoSuite } from "../../lib/crypto/suite.ts";
import { Identity } from "../../lib/auth/identity.ts";
import type { NetworkParameters } from "../../lib/auth/network.ts";
import { networkParameters } from "../../lib/auth/network.ts";
import { hasRent } from "../../lib/auth/rent.ts";
import {
  createNodeRecord,
  type NodeRecord,
  type NodeRecordContent,
} from "../../lib/auth/node_record.ts";

/** Wall-clock time in tests: the start of 2026, where virtual clocks start too. */
export const TEST_UNIX_MS = Date.UTC(2026, 0, 1);

/** The identity number `seed`. */
export function testIdentity(crypto: CryptoSuite, seed: number): Identity {
  return Identity.generate(crypto, seededRandom(seed));
}

/** What a relay of network `local` would say, changed as wanted. */
export function testContent(
  changes: Partial<NodeRecordContent> = {},
): NodeRecordContent {
  return {
    onionKey: testBytes("onion key", 32),
    addresses: [{ host: "127.0.0.1", port: 4001 }],
    flags: ["relay"],
    bandwidth: 12_500_000,
    sequence: TEST_UNIX_MS,
    expiry: TEST_UNIX_MS + 3 * 3_600_000,
    workNonce: testBytes("nonce", 16),
    ...changes,
  };
}

/** A signed record of identity number `seed`; where there is rent, it says that it is paid. */
export function testRecord(
  crypto: CryptoSuite,
  seed: number,
  changes: Partial<NodeRecordContent> = {},
  network: NetworkParameters = networkParameters("local"),
): NodeRecord {
  using identity = testIdentity(crypto, seed);
  return createNodeRecord(crypto, identity, network, {
    ...hasRent(network) && { rent: testBytes("rent", 16) },
    ...testContent(changes),
  });
}

/** `length` bytes that begin with a name. */
export function testBytes(name: string, length: number): Bytes {
  const bytes = new Uint8Array(length);
  bytes.set(utf8(name).subarray(0, length));
  return bytes;
}
