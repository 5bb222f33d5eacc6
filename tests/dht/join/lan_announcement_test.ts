import assert from "node:assert/strict";
import fc from "fast-check";
import { Identity } from "../../../lib/auth/identity.ts";
import {
  encodeLanAnnouncement,
  isSignedLanAnnouncement,
  LAN_ANNOUNCEMENT_BYTES,
  lanTag,
  readLanAnnouncement,
} from "../../../lib/dht/join/lan_announcement.ts";
import { customNetwork, networkParameters } from "../../../lib/auth/network.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { nobleSuite } from "../../../lib/crypto/noble.ts";

const CRYPTO = nobleSuite();
const TAG = lanTag(CRYPTO, networkParameters("local"));
const RELAY = Identity.generate(CRYPTO, seededRandom(1));
const MESSAGE = encodeLanAnnouncement(TAG, RELAY, 4001);

Deno.test("an announcement says a key and a port, and is signed", () => {
  assert.equal(MESSAGE.length, LAN_ANNOUNCEMENT_BYTES);
  const said = readLanAnnouncement(TAG, MESSAGE) ?? assert.fail();
  assert.deepEqual(said, { publicKey: RELAY.publicKey, port: 4001 });
  assert.ok(isSignedLanAnnouncement(CRYPTO, said, MESSAGE));
});

Deno.test("a byte that was changed, of any part, is found out", () => {
  for (let index = 0; index < MESSAGE.length; index++) {
    const changed = MESSAGE.slice();
    changed[index] = (changed[index] ?? 0) ^ 1;
    const said = readLanAnnouncement(TAG, changed);
    assert.ok(!said || !isSignedLanAnnouncement(CRYPTO, said, changed));
  }
});

Deno.test("an announcement of another network, or of one of the same name with other traits, is none", () => {
  for (const name of ["garden", "local-2"]) {
    const network = customNetwork({
      name,
      powDifficulty: 0,
      allowPrivateAddresses: true,
    });
    assert.equal(
      readLanAnnouncement(lanTag(CRYPTO, network), MESSAGE),
      undefined,
    );
  }
  const harder = customNetwork({
    name: "local",
    powDifficulty: 3,
    allowPrivateAddresses: true,
  });
  assert.notDeepEqual(lanTag(CRYPTO, harder), TAG);
});

Deno.test("port 0, and bytes of any other number or kind, are no announcement", () => {
  const nowhere = encodeLanAnnouncement(TAG, RELAY, 0);
  assert.equal(readLanAnnouncement(TAG, nowhere), undefined);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
      assert.equal(readLanAnnouncement(TAG, bytes), undefined);
    }),
  );
});

Deno.test("an announcement holds neither the network's name nor a word", () => {
  const text = String.fromCharCode(...MESSAGE);
  assert.ok(!/local|anonnet/i.test(text));
});
