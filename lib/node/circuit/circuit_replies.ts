/**
 * Who has asked the last hop of a circuit what, and waits for the answer. An
 * answer that nobody asked for is the end of the circuit, so an asker who gives
 * up leaves its place here until the answer comes.
 *
 * @see protocol §5.4 "The control stream"
 * @module
 */
import type { Bytes } from "../../base/bytes.ts";
import { UnreachableError } from "../../base/errors.ts";
import type { DhtReply, ServiceReply } from "../../circuit/control_messages.ts";
import { MAX_DHT_REQUESTS } from "../../circuit/relay_circuit.ts";

/** Questions of one kind under way at once. Answers come in their order. */
const MAX_OF_A_KIND = 8;

/** Answers to questions. */
export type ExpectedReply = Exclude<
  ServiceReply["type"],
  "introduce2" | "rendezvous2"
>;

/** The questions of one circuit. */
export class CircuitReplies {
  readonly #dht = new Map<number, PromiseWithResolvers<DhtReply>>();
  readonly #services = new Map<ExpectedReply, PromiseWithResolvers<Bytes>[]>();
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
    this.#dht.clear();
    this.#services.clear();
  }
}

/** A promise that may fail with nobody looking: the asker may have given up. */
export function heeded<T>(): PromiseWithResolvers<T> {
  const resolvers = Promise.withResolvers<T>();
  resolvers.promise.catch(() => {});
  return resolvers;
}

function busyError(): UnreachableError {
  return new UnreachableError(
    "circuit.busy",
    "Cannot ask: too much is being asked on this circuit",
  );
}
