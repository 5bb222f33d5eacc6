/**
 * The answerer's side of the link handshake: it knows nothing of the dialler until
 * the Proof, and spends as little as it can before it.
 *
 * @see protocol §3.2 "Handshake"
 * @module
 */
import { verifySigned } from "../auth/identity.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import { type Bytes, equalBytes } from "../base/bytes.ts";
import { type AnonNetError, ProtocolError } from "../base/errors.ts";
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
  encodeChallengeBody,
  encodeHandshake,
  type HandshakeMessage,
  type Hello,
  NONCE_BYTES,
  type Proof,
  type WelcomeLimits,
} from "./handshake_message.ts";
import type { NonceCache } from "./nonce_cache.ts";
import {
  ANSWERER_CONTEXT,
  DIALLER_CONTEXT,
  transcriptHash,
} from "./transcript.ts";

/** What the answerer needs besides. */
export interface AnswererOptions extends HandshakeOptions {
  /** Our record, encoded. */
  readonly record: Bytes;
  /** Nonces of the handshakes that this node has answered. */
  readonly nonces: NonceCache;
}

/** What the answerer tells a dialler that it lets in. */
export interface Admission {
  /** Where we see the dialler. */
  readonly observedAddress: SocketAddress;
  readonly limits: WelcomeLimits;
}

/** The side that was dialled. */
export class AnswererHandshake extends Handshake {
  readonly #options: AnswererOptions;
  readonly #versions: readonly number[];
  #hello: Hello | undefined;
  /** What the dialler's Proof must sign. */
  #expected: Bytes | undefined;
  #version = 0;

  constructor(options: AnswererOptions) {
    super();
    this.#options = options;
    this.#versions = options.versions ?? LINK_VERSIONS;
  }

  /** Begin to wait for the Hello. */
  start(nowMs: number): HandshakeAction[] {
    this.begin(this.#options.network.linkHandshakeMs, nowMs);
    return [];
  }

  /** Let the dialler in. `record` is what its Hello carried, verified. */
  onAdmitted(
    record: NodeRecord | undefined,
    admission: Admission,
    _nowMs: number,
  ): HandshakeAction[] {
    return this.guard(() => {
      const hello = this.#hello;
      if (this.phase !== "admitting" || hello === undefined) throw misuse();
      if ((record === undefined) !== (hello.record === undefined)) {
        throw misuse();
      }
      if (record !== undefined) checkRecord(record, hello.publicKey);
      const message = encodeHandshake({ type: "welcome", ...admission });
      return [
        { type: "send", message },
        this.establish({
          version: this.#version,
          peerKey: hello.publicKey,
          record,
          observedAddress: undefined,
          peerLimits: undefined,
        }),
      ];
    });
  }

  protected override read(
    message: HandshakeMessage,
    bytes: Uint8Array,
  ): HandshakeAction[] {
    switch (message.type) {
      case "challenge":
      case "welcome":
      case "refused":
        throw wrongRole(message.type);
      case "hello":
        if (this.phase !== "awaiting") throw outOfOrder(message.type);
        return this.#onHello(message, bytes);
      case "proof":
        if (this.phase !== "proving") throw outOfOrder(message.type);
        return this.#onProof(message);
    }
  }

  /** A failure is told, in one form whatever it was. */
  protected override fail(error: AnonNetError): HandshakeAction[] {
    const code = error.code === "link.busy" ? "busy" : "refused";
    const message = encodeHandshake({ type: "refused", code });
    return [{ type: "send", message }, ...super.fail(error)];
  }

  #onHello(hello: Hello, bytes: Uint8Array): HandshakeAction[] {
    const { crypto, identity, network, nonces, random, record } = this.#options;
    // The cheap checks first: a signature is what a flood would have us spend.
    if (hello.network !== network.name) {
      throw new ProtocolError(
        "link.wrong_network",
        "Cannot answer: the dialler means another network",
      );
    }
    if (equalBytes(hello.publicKey, identity.publicKey)) throw selfError();
    const version = highestCommon(this.#versions, hello.versions);
    if (!nonces.add(hello.nonce)) {
      throw new ProtocolError("link.replay", "Cannot answer: a replayed hello");
    }
    const nonce = random.bytes(NONCE_BYTES);
    const body = encodeChallengeBody({
      version,
      versions: this.#versions,
      publicKey: identity.publicKey,
      nonce,
      record,
    });
    const parts = {
      network: network.name,
      diallerKey: hello.publicKey,
      answererKey: identity.publicKey,
      diallerNonce: hello.nonce,
      answererNonce: nonce,
    };
    const short = transcriptHash(crypto, { ...parts, messages: [bytes, body] });
    const message = encodeHandshake({
      type: "challenge",
      body,
      signature: identity.sign(ANSWERER_CONTEXT, short),
    });
    this.#expected = transcriptHash(crypto, {
      ...parts,
      messages: [bytes, body, message],
    });
    this.#hello = hello;
    this.#version = version;
    this.phase = "proving";
    return [{ type: "send", message }];
  }

  #onProof(proof: Proof): HandshakeAction[] {
    const hello = this.#hello;
    const expected = this.#expected;
    if (hello === undefined || expected === undefined) throw misuse();
    const { publicKey, record } = hello;
    const { crypto } = this.#options;
    if (
      !verifySigned(
        crypto,
        publicKey,
        DIALLER_CONTEXT,
        expected,
        proof.signature,
      )
    ) {
      throw new ProtocolError(
        "link.bad_proof",
        "Cannot trust dialler: its signature is wrong",
      );
    }
    this.phase = "admitting";
    return [{ type: "admit", peerKey: publicKey, record }];
  }
}
