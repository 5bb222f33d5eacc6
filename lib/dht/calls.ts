/**
 * RPCs under way, and records being verified: from the question to the handler of
 * its answer. Every call ends exactly once, with an answer or a failure.
 *
 *     call ─▶ send … onResponse ─▶ decode ─▶ onAnswer
 *                  … onFailure, deadline, undecodable ─▶ onFailure
 *
 * @see protocol §4.3 "Requests and responses"
 * @module
 */
import type { NodeId } from "../auth/identity.ts";
import type { NetworkParameters } from "../auth/network.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import type { Bytes } from "../base/bytes.ts";
import type { Moment } from "../base/clock.ts";
import { ProtocolError } from "../base/errors.ts";
import type { DhtAction, VerifiedRecords } from "./dht_action.ts";
import {
  decodeResponse,
  type DhtRequest,
  type DhtResponse,
  encodeRequest,
} from "./messages.ts";

/** Tuning: a call has failed by then; setting up a link takes its part of it. */
export const CALL_MS = 8 * 1000;
/**
 * Tuning: answers being verified at once. What comes on top counts as unanswered:
 * a flood of records must not gather in memory while proofs of work are checked.
 */
export const MAX_VERIFYING = 512;

/** What becomes of a call. */
interface CallHandler {
  /**
   * The node answered.
   *
   * @param address The other end of the link.
   */
  onAnswer(response: DhtResponse, address: SocketAddress, at: Moment): void;
  /** It did not, or not as the protocol has it. */
  onFailure(at: Moment): void;
}

/** How a call is made. */
interface CallOptions {
  /** Whether the node must be reached where its record says. Default: by any link. */
  readonly isAtAddress?: boolean;
}

/** For a call whose answer changes nothing but that its node is alive. */
export const IGNORE_ANSWER: CallHandler = { onAnswer() {}, onFailure() {} };

/** Whom all calls tell what they show of nodes. */
export interface CallWatcher {
  /** An action for the driver. */
  act(action: DhtAction): void;
  /** A node answered: it is alive. */
  onAlive(node: NodeRecord, address: SocketAddress, at: Moment): void;
  /** A node did not answer. */
  onSilent(node: NodeRecord, at: Moment): void;
  /** A node broke the protocol. */
  onBroken(id: NodeId, code: string, at: Moment): void;
}

interface Call {
  readonly to: NodeRecord;
  readonly type: DhtRequest["type"];
  readonly handler: CallHandler;
  readonly dueMs: number;
}

/** RPCs and verifications under way. */
export class Calls {
  readonly #network: NetworkParameters;
  readonly #watcher: CallWatcher;
  readonly #calls = new Map<number, Call>();
  readonly #verifying = new Map<
    number,
    (verified: VerifiedRecords, at: Moment) => void
  >();
  #nextId = 1;

  constructor(network: NetworkParameters, watcher: CallWatcher) {
    this.#network = network;
    this.#watcher = watcher;
  }

  /** Calls under way. */
  get size(): number {
    return this.#calls.size;
  }

  /** When to call {@linkcode onTime} next. */
  get deadlineMs(): number {
    let due = Infinity;
    for (const { dueMs } of this.#calls.values()) due = Math.min(due, dueMs);
    return due;
  }

  /**
   * Ask a node.
   *
   * @param dueMs When it has failed.
   */
  call(
    to: NodeRecord,
    request: DhtRequest,
    dueMs: number,
    handler: CallHandler,
    { isAtAddress = false }: CallOptions = {},
  ): void {
    const rpcId = this.#nextId++;
    const { type } = request;
    this.#calls.set(rpcId, { to, type, handler, dueMs });
    const encoded = encodeRequest(request);
    this.#watcher.act({
      type: "send",
      rpcId,
      to,
      request: encoded,
      isAtAddress,
    });
  }

  /**
   * Have records verified.
   *
   * @returns `false`, and `done` is never called, when too many are waiting.
   */
  verify(
    encoded: readonly Bytes[],
    done: (verified: VerifiedRecords, at: Moment) => void,
  ): boolean {
    if (this.#verifying.size >= MAX_VERIFYING) return false;
    const verifyId = this.#nextId++;
    this.#verifying.set(verifyId, done);
    this.#watcher.act({ type: "verify", verifyId, encoded });
    return true;
  }

  /** The driver has a response. */
  onResponse(
    rpcId: number,
    bytes: Uint8Array,
    address: SocketAddress,
    at: Moment,
  ): void {
    const call = this.#calls.get(rpcId);
    if (call === undefined) return;
    this.#calls.delete(rpcId);
    let response: DhtResponse;
    try {
      response = decodeResponse(this.#network, call.type, bytes);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#watcher.onBroken(call.to.nodeId, error.code, at);
      call.handler.onFailure(at);
      return;
    }
    this.#watcher.onAlive(call.to, address, at);
    call.handler.onAnswer(response, address, at);
  }

  /** The driver has no response, and will not have one. */
  onFailure(rpcId: number, at: Moment): void {
    const call = this.#calls.get(rpcId);
    if (call === undefined) return;
    this.#calls.delete(rpcId);
    this.#watcher.onSilent(call.to, at);
    call.handler.onFailure(at);
  }

  /** The driver has verified. */
  onVerified(verifyId: number, verified: VerifiedRecords, at: Moment): void {
    const done = this.#verifying.get(verifyId);
    this.#verifying.delete(verifyId);
    done?.(verified, at);
  }

  /** Fail what is overdue. */
  onTime(at: Moment): void {
    for (const [rpcId, { dueMs }] of this.#calls) {
      if (dueMs > at.nowMs) continue;
      this.#watcher.act({ type: "cancel", rpcId });
      this.onFailure(rpcId, at);
    }
  }
}
