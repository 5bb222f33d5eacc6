/**
 * One circuit at the client that builds and uses it.
 *
 *     new ──create──→ building ──finishHop──→ open ⇄ building (extend)
 *                        any ──→ closed
 *
 * The driver writes what the methods return, in their order, and hands in every
 * cell that arrives. A hop is built in three steps, the middle one on the wire:
 *
 *     write(await circuit.create(target, nowMs))        or extend(…)
 *     event = circuit.receive(cell, nowMs)              { type: "reply", … }
 *     result = await circuit.finishHop(event.reply)     { ok: true }
 *
 * From `extend` until then nothing else may be sent: the relay could not tell
 * whether it is for itself or for the hop behind it.
 *
 * @see protocol §5.5 "Extending, using, destroying"
 * @module
 */
import { type Bytes, equalBytes } from "../base/bytes.ts";
import { BugError, ProtocolError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { NodeId } from "../auth/identity.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import {
  BODY_OFFSET,
  CELL_BYTES,
  COMMAND,
  decodeFirstCell,
  decodePayload,
  encodeFirstCell,
  encodePayload,
  MAX_HOPS,
  TRAIN_BYTES,
} from "./cell.ts";
import {
  type ClientBound,
  type CloseReason,
  decodeClientBound,
  type DhtReply,
  encodeControl,
  type ExtendFailure,
  type RelayBound,
  type ServiceReply,
} from "./control_messages.ts";
import { ControlReader, encodeControlCells } from "./control_stream.ts";
import {
  ClientHandshake,
  type HandshakeFailure,
  REPLY_BYTES,
  wipeKeys,
} from "./handshake.ts";
import { OnionClient } from "./onion_client.ts";

/** Tuning: how long a hop may take to be built, ms. */
export const HOP_TIMEOUT_MS = 15_000;
/** Tuning: how long a pong may take before the circuit counts as dead, ms. */
export const PING_TIMEOUT_MS = 10_000;
/** Tuning: pings under way at once. */
export const MAX_PINGS = 8;

/** A relay to build a hop with. A node record is one. */
export interface HopTarget {
  /** Its position, which follows from its identity. */
  readonly nodeId: NodeId;
  /** Its X25519 key for handshakes. */
  readonly onionKey: Bytes;
  /** Its node record, by which the hop before finds it. */
  readonly encoded: Bytes;
}

/** Why a circuit is of no more use. Hops count from 1. */
export type CircuitFailure =
  /** The layer of `hop` was not what it had to be: the hop before it, or one behind that, meddled. */
  | { readonly code: "bad_cell"; readonly hop: number }
  /** The relay at `hop` said what it must not, or not now. */
  | { readonly code: "protocol"; readonly hop: number }
  /** The relay at `hop` does not hold its keys, or a relay before it changed its answer. */
  | {
    readonly code: "handshake";
    readonly hop: number;
    readonly failure: HandshakeFailure;
  }
  /** No answer in time: from the new hop, or from the last one to a ping. */
  | { readonly code: "timeout"; readonly hop: number }
  /** The relay at `hop` closed it, and said so. */
  | {
    readonly code: "closed";
    readonly hop: number;
    readonly reason: CloseReason;
  }
  /** It ended without a word, somewhere. */
  | { readonly code: "destroyed" };

/** What came of a cell, or of time. */
export type ClientEvent =
  /** The new hop answered: pass it to `finishHop`. */
  | { readonly type: "reply"; readonly reply: Bytes }
  /** The last hop could not add another; the circuit is as it was before. */
  | { readonly type: "extend_failed"; readonly code: ExtendFailure }
  /** An answer, or a message for a service. */
  | { readonly type: "message"; readonly message: DhtReply | ServiceReply }
  /** A body of data. A view into the cell: copy what is to stay. */
  | { readonly type: "data"; readonly body: Uint8Array }
  /** A ping came back. */
  | { readonly type: "pong"; readonly roundTripMs: number }
  /** The circuit is dead: close its stream. */
  | { readonly type: "closed"; readonly failure: CircuitFailure };

