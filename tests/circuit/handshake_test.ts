import assert from "node:assert/strict";
import { concat } from "../../lib/base/bytes.ts";
import { type Random, seededRandom } from "../../lib/base/random.ts";
import {
  ClientHandshake,
  type HandshakeFailure,
  type HandshakeKeys,
  REPLY_BYTES,
  REQUEST_BYTES,
  respondToHandshake,
} from "../../lib/circuit/handshake.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import type { CryptoSuite } from "../../lib/crypto/suite.ts";
import VECTORS from "../vectors/circuit_handshake.json" with { type: "json" };
import { referenceHandshake } from "./_reference.ts";

const SUITES = [nobleSuite(), nativeSuite()];
const crypto = nobleSuite();

/** Randomness that was decided beforehand, and nothing more. */
function scripted(...pieces: Uint8Array[]): Random {
  return {
    bytes(length) {
      const piece = pieces.shift();
      assert.equal(piece?.length, length);
      return new Uint8Array(piece ?? []);
    },
  };
}

interface Relay extends HandshakeKeys {
  readonly onionKey: Uint8Array<ArrayBuffer>;
}

function testRelay(seed = 1): Relay {
  const random = seededRandom(seed);
  const secret = random.bytes(32);
  const publicKey = crypto.x25519Public(secret);
  return {
    nodeId: random.bytes(32),
    onionKey: publicKey,
    onionKeys: [{ secret, publicKey }],
  };
}

async function exchange(
  relay: Relay,
  changes: {
    request?: (request: Uint8Array) => Uint8Array;
    reply?: (reply: Uint8Array) => Uint8Array;
    suites?: readonly [CryptoSuite, CryptoSuite];
  } = {},
) {
  const { request = (same) => same, reply = (same) => same } = changes;
  const [ours, theirs] = changes.suites ?? [crypto, crypto];
  const client = await ClientHandshake.start(ours, relay, seededRandom(2));
  const answered = await respondToHandshake(
    theirs,
    relay,
    request(client.request),
    seededRandom(3),
  );
  if (!answered.ok) return { answered, finished: undefined };
  const finished = await client.finish(reply(answered.reply));
  return { answered, finished };
}

/** The bytes with one of them changed. */
function flipped(bytes: Uint8Array, offset: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes);
  copy[offset] = (copy[offset] ?? 0) ^ 1;
  return copy;
}

/** The bytes with others in their place. */
function replaced(
  bytes: Uint8Array,
  offset: number,
  part: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes);
  copy.set(part, offset);
  return copy;
}

for (const suite of SUITES) {
  Deno.test(`ClientHandshake and respondToHandshake() agree on all keys (${suite.name})`, async () => {
    const { answered, finished } = await exchange(testRelay(), {
      suites: [suite, suite],
    });
    assert(answered.ok && finished?.ok);
    assert.deepEqual(finished.keys, answered.keys);
    const keys = Object.values(finished.keys).map((key) => key.toHex());
    assert.equal(new Set(keys).size, 4);
  });

  for (const vector of VECTORS.handshakes) {
    Deno.test(`ClientHandshake gives the published keys: ${vector.name} (${suite.name})`, async () => {
      const hex = Uint8Array.fromHex;
      const client = await ClientHandshake.start(
        suite,
        { nodeId: hex(vector.nodeId), onionKey: hex(vector.onionKey) },
        scripted(hex(vector.clientSecret), hex(vector.kemSeed)),
      );
      assert.equal(client.request.toHex(), vector.request);
      const result = await client.finish(hex(vector.reply));
      assert(result.ok);
      assert.deepEqual(
        Object.entries(result.keys).map(([name, key]) => [name, key.toHex()]),
        Object.entries(vector.keys),
      );
    });
  }
}

Deno.test("ClientHandshake and respondToHandshake() agree between the two suites", async () => {
  for (
    const suites of [[nobleSuite(), nativeSuite()], [
      nativeSuite(),
      nobleSuite(),
    ]] as const
  ) {
    const { answered, finished } = await exchange(testRelay(), { suites });
    assert(answered.ok && finished?.ok);
    assert.deepEqual(finished.keys, answered.keys);
  }
});

