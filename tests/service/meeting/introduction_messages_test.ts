import assert from "node:assert/strict";
import fc from "fast-check";
import { ProtocolError } from "../../../lib/base/errors.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { nobleSuite } from "../../../lib/crypto/noble.ts";
import { SEALED_BYTES } from "../../../lib/service/meeting/introduction.ts";
import { INTRODUCTIONS_PER_SECOND } from "../../../lib/service/meeting/introduction_gate.ts";
import { IntroductionKeys } from "../../../lib/service/meeting/introduction_keys.ts";
import {
  decodeEstablishIntro,
  decodeIntroduce1,
  decodeIntroduceAck,
  encodeEstablishIntro,
  encodeIntroduce1,
  encodeIntroduceAck,
  type IntroduceAnswer,
} from "../../../lib/service/meeting/introduction_messages.ts";
import {
  LEAST_EFFORT,
  MAX_EFFORT,
} from "../../../lib/service/meeting/introduction_work.ts";
import { encodeCbor } from "../../../lib/wire/cbor.ts";

const crypto = nobleSuite();
const random = seededRandom(3);
const keys = await IntroductionKeys.generate(crypto, random);
const { authentication } = keys.public;
const binding = random.bytes(32);
const sealed = random.bytes(SEALED_BYTES);
const nonce = random.bytes(16);
const seed = random.bytes(32);

function refused(read: () => unknown, code?: string): void {
  assert.throws(
    read,
    (error) =>
      error instanceof ProtocolError &&
      (code === undefined || error.code === code),
  );
}

Deno.test("decodeEstablishIntro() undoes encodeEstablishIntro(), with and without a rate", () => {
  for (const rate of [undefined, 1, INTRODUCTIONS_PER_SECOND]) {
    const body = encodeEstablishIntro(keys, binding, rate);
    assert.deepEqual(decodeEstablishIntro(crypto, body, binding), {
      key: authentication,
      rate,
    });
  }
});

Deno.test("decodeEstablishIntro() takes a signature for its own circuit alone", () => {
  const body = encodeEstablishIntro(keys, binding);
  refused(
    () => decodeEstablishIntro(crypto, body, random.bytes(32)),
    "service.establish_signature",
  );
});

Deno.test("decodeEstablishIntro() refuses a rate of nothing, or of more than a service gets", () => {
  const body = (rate: number) => encodeEstablishIntro(keys, binding, rate);
  refused(
    () => decodeEstablishIntro(crypto, body(0), binding),
    "service.establish_rate",
  );
  const more = body(INTRODUCTIONS_PER_SECOND + 1);
  refused(() => decodeEstablishIntro(crypto, more, binding), "wire.field");
});

Deno.test("decodeIntroduce1() undoes encodeIntroduce1(), with and without work", () => {
  for (const work of [undefined, { effort: 5000, nonce }]) {
    const body = encodeIntroduce1({ authentication, sealed, work });
    assert.deepEqual(decodeIntroduce1(body), { authentication, sealed, work });
  }
});

Deno.test("decodeIntroduce1() refuses work that is more than a client may do, or none", () => {
  const bodies: Record<string, unknown>[] = [
    { effort: MAX_EFFORT + 1, nonce },
    { effort: -1, nonce },
    { effort: 5000, nonce: random.bytes(15) },
    { effort: 5000 },
    { nonce },
    { effort: 5000, nonce, more: 1 },
  ];
  for (const work of bodies) {
    const body = encodeCbor({ authentication, sealed, work: work as never });
    refused(() => decodeIntroduce1(body));
  }
});

Deno.test("decodeIntroduceAck() undoes encodeIntroduceAck()", () => {
  const answers: IntroduceAnswer[] = [
    { status: "passed" },
    { status: "unknown" },
    { status: "busy" },
    { status: "work", demand: { seed, effort: LEAST_EFFORT } },
    { status: "work", demand: { seed, effort: MAX_EFFORT } },
  ];
  for (const answer of answers) {
    assert.deepEqual(decodeIntroduceAck(encodeIntroduceAck(answer)), answer);
  }
});

Deno.test("decodeIntroduceAck() refuses to demand more work than a point may, or less", () => {
  const efforts = [0, LEAST_EFFORT - 1, MAX_EFFORT + 1, 2 ** 53 - 1];
  for (const effort of efforts) {
    const body = encodeCbor({ demand: { effort, seed }, status: 3 });
    refused(() => decodeIntroduceAck(body), "service.work_demand");
  }
});

Deno.test("decodeIntroduceAck() refuses a demand without words, and words without a demand", () => {
  const demand = { effort: LEAST_EFFORT, seed };
  refused(() => decodeIntroduceAck(encodeCbor({ status: 3 })));
  refused(() => decodeIntroduceAck(encodeCbor({ demand, status: 0 })));
  refused(() => decodeIntroduceAck(encodeCbor({ status: 4 })));
});

Deno.test("messages of introduction points are read or refused, never misread (property)", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      for (
        const read of [
          () => decodeEstablishIntro(crypto, bytes, binding),
          () => decodeIntroduce1(bytes),
          () => decodeIntroduceAck(bytes),
        ]
      ) refused(read);
    }),
  );
});
