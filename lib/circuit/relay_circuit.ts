/**
 * One circuit at a relay.
 *
 *                 extend                    onExtended
 *     created ─────────────→ extending ─────────────────→ extended
 *        │   ←─────────────      a forward cell now: destroyed
 *        │    onExtendFailed, onTime
 *        └─── join ────────→ joined                    any ──→ destroyed
 *
 * Created, it is the last hop: it takes cells for itself ({@linkcode receive})
 * and answers ({@linkcode send}). Extended or joined, it only passes cells on,
 * by chunks and in place: {@linkcode forward} and {@linkcode backward} are plain
 * calls, and the driver's loop is read, call, write.
 *
 * Nothing that a cell does wrong is the link's fault: the neighbour may have
 * passed it on in good faith. So nothing here throws for what was received; the
 * circuit is destroyed, both ways, without a word that tells why.
 *
 * @see protocol §5.5 "Extending, using, destroying"
 * @module
 */
import { type Bytes, equalBytes } from "../base/bytes.ts";
import { BugError, ProtocolError } from "../base/errors.ts";
import type { NodeId } from "../auth/identity.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import {
  CELL_BYTES,
  COMMAND,
  decodeFirstCell,
  decodePayload,
  encodeFirstCell,
} from "./cell.ts";
import {
  type ClientBound,
  decodeRelayBound,
  type DhtReply,
  type DhtRequest,
  encodeControl,
  type Extend,
  type ExtendFailure,
  type RelayBound,
  type ServiceRequest,
} from "./control_messages.ts";
import { ControlReader, encodeControlCells } from "./control_stream.ts";
import { type HopKeys, REPLY_BYTES } from "./handshake.ts";
import { carryAcross } from "./join.ts";
import { RelayLayer } from "./relay_layer.ts";

/** Protocol: a client hears within this time whether its circuit was extended, ms. */
export const EXTEND_TIMEOUT_MS = 10_000;
/**
 * Protocol: attempts to extend one circuit. More would make a relay dial
 * addresses by a list, one after the other.
 */
export const MAX_EXTEND_ATTEMPTS = 4;
/**
 * Protocol: time from the first cell of a control message to its last, ms. Six
 * cells at most: a client that lets them wait only means to have memory held.
 */
const MESSAGE_TIMEOUT_MS = 10_000;
/** Protocol: DHT requests of one circuit under way. Each is work for others. */
export const MAX_DHT_REQUESTS = 4;

/** What a circuit is to its relay. */
export type RelayState =
  | "created"
  | "extending"
  | "extended"
  | "joined"
  | "destroyed";

/** Why a circuit was destroyed. For our own eyes: the wire says nothing. */
export type DestroyReason =
  /** A cell was not the client's next. */
  | "bad_cell"
  /** The client said what it must not, or not now. */
  | "protocol"
  /** The client is done with it. */
  | "closed";

/** What a circuit asks its driver to do. */
export type RelayAction =
  /** Write these cells to the previous hop. */
  | { readonly type: "send"; readonly cells: Bytes }
  /**
   * Open a stream to this relay, write `cell`, and report its first cell by
   * `onExtended`, or else `onExtendFailed`, with the same `attempt`.
   */
  | {
    readonly type: "extend";
    readonly attempt: number;
    readonly nodeId: NodeId;
    /** Says where it is; to be verified, and to be the record of `nodeId`. */
    readonly record: Bytes;
    readonly cell: Bytes;
  }
  /** Give up what `extend` began; close its stream. */
  | { readonly type: "cancel_extend"; readonly attempt: number }
  /** Do what the client asks, and answer by `send`. */
  | { readonly type: "request"; readonly request: DhtRequest | ServiceRequest }
  /** End both streams, after what waits has been written. */
  | { readonly type: "destroy"; readonly reason: DestroyReason };

/** What a circuit has to know of the node it runs on. */
export interface RelayCircuitOptions {
  /** Our own node id. */
  readonly ownId: NodeId;
}

/** One circuit at a relay, from its created keys to its end. */
export class RelayCircuit {
  readonly #options: RelayCircuitOptions;
  readonly #layer: RelayLayer;
  readonly #binding: Bytes;
  readonly #control = new ControlReader();
  readonly #dhtRequests = new Set<number>();
  #state: RelayState = "created";
  #partner: RelayCircuit | undefined;
  #attempt = 0;
  #extendDeadlineMs = Infinity;
  #messageDeadlineMs = Infinity;

  /**
   * A circuit that has just been created, and ends here.
   *
   * @param keys From the handshake; copied, wipe yours.
   */
  constructor(
    crypto: CryptoSuite,
    keys: HopKeys,
    options: RelayCircuitOptions,
  ) {
    this.#options = options;
    this.#layer = new RelayLayer(crypto, keys);
    this.#binding = new Uint8Array(keys.binding);
  }

  /** What the circuit is to us now. */
  get state(): RelayState {
    return this.#state;
  }

