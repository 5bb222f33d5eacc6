/**
 * What services, their visitors and the relays between them say: by themselves, and
 * inside their encryption.
 *
 * @module
 */
import { type Bytes, concat } from "../../../lib/base/bytes.ts";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { REQUEST_BYTES } from "../../../lib/circuit/handshake.ts";
import {
  CLIENT_KEY_BYTES,
  clientPublicKey,
} from "../../../lib/service/client_authorisation.ts";
import {
  decodeDescriptor,
  encodeDescriptor,
} from "../../../lib/service/descriptor.ts";
import type { DescriptorName } from "../../../lib/service/descriptor_box.ts";
import {
  openIntroduction,
  SEALED_BYTES,
  sealIntroduction,
} from "../../../lib/service/meeting/introduction.ts";
import { IntroductionKeys } from "../../../lib/service/meeting/introduction_keys.ts";
import {
  decodeEstablishIntro,
  decodeIntroduce1,
  decodeIntroduceAck,
  encodeEstablishIntro,
  encodeIntroduce1,
  encodeIntroduceAck,
} from "../../../lib/service/meeting/introduction_messages.ts";
import {
  decodeEstablishRendezvous,
  decodeRendezvous1,
  encodeEstablishRendezvous,
  encodeRendezvous1,
} from "../../../lib/service/meeting/rendezvous.ts";
import { encodeCbor } from "../../../lib/wire/cbor.ts";
import { decodeFields } from "../../../lib/wire/fields.ts";
import { TAG_BYTES } from "../../../lib/crypto/suite.ts";
import { makeTicket } from "../../../lib/service/meeting/ticket.ts";
import { blindedKey } from "../../../lib/service/time_period.ts";
import { testBytes, testIdentity, testRecord } from "../../support/nodes.ts";
import {
  decodeStep,
  encodeStep,
  type FuzzInput,
  type FuzzTarget,
  promise,
} from "../fuzz_target.ts";
import { DECODER_CPU, decoderTarget, typeOf } from "./decoder_target.ts";
import { transparent } from "../hostile/transparent_suite.ts";

const CRYPTO = transparent(nativeSuite());
/** Version of descriptors. */
const VERSION = 1;
const RANDOM = seededRandom(5);
const PERIOD = 20_000;
const KEYS = await IntroductionKeys.generate(CRYPTO, RANDOM);
const RELAY = testRecord(CRYPTO, 9).encoded;
const COOKIE = testBytes("cookie", 20);
const BINDING = testBytes("binding", 32);

const { publicKey } = testIdentity(CRYPTO, 5);
const NAME: DescriptorName = {
  publicKey,
  blinded: blindedKey(CRYPTO, publicKey, PERIOD),
  period: PERIOD,
  revision: 5,
};
/** Version and salt of a descriptor. */
const HEAD_BYTES = 17;
/** A client that a descriptor lets in. */
const CLIENT_SECRET = testBytes("client", CLIENT_KEY_BYTES);

function descriptors(): Bytes[] {
  const point = { relay: RELAY, keys: KEYS.public };
  const one = { points: [point], features: [] };
  const two = { points: [point, point], features: ["legs"] };
  const client = clientPublicKey(CRYPTO, CLIENT_SECRET);
  return [
    encodeDescriptor(CRYPTO, RANDOM, NAME, one),
    encodeDescriptor(CRYPTO, RANDOM, NAME, two),
    encodeDescriptor(CRYPTO, RANDOM, NAME, one, [client]),
  ];
}

const DESCRIPTOR = decoderTarget({
  name: "service/descriptor",
  about: "descriptors of a service that encrypts and signs what it likes",
  allowed: ["wire", "service"],
  seeds: descriptors,
  decode: (bytes) => decodeDescriptor(CRYPTO, NAME, bytes, CLIENT_SECRET),
  word: ({ points, features }) => `${points.length} points ${features.length}`,
});

/** Which map of a descriptor an input is. */
const MAP = { outer: 0, inner: 1 };

/** A value whose outer map is this one: what stands around it is as it must be. */
export function descriptorOf(outer: Bytes): Bytes {
  const used = HEAD_BYTES + 4 + outer.length + TAG_BYTES;
  const value = new Uint8Array(Math.ceil(used / 4096) * 4096);
  value[0] = VERSION;
  new DataView(value.buffer).setUint32(HEAD_BYTES, outer.length);
  value.set(outer, HEAD_BYTES + 4);
  return value;
}

/** The same for an inner map. */
export function descriptorWith(inner: Bytes): Bytes {
  const content = concat(inner, new Uint8Array(TAG_BYTES));
  return descriptorOf(encodeCbor({ content }));
}

/** The outer map of each descriptor, and the map inside of those for all clients. */
function descriptorMaps(): FuzzInput[] {
  return descriptors().flatMap((value) => {
    const plain = value.subarray(HEAD_BYTES);
    const length = new DataView(plain.buffer, plain.byteOffset).getUint32(0);
    const outer = plain.slice(4, 4 + length);
    const content = decodeFields(outer, "").bytes("content");
    return [
      [encodeStep(MAP.outer, outer)],
      [encodeStep(MAP.inner, content.subarray(0, -TAG_BYTES))],
    ];
  });
}

