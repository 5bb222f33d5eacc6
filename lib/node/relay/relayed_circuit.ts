/**
 * One circuit at a relay, run: its streams, its handshake, and what its machine
 * asks for.
 *
 *     previous hop ⇄ RelayStream ⇄ RelayCircuit ⇄ RelayStream ⇄ next hop
 *                                       ⇅
 *                      the circuit it is joined to, where it is
 *
 * A chunk of cells is read, turned in place and written, in one turn of the event
 * loop and without waiting for anything. Whatever ends one side ends the other.
 *
 * @see protocol §5.5 "Extending, using, destroying" to §5.7 "Joining"
 * @module
 */
import { type Bytes } from "../../base/bytes.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import { raceSignal } from "../../base/clock.ts";
import {
  AnonNetError,
  errorCode,
  UnreachableError,
} from "../../base/errors.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import { TokenBucket } from "../../base/token_bucket.ts";
import {
  CELL_BYTES,
  decodeFirstCell,
  encodeFirstCell,
  unitBytes,
} from "../../circuit/cell.ts";
import type { CircuitAccount } from "../../circuit/circuit_places.ts";
import type { ClientBound } from "../../circuit/control_messages.ts";
import { DHT_OF_CIRCUIT } from "../../circuit/neighbour_budgets.ts";
import {
  REQUEST_BYTES,
  respondToHandshake,
  wipeKeys,
} from "../../circuit/handshake.ts";
import {
  type RelayAction,
  RelayCircuit,
  type RelayState,
} from "../../circuit/relay_circuit.ts";
import type { ByteStream } from "../../transport/transport.ts";
import { extendFailureOf } from "../circuit/circuit_links.ts";
import type { CircuitHost } from "./circuit_host.ts";
import { HeldMessage } from "./held_message.ts";
import { type CloseManner, RelayStream } from "./relay_stream.ts";
import type { RelayedEnd } from "./relay_traffic.ts";

/**
 * Protocol: time from the beginning of a stream to its first whole cell, ms.
 * Against streams that say nothing.
 */
const CREATE_TIMEOUT_MS = 10_000;

const GONE = new UnreachableError(
  "circuit.gone",
  "Cannot go on: the circuit has ended",
);

/** One circuit. */
export class RelayedCircuit {
  /** Whom it is counted for. */
  readonly account: CircuitAccount;
  readonly #host: CircuitHost<RelayedCircuit>;
  readonly #previous: RelayStream<RelayedCircuit>;
  #next: RelayStream<RelayedCircuit> | undefined;
  /** `undefined` until it is created. */
  #machine: RelayCircuit | undefined;
  #partner: RelayedCircuit | undefined;
  /** Aborts the attempt to extend that is under way. */
  #extending: AbortController | undefined;
  #work: AbortController | undefined;
  readonly #held: HeldMessage<RelayedCircuit>;
  readonly #timer: MachineTimer;
  #hasRequest = false;
  #usedMs: number;
  #dhtRequests: TokenBucket | undefined;
  #isDestroyed = false;
  /** Settles when nothing of it is left. */
  readonly #gone = Promise.withResolvers<void>();
  /** Streams of which something is left. */
  #streams = 1;