  /** Known to the client and us alone; for signatures bound to this circuit. */
  get binding(): Bytes {
    return this.#binding;
  }

  /** Whether cells from the client go on: by {@linkcode forward}, not {@linkcode receive}. */
  get passesOn(): boolean {
    return this.#state === "extended" || this.#state === "joined";
  }

  /** When to call {@linkcode onTime} next, ms; `Infinity` with nothing to wait for. */
  get deadlineMs(): number {
    return Math.min(this.#extendDeadlineMs, this.#messageDeadlineMs);
  }

  /** Memory that a control message takes of which only the beginning has come. */
  get heldBytes(): number {
    return this.#control.heldBytes;
  }

  /**
   * Pass on whole cells and trains from the client, in place: to the next hop, or to the
   * previous hop of the circuit that it is joined to.
   *
   * @param cells A multiple of the cell size.
   * @returns Whether to write them there. If not, nothing of them may go
   * anywhere, and the circuit must be destroyed, if it is not already.
   * @throws {BugError} `circuit.state` unless it {@linkcode passesOn}.
   */
  forward(cells: Uint8Array): boolean {
    this.#checkWhole(cells);
    switch (this.#state) {
      case "extended":
        return this.#layer.peelForward(cells);
      case "joined":
        return this.#carryAcross(cells);
      case "destroyed":
        return false;
      default:
        throw this.#stateError("forward");
    }
  }

  /**
   * Wrap whole cells and trains from the next hop, in place, for the previous one.
   *
   * @param cells A multiple of the cell size.
   * @returns Whether to write them there. If not, nothing of them may go anywhere,
   * and the circuit must be destroyed, if it is not already.
   * @throws {BugError} `circuit.state` where there is no next hop.
   */
  backward(cells: Uint8Array): boolean {
    this.#checkWhole(cells);
    if (this.#state === "destroyed") return false;
    if (this.#state !== "extended") throw this.#stateError("pass back");
    return this.#layer.wrapBackward(cells);
  }

  /**
   * Take one cell or train from the client as the last hop; it is overwritten. Carry out
   * the actions before the next cell: they may be what lets it pass.
   *
   * @throws {BugError} `circuit.state` where it {@linkcode passesOn}.
   */
  receive(cell: Uint8Array, nowMs: number): RelayAction[] {
    this.#checkWhole(cell);
    switch (this.#state) {
      case "created":
        return this.#onCell(cell, nowMs);
      case "extending":
        // The client must be silent: its next cell could be for either hop.
        return this.#destroyed("protocol");
      case "destroyed":
        return [];
      default:
        throw this.#stateError("receive");
    }
  }

  /**
   * Cells that carry a message to the client, to be written to the previous hop.
   *
   * @returns `undefined` once the circuit does not end here any more: then
   * the client does not wait for it.
   * @throws {BugError} `circuit.no_request` for an answer to a DHT request that
   * the client did not make.
   */
  send(message: ClientBound): Bytes | undefined {
    if (!this.#endsHere()) return undefined;
    if (isDhtReply(message) && !this.#dhtRequests.delete(message.id)) {
      throw new BugError(
        "circuit.no_request",
        "Cannot answer a DHT request: none has this id",
      );
    }
    return this.#say(message);
  }

  /** The next relay answered `extend`. A late answer gives no actions. */
  onExtended(attempt: number, cell: Uint8Array): RelayAction[] {
    if (this.#isStale(attempt)) return [];
    const reply = cell.length === CELL_BYTES
      ? decodeFirstCell(cell, REPLY_BYTES)
      : undefined;
    if (reply === undefined) return this.#failExtend("closed");
    const cells = this.#say({ type: "extended", reply });
    this.#state = "extended";
    this.#extendDeadlineMs = Infinity;
    return [{ type: "send", cells }];
  }

  /** `extend` could not be carried out. A late report gives no actions. */
  onExtendFailed(attempt: number, code: ExtendFailure): RelayAction[] {
    return this.#isStale(attempt) ? [] : this.#failExtend(code);
  }

  /** The deadline has come. */
  onTime(nowMs: number): RelayAction[] {
    if (nowMs >= this.#messageDeadlineMs) return this.#destroyed("protocol");
    if (nowMs < this.#extendDeadlineMs) return [];
    return [
      { type: "cancel_extend", attempt: this.#attempt },
      ...this.#failExtend("timeout"),
    ];
  }

  /**
   * Join two circuits that end here: from now on what either client sends is
   * data for the other.
   *
   * @returns `false`, and nothing changed, unless both are created, different,
   * and between two messages.
   */
  static join(a: RelayCircuit, b: RelayCircuit): boolean {
    if (a === b || !a.#canJoin() || !b.#canJoin()) return false;
    a.#state = b.#state = "joined";
    a.#partner = b;
    b.#partner = a;
    return true;
  }

  /**
   * The circuit ends: a stream of it has ended, or we end it. Idempotent. The
   * circuit that was joined to it passes nothing on any more; destroy it too.
   */
  destroy(): void {
    if (this.#state !== "destroyed") this.#layer.wipe();
    this.#state = "destroyed";
    this.#extendDeadlineMs = this.#messageDeadlineMs = Infinity;
    this.#control.clear();
    this.#partner = undefined;
    this.#dhtRequests.clear();
    this.#binding.fill(0);
  }

  #carryAcross(cells: Uint8Array): boolean {
    const partner = this.#partner;
    if (partner === undefined || partner.#state === "destroyed") return false;
    return carryAcross(this.#layer, partner.#layer, cells);
  }

  #onCell(cell: Uint8Array, nowMs: number): RelayAction[] {
    if (!this.#layer.openForward(cell)) return this.#destroyed("bad_cell");
    // What is for a relay itself never comes in trains.
    const payload = cell.length === CELL_BYTES
      ? decodePayload(cell)
      : undefined;
    return payload?.command === COMMAND.control
      ? this.#onControl(payload.body, nowMs)
      : this.#destroyed("protocol");
  }

  #onControl(body: Uint8Array, nowMs: number): RelayAction[] {
    let message: RelayBound;
    try {
      const bytes = this.#control.push(body);
      if (bytes === undefined) {
        this.#messageDeadlineMs = Math.min(
          this.#messageDeadlineMs,
          nowMs + MESSAGE_TIMEOUT_MS,
        );
        return [];
      }
      this.#messageDeadlineMs = Infinity;
      message = decodeRelayBound(bytes);
    } catch (error) {
      if (error instanceof ProtocolError) return this.#destroyed("protocol");
      throw error;
    }
    return this.#onMessage(message, nowMs);
  }

  #onMessage(message: RelayBound, nowMs: number): RelayAction[] {
    switch (message.type) {
      case "extend":
        return this.#onExtend(message, nowMs);
      case "ping": {
        const cells = this.#say({ type: "pong", id: message.id });
        return [{ type: "send", cells }];
      }
      case "close":
        return this.#destroyed("closed");
      case "dht_get":
      case "dht_put":
        if (
          this.#dhtRequests.has(message.id) ||
          this.#dhtRequests.size >= MAX_DHT_REQUESTS
        ) return this.#destroyed("protocol");
        this.#dhtRequests.add(message.id);
        return [{ type: "request", request: message }];
      default:
        return [{ type: "request", request: message }];
    }
  }

  #onExtend(message: Extend, nowMs: number): RelayAction[] {
    const { record, request } = message;
    if (this.#attempt >= MAX_EXTEND_ATTEMPTS) {
      return this.#destroyed("protocol");
    }
    const attempt = ++this.#attempt;
    // Not to ourselves. Back to where the circuit came from is allowed: a client that
    // was told where to end must not have to say by a failure that the relay named is
    // one that it keeps.
    const { ownId } = this.#options;
    const nodeId = request.slice(0, ownId.length);
    if (equalBytes(nodeId, ownId)) {
      return this.#failExtend("refused");
    }
    this.#state = "extending";
    this.#extendDeadlineMs = nowMs + EXTEND_TIMEOUT_MS;
    const cell = encodeFirstCell(request);
    return [{ type: "extend", attempt, nodeId, record, cell }];
  }

  #failExtend(code: ExtendFailure): RelayAction[] {
    this.#state = "created";
    this.#extendDeadlineMs = Infinity;
    return [{
      type: "send",
      cells: this.#say({ type: "extend_failed", code }),
    }];
  }

  #isStale(attempt: number): boolean {
    return this.#state !== "extending" || attempt !== this.#attempt;
  }

  #canJoin(): boolean {
    return this.#state === "created" && !this.#control.midMessage;
  }

  #endsHere(): boolean {
    return this.#state === "created" || this.#state === "extending";
  }

  #say(message: ClientBound): Bytes {
    const cells = encodeControlCells(encodeControl(message));
    for (let start = 0; start < cells.length; start += CELL_BYTES) {
      this.#layer.sealBackward(cells.subarray(start, start + CELL_BYTES));
    }
    return cells;
  }

  #destroyed(reason: DestroyReason): RelayAction[] {
    this.destroy();
    return [{ type: "destroy", reason }];
  }

  #checkWhole(cells: Uint8Array): void {
    if (cells.length % CELL_BYTES !== 0) {
      throw new RangeError(`Cannot take ${cells.length} bytes of cells`);
    }
  }

  #stateError(what: string): BugError {
    return new BugError(
      "circuit.state",
      `Cannot ${what} cells: the circuit is ${this.#state}`,
    );
  }
}

function isDhtReply(message: ClientBound): message is DhtReply {
  switch (message.type) {
    case "dht_found":
    case "dht_missing":
    case "dht_stored":
    case "dht_rejected":
      return true;
    default:
      return false;
  }
}
