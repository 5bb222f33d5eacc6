/**
 * The hops of a circuit of our own: those it has, and the one that is being added.
 *
 *     add ─▶ request written ─▶ reply ─▶ finished ─▶ the path is one longer
 *                                  └──▶ not extended: as it was before
 *
 * Nothing else may be said on the circuit while a hop is being added.
 *
 * @see protocol §5.5 "Extending, using, destroying"
 * @module
 */
import type { NodeRecord } from "../../auth/node_record.ts";
import type { Bytes } from "../../base/bytes.ts";
import { type Clock, raceSignal } from "../../base/clock.ts";
import type { ExtendFailure } from "../../circuit/control_messages.ts";
import type { BuildFailure, CircuitEnd } from "./circuit_build.ts";
import type { CircuitStream } from "./circuit_stream.ts";

/** The hops of one circuit. */
export class CircuitHops {
  readonly #clock: Clock;
  readonly #stream: CircuitStream;
  #path: readonly NodeRecord[] = [];
  /** The hop being added: resolves with why it was not, or `undefined`. */
  #hop: PromiseWithResolvers<BuildFailure | undefined> | undefined;

  constructor(clock: Clock, stream: CircuitStream) {
    this.#clock = clock;
    this.#stream = stream;
  }

  /** The relays of the circuit, the nearest first. */
  get path(): readonly NodeRecord[] {
    return this.#path;
  }

  /** Settles when the hop that is being added is there, or is not; `undefined` with none. */
  get adding(): Promise<unknown> | undefined {
    return this.#hop?.promise;
  }

  /**
   * Add a hop behind the last. Only while none is being {@linkcode adding | added}.
   *
   * @returns Why the hop was not added.
   * @throws the signal's reason.
   * @throws {RangeError} for a ninth hop, or one that the circuit has already.
   */
  async add(
    target: NodeRecord,
    signal: AbortSignal | undefined,
  ): Promise<BuildFailure | undefined> {
    const hop = this.#hop = Promise.withResolvers();
    const { machine } = this.#stream;
    const nowMs = this.#clock.nowMs();
    try {
      const cells = machine.hops === 0
        ? machine.create(target, nowMs)
        : machine.extend(target, nowMs);
      this.#stream.arm();
      const request = await raceSignal(cells, signal);
      if (request !== undefined) this.#stream.send(request);
      const failure = await raceSignal(hop.promise, signal);
      if (failure === undefined) this.#path = [...this.#path, target];
      return failure;
    } catch (error) {
      this.#settle(undefined);
      throw error;
    }
  }

  /** The new hop has answered. */
  onReply(reply: Bytes): void {
    this.#finish(reply).catch((error) => this.#stream.fail(error));
  }

  /** The last hop says that it could not add another. */
  onExtendFailed(reason: ExtendFailure): void {
    const hop = this.#stream.machine.hops + 1;
    this.#settle({ code: "not_extended", hop, reason });
  }

  /** The circuit has ended. */
  onEnd(end: CircuitEnd): void {
    const hop = this.#stream.machine.hops + 1;
    this.#settle({ code: "ended", hop, end });
  }

  async #finish(reply: Bytes): Promise<void> {
    const result = await this.#stream.machine.finishHop(reply);
    if (result.ok) this.#settle(undefined);
    else this.#stream.finish(result.failure);
  }

  /** The hop being added is there, or is not: what waited for it goes on. */
  #settle(failure: BuildFailure | undefined): void {
    const hop = this.#hop;
    this.#hop = undefined;
    hop?.resolve(failure);
    this.#stream.arm();
    this.#stream.wake();
  }
}
