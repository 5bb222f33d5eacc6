/**
 * A service's end of an introduction circuit: keys of its own, an ear, and a
 * memory for what has come already.
 *
 *     circuit ── establish_intro {key, signature over the binding} ──▶ the point
 *     circuit ◀── introduce2 ── new? ──▶ the service
 *
 * @see protocol §7.4 "Introduction"
 * @module
 */
import { avoiding, type PathAvoid } from "../../path/path_avoid.ts";
import type { NodeId } from "../../auth/identity.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import { type Bytes, equalBytes } from "../../base/bytes.ts";
import { deadline } from "../../base/clock.ts";
import { UnreachableError } from "../../base/errors.ts";
import type { IntroductionPoint } from "../../service/descriptor.ts";
import { encodeEstablishIntro } from "../../service/meeting/introduction_messages.ts";
import { IntroductionKeys } from "../../service/meeting/introduction_keys.ts";
import { ReplayCache } from "../../service/meeting/replay_cache.ts";
import { useCircuit } from "../circuit/circuit_use.ts";
import {
  patienceMs,
  type ServiceCircuit,
  type WaitLimit,
} from "../circuit/circuits.ts";
import {
  newestRecord,
  type ServiceContext,
} from "../session/service_context.ts";

/**
 * A circuit that has not answered a ping by then is dead: so many of its round
 * trips, within these, ms; later where all is slow.
 */
const CHECK_ANSWER_MS = { roundTrips: 8, least: 1_000, most: 4_000 } as const;
/**
 * Tries to reach a point by another circuit, and the longest time of each, ms. Tries
 * in a crowd say nothing of the point: there are more of them.
 */
const MOVE = { tries: 2, crowdedTries: 8, ms: 2_500 } as const;

/** Hears of introductions that are new. */
export type OnIntroduction = (
  listener: IntroductionListener,
  sealed: Bytes,
) => void;

/** One introduction point, as its service has it. */
export class IntroductionListener implements Disposable {
  readonly #relay: NodeRecord;
  readonly keys: IntroductionKeys;
  readonly #context: ServiceContext;
  readonly #replays: ReplayCache;
  readonly #onIntroduction: OnIntroduction;
  #circuit: ServiceCircuit;
  #binding: Bytes;
  #rate: number;
  #isOpen = true;
  /** Of the last answer, ms. */
  #roundTripMs = Infinity;

  private constructor(
    context: ServiceContext,
    circuit: ServiceCircuit,
    binding: Bytes,
    relay: NodeRecord,
    keys: IntroductionKeys,
    rate: number,
    onIntroduction: OnIntroduction,
  ) {
    this.#relay = relay;
    this.keys = keys;
    this.#context = context;
    this.#circuit = circuit;
    this.#binding = binding;
    this.#rate = rate;
    this.#onIntroduction = onIntroduction;
    this.#replays = new ReplayCache(context.crypto);
    this.#listenOn(circuit);
  }

  /**
   * Establish a point on a relay that is not among `taken`.
   *
   * @param avoid Relays that had better not be on the way: those of the others.
   * @param rate Introductions per second that we want of it.
   * @param onIntroduction Hears of introductions that are new.
   * @throws {UnreachableError} `service.no_relay` when there is no other relay,
   * `circuit.*`.
   */
  static async open(
    context: ServiceContext,
    taken: readonly NodeId[],
    avoid: PathAvoid,
    rate: number,
    onIntroduction: OnIntroduction,
    { signal }: WaitLimit,
  ): Promise<IntroductionListener> {
    const { crypto, random } = context;
    const wish = {
      purpose: "introduction",
      avoid: { ...avoid, drawn: [...taken, ...avoid.drawn] },
      signal,
    } as const;
    return await useCircuit(context, wish, async (circuit, limit) => {
      const relay = circuit.path.at(-1);
      if (relay === undefined) throw new RangeError("A circuit without hops");
      if (taken.some((other) => equalBytes(other, relay.nodeId))) {
        throw noRelay();
      }
      // Before anything is waited for: a circuit that has ended has none.
      const { binding } = circuit;
      const keys = await IntroductionKeys.generate(crypto, random);
      const self = new IntroductionListener(
        context,
        circuit,
        binding,
        relay,
        keys,
        rate,
        onIntroduction,
      );
      try {
        await self.#establish(circuit, binding, limit);
        // Another try was faster: these keys have no use.
        limit.signal.throwIfAborted();
        return self;
      } catch (error) {
        self[Symbol.dispose]();
        throw error;
      }
    });
  }

