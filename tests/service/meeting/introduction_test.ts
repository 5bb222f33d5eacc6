import assert from "node:assert/strict";
import fc from "fast-check";
import { concat } from "../../../lib/base/bytes.ts";
import { ProtocolError } from "../../../lib/base/errors.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { nobleSuite } from "../../../lib/crypto/noble.ts";
import type { CryptoSuite } from "../../../lib/crypto/suite.ts";
import {
  COOKIE_BYTES,
  type Introduction,
  openIntroduction,
  SEALED_BYTES,
  sealIntroduction,
} from "../../../lib/service/meeting/introduction.ts";
import { IntroductionKeys } from "../../../lib/service/meeting/introduction_keys.ts";
import {
  decodeEstablishRendezvous,
  decodeRendezvous1,
  encodeEstablishRendezvous,
  encodeRendezvous1,
  RendezvousHandshake,
  respondToRendezvous,
} from "../../../lib/service/meeting/rendezvous.ts";
import {
  isTicketValid,
  makeTicket,
} from "../../../lib/service/meeting/ticket.ts";
import { blindedKey } from "../../../lib/service/time_period.ts";

const crypto = nobleSuite();
const random = seededRandom(3);
const publicKey = crypto.signer(new Uint8Array(32).fill(1)).publicKey;
const today = blindedKey(crypto, publicKey, 20_000);
const tomorrow = blindedKey(crypto, publicKey, 20_001);
const keys = await IntroductionKeys.generate(crypto, random);
const otherKeys = await IntroductionKeys.generate(crypto, random);
const cookie = random.bytes(COOKIE_BYTES);
const rendezvous = random.bytes(600);
const secret = random.bytes(32);
const ticket = makeTicket(crypto, secret, 3, cookie);

/** Suites whose one shared secret is another: who found only the other one is no further. */
const HALVES: readonly (readonly [string, CryptoSuite])[] = [
  ["X25519", {
    ...crypto,
    x25519(secret, publicKey) {
      const shared = crypto.x25519(secret, publicKey);
      return shared && flipped(shared, 31);
    },
  }],
  ["ML-KEM", {
    ...crypto,
    async encapsulate(publicKey, random) {
      const sent = await crypto.encapsulate(publicKey, random);
      return { ...sent, secret: flipped(sent.secret, 31) };
    },
  }],
];