  /** @param stream Of a peer that wants a circuit; owned from here on. */
  constructor(
    host: CircuitHost<RelayedCircuit>,
    account: CircuitAccount,
    stream: ByteStream,
  ) {
    this.#host = host;
    this.account = account;
    this.#usedMs = host.clock.nowMs();
    this.#held = new HeldMessage(host.quota, this);
    this.#previous = new RelayStream(stream, host, this, {
      onCells: (cells) => this.#onForward(cells),
      onHeld: () => this.#checkQuota(),
      onHangUp: () => this.destroy("hung_up"),
      onGone: () => this.#onStreamGone(),
      onError: (error) => this.#onError(error),
    });
    const { clock } = host;
    this.#timer = new MachineTimer(clock, () => this.#onTime());
    this.#timer.set(clock.nowMs() + CREATE_TIMEOUT_MS);
    this.#previous.start();
  }

  /** What the circuit is now; `closing` while cells of it are still being written. */
  get state(): "creating" | "closing" | Exclude<RelayState, "destroyed"> {
    if (this.#isDestroyed) return "closing";
    const state = this.#machine?.state ?? "creating";
    return state === "destroyed" ? "closing" : state;
  }

  /** Known to the client and us alone; for signatures bound to this circuit. */
  get binding(): Bytes {
    return this.#machine?.binding ?? new Uint8Array();
  }

  /** When the last cell came, either way. Monotonic, ms. */
  get usedMs(): number {
    const partner = this.#partner;
    return partner === undefined
      ? this.#usedMs
      : Math.max(this.#usedMs, partner.#usedMs);
  }

  /** The client asks for something of the DHT. @returns Whether its share allows it. */
  spendDhtRequest(nowMs: number): boolean {
    this.#dhtRequests ??= new TokenBucket(DHT_OF_CIRCUIT, nowMs);
    return this.#dhtRequests.take(1, nowMs);
  }

  /** Aborts when the circuit has ended: its client waits for no answer any more. */
  get signal(): AbortSignal {
    this.#work ??= new AbortController();
    if (this.#isDestroyed) this.#work.abort(GONE);
    return this.#work.signal;
  }

  /**
   * Say something to the client.
   *
   * @returns Whether it will get it: not once the circuit ends elsewhere.
   */
  send(message: ClientBound): boolean {
    const cells = this.#machine?.send(message);
    if (cells !== undefined) this.#write(this.#previous, cells);
    return cells !== undefined && !this.#isDestroyed;
  }

  /** Join two circuits. @returns Whether both could be. */
  static join(a: RelayedCircuit, b: RelayedCircuit): boolean {
    if (a.#machine === undefined || b.#machine === undefined) return false;
    if (!RelayCircuit.join(a.#machine, b.#machine)) return false;
    a.#partner = b;
    b.#partner = a;
    for (const circuit of [a, b]) circuit.#host.listener.onUnavailable(circuit);
    return true;
  }

  /** End the circuit, both ways. Idempotent. */
  destroy(end: RelayedEnd, manner: CloseManner = "flush"): void {
    if (this.#isDestroyed) {
      if (manner === "drop") this.#close(manner);
      return;
    }
    this.#isDestroyed = true;
    const partner = this.#partner;
    this.#partner = undefined;
    this.#timer.stop();
    this.#extending?.abort(GONE);
    this.#extending = undefined;
    this.#work?.abort(GONE);
    this.#machine?.destroy();
    this.#countMessage();
    this.#host.listener.onUnavailable(this);
    this.#host.traffic.onEnded(end);
    this.#close(manner);
    partner?.destroy("partner");
  }

  #close(manner: CloseManner): void {
    this.#previous.close(manner);
    this.#next?.close(manner);
  }

  /** Cells from the client. @returns Whether their memory is kept. */
  #onForward(cells: Bytes): boolean {
    const machine = this.#machine;
    if (this.#isDestroyed) return false;
    this.#usedMs = this.#host.clock.nowMs();
    if (machine === undefined) {
      this.#onFirstCell(cells);
      return false;
    }
    let start = 0;
    while (!machine.passesOn) {
      if (start >= cells.length || machine.state === "destroyed") return false;
      const end = start + unitBytes(cells, start);
      const cell = cells.subarray(start, end);
      this.#perform(machine.receive(cell, this.#host.clock.nowMs()));
      this.#countMessage();
      start = end;
    }
    const rest = start === 0 ? cells : cells.subarray(start);
    if (rest.length === 0) return false;
    if (!machine.forward(rest)) {
      this.destroy("bad_cell");
      return false;
    }
    this.#host.traffic.forwardCells += rest.length / CELL_BYTES;
    const partner = this.#partner;
    if (partner !== undefined) return partner.#write(partner.#previous, rest);
    return this.#next !== undefined && this.#write(this.#next, rest);
  }

  /** A control message begins, goes on or has ended. */
  #countMessage(): void {
    const heldBytes = this.#machine?.heldBytes ?? 0;
    if (heldBytes === this.#held.freeableBytes) return;
    this.#held.set(heldBytes, this.#host.clock.nowMs());
    if (this.#isDestroyed) return;
    this.#armTimer();
    this.#checkQuota();
  }

  /** Cells from the next hop. @returns Whether their memory is kept. */
  #onBackward(cells: Bytes): boolean {
    const machine = this.#machine;
    if (machine === undefined || this.#isDestroyed) return false;
    if (!machine.backward(cells)) {
      this.destroy("bad_cell");
      return false;
    }
    this.#usedMs = this.#host.clock.nowMs();
    this.#host.traffic.backwardCells += cells.length / CELL_BYTES;
    return this.#write(this.#previous, cells);
  }

  /** @returns Whether the memory of `cells` is the writer's now. */
  #write(stream: RelayStream<RelayedCircuit>, cells: Bytes): boolean {
    switch (stream.writer.write(cells)) {
      case "kept":
        this.#checkQuota();
        return true;
      case "copied":
        this.#checkQuota();
        return false;
      case "full":
        this.destroy("overflow", "drop");
        return false;
      case "dropped":
        return false;
    }
  }

  /** Cells wait: over the quota, the circuits whose cells waited longest go. */
  #checkQuota(): void {
    const { quota } = this.#host;
    if (!quota.over) return;
    for (const circuit of quota.victims()) circuit.destroy("quota", "drop");
  }

  #perform(actions: readonly RelayAction[]): void {
    for (const action of actions) {
      switch (action.type) {
        case "send":
          this.#write(this.#previous, action.cells);
          break;
        case "extend":
          this.#armTimer();
          this.#host.listener.onUnavailable(this);
          this.#host.tasks.run(this.#extend(action));
          break;
        case "cancel_extend":
          this.#endExtending();
          break;
        case "request":
          this.#host.listener.onRequest(this, action.request);
          break;
        case "destroy":
          this.destroy(action.reason);
          break;
      }
    }
  }

  #onFirstCell(cells: Bytes): void {
    const request = cells.length === CELL_BYTES && !this.#hasRequest
      ? decodeFirstCell(cells, REQUEST_BYTES)
      : undefined;
    this.#hasRequest = true;
    if (request === undefined) this.destroy("handshake");
    else if (!this.#host.handshakes.take()) this.destroy("overloaded");
    else this.#host.tasks.run(this.#create(request));
  }

  async #create(request: Bytes): Promise<void> {
    const { crypto, random, ownId } = this.#host;
    try {
      const own = { nodeId: ownId, onionKeys: this.#onionKeys(request) };
      const response = await respondToHandshake(crypto, own, request, random);
      if (!response.ok) return this.destroy("handshake");
      if (!this.#isDestroyed) {
        this.#timer.stop();
        const options = { ownId };
        this.#machine = new RelayCircuit(crypto, response.keys, options);
        this.#host.traffic.onCreated();
        this.#write(this.#previous, encodeFirstCell(response.reply));
      }
      wipeKeys(response.keys);
    } catch (error) {
      this.destroy("failed");
      throw error;
    } finally {
      this.#host.handshakes.give();
    }
  }

  /** Our key that a request names, if we have it. */
  #onionKeys(request: Bytes) {
    const publicKey = request.subarray(32, 64);
    const secret = this.#host.onionKeys.find(publicKey);
    return secret === undefined ? [] : [{ publicKey, secret }];
  }

  async #extend(
    { attempt, nodeId, record, cell }: Extract<
      RelayAction,
      { readonly type: "extend" }
    >,
  ): Promise<void> {
    const extending = this.#extending = new AbortController();
    const { signal } = extending;
    try {
      const { nextRelays } = this.#host;
      const peer = await nextRelays.find(nodeId, record, this.account);
      if (this.#extending !== extending) return;
      if (peer === undefined) return this.#onNextFailed(attempt, "refused");
      const stream = await this.#streamTo(peer, signal);
      if (this.#extending !== extending) stream.cancel();
      else {
        this.#host.exits.add(this, peer.nodeId.toHex(), this.account);
        this.#openNext(stream, attempt, cell);
      }
    } catch (error) {
      if (this.#extending !== extending) return; // the client waits no more
      this.#onNextFailed(attempt, extendFailureOf(error));
      if (!(error instanceof AnonNetError)) throw error;
    }
  }

  /** Where all links to a relay are full of circuits, one that is not used gives way. */
  async #streamTo(peer: NodeRecord, signal: AbortSignal): Promise<ByteStream> {
    const { links, exits, clock } = this.#host;
    const options = { signal, asker: this.account };
    try {
      return await links.openCircuit(peer, options);
    } catch (error) {
      if (errorCode(error) !== "link.streams") throw error;
      const next = peer.nodeId.toHex();
      const unused = exits.giveWay(next, this.account, clock.nowMs());
      if (unused === undefined) throw error;
      unused.destroy("evicted", "drop");
      await raceSignal(unused.#gone.promise, signal);
      return await links.openCircuit(peer, options);
    }
  }

  /** Ask the next relay, whose first cell will be its answer. */
  #openNext(stream: ByteStream, attempt: number, cell: Bytes): void {
    let isAnswered = false;
    const isCurrent = () => !this.#isDestroyed && this.#next === next;
    const next = new RelayStream<RelayedCircuit>(stream, this.#host, this, {
      onCells: (cells) => {
        if (!isCurrent()) return false;
        if (isAnswered) return this.#onBackward(cells);
        isAnswered = true;
        return this.#onNextAnswer(attempt, cells);
      },
      onHeld: () => this.#checkQuota(),
      onHangUp: () => {
        if (!isCurrent()) next.close("drop");
        else if (isAnswered) this.destroy("hung_up");
        else this.#onNextFailed(attempt, "closed");
      },
      onGone: () => this.#onStreamGone(),
      onError: (error) => this.#onError(error),
    });
    this.#next = next;
    this.#streams++;
    next.writer.write(cell);
    next.start();
  }

  #onNextAnswer(attempt: number, cells: Bytes): boolean {
    const machine = this.#machine;
    if (machine === undefined) return false;
    const answerBytes = unitBytes(cells, 0);
    const answer = cells.subarray(0, answerBytes);
    this.#perform(machine.onExtended(attempt, answer));
    if (machine.state !== "extended") {
      this.#endExtending();
      return false;
    }
    this.#timer.stop();
    this.#extending = undefined;
    const rest = cells.subarray(answerBytes);
    return rest.length > 0 && this.#onBackward(rest);
  }

  #onNextFailed(
    attempt: number,
    code: ReturnType<typeof extendFailureOf>,
  ): void {
    this.#endExtending();
    this.#perform(this.#machine?.onExtendFailed(attempt, code) ?? []);
  }

  #endExtending(): void {
    const next = this.#next;
    this.#next = undefined;
    this.#host.exits.remove(this);
    this.#timer.stop();
    this.#extending?.abort(GONE);
    this.#extending = undefined;
    next?.close("drop");
  }

  #onError(error: unknown): void {
    this.destroy("failed", "drop");
    this.#host.onError(error);
  }

  #armTimer(): void {
    this.#timer.set(this.#machine?.deadlineMs ?? Infinity);
  }

  #onTime(): void {
    if (this.#machine === undefined) return this.destroy("silent");
    this.#perform(this.#machine.onTime(this.#host.clock.nowMs()));
  }

  #onStreamGone(): void {
    this.#streams--;
    if (this.#streams === 0 && this.#isDestroyed) {
      this.#gone.resolve();
      this.#host.listener.onGone(this);
    }
  }
}