/** What came of building a hop. */
export type HopResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly failure: CircuitFailure };

/** What a user of a circuit may say to its last hop; the rest we say ourselves. */
export type ClientMessage = Exclude<
  RelayBound,
  { readonly type: "extend" | "ping" }
>;

/** Sizes and times, where they are not ours. */
export interface ClientCircuitOptions {
  /** Default {@linkcode HOP_TIMEOUT_MS}. */
  readonly hopTimeoutMs?: number;
}

/** What the circuit is to its client. */
export type ClientState = "new" | "building" | "open" | "closed";

/** The hop being built. */
interface Building {
  readonly target: HopTarget;
  /** `undefined` until its keys are made, and again once it is being finished. */
  handshake: ClientHandshake | undefined;
  /** Whether the relay has answered: it must not do so twice. */
  answered: boolean;
  readonly deadlineMs: number;
}

/** One circuit at its client. */
export class ClientCircuit {
  readonly #crypto: CryptoSuite;
  readonly #random: Random;
  readonly #hopTimeoutMs: number;
  readonly #onion: OnionClient;
  readonly #control = new ControlReader();
  readonly #path: NodeId[] = [];
  readonly #bindings: Bytes[] = [];
  /** When each ping was sent, by its id, oldest first. */
  readonly #pings = new Map<number, number>();
  #nextPing = 0;
  #state: ClientState = "new";
  #building: Building | undefined;

  /**
   * A circuit that has no hop yet.
   *
   * @param random For handshakes, and for noise in cells.
   */
  constructor(
    crypto: CryptoSuite,
    random: Random,
    options: ClientCircuitOptions = {},
  ) {
    this.#crypto = crypto;
    this.#random = random;
    this.#hopTimeoutMs = options.hopTimeoutMs ?? HOP_TIMEOUT_MS;
    this.#onion = new OnionClient(crypto, random);
  }

  /** What the circuit is to us now. */
  get state(): ClientState {
    return this.#state;
  }

  /** Hops that are built. */
  get hops(): number {
    return this.#onion.hops;
  }

  /**
   * Known to the last hop and us alone; for signatures bound to this circuit.
   *
   * @throws {BugError} `circuit.state` unless open.
   */
  get binding(): Bytes {
    const binding = this.#bindings.at(-1);
    if (this.#state !== "open" || binding === undefined) {
      throw this.#stateError("bind to");
    }
    return binding;
  }

  /** When to call {@linkcode onTime} next, ms; `Infinity` with nothing to wait for. */
  get deadlineMs(): number {
    const [oldestPingMs = Infinity] = this.#pings.values();
    return Math.min(
      this.#building?.deadlineMs ?? Infinity,
      oldestPingMs + PING_TIMEOUT_MS,
    );
  }

