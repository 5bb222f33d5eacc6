/**
 * The mutual challenge-response at the start of a link, as two pure machines:
 * messages come in, actions go out.
 *
 *     dialler    start ─ Hello → awaiting Challenge ─ Proof → awaiting Welcome
 *                → admitting → established
 *     answerer   awaiting Hello ─ Challenge → awaiting Proof → admitting
 *                ─ Welcome → established
 *
 * TLS has proven the answerer to the dialler before any of this. The handshake
 * proves the dialler to the answerer, and binds both to one another: each signs
 * both keys, both nonces and every byte said ({@linkcode transcriptHash}). A
 * machine that has failed is over; what went wrong stays on this side, and a
 * peer hears one uniform Refused. The roles are in `dialler_handshake.ts` and
 * `answerer_handshake.ts`; here is what they share.
 *
 * @see protocol §3.2 "Handshake" to §3.4 "What is refused"
 * @module
 */
import type { Identity, PublicKey } from "../auth/identity.ts";
import type { NetworkParameters } from "../auth/network.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import { type Bytes, equalBytes } from "../base/bytes.ts";
import {
  AnonNetError,
  BugError,
  ProtocolError,
  UnreachableError,
} from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import {
  decodeHandshake,
  type HandshakeMessage,
  type WelcomeLimits,
} from "./handshake_message.ts";

/** Protocol versions that this program speaks. */
export const LINK_VERSIONS: readonly number[] = [1];

/** What a finished handshake has established. */
export interface HandshakeResult {
  /** Protocol version chosen. */
  readonly version: number;
  /** The peer's key; it has proven to hold it. */
  readonly peerKey: PublicKey;
  /** The peer's record, verified by the driver; a client has none. */
  readonly record: NodeRecord | undefined;
  /** Where the peer sees us. Known to the dialler alone. */
  readonly observedAddress: SocketAddress | undefined;
  /** What the peer will bear. Known to the dialler alone. */
  readonly peerLimits: WelcomeLimits | undefined;
}

/** What a handshake asks its driver to do. */
export type HandshakeAction =
  /** Send one frame with this body. */
  | { readonly type: "send"; readonly message: Bytes }
  /**
   * The peer has proven its key. Verify its record with the work in it, decide
   * whether to let it in, and call `onAdmitted` or `onRefused`.
   */
  | {
    readonly type: "admit";
    readonly peerKey: PublicKey;
    readonly record: Bytes | undefined;
  }
  | { readonly type: "established"; readonly result: HandshakeResult }
  /** It is over: close the connection, after what was to be sent. */
  | { readonly type: "failed"; readonly error: AnonNetError };

/** What both roles need. */
export interface HandshakeOptions {
  readonly crypto: CryptoSuite;
  readonly random: Random;
  readonly network: NetworkParameters;
  /** Who we are on this link. */
  readonly identity: Identity;
  /** Versions to speak. Default {@linkcode LINK_VERSIONS}. */
  readonly versions?: readonly number[];
}

/** How far a handshake has come. */
type Phase = "new" | "awaiting" | "proving" | "admitting" | "over";

/** What the two roles have in common: phases, deadline, failing once. */
export abstract class Handshake {
  protected phase: Phase = "new";
  #deadlineMs = Infinity;

  /** When to call {@linkcode onTime}; `Infinity` once it is over. Monotonic, ms. */
  get deadlineMs(): number {
    return this.#deadlineMs;
  }

  /** One message, the body of a frame. Any bytes whatever may come. */
  onMessage(bytes: Uint8Array, _nowMs: number): HandshakeAction[] {
    return this.guard(() => this.read(decodeHandshake(bytes), bytes));
  }

  /** The peer ended its stream or the connection. */
  onEnd(_nowMs: number): HandshakeAction[] {
    if (this.phase === "over") return [];
    return this.fail(
      new UnreachableError("link.cut", "Cannot finish handshake: it was cut"),
    );
  }

  /** The deadline may have passed. */
  onTime(nowMs: number): HandshakeAction[] {
    if (nowMs < this.#deadlineMs) return [];
    return this.fail(
      new UnreachableError(
        "link.handshake_timeout",
        "Cannot finish handshake: the peer took too long",
      ),
    );
  }

  /** The driver has found the peer unfit, or has no room for it. */
  onRefused(error: AnonNetError, _nowMs: number): HandshakeAction[] {
    return this.phase === "over" ? [] : this.fail(error);
  }

  protected abstract read(
    message: HandshakeMessage,
    bytes: Uint8Array,
  ): HandshakeAction[];

  /** A peer that is silent for longer than `handshakeMs` is cut off. */
  protected begin(handshakeMs: number, nowMs: number): void {
    this.#deadlineMs = nowMs + handshakeMs;
    this.phase = "awaiting";
  }

  protected fail(error: AnonNetError): HandshakeAction[] {
    this.phase = "over";
    this.#deadlineMs = Infinity;
    return [{ type: "failed", error }];
  }

  protected establish(result: HandshakeResult): HandshakeAction {
    this.phase = "over";
    this.#deadlineMs = Infinity;
    return { type: "established", result };
  }

  /** Run one step; what it throws of the peer's making ends the handshake. */
  protected guard(step: () => HandshakeAction[]): HandshakeAction[] {
    if (this.phase === "over") return [];
    try {
      return step();
    } catch (error) {
      if (error instanceof AnonNetError && !(error instanceof BugError)) {
        return this.fail(error);
      }
      throw error;
    }
  }
}

/** The version to speak. @throws {ProtocolError} `link.version` if there is none. */
export function highestCommon(
  ours: readonly number[],
  theirs: readonly number[],
): number {
  const common = ours.filter((version) => theirs.includes(version));
  if (common.length > 0) return Math.max(...common);
  throw new ProtocolError("link.version", "Cannot agree on a version");
}

/** Insist that a record is the peer's own. @throws {ProtocolError} `link.record_identity`. */
export function checkRecord(record: NodeRecord, peerKey: PublicKey): void {
  if (equalBytes(record.publicKey, peerKey)) return;
  throw new ProtocolError(
    "link.record_identity",
    "Cannot accept record: it is another node's",
  );
}

/** A message that only we could have sent. */
export function wrongRole(type: string): ProtocolError {
  return new ProtocolError("link.wrong_role", `Cannot take a ${type} here`);
}

/** A message whose turn it is not. */
export function outOfOrder(type: string): ProtocolError {
  return new ProtocolError("link.out_of_order", `Cannot take a ${type} now`);
}

/** Both ends are we. */
export function selfError(): ProtocolError {
  return new ProtocolError("link.self", "Cannot link to ourselves");
}

/** The driver called what was not its turn. */
export function misuse(): BugError {
  return new BugError("link.handshake_order", "Cannot go on with handshake");
}
