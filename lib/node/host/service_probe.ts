/**
 * A service visits itself, as a client would: is the descriptor where clients look
 * for it, and does an introduction come back?
 *
 *     directory circuit ── dht_get ──▶ our descriptor, not older than the last one?
 *     circuit to the point ── introduce1 {a cookie of ours} ──▶ … ──▶ introduce2
 *
 * To the relays on the way it looks like any other visit.
 *
 * @see protocol §7.6 "Legs, and staying reachable"
 * @module
 */
import { deadline, raceSignal } from "../../base/clock.ts";
import {
  AnonNetError,
  errorCode,
  ProtocolError,
  UnreachableError,
} from "../../base/errors.ts";
import { randomBelow } from "../../base/random.ts";
import { REQUEST_BYTES } from "../../circuit/handshake.ts";
import { DESCRIPTOR_REPLICAS } from "../../service/descriptor_search.ts";
import {
  COOKIE_BYTES,
  sealIntroduction,
} from "../../service/meeting/introduction.ts";
import type { ProbeOutcome } from "../../service/reachability.ts";
import type { ServiceKey } from "../../service/delegation/service_key.ts";
import { type TimePeriod, timePeriod } from "../../service/time_period.ts";
import type { WaitLimit } from "../circuit/circuits.ts";
import {
  askPoint,
  satisfyPoint,
  type SealedIntroduction,
  WorkBudget,
} from "../visit/meeting_introduction.ts";
import { readDescriptor } from "../visit/descriptor_store.ts";
import type { IntroductionListener } from "./introduction_listener.ts";
import type { ServiceContext } from "../session/service_context.ts";

/** A probe that has not ended by then has failed, ms. */
const PROBE_WAIT_MS = 45_000;
/** An introduction that has not come back by then is lost, ms. */
const RETURN_MS = 10_000;
/** Circuits to a point that may fail before the point is to blame. */
const TRIES = 2;

/** Probes of one service. */
export class ServiceProbe {
  readonly #context: ServiceContext;
  readonly #key: ServiceKey;
  /** Introductions of ours on their way, by their cookies: one at a time. */
  readonly #expected = new Map<string, () => void>();
  #published: { readonly period: TimePeriod; readonly revision: number } = {
    period: -1,
    revision: 0,
  };

  constructor(context: ServiceContext, key: ServiceKey) {
    this.#context = context;
    this.#key = key;
  }

  /** A descriptor is out. */
  onPublished(period: TimePeriod, revision: number): void {
    if (period === timePeriod(this.#context.clock.unixMs())) {
      this.#published = { period, revision };
    }
  }

  /** An introduction came. @returns Whether it was one of ours. */
  onIntroduction(cookie: Uint8Array): boolean {
    const arrived = this.#expected.get(cookie.toHex());
    arrived?.();
    return arrived !== undefined;
  }

  /** Visit the service by one of its points. @throws the signal's reason. */
  async run(
    listener: IntroductionListener,
    { signal }: WaitLimit,
  ): Promise<ProbeOutcome> {
    const { clock } = this.#context;
    using limit = deadline(clock, PROBE_WAIT_MS, tooLong, signal);
    try {
      const descriptor = await this.#lookUp(limit);
      if (descriptor !== "found") return descriptor;
      for (let tries = 0; tries < TRIES; tries++) {
        const outcome = await this.#introduce(listener, limit);
        if (outcome !== "unknown") return outcome;
      }
      // Other circuits of ours work: it is the point that cannot be reached.
      return "not_passed";
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof AnonNetError) return "unknown";
      throw error;
    }
  }

  async #lookUp(limit: WaitLimit): Promise<"found" | "not_found"> {
    const { circuits, clock, random } = this.#context;
    const period = timePeriod(clock.unixMs());
    const { period: published, revision } = this.#published;
    const circuit = await circuits.take({
      purpose: "directory",
      signal: limit.signal,
    });
    try {
      const found = await readDescriptor(
        this.#context,
        circuit,
        {
          service: this.#key.publicKey,
          period,
          blinded: this.#key.blinded(period),
          leastRevision: published === period ? revision : 0,
          clientSecret: undefined,
        },
        randomBelow(random, DESCRIPTOR_REPLICAS),
        limit,
      );
      return found === undefined ? "not_found" : "found";
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      // It is ours and of now, but for others to read.
      return errorCode(error) === "service.descriptor_unauthorised"
        ? "found"
        : "not_found";
    } finally {
      circuit.close();
    }
  }

  async #introduce(
    { relay, keys }: IntroductionListener,
    { signal }: WaitLimit,
  ): Promise<ProbeOutcome> {
    const { clock, crypto, random } = this.#context;
    const period = timePeriod(clock.unixMs());
    const blinded = this.#key.blinded(period);
    const cookie = random.bytes(COOKIE_BYTES);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#expected.set(cookie.toHex(), resolve);
    try {
      const { sealed } = await sealIntroduction(
        crypto,
        random,
        keys.public,
        blinded,
        {
          cookie,
          rendezvous: relay.encoded,
          handshake: random.bytes(REQUEST_BYTES),
        },
      );
      const { authentication } = keys.public;
      const introduction = { authentication, sealed };
      const asked = await this.#ask(relay, introduction, signal);
      if (asked !== "passed") return asked;
      using limit = deadline(clock, RETURN_MS, tooLong, signal);
      return await raceSignal(promise, limit.signal)
        .then(() => "reached" as const, () => "not_passed" as const);
    } finally {
      this.#expected.delete(cookie.toHex());
    }
  }

  async #ask(
    endAt: IntroductionListener["relay"],
    introduction: SealedIntroduction,
    signal: AbortSignal,
  ): Promise<"passed" | ProbeOutcome> {
    const { circuits } = this.#context;
    try {
      const circuit = await circuits.take({
        purpose: "introduction",
        endAt,
        signal,
      });
      try {
        const limit = { signal };
        const status = await satisfyPoint(
          this.#context,
          circuit,
          introduction,
          await askPoint(this.#context, circuit, introduction, limit),
          new WorkBudget(),
          limit,
        );
        // Busy whatever we do: to clients it is as good as gone.
        return status === "passed" ? status : "not_passed";
      } finally {
        circuit.close();
      }
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof AnonNetError) return "unknown";
      throw error;
    }
  }
}

function tooLong(): UnreachableError {
  return new UnreachableError(
    "service.probe_timeout",
    "Cannot probe service: it takes too long",
  );
}