const DESCRIPTOR_CONTENT: FuzzTarget = {
  name: "service/descriptor_content",
  about: "the maps inside a descriptor, padded and sealed as they must be",
  hasSteps: true,
  allowed: ["wire", "service"],
  cpu: DECODER_CPU,
  seeds: descriptorMaps,
  run([step = new Uint8Array(0)]) {
    const { kind, body } = decodeStep(step, 2);
    const value = kind === MAP.outer
      ? descriptorOf(body)
      : descriptorWith(body);
    const { points } = decodeDescriptor(CRYPTO, NAME, value, CLIENT_SECRET);
    return `${points.length} points`;
  },
};

/** Bytes in front of what was encrypted. */
const SEALED_HEAD = 32 + 1088;

async function introductions(): Promise<FuzzInput[]> {
  const handshake = testBytes("request", REQUEST_BYTES);
  const ticket = makeTicket(CRYPTO, testBytes("secret", 32), 3, COOKIE);
  const base = { rendezvous: RELAY, cookie: COOKIE };
  const all = [
    { ...base, handshake, port: 80 },
    { ...base, handshake },
    { ...base, ticket },
  ];
  return await Promise.all(all.map(async (introduction) => {
    const { public: keys } = KEYS;
    const { sealed } = await sealIntroduction(
      CRYPTO,
      RANDOM,
      keys,
      NAME.blinded,
      introduction,
    );
    const length = (sealed[SEALED_HEAD] ?? 0) * 256 +
      (sealed[SEALED_HEAD + 1] ?? 0);
    return [sealed.slice(SEALED_HEAD, SEALED_HEAD + 2 + length)];
  }));
}

const INTRODUCTION: FuzzTarget = {
  name: "service/introduction",
  about: "introductions by a visitor that encrypts what it likes",
  hasSteps: false,
  allowed: ["wire", "service"],
  cpu: DECODER_CPU,
  seeds: introductions,
  async run([plaintext = new Uint8Array(0)]) {
    const sealed = new Uint8Array(SEALED_BYTES);
    sealed[0] = 9;
    // What does not fit into an introduction is not sent.
    const sent = plaintext.subarray(0, SEALED_BYTES - SEALED_HEAD);
    sealed.set(sent, SEALED_HEAD);
    const opened = await openIntroduction(CRYPTO, KEYS, [NAME.blinded], sealed);
    const length = (sent[0] ?? 0) * 256 + (sent[1] ?? 0);
    promise(
      sent.subarray(2 + length).every((byte) => byte === 0),
      "padding that is not zero was accepted",
    );
    return Object.keys(opened).join(" ");
  },
};

const ESTABLISH_INTRO = decoderTarget({
  name: "service/establish_intro",
  about: "what a service says to listen",
  allowed: ["wire", "service"],
  seeds: () => [
    encodeEstablishIntro(KEYS, BINDING),
    encodeEstablishIntro(KEYS, BINDING, 5),
  ],
  decode: (bytes) => decodeEstablishIntro(CRYPTO, bytes, BINDING),
  word: ({ rate }) => `rate ${typeof rate}`,
});

const INTRODUCE1 = decoderTarget({
  name: "service/introduce1",
  about: "what a client says to be introduced",
  allowed: ["wire", "service"],
  seeds: () => {
    const { authentication } = KEYS.public;
    const sealed = new Uint8Array(SEALED_BYTES);
    const work = { effort: 256, nonce: testBytes("nonce", 16) };
    return [{ authentication, sealed }, { authentication, sealed, work }]
      .map((message) => encodeIntroduce1(message));
  },
  decode: decodeIntroduce1,
  encode: encodeIntroduce1,
});

const INTRODUCE_ACK = decoderTarget({
  name: "service/introduce_ack",
  about: "what a point says to a client",
  allowed: ["wire", "service"],
  seeds: () => {
    const demand = { effort: 256, seed: testBytes("seed", 32) };
    return [
      encodeIntroduceAck({ status: "passed" }),
      encodeIntroduceAck({ status: "work", demand }),
    ];
  },
  decode: decodeIntroduceAck,
  encode: encodeIntroduceAck,
  word: ({ status }) => typeOf({ type: status }),
});

const RENDEZVOUS = decoderTarget({
  name: "service/rendezvous",
  about: "what a client and a service say where they meet",
  allowed: ["wire", "service"],
  seeds: () => [
    concat(Uint8Array.of(0), encodeEstablishRendezvous(COOKIE)),
    concat(Uint8Array.of(1), encodeRendezvous1(COOKIE, new Uint8Array(1152))),
    concat(Uint8Array.of(1), encodeRendezvous1(COOKIE, new Uint8Array(0))),
  ],
  decode: (bytes) =>
    (bytes[0] ?? 0) % 2 === 0
      ? {
        cookie: decodeEstablishRendezvous(bytes.slice(1)),
        head: bytes[0] ?? 0,
      }
      : { ...decodeRendezvous1(bytes.slice(1)), head: bytes[0] ?? 0 },
  encode: (value) =>
    concat(
      Uint8Array.of(value.head),
      "reply" in value
        ? encodeRendezvous1(value.cookie, value.reply)
        : encodeEstablishRendezvous(value.cookie),
    ),
});

/** Targets that are messages of services. */
export const SERVICE_TARGETS: readonly FuzzTarget[] = [
  DESCRIPTOR,
  DESCRIPTOR_CONTENT,
  INTRODUCTION,
  ESTABLISH_INTRO,
  INTRODUCE1,
  INTRODUCE_ACK,
  RENDEZVOUS,
];
