/**
 * A service's end of an introduction circuit: keys of its own, an ear, and a
 * memory for what has come already.
 *
 *     circuit ── establish_intro {key, signature over the binding} ──▶ the point
 *     circuit ◀── introduce2 ── new? ──▶ the service
 *
 * @see protocol §7.4
 * @module
 */
import type { NodeId } from "../auth/identity.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import { type Bytes, equalBytes } from "../base/bytes.ts";
import { deadline } from "../base/clock.ts";
import { UnreachableError } from "../base/errors.ts";
import type { IntroductionPoint } from "../service/descriptor.ts";
import { encodeEstablishIntro } from "../service/introduction_messages.ts";
import { IntroductionKeys } from "../service/introduction_keys.ts";
import { ReplayCache } from "../service/replay_cache.ts";
import { useCircuit } from "./circuit_use.ts";
import type { ServiceCircuit, WaitLimit } from "./circuits.ts";
import { newestRecord, type ServiceContext } from "./service_context.ts";

/**
 * A circuit that has not answered a ping by then is dead: so many of its round
 * trips, within these, ms.
 */
const CHECK_ANSWER_MS = { roundTrips: 8, least: 1_000, most: 4_000 } as const;

/** One introduction point, as its service has it. */
export class IntroductionListener implements Disposable {
  readonly #relay: NodeRecord;
  readonly keys: IntroductionKeys;
  readonly #context: ServiceContext;
  readonly #circuit: ServiceCircuit;
  readonly #binding: Bytes;
  readonly #replays: ReplayCache;
  #isOpen = true;
  /** Of the last answer, ms. */
  #roundTripMs = Infinity;

  private constructor(
    context: ServiceContext,
    circuit: ServiceCircuit,
    binding: Bytes,
    relay: NodeRecord,
    keys: IntroductionKeys,
  ) {
    this.#relay = relay;
    this.keys = keys;
    this.#context = context;
    this.#circuit = circuit;
    this.#binding = binding;
    this.#replays = new ReplayCache(context.crypto);
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
    avoid: readonly NodeId[],
    rate: number,
    onIntroduction: (listener: IntroductionListener, sealed: Bytes) => void,
    { signal }: WaitLimit,
  ): Promise<IntroductionListener> {
    const { crypto, random } = context;
    const wish = {
      purpose: "introduction",
      avoid: [...taken, ...avoid],
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
      );
      circuit.onIntroduction((sealed) => {
        if (self.#replays.add(sealed)) onIntroduction(self, sealed);
      });
      try {
        await self.#establish(rate, limit);
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

  /** Resolves when its circuit is gone; never rejects. */
  get closed(): Promise<unknown> {
    return this.#circuit.closed;
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
    const { clock } = this.#context;
    using limit = deadline(clock, CHECK_ANSWER_MS.most, silent, signal);
    await this.#establish(rate, limit);
  }

  /** Whether the circuit answers. */
  async check({ signal }: WaitLimit): Promise<"alive" | "silent"> {
    const { clock } = this.#context;
    const { roundTrips, least, most } = CHECK_ANSWER_MS;
    const waitMs = roundTrips * this.#roundTripMs;
    const answerMs = Math.min(most, Math.max(least, waitMs));
    using limit = deadline(clock, answerMs, silent, signal);
    try {
      this.#roundTripMs = await this.#circuit.ping({ signal: limit.signal });
      return "alive";
    } catch {
      signal.throwIfAborted();
      return "silent";
    }
  }

  async #establish(rate: number, limit: WaitLimit): Promise<void> {
    const { clock } = this.#context;
    const body = encodeEstablishIntro(this.keys, this.#binding, rate);
    const sentMs = clock.nowMs();
    await this.#circuit.ask("establish_intro", body, limit);
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
