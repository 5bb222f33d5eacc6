/**
 * What is said to introduction points, and what they say.
 *
 *     EstablishIntro   { authentication 32, rate?, signature 64 }    service → point
 *     IntroEstablished { }                                           point → service
 *     Introduce1       { authentication 32, sealed,                  client → point
 *                        work?: { effort, nonce 16 } }
 *     IntroduceAck     { status, demand?: { effort, seed 32 } }      point → client
 *     Introduce2       sealed, as it came                            point → service
 *
 * The signature of EstablishIntro covers the circuit binding (protocol §5.2 "Create"): it is worth
 * nothing on another circuit.
 *
 * @see protocol §7.4 "Introduction"
 * @module
 */
import {
  asPublicKey,
  type PublicKey,
  verifySigned,
} from "../../auth/identity.ts";
import type { Bytes } from "../../base/bytes.ts";
import { ProtocolError } from "../../base/errors.ts";
import {
  type CryptoSuite,
  ED25519_KEY_BYTES,
  SIGNATURE_BYTES,
} from "../../crypto/suite.ts";
import { encodeCbor } from "../../wire/cbor.ts";
import { decodeFields, type Fields } from "../../wire/fields.ts";
import { SEALED_BYTES } from "./introduction.ts";
import { INTRODUCTIONS_PER_SECOND } from "./introduction_gate.ts";
import type { IntroductionKeys } from "./introduction_keys.ts";
import {
  LEAST_EFFORT,
  MAX_EFFORT,
  type Work,
  WORK_NONCE_BYTES,
  WORK_SEED_BYTES,
  type WorkDemand,
} from "./introduction_work.ts";

const ESTABLISH_CONTEXT = "anonnet v1 establish introduction";

/** What the introduction point answers to a client; the wire carries the index. */
const STATUS = [
  /** Passed on to the service. */
  "passed",
  /** No service listens under this key here. */
  "unknown",
  /** Too many introductions; try another point. */
  "busy",
  /** Too many introductions; come again, with work. */
  "work",
] as const;

/** What an introduction point answers. */
export type IntroduceAnswer =
  | { readonly status: "passed" | "unknown" | "busy" }
  | { readonly status: "work"; readonly demand: WorkDemand };

/** What a service wants of an introduction point. */
export interface EstablishIntro {
  /** Under which key it listens. */
  readonly key: PublicKey;
  /** Introductions per second that it wants at most, if it says so. */
  readonly rate: number | undefined;
}

/** What a client wants of an introduction point. */
export interface Introduce1 {
  /** The key of the service there. */
  readonly authentication: PublicKey;
  /** For the service. */
  readonly sealed: Bytes;
  /** What was done for it, not yet checked. */
  readonly work?: Work | undefined;
}

/**
 * The body of EstablishIntro.
 *
 * @param binding Of the circuit's last hop (protocol §5.2 "Create").
 * @param rate Introductions per second that we want, 1 to
 * {@linkcode INTRODUCTIONS_PER_SECOND}.
 */
export function encodeEstablishIntro(
  keys: IntroductionKeys,
  binding: Uint8Array,
  rate?: number,
): Bytes {
  return encodeCbor({
    authentication: keys.public.authentication,
    rate,
    signature: keys.identity.sign(ESTABLISH_CONTEXT, binding),
  });
}

/**
 * Check EstablishIntro at the introduction point.
 *
 * @throws {ProtocolError} `service.establish_signature`,
 * `service.establish_rate`, `wire.*`.
 */
export function decodeEstablishIntro(
  crypto: CryptoSuite,
  body: Uint8Array,
  binding: Uint8Array,
): EstablishIntro {
  const fields = decodeFields(body, "EstablishIntro");
  const key = asPublicKey(
    fields.bytes("authentication", { length: ED25519_KEY_BYTES }),
  );
  const rate = fields.has("rate")
    ? fields.uint("rate", INTRODUCTIONS_PER_SECOND)
    : undefined;
  const signature = fields.bytes("signature", { length: SIGNATURE_BYTES });
  fields.finish();
  if (rate === 0) throw establishError("rate", "it wants no introductions");
  const isRight = verifySigned(
    crypto,
    key,
    ESTABLISH_CONTEXT,
    binding,
    signature,
  );
  if (!isRight) throw establishError("signature", "the signature is wrong");
  return { key, rate };
}

/** The body of Introduce1. */
export function encodeIntroduce1(
  { authentication, sealed, work }: Introduce1,
): Bytes {
  return encodeCbor({
    authentication,
    sealed,
    work: work === undefined
      ? undefined
      : { effort: work.effort, nonce: work.nonce },
  });
}

/** Read Introduce1 at the introduction point. @throws {ProtocolError} `wire.*`. */
export function decodeIntroduce1(body: Uint8Array): Introduce1 {
  const fields = decodeFields(body, "Introduce1");
  const authentication = asPublicKey(
    fields.bytes("authentication", { length: ED25519_KEY_BYTES }),
  );
  const sealed = fields.bytes("sealed", { length: SEALED_BYTES });
  const work = fields.has("work") ? readWork(fields.map("work")) : undefined;
  fields.finish();
  return { authentication, sealed, work };
}

/** The body of IntroduceAck. */
export function encodeIntroduceAck(answer: IntroduceAnswer): Bytes {
  return encodeCbor({
    demand: answer.status === "work"
      ? { effort: answer.demand.effort, seed: answer.demand.seed }
      : undefined,
    status: STATUS.indexOf(answer.status),
  });
}

/**
 * Read IntroduceAck at the client.
 *
 * @throws {ProtocolError} `service.work_demand` when the point demands more work
 * than it may, `wire.*`.
 */
export function decodeIntroduceAck(body: Uint8Array): IntroduceAnswer {
  const fields = decodeFields(body, "IntroduceAck");
  const status = STATUS[fields.uint("status", STATUS.length - 1)] ?? "unknown";
  const answer: IntroduceAnswer = status === "work"
    ? { status, demand: readDemand(fields.map("demand")) }
    : { status };
  fields.finish();
  return answer;
}

function readWork(fields: Fields): Work {
  const effort = fields.uint("effort", MAX_EFFORT);
  const nonce = fields.bytes("nonce", { length: WORK_NONCE_BYTES });
  fields.finish();
  return { effort, nonce };
}

function readDemand(fields: Fields): WorkDemand {
  const effort = fields.uint("effort");
  const seed = fields.bytes("seed", { length: WORK_SEED_BYTES });
  fields.finish();
  if (effort < LEAST_EFFORT || effort > MAX_EFFORT) {
    throw new ProtocolError(
      "service.work_demand",
      "Cannot be introduced: the point demands more work than it may, or none",
    );
  }
  return { effort, seed };
}

function establishError(code: string, what: string): ProtocolError {
  return new ProtocolError(
    `service.establish_${code}`,
    `Cannot establish introduction point: ${what}`,
  );
}
