/**
 * An attacker buys identities once, keeps them on a disk, and shows them again whenever
 * it wants to be the relays next to a descriptor, for years.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Identity } from "../../lib/auth/identity.ts";
import { customNetwork } from "../../lib/auth/network.ts";
import { createNodeRecord } from "../../lib/auth/node_record.ts";
import { findWork } from "../../lib/auth/proof_of_work.ts";
import { RecordVerifier } from "../../lib/auth/record_verifier.ts";
import { findRent, RENT_PERIOD_MS, rentPeriod } from "../../lib/auth/rent.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { TEST_UNIX_MS, testContent } from "../support/nodes.ts";

const STOCK = 40;
const LIFE_MS = 24 * 3600 * 1000;
const network = customNetwork({
  name: "priced",
  powDifficulty: 4,
  allowPrivateAddresses: true,
});

Deno.test("identities that were bought once are worth nothing in later periods, and what was paid ahead serves for its own alone", async () => {
  const suite = nativeSuite();
  const fast = {
    ...suite,
    scrypt: (password: Uint8Array) => Promise.resolve(suite.sha256(password)),
  };
  const random = seededRandom(5);
  const expiry = TEST_UNIX_MS + LIFE_MS;
  const bought = rentPeriod(expiry);
  const stock = await Promise.all(Array.from({ length: STOCK }, async () => {
    const identity = Identity.generate(suite, random);
    const { publicKey } = identity;
    return {
      identity,
      work: await findWork(fast, 4, publicKey, random),
      rent: await findRent(fast, network, publicKey, bought, random),
    };
  }));
  const taken = async (unixMs: number): Promise<number> => {
    const reader = new RecordVerifier(fast, network);
    let count = 0;
    for (const { identity, work, rent } of stock) {
      const { encoded } = createNodeRecord(
        fast,
        identity,
        network,
        testContent({
          ...work,
          rent,
          sequence: unixMs,
          expiry: unixMs + LIFE_MS,
        }),
      );
      try {
        await reader.verify(encoded, unixMs);
        count++;
      } catch (error) {
        assert.equal((error as { code?: string }).code, "auth.record_rent");
      }
    }
    return count;
  };
  assert.equal(await taken(TEST_UNIX_MS), STOCK);
  for (const periods of [-1, 1, 2, 13]) {
    const count = await taken(TEST_UNIX_MS + periods * RENT_PERIOD_MS);
    // With 4 + 1 bits one of 32 is right by chance; with those of `main` one of 8,192.
    assert.ok(count <= STOCK / 8, `${count} after ${periods} periods`);
  }
});