  /**
   * Begin with the first hop.
   *
   * @returns The stream's first cell; `undefined` if the circuit was closed
   * meanwhile.
   * @throws {BugError} `circuit.state` unless new.
   */
  async create(target: HopTarget, nowMs: number): Promise<Bytes | undefined> {
    if (this.#state !== "new") throw this.#stateError("create");
    const handshake = await this.#start(target, nowMs);
    return handshake && encodeFirstCell(handshake.request);
  }

  /**
   * Add a hop behind the last.
   *
   * @returns Cells to write; `undefined` if the circuit was closed meanwhile.
   * @throws {BugError} `circuit.state` unless open.
   * @throws {RangeError} when there are {@linkcode MAX_HOPS} hops, or the target
   * is the last of them.
   */
  async extend(target: HopTarget, nowMs: number): Promise<Bytes | undefined> {
    if (this.#state !== "open") throw this.#stateError("extend");
    if (this.hops >= MAX_HOPS) {
      throw new RangeError(`Cannot extend circuit beyond ${MAX_HOPS} hops`);
    }
    const last = this.#path.at(-1);
    if (last !== undefined && equalBytes(last, target.nodeId)) {
      throw new RangeError("Cannot extend circuit from a relay to itself");
    }
    const handshake = await this.#start(target, nowMs);
    if (handshake === undefined) return undefined;
    const { request } = handshake;
    const record = target.encoded;
    return this.#sealMessage({ type: "extend", record, request });
  }

  /** The reply of a `reply` event: with it the hop is there, or the circuit is closed. */
  async finishHop(reply: Uint8Array): Promise<HopResult> {
    const building = this.#building;
    const handshake = building?.handshake;
    if (building === undefined || handshake === undefined) {
      throw this.#stateError("finish a hop of");
    }
    building.handshake = undefined;
    const hop = this.hops + 1;
    const result = await handshake.finish(reply);
    if (this.#building !== building) {
      if (result.ok) wipeKeys(result.keys);
      return { ok: false, failure: { code: "destroyed" } };
    }
    if (!result.ok) {
      const { failure } = result;
      return {
        ok: false,
        failure: this.#fail({ code: "handshake", hop, failure }),
      };
    }
    this.#onion.addHop(result.keys);
    this.#path.push(building.target.nodeId);
    this.#bindings.push(new Uint8Array(result.keys.binding));
    wipeKeys(result.keys);
    this.#building = undefined;
    this.#state = "open";
    return { ok: true };
  }

  /**
   * Take one cell or train that arrived; it is overwritten.
   *
   * @returns What came of it; `undefined` where a message goes on in the next
   * cell, or the circuit is closed already.
   */
  receive(cell: Uint8Array, nowMs: number): ClientEvent | undefined {
    if (this.#state === "closed") return undefined;
    if (cell.length !== CELL_BYTES && cell.length !== TRAIN_BYTES) {
      throw new RangeError(`Cannot take a cell of ${cell.length} bytes`);
    }
    if (this.hops === 0) return this.#onCreated(cell);
    const badHop = this.#onion.open(cell);
    if (badHop !== undefined) {
      return this.#closed({ code: "bad_cell", hop: badHop });
    }
    const payload = decodePayload(cell);
    switch (payload?.command) {
      case COMMAND.control:
        // Trains hold data alone.
        return cell.length === CELL_BYTES
          ? this.#onControl(payload.body, nowMs)
          : this.#broken();
      case COMMAND.data:
        return { type: "data", body: payload.body };
      default:
        return this.#broken();
    }
  }

  /**
   * Say something to the last hop.
   *
   * @returns Cells to write.
   * @throws {BugError} `circuit.state` unless open.
   */
  send(message: ClientMessage): Bytes {
    if (this.#state !== "open") throw this.#stateError("send on");
    return this.#sealMessage(message);
  }

  /**
   * Measure the round trip to the last hop, and that it is alive.
   *
   * @returns A cell to write; `undefined` while {@linkcode MAX_PINGS} are under way.
   * @throws {BugError} `circuit.state` unless open.
   */
  ping(nowMs: number): Bytes | undefined {
    if (this.#state !== "open") throw this.#stateError("ping");
    if (this.#pings.size >= MAX_PINGS) return undefined;
    const id = this.#nextPing++;
    this.#pings.set(id, nowMs);
    return this.#sealMessage({ type: "ping", id });
  }

  /**
   * Where a body of data stands in a cell or train: what is written there need not be
   * copied, only sealed by {@linkcode sealData}.
   */
  dataBody(cell: Uint8Array): Uint8Array {
    return cell.subarray(BODY_OFFSET);
  }

  /**
   * Seal a cell or train whose body of data is in place.
   *
   * @param bodyBytes How many bytes of {@linkcode dataBody} are the body.
   * @throws {BugError} `circuit.state` unless open.
   */
  sealData(cell: Uint8Array, bodyBytes: number): void {
    if (this.#state !== "open") throw this.#stateError("send on");
    const body = cell.subarray(BODY_OFFSET, BODY_OFFSET + bodyBytes);
    encodePayload(cell, COMMAND.data, body);
    this.#onion.seal(cell);
  }

  /** The deadline has come: without its answer the circuit is closed. */
  onTime(nowMs: number): ClientEvent | undefined {
    if (nowMs < this.deadlineMs) return undefined;
    const isBuilding = nowMs >= (this.#building?.deadlineMs ?? Infinity);
    const hop = isBuilding ? this.hops + 1 : this.hops;
    return this.#closed({ code: "timeout", hop });
  }

  /** The stream has ended, or its link. `undefined` if the circuit was closed already. */
  onStreamEnd(): ClientEvent | undefined {
    return this.#state === "closed"
      ? undefined
      : this.#closed({ code: "destroyed" });
  }

  /** We need it no more: forget the keys. Idempotent. */
  destroy(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#building?.handshake?.abandon();
    this.#building = undefined;
    this.#pings.clear();
    this.#onion.wipe();
    for (const binding of this.#bindings) binding.fill(0);
  }

  async #start(
    target: HopTarget,
    nowMs: number,
  ): Promise<ClientHandshake | undefined> {
    const deadlineMs = nowMs + this.#hopTimeoutMs;
    const building: Building = {
      target,
      handshake: undefined,
      answered: false,
      deadlineMs,
    };
    this.#building = building;
    this.#state = "building";
    const handshake = await ClientHandshake.start(
      this.#crypto,
      target,
      this.#random,
    );
    if (this.#building !== building) {
      handshake.abandon();
      return undefined;
    }
    building.handshake = handshake;
    return handshake;
  }

  #onCreated(cell: Uint8Array): ClientEvent {
    const reply = decodeFirstCell(cell, REPLY_BYTES);
    return reply === undefined ? this.#broken() : this.#onReply(reply);
  }

  #onReply(reply: Bytes): ClientEvent {
    const building = this.#awaited();
    if (building === undefined) return this.#broken();
    building.answered = true;
    return { type: "reply", reply };
  }

  /** The hop whose answer may come now: its request is out, and none has come. */
  #awaited(): Building | undefined {
    const building = this.#building;
    return building?.handshake === undefined || building.answered
      ? undefined
      : building;
  }

  #onControl(body: Uint8Array, nowMs: number): ClientEvent | undefined {
    let message: ClientBound;
    try {
      const bytes = this.#control.push(body);
      if (bytes === undefined) return undefined;
      message = decodeClientBound(bytes);
    } catch (error) {
      if (error instanceof ProtocolError) return this.#broken();
      throw error;
    }
    return this.#onMessage(message, nowMs);
  }

  #onMessage(message: ClientBound, nowMs: number): ClientEvent {
    switch (message.type) {
      case "extended":
        return this.#onReply(message.reply);
      case "extend_failed":
        return this.#onExtendFailed(message.code);
      case "pong": {
        const sentMs = this.#pings.get(message.id);
        if (sentMs === undefined) return this.#broken();
        this.#pings.delete(message.id);
        return { type: "pong", roundTripMs: nowMs - sentMs };
      }
      case "close": {
        const reason = message.code;
        return this.#closed({ code: "closed", hop: this.hops, reason });
      }
      default:
        return { type: "message", message };
    }
  }

  #onExtendFailed(code: ExtendFailure): ClientEvent {
    const building = this.#awaited();
    if (building === undefined) return this.#broken();
    building.handshake?.abandon();
    this.#building = undefined;
    this.#state = "open";
    return { type: "extend_failed", code };
  }

  #sealMessage(message: RelayBound): Bytes {
    const cells = encodeControlCells(encodeControl(message));
    for (let start = 0; start < cells.length; start += CELL_BYTES) {
      this.#onion.seal(cells.subarray(start, start + CELL_BYTES));
    }
    return cells;
  }

  /** The last hop, or the first one in its reply, broke the protocol. */
  #broken(): ClientEvent {
    return this.#closed({ code: "protocol", hop: Math.max(1, this.hops) });
  }

  #closed(failure: CircuitFailure): ClientEvent {
    return { type: "closed", failure: this.#fail(failure) };
  }

  #fail(failure: CircuitFailure): CircuitFailure {
    this.destroy();
    return failure;
  }

  #stateError(what: string): BugError {
    return new BugError(
      "circuit.state",
      `Cannot ${what} circuit: it is ${this.#state}`,
    );
  }
}