function flipped(bytes: Uint8Array, at: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

async function refused(work: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(
    work,
    (error) => error instanceof ProtocolError && error.code === code,
  );
}

Deno.test("openIntroduction() undoes sealIntroduction(), for a session and for a leg", async () => {
  const handshake = random.bytes(1280);
  const cases: Introduction[] = [
    { rendezvous, cookie, handshake },
    { rendezvous, cookie, handshake, port: 1 },
    { rendezvous, cookie, handshake, port: 65_535 },
    { rendezvous, cookie, ticket },
  ];
  const sizes = new Set<number>();
  const answers = new Set<string>();
  for (const introduction of cases) {
    const { sealed, unknown } = await sealIntroduction(
      crypto,
      random,
      keys.public,
      today,
      introduction,
    );
    sizes.add(sealed.length);
    const opened = await openIntroduction(
      crypto,
      keys,
      [tomorrow, today],
      sealed,
    );
    assert.deepEqual(opened, { ...introduction, unknown });
    answers.add(unknown.toHex());
  }
  // The answer of each is its own.
  assert.equal(answers.size, cases.length);
  // New sessions and further legs look alike.
  assert.deepEqual([...sizes], [SEALED_BYTES]);
});

Deno.test("openIntroduction() refuses a length beyond its bytes, and padding that is not zero", async () => {
  /** Seals what the client writes, and something else than it would. */
  const sealedWith = (change: (plaintext: Uint8Array) => void) =>
    sealIntroduction(
      {
        ...crypto,
        seal(key, nonce, plaintext, aad) {
          const changed = plaintext.slice();
          change(changed);
          return crypto.seal(key, nonce, changed, aad);
        },
      },
      random,
      keys.public,
      today,
      { rendezvous, cookie, ticket },
    );
  for (
    const change of [
      (plaintext: Uint8Array) => plaintext.fill(1, -1),
      (plaintext: Uint8Array) => plaintext.fill(0xff, 0, 2),
    ]
  ) {
    const { sealed } = await sealedWith(change);
    await refused(
      openIntroduction(crypto, keys, [today], sealed),
      "service.introduction_content",
    );
  }
});

Deno.test("openIntroduction() refuses other keys, other periods and altered bytes", async () => {
  const { sealed } = await sealIntroduction(
    crypto,
    random,
    keys.public,
    today,
    {
      rendezvous,
      cookie,
      ticket,
    },
  );
  const code = "service.introduction_sealed";
  await refused(openIntroduction(crypto, otherKeys, [today], sealed), code);
  await refused(openIntroduction(crypto, keys, [tomorrow], sealed), code);
  await refused(
    openIntroduction(crypto, keys, [today], sealed.subarray(1)),
    code,
  );
  for (const at of [0, 40, 1200, sealed.length - 1]) {
    const altered = sealed.slice();
    altered[at] = (altered[at] ?? 0) ^ 1;
    await refused(openIntroduction(crypto, keys, [today], altered), code);
  }
  const lowOrder = sealed.slice();
  lowOrder.fill(0, 0, 32);
  await refused(openIntroduction(crypto, keys, [today], lowOrder), code);
});

for (const [half, other] of HALVES) {
  Deno.test(`openIntroduction() opens nothing when the ${half} secret alone differs`, async () => {
    const seal = (suite: CryptoSuite) =>
      sealIntroduction(suite, seededRandom(5), keys.public, today, {
        rendezvous,
        cookie,
        ticket,
      });
    const [same, changed] = [await seal(crypto), await seal(other)];
    assert.notDeepEqual(changed.unknown, same.unknown);
    // The same on the wire, up to what is encrypted.
    assert.deepEqual(
      changed.sealed.subarray(0, 1120),
      same.sealed.subarray(0, 1120),
    );
    await openIntroduction(crypto, keys, [today], same.sealed);
    await refused(
      openIntroduction(crypto, keys, [today], changed.sealed),
      "service.introduction_sealed",
    );
  });

  Deno.test(`RendezvousHandshake gives no secret when the ${half} secret alone differs`, async () => {
    const client = await RendezvousHandshake.start(
      crypto,
      random,
      keys.public,
      today,
      cookie,
    );
    const { reply, secret } = await respondToRendezvous(
      other,
      seededRandom(6),
      keys,
      [today],
      cookie,
      client.request,
    );
    const good = await respondToRendezvous(
      crypto,
      seededRandom(6),
      keys,
      [today],
      cookie,
      client.request,
    );
    assert.notDeepEqual(secret, good.secret);
    await refused(client.finish(reply), "service.rendezvous_reply");
  });
}

Deno.test("openIntroduction() and respondToRendezvous() refuse what has no ML-KEM part", async () => {
  const { sealed } = await sealIntroduction(
    crypto,
    random,
    keys.public,
    today,
    { rendezvous, cookie, ticket },
  );
  const classical = concat(sealed.subarray(0, 32), sealed.subarray(1120));
  await refused(
    openIntroduction(crypto, keys, [today], classical),
    "service.introduction_sealed",
  );
  const { request } = await RendezvousHandshake.start(
    crypto,
    random,
    keys.public,
    today,
    cookie,
  );
  await refused(
    respondToRendezvous(
      crypto,
      random,
      keys,
      [today],
      cookie,
      request.subarray(0, 96),
    ),
    "service.rendezvous_request",
  );
});

Deno.test("openIntroduction() refuses both a session and a leg, or neither", async () => {
  for (
    const introduction of [
      { rendezvous, cookie },
      { rendezvous, cookie, ticket, handshake: random.bytes(1280) },
    ]
  ) {
    const { sealed } = await sealIntroduction(
      crypto,
      random,
      keys.public,
      today,
      introduction,
    );
    await refused(
      openIntroduction(crypto, keys, [today], sealed),
      "service.introduction_content",
    );
  }
});

Deno.test("openIntroduction() refuses ports that are none, and ports of legs", async () => {
  const handshake = random.bytes(1280);
  const code = "service.introduction_content";
  for (
    const [introduction, expected] of [
      [{ handshake, port: 0 }, code],
      [{ ticket, port: 80 }, code],
      [{ handshake, port: 65_536 }, "wire.field"],
    ] as const
  ) {
    const { sealed } = await sealIntroduction(
      crypto,
      random,
      keys.public,
      today,
      {
        rendezvous,
        cookie,
        ...introduction,
      },
    );
    await refused(openIntroduction(crypto, keys, [today], sealed), expected);
  }
});

Deno.test("sealIntroduction() refuses keys that a descriptor must not have", async () => {
  const introduction = { rendezvous, cookie, ticket };
  for (
    const wrong of [
      { ...keys.public, staticKey: new Uint8Array(32) },
      { ...keys.public, kemKey: new Uint8Array(1184).fill(255) },
    ]
  ) {
    await refused(
      sealIntroduction(crypto, random, wrong, today, introduction),
      "service.introduction_keys",
    );
  }
});

Deno.test("bodies of rendezvous are read or refused, never misread (property)", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      for (
        const read of [
          () => decodeEstablishRendezvous(bytes),
          () => decodeRendezvous1(bytes),
        ]
      ) assert.throws(read, ProtocolError);
    }),
  );
});

