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
import { encodeEstablishIntro } from "../service/introduction.ts";
import { IntroductionKeys } from "../service/introduction_keys.ts";
import { ReplayCache } from "../service/replay_cache.ts";
import type { ServiceCircuit, WaitLimit } from "./circuits.ts";
import { newestRecord, type ServiceContext } from "./service_context.ts";

/** A point that has not been established by then has failed, ms. */
const ESTABLISH_MS = 20_000;
/** A circuit that has not answered a ping by then is dead, ms. */
const CHECK_ANSWER_MS = 5_000;

/** One introduction point, as its service has it. */
export class IntroductionListener implements Disposable {
  readonly #relay: NodeRecord;
  readonly keys: IntroductionKeys;
  readonly #context: ServiceContext;
  readonly #circuit: ServiceCircuit;
  readonly #replays: ReplayCache;
  #isOpen = true;

  private constructor(
    context: ServiceContext,
    circuit: ServiceCircuit,
    relay: NodeRecord,
    keys: IntroductionKeys,
  ) {
    this.#relay = relay;
    this.keys = keys;
    this.#context = context;
    this.#circuit = circuit;
    this.#replays = new ReplayCache(context.crypto);
  }

  /**
   * Establish a point on a relay that is not among `avoid`.
   *
   * @param onIntroduction Hears of introductions that are new.
   * @throws {UnreachableError} `service.no_relay` when there is no other relay,
   * `service.establish_timeout`, `circuit.*`.
   */
  static async open(
    context: ServiceContext,
    avoid: readonly NodeId[],
    onIntroduction: (listener: IntroductionListener, sealed: Bytes) => void,
    { signal }: WaitLimit,
  ): Promise<IntroductionListener> {
    const { circuits, clock, crypto, random } = context;
    using limit = deadline(clock, ESTABLISH_MS, timeout, signal);
    const circuit = await circuits.take({
      purpose: "introduction",
      avoid,
      signal: limit.signal,
    });
    let keys: IntroductionKeys | undefined;
    try {
      const relay = circuit.path.at(-1);
      if (relay === undefined) throw new RangeError("A circuit without hops");
      if (avoid.some((other) => equalBytes(other, relay.nodeId))) {
        throw noRelay();
      }
      // Before anything is waited for: a circuit that has ended has none.
      const { binding } = circuit;
      keys = await IntroductionKeys.generate(crypto, random);
      const self = new IntroductionListener(context, circuit, relay, keys);
      circuit.onIntroduction((sealed) => {
        if (self.#replays.add(sealed)) onIntroduction(self, sealed);
      });
      const body = encodeEstablishIntro(keys, binding);
      await circuit.ask("establish_intro", body, { signal: limit.signal });
      return self;
    } catch (error) {
      circuit.close();
      keys?.[Symbol.dispose]();
      throw error;
    }
  }

  /** The relay where it is, as known now: records end sooner than points. */
  get relay(): NodeRecord {
    return newestRecord(this.#context, this.#relay);
  }

  /** What a descriptor says of it. */
  get point(): IntroductionPoint {
    return { relay: this.relay.encoded, keys: this.keys.public };
  }

  /** Resolves when its circuit is gone; never rejects. */
  get closed(): Promise<unknown> {
    return this.#circuit.closed;
  }

  /** Whether it has its keys yet. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Whether the circuit answers. */
  async check({ signal }: WaitLimit): Promise<"alive" | "silent"> {
    const { clock } = this.#context;
    using limit = deadline(clock, CHECK_ANSWER_MS, timeout, signal);
    try {
      await this.#circuit.ping({ signal: limit.signal });
      return "alive";
    } catch {
      signal.throwIfAborted();
      return "silent";
    }
  }

  /** Listen no more, and forget the keys. */
  [Symbol.dispose](): void {
    this.#isOpen = false;
    this.#circuit.close();
    this.keys[Symbol.dispose]();
  }
}

function timeout(): UnreachableError {
  return new UnreachableError(
    "service.establish_timeout",
    "Cannot keep introduction point: it does not answer",
  );
}

function noRelay(): UnreachableError {
  return new UnreachableError(
    "service.no_relay",
    "Cannot establish introduction point: no other relay is known",
  );
}