for (const vector of VECTORS.handshakes) {
  Deno.test(`respondToHandshake() gives the published reply and keys: ${vector.name}`, async () => {
    const hex = Uint8Array.fromHex;
    const own = {
      nodeId: hex(vector.nodeId),
      onionKeys: [{
        secret: hex(vector.onionSecret),
        publicKey: hex(vector.onionKey),
      }],
    };
    const random = scripted(hex(vector.relaySecret), hex(vector.kemMessage));
    const response = await respondToHandshake(
      crypto,
      own,
      hex(vector.request),
      random,
    );
    assert(response.ok);
    assert.equal(response.reply.toHex(), vector.reply);
    assert.deepEqual(
      Object.entries(response.keys).map(([name, key]) => [name, key.toHex()]),
      Object.entries(vector.keys),
    );
  });
}

Deno.test("respondToHandshake() agrees with a second implementation on random input", async () => {
  for (let seed = 0; seed < 10; seed++) {
    const random = seededRandom(seed);
    const input = {
      nodeId: random.bytes(32),
      onionSecret: random.bytes(32),
      clientSecret: random.bytes(32),
      kemSeed: random.bytes(64),
      relaySecret: random.bytes(32),
      kemMessage: random.bytes(32),
    };
    const expected = referenceHandshake(input);
    const publicKey = crypto.x25519Public(input.onionSecret);
    const client = await ClientHandshake.start(
      crypto,
      { nodeId: input.nodeId, onionKey: publicKey },
      scripted(input.clientSecret, input.kemSeed),
    );
    assert.deepEqual(client.request, expected.request);
    const response = await respondToHandshake(
      crypto,
      {
        nodeId: input.nodeId,
        onionKeys: [{ secret: input.onionSecret, publicKey }],
      },
      client.request,
      scripted(input.relaySecret, input.kemMessage),
    );
    assert(response.ok);
    assert.deepEqual(response.reply, expected.reply);
    assert.deepEqual(response.keys, expected.keys);
    const result = await client.finish(response.reply);
    assert.deepEqual(result, { ok: true, keys: expected.keys });
  }
});

Deno.test("respondToHandshake() still takes the onion key before the current one", async () => {
  const old = testRelay();
  const current = testRelay(5);
  const both = { ...old, onionKeys: [...current.onionKeys, ...old.onionKeys] };
  const { answered, finished } = await exchange(both);
  assert(answered.ok && finished?.ok);
  assert.deepEqual(finished.keys, answered.keys);
});

const LOW_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
].map((text) => Uint8Array.fromHex(text));

const X_OFFSET = 64;
const EK_OFFSET = 96;
/** Coefficients of 12 bits that are all 4095, and must be below 3329. */
const BAD_EK = new Uint8Array(1152).fill(0xff);

/** What is wrong, what it is called, and how to make it so. */
type BadInput = readonly [
  name: string,
  failure: HandshakeFailure,
  change: (message: Uint8Array) => Uint8Array,
];

const BAD_REQUESTS: readonly BadInput[] = [
  ["another node id", "node_id", (request) => flipped(request, 0)],
  ["an unknown onion key", "onion_key", (request) => flipped(request, 32)],
  ...LOW_ORDER.map((point, i): BadInput => [
    `low-order point ${i}`,
    "low_order",
    (request) => replaced(request, X_OFFSET, point),
  ]),
  [
    "a malformed ML-KEM key",
    "kem_key",
    (request) => replaced(request, EK_OFFSET, BAD_EK),
  ],
  ["a byte too few", "length", (request) => request.subarray(1)],
  [
    "a byte too many",
    "length",
    (request) => concat(request, new Uint8Array(1)),
  ],
  ["nothing", "length", () => new Uint8Array()],
  ["no ML-KEM part", "length", (request) => request.subarray(0, EK_OFFSET)],
];

for (const suite of SUITES) {
  for (const [name, failure, change] of BAD_REQUESTS) {
    Deno.test(`respondToHandshake() refuses ${name} (${suite.name})`, async () => {
      const { answered } = await exchange(testRelay(), {
        request: change,
        suites: [suite, suite],
      });
      assert.deepEqual(answered, { ok: false, failure });
    });
  }
}

Deno.test("respondToHandshake() spends no key exchange on a request for another node or key", async () => {
  const exchanges: string[] = [];
  const watched: CryptoSuite = {
    ...crypto,
    x25519(secret, publicKey) {
      exchanges.push("x25519");
      return crypto.x25519(secret, publicKey);
    },
    encapsulate(publicKey, random) {
      exchanges.push("encapsulate");
      return crypto.encapsulate(publicKey, random);
    },
  };
  const suites = [crypto, watched] as const;
  for (const offset of [0, 32]) {
    await exchange(testRelay(), { request: (r) => flipped(r, offset), suites });
  }
  assert.deepEqual(exchanges, []);
  const [zero] = LOW_ORDER;
  assert(zero);
  await exchange(testRelay(), {
    request: (r) => replaced(r, X_OFFSET, zero),
    suites,
  });
  // One, with the ephemeral key: the onion key never met the point.
  assert.deepEqual(exchanges, ["x25519"]);
});

