/**
 * Questions to the last hop of a circuit that wait for their answers. An
 * answer that was not asked for is the end of the circuit, so an asker who gives
 * up leaves its place here until the answer comes.
 *
 * @see protocol §5.4 "The control stream"
 * @module
 */
import type { Bytes } from "../../base/bytes.ts";
import { type Clock, deadline, raceSignal } from "../../base/clock.ts";
import { UnreachableError } from "../../base/errors.ts";
import type { DhtReply, ServiceReply } from "../../circuit/control_messages.ts";
import { MAX_DHT_REQUESTS } from "../../circuit/relay_circuit.ts";

/** Questions of one kind under way at once. Answers come in their order. */
const MAX_OF_A_KIND = 8;

/** Tuning: time for a question to the last hop and its answer, ms. */
const REQUEST_TIMEOUT_MS = 20_000;

/** What a question takes. */
export interface AskOptions {
  /** Gives up waiting. */
  readonly signal?: AbortSignal;
  /** Default {@linkcode REQUEST_TIMEOUT_MS}. */
  readonly timeoutMs?: number;
}

/** Answers to questions. */
export type ExpectedReply = Exclude<
  ServiceReply["type"],
  "introduce2" | "rendezvous2"
>;

/** The questions of one circuit. */
export class CircuitReplies {
  readonly #dht = new Map<number, PromiseWithResolvers<DhtReply>>();
  readonly #services = new Map<ExpectedReply, PromiseWithResolvers<Bytes>[]>();
  /** Bounded by the pings that the machine lets be under way. */
  readonly #pongs: PromiseWithResolvers<number>[] = [];
  #nextId = 0;

  /**
   * A question to the DHT is about to be asked.
   *
   * @throws {UnreachableError} `circuit.busy` while as many are under way as may be.
   */
  expectDht(): { readonly id: number; readonly reply: Promise<DhtReply> } {
    if (this.#dht.size >= MAX_DHT_REQUESTS) throw busyError();
    const id = this.#nextId++;
    const reply = heeded<DhtReply>();
    this.#dht.set(id, reply);
    return { id, reply: reply.promise };
  }

  /**
   * An answer of this kind is to come: its body.
   *
   * @throws {UnreachableError} `circuit.busy` while too many are awaited.
   */
  expect(type: ExpectedReply): Promise<Bytes> {
    const waiting = this.#services.get(type) ?? [];
    if (waiting.length >= MAX_OF_A_KIND) throw busyError();
    const reply = heeded<Bytes>();
    waiting.push(reply);
    this.#services.set(type, waiting);
    return reply.promise;
  }

  /** A pong is to come, behind those that are awaited already: its round trip, ms. */
  expectPong(): Promise<number> {
    const pong = heeded<number>();
    this.#pongs.push(pong);
    return pong.promise;
  }

  /** A pong has come. */
  onPong(roundTripMs: number): void {
    this.#pongs.shift()?.resolve(roundTripMs);
  }

  /** An answer has come. @returns Whether it was awaited. */
  onReply(message: DhtReply | ServiceReply): boolean {
    switch (message.type) {
      case "dht_found":
      case "dht_missing":
      case "dht_stored":
      case "dht_rejected": {
        const reply = this.#dht.get(message.id);
        this.#dht.delete(message.id);
        reply?.resolve(message);
        return reply !== undefined;
      }
      case "introduce2":
      case "rendezvous2":
        return false;
      default: {
        const reply = this.#services.get(message.type)?.shift();
        reply?.resolve(message.body);
        return reply !== undefined;
      }
    }
  }

  /** No answer will come any more. */
  fail(error: UnreachableError): void {
    for (const { reject } of this.#dht.values()) reject(error);
    for (const waiting of this.#services.values()) {
      for (const { reject } of waiting) reject(error);
    }
    for (const { reject } of this.#pongs.splice(0)) reject(error);
    this.#dht.clear();
    this.#services.clear();
  }
}

/** A promise that may fail unseen: the asker may have given up. */
export function heeded<T>(): PromiseWithResolvers<T> {
  const resolvers = Promise.withResolvers<T>();
  resolvers.promise.catch(() => {});
  return resolvers;
}

/**
 * An answer, if it comes in time.
 *
 * @throws {UnreachableError} `circuit.request_timeout`.
 * @throws the signal's reason.
 */
export async function answerInTime<T>(
  clock: Clock,
  answer: Promise<T>,
  { signal, timeoutMs = REQUEST_TIMEOUT_MS }: AskOptions = {},
): Promise<T> {
  using limit = deadline(
    clock,
    timeoutMs,
    () =>
      new UnreachableError(
        "circuit.request_timeout",
        "Cannot get answer: the last hop took too long",
      ),
    signal,
  );
  return await raceSignal(answer, limit.signal);
}

/** As many questions are open on the circuit as may be. */
export function busyError(): UnreachableError {
  return new UnreachableError(
    "circuit.busy",
    "Cannot ask: too much is being asked on this circuit",
  );
}
