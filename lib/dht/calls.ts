/**
 * RPCs under way, from the question to its end. Every call ends exactly once:
 *
 *     call ─▶ send … onResponse ─▶ decode ─▶ answered
 *                                        └─▶ broken: it cannot be decoded
 *                  … onFailure, overdue ───▶ silent
 *
 * @see protocol §4.3 "Requests and responses"
 * @module
 */
import type { NetworkParameters } from "../auth/network.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import { ProtocolError } from "../base/errors.ts";
import type { SendAction } from "./dht_action.ts";
import {
  decodeResponse,
  type DhtRequest,
  type DhtResponse,
  encodeRequest,
} from "./messages.ts";
import type { CallAction, CallPurpose } from "./part_action.ts";

/** Tuning: a call has failed by then; setting up a link takes its part of it. */
export const CALL_MS = 8 * 1000;

/** What a node answered. */
export interface CallAnswer {
  readonly response: DhtResponse;
  /** The other end of the link that the answer came over. */
  readonly address: SocketAddress;
}

/** How a call ended. */
export type CallEnd =
  & {
    readonly to: NodeRecord;
    readonly purpose: CallPurpose;
  }
  & (
    /** The node answered: it is alive. */
    | { readonly type: "answered"; readonly answer: CallAnswer }
    /** It did not answer. */
    | { readonly type: "silent" }
    /** Its answer breaks the protocol. */
    | { readonly type: "broken"; readonly code: string }
  );

interface Call {
  readonly to: NodeRecord;
  readonly type: DhtRequest["type"];
  readonly purpose: CallPurpose;
  readonly dueMs: number;
}

/** RPCs under way. */
export class Calls {
  readonly #network: NetworkParameters;
  readonly #calls = new Map<number, Call>();
  #nextId = 1;

  constructor(network: NetworkParameters) {
    this.#network = network;
  }

  /** Calls under way. */
  get size(): number {
    return this.#calls.size;
  }

  /** When to look for {@linkcode overdue} ones next. */
  get deadlineMs(): number {
    let due = Infinity;
    for (const { dueMs } of this.#calls.values()) due = Math.min(due, dueMs);
    return due;
  }

  /** Ask a node. */
  call(
    { to, request, dueMs, purpose, isAtAddress = false }: CallAction,
  ): SendAction {
    const rpcId = this.#nextId++;
    this.#calls.set(rpcId, { to, type: request.type, purpose, dueMs });
    const encoded = encodeRequest(request);
    return { type: "send", rpcId, to, request: encoded, isAtAddress };
  }

  /**
   * The driver has a response.
   *
   * @returns `undefined` when the call has ended before.
   */
  onResponse(
    rpcId: number,
    bytes: Uint8Array,
    address: SocketAddress,
  ): CallEnd | undefined {
    const call = this.#take(rpcId);
    if (call === undefined) return undefined;
    const { to, type, purpose } = call;
    try {
      const response = decodeResponse(this.#network, type, bytes);
      return { type: "answered", to, purpose, answer: { response, address } };
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return { type: "broken", to, purpose, code: error.code };
    }
  }

  /**
   * The driver has no response, and will not have one.
   *
   * @returns `undefined` when the call has ended before.
   */
  onFailure(rpcId: number): CallEnd | undefined {
    const call = this.#take(rpcId);
    if (call === undefined) return undefined;
    return { type: "silent", to: call.to, purpose: call.purpose };
  }

  /** Calls that have taken too long: {@linkcode onFailure} is to be called for each. */
  overdue(nowMs: number): number[] {
    const overdue: number[] = [];
    for (const [rpcId, { dueMs }] of this.#calls) {
      if (dueMs <= nowMs) overdue.push(rpcId);
    }
    return overdue;
  }

  #take(rpcId: number): Call | undefined {
    const call = this.#calls.get(rpcId);
    this.#calls.delete(rpcId);
    return call;
  }
}