const BAD_REPLIES: readonly BadInput[] = [
  ["another Y", "auth", (reply) => flipped(reply, 5)],
  ["another ciphertext", "auth", (reply) => flipped(reply, 32 + 700)],
  ["another proof", "auth", (reply) => flipped(reply, REPLY_BYTES - 1)],
  ["a low-order Y", "low_order", (r) => replaced(r, 0, new Uint8Array(32))],
  ["a byte too few", "length", (reply) => reply.subarray(1)],
  ["a byte too many", "length", (r) => concat(r, new Uint8Array(1))],
  [
    "no ML-KEM part",
    "length",
    (reply) => concat(reply.subarray(0, 32), reply.subarray(-32)),
  ],
];

for (const suite of SUITES) {
  for (const [name, failure, change] of BAD_REPLIES) {
    Deno.test(`ClientHandshake.finish() refuses ${name} (${suite.name})`, async () => {
      const { finished } = await exchange(testRelay(), {
        reply: change,
        suites: [suite, suite],
      });
      assert.deepEqual(finished, { ok: false, failure });
    });
  }
}

Deno.test("ClientHandshake.finish() refuses a relay that lacks the onion key", async () => {
  const meant = testRelay();
  const [real] = meant.onionKeys;
  assert(real);
  const impostor = {
    ...meant,
    onionKeys: [{ ...real, secret: seededRandom(9).bytes(32) }],
  };
  const { finished } = await exchange(impostor);
  assert.deepEqual(finished, { ok: false, failure: "auth" });
});

Deno.test("respondToHandshake() binds its keys to every part of the request", async () => {
  // Changes that the relay cannot notice; the client must.
  for (const offset of [X_OFFSET + 3, EK_OFFSET + 1160]) {
    const { answered, finished } = await exchange(testRelay(), {
      request: (request) => flipped(request, offset),
    });
    assert(answered.ok);
    assert.deepEqual(finished, { ok: false, failure: "auth" });
  }
});

Deno.test("ClientHandshake derives other keys when either shared secret alone changes", async () => {
  const same: CryptoSuite = crypto;
  const otherKem: CryptoSuite = {
    ...crypto,
    async encapsulate(publicKey, random) {
      const sent = await crypto.encapsulate(publicKey, random);
      return { ...sent, secret: flipped(sent.secret, 0) };
    },
  };
  const otherCurve: CryptoSuite = {
    ...crypto,
    x25519(secret, publicKey) {
      const shared = crypto.x25519(secret, publicKey);
      return shared && flipped(shared, 0);
    },
  };
  const seen = new Set<string>();
  for (const theirs of [same, otherKem, otherCurve]) {
    const { answered } = await exchange(testRelay(), {
      suites: [crypto, theirs],
    });
    assert(answered.ok);
    for (const key of Object.values(answered.keys)) seen.add(key.toHex());
  }
  assert.equal(seen.size, 12);
});

Deno.test("ClientHandshake can be finished once", async () => {
  const relay = testRelay();
  const client = await ClientHandshake.start(crypto, relay, seededRandom(2));
  const random = seededRandom(3);
  const answer = await respondToHandshake(
    crypto,
    relay,
    client.request,
    random,
  );
  assert(answer.ok);
  assert((await client.finish(answer.reply)).ok);
  await assert.rejects(client.finish(answer.reply), { code: "crypto.wiped" });
});

Deno.test("respondToHandshake() passes on what is no fault of the client's", async () => {
  const broken: CryptoSuite = {
    ...crypto,
    encapsulate: () => Promise.reject(new TypeError("platform")),
  };
  const suites = [crypto, broken] as const;
  await assert.rejects(exchange(testRelay(), { suites }), TypeError);
});

Deno.test("ClientHandshake's request has the length and order of the specification", async () => {
  const relay = testRelay();
  const { request } = await ClientHandshake.start(
    crypto,
    relay,
    seededRandom(2),
  );
  assert.equal(request.length, REQUEST_BYTES);
  assert.equal(REQUEST_BYTES, 1280);
  assert.equal(REPLY_BYTES, 1152);
  assert.deepEqual(request.subarray(0, 32), relay.nodeId);
  assert.deepEqual(request.subarray(32, 64), relay.onionKey);
});
