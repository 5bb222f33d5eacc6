/**
 * The dialler's side of the link handshake: it knows whom it has reached, for TLS
 * has proven that, and proves itself.
 *
 * @see protocol §3.2 "Handshake"
 * @module
 */
import { type PublicKey, verifySigned } from "../auth/identity.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import { type Bytes, equalBytes } from "../base/bytes.ts";
import {
  type AnonNetError,
  ProtocolError,
  UnreachableError,
} from "../base/errors.ts";
import {
  checkRecord,
  Handshake,
  type HandshakeAction,
  type HandshakeOptions,
  highestCommon,
  LINK_VERSIONS,
  misuse,
  outOfOrder,
  selfError,
  wrongRole,
} from "./handshake.ts";
import {
  type Challenge,
  type ChallengeBody,
  decodeChallengeBody,
  encodeHandshake,
  type HandshakeMessage,
  NONCE_BYTES,
  type Refused,
  type Welcome,
} from "./handshake_message.ts";
import {
  ANSWERER_CONTEXT,
  DIALLER_CONTEXT,
  transcriptHash,
} from "./transcript.ts";

/** A refusal does not say why. */
const REFUSED = [
  "link.refused",
  "Cannot link: the peer refused; is it of another network?",
] as const;

/**
 * The answerer has proven who it is, in our network, and turned us away after our
 * Proof, which leaves our record as the reason. The driver, who can judge the
 * answerer's by the same rules, says what is wrong.
 */
export class RecordRefusedError extends ProtocolError {
  /** The answerer's record, as its Challenge carried it. */
  readonly peerRecord: Bytes;

  constructor(peerRecord: Bytes) {
    super(...REFUSED);
    this.peerRecord = peerRecord;
  }
}

/** What the dialler needs besides. */
export interface DiallerOptions extends HandshakeOptions {
  /** The key that TLS has proven the answerer to hold. */
  readonly peerKey: PublicKey;
  /** Our record, encoded, if we are a relay. */
  readonly record?: Bytes | undefined;
}

/** The side that opened the connection. */
export class DiallerHandshake extends Handshake {
  readonly #options: DiallerOptions;
  readonly #versions: readonly number[];
  readonly #nonce: Bytes;
  #hello: Bytes | undefined;
  #version = 0;
  #record: Bytes | undefined;
  #welcome: Welcome | undefined;

  constructor(options: DiallerOptions) {
    super();
    this.#options = options;
    this.#versions = options.versions ?? LINK_VERSIONS;
    this.#nonce = options.random.bytes(NONCE_BYTES);
  }

  /** Begin: gives the Hello to send. */
  start(nowMs: number): HandshakeAction[] {
    const { identity, network, peerKey, record } = this.#options;
    this.begin(network.linkHandshakeMs, nowMs);
    if (equalBytes(identity.publicKey, peerKey)) {
      return this.fail(selfError());
    }
    this.#hello = encodeHandshake({
      type: "hello",
      versions: this.#versions,
      network: network.name,
      publicKey: identity.publicKey,
      nonce: this.#nonce,
      record,
    });
    return [{ type: "send", message: this.#hello }];
  }

  /** After its Welcome the answerer has no more to say: that is no cut. */
  override onEnd(nowMs: number): HandshakeAction[] {
    return this.phase === "admitting" ? [] : super.onEnd(nowMs);
  }

  /** The driver has verified the answerer's record. */
  onAdmitted(record: NodeRecord, _nowMs: number): HandshakeAction[] {
    return this.guard(() => {
      const welcome = this.#welcome;
      if (this.phase !== "admitting" || welcome === undefined) throw misuse();
      checkRecord(record, this.#options.peerKey);
      return [this.establish({
        version: this.#version,
        peerKey: this.#options.peerKey,
        record,
        observedAddress: welcome.observedAddress,
        peerLimits: welcome.limits,
      })];
    });
  }

  protected override read(
    message: HandshakeMessage,
    bytes: Uint8Array,
  ): HandshakeAction[] {
    switch (message.type) {
      case "hello":
      case "proof":
        throw wrongRole(message.type);
      case "refused":
        throw this.#refusal(message);
      case "challenge":
        if (this.phase !== "awaiting") throw outOfOrder(message.type);
        return this.#onChallenge(message, bytes);
      case "welcome":
        if (this.phase !== "proving") throw outOfOrder(message.type);
        return this.#onWelcome(message);
    }
  }

  #onChallenge(message: Challenge, bytes: Uint8Array): HandshakeAction[] {
    const { crypto, identity, network, peerKey } = this.#options;
    const hello = this.#hello;
    if (hello === undefined) throw misuse();
    const body = decodeChallengeBody(message.body);
    // Another key than the one TLS has proven: a third node forwards our Hello to a
    // third node, to have us prove ourselves to it in his stead.
    if (!equalBytes(body.publicKey, peerKey)) {
      throw new ProtocolError(
        "link.wrong_identity",
        "Cannot trust challenge: it is another node's",
      );
    }
    if (equalBytes(body.nonce, this.#nonce)) throw reflected();
    const parts = {
      network: network.name,
      diallerKey: identity.publicKey,
      answererKey: peerKey,
      diallerNonce: this.#nonce,
      answererNonce: body.nonce,
    };
    const signed = transcriptHash(crypto, {
      ...parts,
      messages: [hello, message.body],
    });
    if (
      !verifySigned(
        crypto,
        peerKey,
        ANSWERER_CONTEXT,
        signed,
        message.signature,
      )
    ) {
      throw new ProtocolError(
        "link.bad_signature",
        "Cannot trust challenge: its signature is wrong",
      );
    }
    checkChoice(body, this.#versions);
    this.#version = body.version;
    this.#record = body.record;
    this.phase = "proving";
    const whole = transcriptHash(crypto, {
      ...parts,
      messages: [hello, message.body, bytes],
    });
    const signature = identity.sign(DIALLER_CONTEXT, whole);
    return [{
      type: "send",
      message: encodeHandshake({ type: "proof", signature }),
    }];
  }

  #refusal({ code }: Refused): AnonNetError {
    if (code === "busy") {
      return new UnreachableError(
        "link.busy",
        "Cannot link: the peer has no room",
      );
    }
    return this.#record !== undefined && this.#options.record !== undefined
      ? new RecordRefusedError(this.#record)
      : new ProtocolError(...REFUSED);
  }

  #onWelcome(message: Welcome): HandshakeAction[] {
    this.#welcome = message;
    this.phase = "admitting";
    const { peerKey } = this.#options;
    return [{ type: "admit", peerKey, record: this.#record }];
  }
}

/** Both lists are signed: a peer that shortened one of them is found out here or by the signature. */
function checkChoice(body: ChallengeBody, ours: readonly number[]): void {
  const best = highestCommon(ours, body.versions);
  if (body.version === best) return;
  throw new ProtocolError(
    "link.downgrade",
    "Cannot accept version: it is not the highest that both speak",
  );
}

function reflected(): ProtocolError {
  return new ProtocolError(
    "link.reflection",
    "Cannot trust challenge: it repeats our nonce",
  );
}
