/**
 * A circuit of our own: built over relays, asked things of its last hop, joined
 * to another, and carrying cells then.
 *
 *     build ─▶ hop 1 ─▶ hop 2 ─▶ hop 3 ─▶ requests ─▶ joined ─▶ attach: cells both ways
 *              each in its time, or the build has failed there
 *
 * @see protocol §5 "Circuits"
 * @module
 */
import type { CellPort } from "./leg_carrier.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import type { Bytes } from "../../base/bytes.ts";
import { raceSignal } from "../../base/clock.ts";
import { AnonNetError, UnreachableError } from "../../base/errors.ts";
import {
  type ClientCircuit,
  type ClientMessage,
  HOP_TIMEOUT_MS,
} from "../../circuit/client_circuit.ts";
import type { DhtReply, ServiceReply } from "../../circuit/control_messages.ts";
import type { ByteStream } from "../../transport/transport.ts";
import {
  type BuildFailure,
  type CircuitEnd,
  openFirst,
  type OwnCircuitHost,
} from "./circuit_build.ts";
import { CircuitHops } from "./circuit_hops.ts";
import {
  answerInTime,
  type AskOptions,
  busyError,
  CircuitReplies,
  type ExpectedReply,
  heeded,
} from "./circuit_replies.ts";
import type { ServiceCircuit, ServiceQuestion } from "./circuits.ts";
import { type CircuitEvent, CircuitStream, DONE } from "./circuit_stream.ts";

/** What a build takes. */
export interface BuildOptions {
  /** Gives up: the build rejects with its reason, and what was built is closed. */
  readonly signal?: AbortSignal;
  /** Time for each hop, ms. Default {@linkcode HOP_TIMEOUT_MS}. */
  readonly hopTimeoutMs?: number;
}

/** What came of a build. */
export type BuildResult =
  | { readonly ok: true; readonly circuit: OwnCircuit }
  | { readonly ok: false; readonly failure: BuildFailure };

/** What came of adding a hop. */
export type ExtendResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly failure: BuildFailure };

/** Questions of the services to the last hop, and what answers them. */
const ANSWERS = {
  establish_intro: "intro_established",
  introduce1: "introduce_ack",
  establish_rendezvous: "rendezvous_established",
} as const satisfies Record<ServiceQuestion, ExpectedReply>;

/** One circuit. */
export class OwnCircuit implements ServiceCircuit {
  readonly #host: OwnCircuitHost;
  readonly #stream: CircuitStream;
  readonly #machine: ClientCircuit;
  readonly #hops: CircuitHops;
  readonly #replies = new CircuitReplies();
  readonly #rendezvous = heeded<Bytes>();
  readonly #ended = Promise.withResolvers<CircuitEnd>();
  #onIntroduction: ((sealed: Bytes) => void) | undefined;
  #canBeMet = false;

