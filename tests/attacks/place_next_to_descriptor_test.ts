/**
 * A service's descriptors lie on the relays closest to keys that follow from its
 * address, for any day to come. The attacker wants to be those relays: it makes keys
 * without end, for hashing costs nothing, and pays for a proof of work only where a
 * key would stand close enough. 20 proofs of work for each replica would do.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Identity } from "../../lib/auth/identity.ts";
import { customNetwork } from "../../lib/auth/network.ts";
import {
  createNodeRecord,
  type NodeRecord,
} from "../../lib/auth/node_record.ts";
import { findWork } from "../../lib/auth/proof_of_work.ts";
import { findRent, rentPeriod } from "../../lib/auth/rent.ts";
import { RecordVerifier } from "../../lib/auth/record_verifier.ts";
import { type Random, seededRandom } from "../../lib/base/random.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import type { CryptoSuite } from "../../lib/crypto/suite.ts";
import { sharedPrefixBits } from "../../lib/dht/records/distance.ts";
import { RoutingTable } from "../../lib/dht/table/routing_table.ts";
import { TEST_UNIX_MS, testContent } from "../support/nodes.ts";

const HONEST = 500;
/** Places among the closest that the attacker wants: all of them. */
const WANTED = 20;
/** Bits that a key has to share with the replica's: none of 500 relays is closer. */
const CLOSE_BITS = 11;

/** Work of 16 tries that does not wait for scrypt, and counts the tries. */
class CountedWork {
  tries = 0;
  readonly suite: CryptoSuite;

  constructor() {
    const suite = nativeSuite();
    this.suite = {
      ...suite,
      scrypt: (password, _salt, { N }) => {
        // Rent has another price.
        if (N === 4096) this.tries++;
        return Promise.resolve(suite.sha256(password));
      },
    };
  }
}

const network = customNetwork({
  name: "priced",
  powDifficulty: 4,
  allowPrivateAddresses: true,
});

/** One more relay, in full: its key, its work, its record, verified. */
async function relay(
  { suite }: CountedWork,
  random: Random,
  isWorthIt: (identity: Identity) => boolean = () => true,
): Promise<NodeRecord> {
  let identity = Identity.generate(suite, random);
  while (!isWorthIt(identity)) identity = Identity.generate(suite, random);
  const { publicKey } = identity;
  const work = await findWork(suite, 4, publicKey, random);
  // Each relay pays it, hostile or not; it moves none of them.
  const period = rentPeriod(testContent().expiry);
  const rent = await findRent(suite, network, publicKey, period, random);
  const record = createNodeRecord(
    suite,
    identity,
    network,
    testContent({ ...work, rent }),
  );
  return await new RecordVerifier(suite, network)
    .verify(record.encoded, TEST_UNIX_MS);
}

/** Of the 20 closest to the replica's key that a relay there knows, the hostile ones. */
function hostileAmongClosest(
  replica: Uint8Array<ArrayBuffer>,
  honest: readonly NodeRecord[],
  hostile: readonly NodeRecord[],
): number {
  const [self] = honest;
  assert.ok(self !== undefined);
  const table = new RoutingTable({
    network,
    random: seededRandom(1),
    selfId: self.nodeId,
    selfPlace: replica,
  });
  for (const record of [...honest.slice(1), ...hostile]) {
    const [address] = record.addresses;
    assert.ok(address !== undefined);
    table.consider(record, 0);
    table.onAlive(record, address, 0);
  }
  const keys = new Set(hostile.map(({ publicKey }) => publicKey.toHex()));
  return table.closest(replica, WANTED)
    .filter(({ record }) => keys.has(record.publicKey.toHex())).length;
}

Deno.test("keys ground next to a replica do not become the relays that hold it", async () => {
  const random = seededRandom(11);
  const work = new CountedWork();
  const honest: NodeRecord[] = [];
  for (let i = 0; i < HONEST; i++) honest.push(await relay(work, random));
  const replica = random.bytes(32);
  work.tries = 0;
  const hostile: NodeRecord[] = [];
  while (hostile.length < WANTED) {
    hostile.push(
      await relay(
        work,
        random,
        ({ nodeId }) => sharedPrefixBits(replica, nodeId) >= CLOSE_BITS,
      ),
    );
  }
  assert.ok(work.tries < 40 * WANTED, `${work.tries} tries`);
  const held = hostileAmongClosest(replica, honest, hostile);
  assert.ok(held <= 5, `${held} of 20 holders are hostile`);
});

Deno.test("each place among the 20 closest of N costs N / 20 works", async () => {
  const random = seededRandom(12);
  const work = new CountedWork();
  const honest: NodeRecord[] = [];
  for (let i = 0; i < HONEST; i++) honest.push(await relay(work, random));
  const replica = random.bytes(32);
  work.tries = 0;
  const hostile: NodeRecord[] = [];
  for (let i = 0; i < HONEST; i++) hostile.push(await relay(work, random));
  assert.ok(work.tries > 10 * HONEST, `${work.tries} tries`);
  const held = hostileAmongClosest(replica, honest, hostile);
  // As many works as there are relays: half of the holders, as is fair.
  assert.ok(held >= 4 && held <= 16, `${held} of 20 holders are hostile`);
});
