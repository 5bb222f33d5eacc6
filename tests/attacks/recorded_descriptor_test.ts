/**
 * The attack: descriptors for chosen clients are recorded, and X25519 is broken years
 * later; the address is known.
 *
 * @see protocol §7.3 "Descriptors"
 * @module
 */
import assert from "node:assert/strict";
import { concat } from "../../lib/base/bytes.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import {
  CLIENT_KEY_BYTES,
  clientPublicKey,
} from "../../lib/service/client_authorisation.ts";
import {
  decodeDescriptor,
  encodeDescriptor,
} from "../../lib/service/descriptor.ts";
import type { DescriptorName } from "../../lib/service/descriptor_box.ts";
import { IntroductionKeys } from "../../lib/service/meeting/introduction_keys.ts";
import { blindedKey } from "../../lib/service/time_period.ts";

const crypto = nativeSuite();
const random = seededRandom(1);
const { publicKey } = crypto.signer(random.bytes(32));
const period = 20_000;
const blinded = blindedKey(crypto, publicKey, period);
const name: DescriptorName = { publicKey, blinded, period, revision: 7 };

Deno.test("A recorded descriptor stays closed to who has every X25519 key of its clients, or what one of them shares", async () => {
  const { public: keys } = await IntroductionKeys.generate(crypto, random);
  const points = [{ relay: random.bytes(500), keys }];
  const content = { points, features: [] };
  const clients = [1, 2, 3].map(() => random.bytes(CLIENT_KEY_BYTES));
  const value = encodeDescriptor(
    crypto,
    random,
    name,
    content,
    clients.map((kept) => clientPublicKey(crypto, kept)),
  );
  for (const kept of clients) {
    assert.deepEqual(decodeDescriptor(crypto, name, value, kept), content);
    const [x25519, shared] = [kept.slice(0, 32), kept.slice(32)];
    const guesses = [
      concat(x25519, new Uint8Array(32)),
      concat(x25519, random.bytes(32)),
      concat(x25519, x25519),
      concat(random.bytes(32), shared),
    ];
    for (const guess of guesses) {
      assert.throws(
        () => decodeDescriptor(crypto, name, value, guess),
        { code: "service.descriptor_unauthorised" },
      );
    }
  }
});