  private constructor(
    host: OwnCircuitHost,
    stream: ByteStream,
    hopTimeoutMs: number,
  ) {
    this.#host = host;
    this.#stream = new CircuitStream(host, stream, hopTimeoutMs, {
      onEvent: (event) => this.#onEvent(event),
      onEnd: (end) => this.#onEnd(end),
    });
    this.#machine = this.#stream.machine;
    this.#hops = new CircuitHops(host.clock, this.#stream);
  }

  /**
   * Build a circuit over these relays, 1 to 8, one after the other.
   *
   * @returns The circuit, or which hop could not be added and why.
   * @throws the signal's reason.
   * @throws {RangeError} for a path that no circuit can have.
   */
  static async build(
    host: OwnCircuitHost,
    path: readonly NodeRecord[],
    options: BuildOptions = {},
  ): Promise<BuildResult> {
    const [first, ...rest] = path;
    if (first === undefined) throw new RangeError("Cannot build without a hop");
    const { hopTimeoutMs = HOP_TIMEOUT_MS } = options;
    const stream = await openFirst(host, first, hopTimeoutMs, options.signal);
    if (stream instanceof AnonNetError) {
      const failure = { code: "unlinked", hop: 1, error: stream } as const;
      return { ok: false, failure };
    }
    const circuit = new OwnCircuit(host, stream, hopTimeoutMs);
    try {
      for (const target of [first, ...rest]) {
        const failure = await circuit.#hops.add(target, options.signal);
        if (failure === undefined) continue;
        circuit.#stream.finish(DONE);
        return { ok: false, failure };
      }
    } catch (error) {
      circuit.#stream.finish(DONE);
      throw error;
    }
    return { ok: true, circuit };
  }

  /** The relays of the circuit, the nearest first. */
  get path(): readonly NodeRecord[] {
    return this.#hops.path;
  }

  /** Whether it has not ended. */
  get isOpen(): boolean {
    return this.#stream.end === undefined;
  }

  /** Whether it was ever joined to the circuit of another client. */
  get isJoined(): boolean {
    return this.#stream.expectsData;
  }

  /** Cells of data that it has carried, both ways together. */
  get cellsCarried(): number {
    return this.#stream.cellsCarried;
  }

  /** Resolves with how it ended; never rejects. */
  get closed(): Promise<CircuitEnd> {
    return this.#ended.promise;
  }

  /**
   * Known to the last hop and us alone; for signatures bound to this circuit.
   *
   * @throws {UnreachableError} `circuit.ended`.
   */
  get binding(): Bytes {
    if (this.#stream.end !== undefined) throw endedError();
    return this.#machine.binding;
  }

  /**
   * Add a hop behind the last.
   *
   * @returns Why it could not be added: with `not_extended` the circuit is as it
   * was, and another relay may be tried, 4 in all.
   * @throws the signal's reason; the circuit is closed then.
   * @throws {UnreachableError} `circuit.ended`.
   * @throws {RangeError} for a ninth hop, or one that the circuit has already.
   */
  async extend(
    target: NodeRecord,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<ExtendResult> {
    try {
      const failure = await this.#whenOpen(
        options.signal,
        () => this.#hops.add(target, options.signal),
      );
      return failure === undefined ? { ok: true } : { ok: false, failure };
    } catch (error) {
      // Half a hop is there: nothing else could be said on it.
      if (options.signal?.aborted) this.#stream.finish(DONE);
      throw error;
    }
  }

  /**
   * Measure the round trip to the last hop. Without an answer the circuit ends.
   *
   * @returns ms.
   * @throws {UnreachableError} `circuit.ended`, `circuit.busy`.
   */
  async ping(options: { readonly signal?: AbortSignal } = {}): Promise<number> {
    const { signal } = options;
    const { pong } = await this.#whenOpen(signal, () => this.#ping());
    return await raceSignal(pong, signal);
  }

  /**
   * Look up a stored record by the last hop.
   *
   * @param key 32 bytes.
   * @returns It, or `undefined` where there is none.
   * @throws {UnreachableError} `circuit.ended`, `circuit.busy`,
   * `circuit.request_timeout`.
   */
  async dhtGet(key: Bytes, options?: AskOptions): Promise<Bytes | undefined> {
    const reply = await this.#askDht((id) => ({ type: "dht_get", id, key }), [
      "dht_found",
      "dht_missing",
    ], options);
    return reply.type === "dht_found" ? reply.record : undefined;
  }

  /**
   * Store a record by the last hop.
   *
   * @returns How many nodes took it; 0 when it was refused or no node was found.
   * @throws {UnreachableError} `circuit.ended`, `circuit.busy`,
   * `circuit.request_timeout`.
   */
  async dhtPut(record: Bytes, options?: AskOptions): Promise<number> {
    const reply = await this.#askDht(
      (id) => ({ type: "dht_put", id, record }),
      ["dht_stored", "dht_rejected"],
      options,
    );
    return reply.type === "dht_stored" ? reply.copies : 0;
  }

  /**
   * Make the last hop an introduction or rendezvous point, or introduce ourselves
   * to a service that listens there.
   *
   * @returns The body of its answer.
   * @throws {UnreachableError} `circuit.ended`, `circuit.busy`,
   * `circuit.request_timeout`.
   */
  async ask(
    type: ServiceQuestion,
    body: Bytes,
    options: AskOptions = {},
  ): Promise<Bytes> {
    const { reply } = await this.#whenOpen(options.signal, () => {
      const reply = this.#replies.expect(ANSWERS[type]);
      this.#say({ type, body });
      return { reply };
    });
    return await answerInTime(this.#host.clock, reply, options);
  }

  /** Hear of every introduction that comes once `establish_intro` is answered. */
  onIntroduction(listener: (sealed: Bytes) => void): void {
    this.#onIntroduction = listener;
  }

  /**
   * The service's answer, after `establish_rendezvous`: from then on the circuit is
   * joined, and waits for {@linkcode attach}.
   *
   * @throws {UnreachableError} `circuit.ended`, or the signal's reason.
   */
  met(options: { readonly signal?: AbortSignal } = {}): Promise<Bytes> {
    return raceSignal(this.#rendezvous.promise, options.signal);
  }

  /**
   * Send `rendezvous1`: join the circuit to that of a client who waits at the last
   * hop. No answer comes; {@linkcode attach} right away.
   *
   * @throws {UnreachableError} `circuit.ended`.
   */
  meet(body: Bytes): void {
    if (this.#stream.end !== undefined) throw endedError();
    this.#stream.expectData();
    this.#say({ type: "rendezvous1", body });
  }

  attach(port: CellPort): void {
    this.#stream.attach(port);
  }

  wake(): void {
    this.#stream.wake();
  }

  close(): void {
    this.#stream.close();
  }

  /**
   * Say something once no hop is being added: nothing may be sent then.
   *
   * @param act Called in the very turn in which that was found.
   */
  async #whenOpen<T>(
    signal: AbortSignal | undefined,
    act: () => T | Promise<T>,
  ): Promise<T> {
    // Looked at anew after each wait: another caller may have added the next.
    while (this.#hops.adding !== undefined) {
      await raceSignal(this.#hops.adding, signal);
    }
    signal?.throwIfAborted();
    if (this.#stream.end !== undefined) throw endedError();
    return await act();
  }

  #say(message: ClientMessage): void {
    this.#stream.send(this.#machine.send(message));
  }

  /** @returns The round trip to come, in an object that `await` leaves alone. */
  #ping(): { readonly pong: Promise<number> } {
    const cells = this.#machine.ping(this.#host.clock.nowMs());
    if (cells === undefined) throw busyError();
    const pong = this.#replies.expectPong();
    this.#stream.send(cells);
    return { pong };
  }

  async #askDht(
    question: (id: number) => ClientMessage,
    answers: readonly DhtReply["type"][],
    options: AskOptions = {},
  ): Promise<DhtReply> {
    const { reply } = await this.#whenOpen(options.signal, () => {
      const expected = this.#replies.expectDht();
      this.#say(question(expected.id));
      return expected;
    });
    const answer = await answerInTime(this.#host.clock, reply, options);
    if (answers.includes(answer.type)) return answer;
    // An answer to another question than the one of this id.
    this.#stream.finish({ code: "protocol", hop: this.#machine.hops });
    throw endedError();
  }

  #onEvent(event: CircuitEvent): void {
    switch (event.type) {
      case "reply":
        this.#hops.onReply(event.reply);
        break;
      case "extend_failed":
        this.#hops.onExtendFailed(event.code);
        break;
      case "message":
        this.#onMessage(event.message);
        break;
      case "pong":
        this.#replies.onPong(event.roundTripMs);
        break;
    }
  }

  #onMessage(message: DhtReply | ServiceReply): void {
    if (message.type === "introduce2" && this.#onIntroduction !== undefined) {
      return this.#onIntroduction(message.body);
    }
    if (message.type === "rendezvous2" && this.#canBeMet) {
      this.#canBeMet = false;
      this.#stream.expectData();
      return this.#rendezvous.resolve(message.body);
    }
    if (!this.#replies.onReply(message)) {
      return this.#stream.finish({ code: "protocol", hop: this.#machine.hops });
    }
    this.#canBeMet ||= message.type === "rendezvous_established";
  }

  #onEnd(end: CircuitEnd): void {
    const error = endedError();
    this.#replies.fail(error);
    this.#rendezvous.reject(error);
    this.#hops.onEnd(end);
    this.#ended.resolve(end);
  }
}

function endedError(): UnreachableError {
  return new UnreachableError(
    "circuit.ended",
    "Cannot use circuit: it has ended",
  );
}
