/**
 * A circuit of the pool in the hands of who asked for it: the one way to use it,
 * and to give it back.
 *
 *     CircuitPoolDriver.take ─▶ PooledCircuit ─▶ asked, joined, closed ─▶ the pool
 *
 * @see protocol §5.7
 * @module
 */
import type { NodeRecord } from "../auth/node_record.ts";
import type { Bytes } from "../base/bytes.ts";
import type { ServiceCircuit, ServiceQuestion, WaitLimit } from "./circuits.ts";
import type { OwnCircuit } from "./own_circuit.ts";
import type { CellPort } from "./session_driver.ts";

/** One circuit, for its one user. */
export class PooledCircuit implements ServiceCircuit {
  readonly path: readonly NodeRecord[];
  readonly closed: Promise<unknown>;
  readonly #circuit: OwnCircuit;
  #onIntroduction: (body: Bytes) => void = () => {};

  /** @param path The relays of `circuit`, as records. */
  constructor(circuit: OwnCircuit, path: readonly NodeRecord[]) {
    this.path = path;
    this.closed = circuit.closed;
    this.#circuit = circuit;
  }

  get binding(): Bytes {
    return this.#circuit.binding;
  }

  attach(port: CellPort): void {
    this.#circuit.attach(port);
  }

  wake(): void {
    this.#circuit.wake();
  }

  close(): void {
    this.#circuit.close();
  }

  dhtGet(key: Bytes, limit: WaitLimit): Promise<Bytes | undefined> {
    return this.#circuit.dhtGet(key, limit);
  }

  async dhtPut(record: Bytes, limit: WaitLimit): Promise<number> {
    const result = await this.#circuit.dhtPut(record, limit);
    return result.ok ? result.copies : 0;
  }

  ask(type: ServiceQuestion, body: Bytes, limit: WaitLimit): Promise<Bytes> {
    switch (type) {
      case "establish_intro":
        return this.#circuit.establishIntro(
          body,
          (sealed) => this.#onIntroduction(sealed),
          limit,
        );
      case "introduce1":
        return this.#circuit.introduce1(body, limit);
      case "establish_rendezvous":
        return this.#circuit.establishRendezvous(body, limit);
    }
  }

  onIntroduction(listener: (body: Bytes) => void): void {
    this.#onIntroduction = listener;
  }

  meet(body: Bytes): void {
    // It fails only where the circuit has ended, which `closed` tells.
    this.#circuit.rendezvous1(body).catch(() => {});
  }

  met(limit: WaitLimit): Promise<Bytes> {
    return this.#circuit.rendezvous2(limit);
  }

  ping(limit: WaitLimit): Promise<number> {
    return this.#circuit.ping(limit);
  }
}
