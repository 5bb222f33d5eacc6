import assert from "node:assert/strict";
import { Identity } from "../../../lib/auth/identity.ts";
import {
  encodeLanAnnouncement,
  lanTag,
} from "../../../lib/dht/join/lan_announcement.ts";
import { customNetwork, networkParameters } from "../../../lib/auth/network.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { repeatableSuite } from "../../../lib/crypto/repeatable.ts";
import { LanNeighbours } from "../../../lib/dht/join/lan_neighbours.ts";

const NETWORK = networkParameters("local");
const CRYPTO = repeatableSuite();
const RANDOM = seededRandom(5);
const PLACES = [{ host: "192.168.1.7", bits: 24 }];

function relay(): Identity {
  return Identity.generate(CRYPTO, RANDOM);
}

function announcement(identity: Identity, port = 4001, network = NETWORK) {
  return encodeLanAnnouncement(lanTag(CRYPTO, network), identity, port);
}

/** Neighbours, and how many signatures they had checked. */
function listener() {
  let checked = 0;
  const crypto = {
    ...CRYPTO,
    verify: (...args: Parameters<typeof CRYPTO.verify>) => {
      checked++;
      return CRYPTO.verify(...args);
    },
  };
  const options = { crypto, network: NETWORK, places: PLACES };
  const neighbours = new LanNeighbours(options, 0);
  const hear = (message: Uint8Array, host: string, nowMs: number) =>
    neighbours.onPacket(message, { host, port: 9 }, nowMs);
  return { neighbours, hear, checked: () => checked };
}

Deno.test("a neighbour is met when it is first heard, and again after 5 min, at the host that it speaks from", () => {
  const { hear } = listener();
  const one = relay();
  const message = announcement(one, 4242);
  assert.deepEqual(hear(message, "192.168.1.9", 0), {
    publicKey: one.publicKey,
    address: { host: "192.168.1.9", port: 4242 },
  });
  for (let nowMs = 10_000; nowMs < 300_000; nowMs += 10_000) {
    assert.equal(hear(message, "192.168.1.9", nowMs), undefined);
  }
  assert.ok(hear(message, "192.168.1.9", 300_000));
});

Deno.test("our own announcements say nothing to us", () => {
  const { neighbours, hear } = listener();
  const self = relay();
  neighbours.selfKey = self.publicKey;
  assert.equal(hear(announcement(self), "192.168.1.7", 0), undefined);
});

for (
  const [what, message, host] of [
    [
      "of a foreign network",
      announcement(
        relay(),
        4001,
        customNetwork({
          name: "garden",
          powDifficulty: 0,
          allowPrivateAddresses: true,
        }),
      ),
      "192.168.1.9",
    ],
    ["that is malformed", announcement(relay()).subarray(1), "192.168.1.9"],
    ["that is too long", new Uint8Array(65_000), "192.168.1.9"],
    ["of another subnet", announcement(relay()), "192.168.2.9"],
    ["of the Internet", announcement(relay()), "8.8.8.8"],
    ["of an IPv6 host", announcement(relay()), "fe80::1"],
  ] as const
) {
  Deno.test(`a packet ${what} costs no signature and no place`, () => {
    const { neighbours, hear, checked } = listener();
    assert.equal(hear(message, host, 0), undefined);
    assert.deepEqual([neighbours.size, checked()], [0, 0]);
  });
}

Deno.test("a packet that another has signed in a relay's name takes no place", () => {
  const { neighbours, hear } = listener();
  const forged = announcement(relay());
  forged.set(relay().publicKey, 16);
  assert.equal(hear(forged, "192.168.1.9", 0), undefined);
  assert.equal(neighbours.size, 0);
});

Deno.test("a replay from another host is a place of its own, and does not touch the relay's", () => {
  const { neighbours, hear } = listener();
  const one = relay();
  const message = announcement(one);
  assert.ok(hear(message, "192.168.1.9", 0));
  const replayed = hear(message, "192.168.1.66", 1_000);
  assert.equal(replayed?.address.host, "192.168.1.66");
  assert.equal(neighbours.size, 2);
  assert.equal(
    hear(message, "192.168.1.9", 300_000)?.address.host,
    "192.168.1.9",
  );
});

Deno.test("a flood from one host costs few signatures and few places, and holds up no other", () => {
  const { neighbours, hear, checked } = listener();
  for (let count = 0; count < 1_000; count++) {
    hear(announcement(relay()), "192.168.1.66", count); // one a ms
  }
  assert.ok(checked() <= 18, `${checked()} signatures`);
  assert.ok(neighbours.size <= 8);
  assert.ok(hear(announcement(relay()), "192.168.1.9", 2_001));
});

Deno.test("a flood from all hosts of the subnet has a bounded cost, and takes no place from those that are heard", () => {
  const { neighbours, hear, checked } = listener();
  const one = relay();
  const message = announcement(one);
  assert.ok(hear(message, "192.168.1.9", 0));
  let met = 0;
  for (let count = 0; count < 10_000; count++) {
    const host = `192.168.1.${10 + count % 200}`;
    const found = hear(announcement(one, 1 + count), host, count); // 10 s
    if (found !== undefined) met++;
  }
  assert.ok(checked() <= 1 + 80 + 400, `${checked()} signatures`);
  assert.ok(neighbours.size <= 64);
  assert.ok(met <= 8 + 5, `${met} dials`);
  assert.ok(hear(message, "192.168.1.9", 300_000));
});

Deno.test("places of those that are heard no more are free after a minute", () => {
  const { neighbours, hear } = listener();
  for (let count = 0; count < 200; count++) {
    hear(announcement(relay()), `192.168.1.${20 + count}`, count * 25);
  }
  assert.equal(neighbours.size, 64);
  const late = announcement(relay());
  assert.equal(hear(late, "192.168.1.9", 10_000), undefined);
  assert.ok(hear(late, "192.168.1.9", 70_000));
});
