/**
 * What is said at rendezvous points, and the handshake that passes through them.
 *
 *     EstablishRendezvous    { cookie 20 }              client → point
 *     RendezvousEstablished  { }                        point → client
 *     Rendezvous1            { cookie 20, reply }       service → point
 *     Rendezvous2            reply                      point → client
 *
 * The handshake is the create handshake of circuits (protocol §5.2 "Create") between the client and
 * the service, with keys of the introduction point in place of a relay's:
 *
 *     nodeId  := H("anonnet v1 rendezvous" ‖ authentication ‖ blinded key ‖ cookie)
 *     onionKey:= static key of the introduction point
 *     session secret = HKDF(forward ‖ backward ‖ filler ‖ binding,
 *                           "", "anonnet v1 session secret", 32)
 *
 * It is forward-secret and hybrid, it proves the service, and it is bound to one
 * cookie. For a further leg of a session the reply is empty: its keys follow
 * from the session's secret (protocol §6.1 "Legs and cells").
 *
 * @see protocol §7.5 "Rendezvous"
 * @module
 */
import type { PublicKey } from "../../auth/identity.ts";
import { type Bytes, concat, utf8, wipe } from "../../base/bytes.ts";
import { ProtocolError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import {
  ClientHandshake,
  type HopKeys,
  REPLY_BYTES,
  respondToHandshake,
  wipeKeys,
} from "../../circuit/handshake.ts";
import { type CryptoSuite, KEY_BYTES } from "../../crypto/suite.ts";
import { encodeCbor } from "../../wire/cbor.ts";
import { decodeFields } from "../../wire/fields.ts";
import { COOKIE_BYTES } from "./introduction.ts";
import type {
  IntroductionKeys,
  IntroductionPublicKeys,
} from "./introduction_keys.ts";

const NAME_CONTEXT = utf8("anonnet v1 rendezvous");
const SECRET_INFO = utf8("anonnet v1 session secret");

/** The body of EstablishRendezvous. */
export function encodeEstablishRendezvous(cookie: Bytes): Bytes {
  return encodeCbor({ cookie });
}

/** Read EstablishRendezvous at the point. @throws {ProtocolError} `wire.*`. */
export function decodeEstablishRendezvous(body: Uint8Array): Bytes {
  const fields = decodeFields(body, "EstablishRendezvous");
  const cookie = fields.bytes("cookie", { length: COOKIE_BYTES });
  fields.finish();
  return cookie;
}

/** The body of Rendezvous1. @param reply Of the handshake; empty for a further leg. */
export function encodeRendezvous1(cookie: Bytes, reply: Bytes): Bytes {
  return encodeCbor({ cookie, reply });
}

/** Read Rendezvous1 at the point. @throws {ProtocolError} `wire.*`. */
export function decodeRendezvous1(
  body: Uint8Array,
): { cookie: Bytes; reply: Bytes } {
  const fields = decodeFields(body, "Rendezvous1");
  const cookie = fields.bytes("cookie", { length: COOKIE_BYTES });
  const reply = fields.bytes("reply", { max: REPLY_BYTES });
  fields.finish();
  return { cookie, reply };
}

/** The client's half of the handshake with a service. */
export class RendezvousHandshake {
  readonly #crypto: CryptoSuite;
  readonly #handshake: ClientHandshake;

  private constructor(crypto: CryptoSuite, handshake: ClientHandshake) {
    this.#crypto = crypto;
    this.#handshake = handshake;
  }

  /** Make fresh keys and the request. */
  static async start(
    crypto: CryptoSuite,
    random: Random,
    keys: IntroductionPublicKeys,
    blinded: PublicKey,
    cookie: Bytes,
  ): Promise<RendezvousHandshake> {
    const peer = {
      nodeId: handshakeName(crypto, keys.authentication, blinded, cookie),
      onionKey: keys.staticKey,
    };
    const handshake = await ClientHandshake.start(crypto, peer, random);
    return new RendezvousHandshake(crypto, handshake);
  }

  /** For the introduction. */
  get request(): Bytes {
    return this.#handshake.request;
  }

  /**
   * The session's secret, once the service has answered.
   *
   * @throws {ProtocolError} `service.rendezvous_reply` when it was not the service.
   */
  async finish(reply: Uint8Array): Promise<Bytes> {
    const result = await this.#handshake.finish(reply);
    if (!result.ok) {
      throw new ProtocolError(
        "service.rendezvous_reply",
        `Cannot meet service: its reply is wrong (${result.failure})`,
      );
    }
    return sessionSecret(this.#crypto, result.keys);
  }

  /** No answer will come: forget the keys. */
  abandon(): void {
    this.#handshake.abandon();
  }
}

/**
 * The service's half.
 *
 * @param blinded The blinded keys that it has descriptors under now.
 * @throws {ProtocolError} `service.rendezvous_request`.
 */
export async function respondToRendezvous(
  crypto: CryptoSuite,
  random: Random,
  keys: IntroductionKeys,
  blinded: readonly PublicKey[],
  cookie: Bytes,
  request: Bytes,
): Promise<{ reply: Bytes; secret: Bytes }> {
  let failure = "node_id";
  for (const name of blinded) {
    const response = await respondToHandshake(
      crypto,
      {
        nodeId: handshakeName(crypto, keys.public.authentication, name, cookie),
        onionKeys: [{
          secret: keys.staticSecret,
          publicKey: keys.public.staticKey,
        }],
      },
      request,
      random,
    );
    if (response.ok) {
      return {
        reply: response.reply,
        secret: sessionSecret(crypto, response.keys),
      };
    }
    failure = response.failure;
  }
  throw new ProtocolError(
    "service.rendezvous_request",
    `Cannot answer introduction: its handshake is wrong (${failure})`,
  );
}

function handshakeName(
  crypto: CryptoSuite,
  authentication: PublicKey,
  blinded: PublicKey,
  cookie: Bytes,
): Bytes {
  return crypto.sha256(NAME_CONTEXT, authentication, blinded, cookie);
}

function sessionSecret(crypto: CryptoSuite, keys: HopKeys): Bytes {
  const all = concat(
    keys.forwardKey,
    keys.backwardKey,
    keys.fillerKey,
    keys.binding,
  );
  const secret = crypto.hkdf(all, new Uint8Array(0), SECRET_INFO, KEY_BYTES);
  wipeKeys(keys);
  wipe(all);
  return secret;
}