  /** The relay where it is, as known now: records end sooner than points. */
  get relay(): NodeRecord {
    return newestRecord(this.#context, this.#relay);
  }

  /** What a descriptor says of it. */
  get point(): IntroductionPoint {
    return { relay: this.relay.encoded, keys: this.keys.public };
  }

  /** The relays of its circuit. */
  get path(): readonly NodeRecord[] {
    return this.#circuit.path;
  }

  /** Resolves when the circuit that it has now is gone; never rejects. */
  get closed(): Promise<unknown> {
    return this.#circuit.closed;
  }

  /** Round trip of the last answer, ms. */
  get roundTripMs(): number {
    return this.#roundTripMs;
  }

  /** Whether it has its keys yet. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * Tell the point how many introductions per second we want of it now.
   *
   * @throws {UnreachableError} `circuit.*`, `service.point_silent`.
   */
  async setRate(rate: number, { signal }: WaitLimit): Promise<void> {
    const { circuits, clock } = this.#context;
    const answerMs = patienceMs(circuits, CHECK_ANSWER_MS.most);
    using limit = deadline(clock, answerMs, silent, signal);
    this.#rate = rate;
    await this.#establish(this.#circuit, this.#binding, limit);
  }

  /**
   * Reach the point by another circuit, under the same keys: descriptors that name
   * it stay true. The circuit before is closed.
   *
   * @returns Whether that worked; most likely the point itself is dead otherwise.
   */
  async move({ signal }: WaitLimit): Promise<"moved" | "lost"> {
    const { circuits, clock } = this.#context;
    const avoid = avoiding([this.path.slice(0, -1)]);
    let telling = 0;
    for (let n = 0; n < MOVE.crowdedTries && telling < MOVE.tries; n++) {
      const tryMs = patienceMs(circuits, MOVE.ms);
      using limit = deadline(clock, tryMs, silent, signal);
      const wish = {
        purpose: "introduction",
        endAt: this.relay,
        avoid,
        signal: limit.signal,
      } as const;
      let circuit: ServiceCircuit | undefined;
      try {
        circuit = await circuits.take(wish);
        if (!this.#isOpen) throw silent();
        const { binding } = circuit;
        this.#listenOn(circuit);
        await this.#establish(circuit, binding, limit);
        if (!this.#isOpen) throw silent();
        const before = this.#circuit;
        this.#circuit = circuit;
        this.#binding = binding;
        before.close();
        return "moved";
      } catch (error) {
        circuit?.close();
        signal.throwIfAborted();
        if (!(error instanceof UnreachableError)) throw error;
        if (!this.#isOpen) break;
        if (circuits.pressure === "free") telling++;
      }
    }
    return "lost";
  }

  /** Whether the circuit answers. */
  async check({ signal }: WaitLimit): Promise<"alive" | "silent"> {
    const { circuits, clock } = this.#context;
    const { roundTrips, least, most } = CHECK_ANSWER_MS;
    const waitMs = roundTrips * this.#roundTripMs;
    const usualMs = Math.min(most, Math.max(least, waitMs));
    const answerMs = patienceMs(circuits, usualMs);
    using limit = deadline(clock, answerMs, silent, signal);
    try {
      this.#roundTripMs = await this.#circuit.ping({ signal: limit.signal });
      return "alive";
    } catch {
      signal.throwIfAborted();
      return "silent";
    }
  }

  #listenOn(circuit: ServiceCircuit): void {
    circuit.onIntroduction((sealed) => {
      if (this.#replays.add(sealed)) this.#onIntroduction(this, sealed);
    });
  }

  async #establish(
    circuit: ServiceCircuit,
    binding: Bytes,
    limit: WaitLimit,
  ): Promise<void> {
    const { clock } = this.#context;
    const body = encodeEstablishIntro(this.keys, binding, this.#rate);
    const sentMs = clock.nowMs();
    await circuit.ask("establish_intro", body, limit);
    this.#roundTripMs = clock.nowMs() - sentMs;
  }

  /** Listen no more, and forget the keys. */
  [Symbol.dispose](): void {
    this.#isOpen = false;
    this.#circuit.close();
    this.keys[Symbol.dispose]();
  }
}

function silent(): UnreachableError {
  return new UnreachableError(
    "service.point_silent",
    "Cannot keep introduction point: its circuit does not answer",
  );
}

function noRelay(): UnreachableError {
  return new UnreachableError(
    "service.no_relay",
    "Cannot establish introduction point: no other relay is known",
  );
}