Deno.test("rendezvous bodies survive encoding", () => {
  const reply = random.bytes(1152);
  assert.deepEqual(
    decodeEstablishRendezvous(encodeEstablishRendezvous(cookie)),
    cookie,
  );
  assert.deepEqual(decodeRendezvous1(encodeRendezvous1(cookie, reply)), {
    cookie,
    reply,
  });
});

Deno.test("RendezvousHandshake gives both ends one secret, and a new one each time", async () => {
  const meet = async () => {
    const client = await RendezvousHandshake.start(
      crypto,
      random,
      keys.public,
      today,
      cookie,
    );
    const answer = await respondToRendezvous(
      crypto,
      random,
      keys,
      [tomorrow, today],
      cookie,
      client.request,
    );
    assert.deepEqual(await client.finish(answer.reply), answer.secret);
    return answer.secret;
  };
  assert.notDeepEqual(await meet(), await meet());
});

Deno.test("RendezvousHandshake fails for another cookie, key, period or reply", async () => {
  const start = () =>
    RendezvousHandshake.start(crypto, random, keys.public, today, cookie);
  const client = await start();
  const respond = (
    with_: IntroductionKeys,
    period: typeof today,
    for_: typeof cookie,
  ) =>
    respondToRendezvous(crypto, random, with_, [period], for_, client.request);
  const code = "service.rendezvous_request";
  await refused(respond(otherKeys, today, cookie), code);
  await refused(respond(keys, tomorrow, cookie), code);
  await refused(respond(keys, today, random.bytes(COOKIE_BYTES)), code);
  const { reply } = await respond(keys, today, cookie);
  await refused(
    (await start()).finish(reply),
    "service.rendezvous_reply",
  );
  const altered = reply.slice();
  altered[100] = (altered[100] ?? 0) ^ 1;
  await refused(client.finish(altered), "service.rendezvous_reply");
});

Deno.test("isTicketValid() takes a ticket for its session, leg and cookie alone", () => {
  assert.ok(isTicketValid(crypto, secret, ticket, cookie));
  const other = random.bytes(32);
  assert.ok(!isTicketValid(crypto, other, ticket, cookie));
  assert.ok(!isTicketValid(crypto, secret, ticket, random.bytes(20)));
  assert.ok(!isTicketValid(crypto, secret, { ...ticket, leg: 4 }, cookie));
  const forged = { ...ticket, proof: new Uint8Array(32) };
  assert.ok(!isTicketValid(crypto, secret, forged, cookie));
});
