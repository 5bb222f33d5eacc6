/**
 * A relay where clients and services meet: the last hop of their circuits, as
 * introduction point and as rendezvous point.
 *
 *     service ── establish_intro ──▶ listens under its key
 *     client  ── introduce1 ───────▶ introduce2 to that service, introduce_ack back
 *     client  ── establish_rendezvous ▶ waits with its cookie
 *     service ── rendezvous1 ──────▶ rendezvous2 to that client; both are joined
 *
 * @see protocol §5.7, §7
 * @module
 */
import type { Clock, Timer } from "../base/clock.ts";
import { ProtocolError } from "../base/errors.ts";
import type { ServiceRequest } from "../circuit/control_messages.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import {
  decodeEstablishIntro,
  decodeIntroduce1,
  encodeIntroduceAck,
} from "../service/introduction.ts";
import { IntroductionTable } from "../service/introduction_table.ts";
import {
  decodeEstablishRendezvous,
  decodeRendezvous1,
} from "../service/rendezvous.ts";
import { RendezvousTable } from "../service/rendezvous_table.ts";
import { encodeCbor } from "../wire/cbor.ts";
import { RelayedCircuit } from "./relayed_circuit.ts";

/** "Yes", with nothing to add. */
const DONE = encodeCbor({});

/** Who waits for whom at one relay. */
export class MeetingPoints {
  readonly #crypto: CryptoSuite;
  readonly #clock: Clock;
  readonly #introductions = new IntroductionTable<RelayedCircuit>();
  readonly #rendezvous = new RendezvousTable<RelayedCircuit>();
  #timer: Timer | undefined;
  #timerMs = Infinity;

  constructor(crypto: CryptoSuite, clock: Clock) {
    this.#crypto = crypto;
    this.#clock = clock;
  }

  /** Services that listen here. */
  get listening(): number {
    return this.#introductions.size;
  }

  /** Clients that wait here. */
  get waiting(): number {
    return this.#rendezvous.size;
  }

  /** Do what the client of a circuit asks; what it must not ask ends the circuit. */
  serve(circuit: RelayedCircuit, { type, body }: ServiceRequest): void {
    try {
      switch (type) {
        case "establish_intro":
          return this.#establishIntro(circuit, body);
        case "introduce1":
          return this.#introduce(circuit, body);
        case "establish_rendezvous":
          return this.#establishRendezvous(circuit, body);
        case "rendezvous1":
          return this.#meet(circuit, body);
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      circuit.destroy("protocol");
    }
  }

  /** A circuit has ended, or ends elsewhere now. */
  forget(circuit: RelayedCircuit): void {
    this.#introductions.remove(circuit);
    this.#rendezvous.remove(circuit);
  }

  /** Forget the timer: the node stops. */
  stop(): void {
    this.#timer?.cancel();
  }

  #establishIntro(circuit: RelayedCircuit, body: Uint8Array): void {
    const key = decodeEstablishIntro(this.#crypto, body, circuit.binding);
    const nowMs = this.#clock.nowMs();
    const result = this.#introductions.establish(key, circuit, nowMs);
    if (result === "full") return refuse(circuit);
    if (result === "taken") return circuit.destroy("protocol");
    circuit.send({ type: "intro_established", body: DONE });
    result.replaced?.destroy("expired");
  }

  #introduce(circuit: RelayedCircuit, body: Uint8Array): void {
    const { authentication, sealed } = decodeIntroduce1(body);
    const nowMs = this.#clock.nowMs();
    const result = this.#introductions.introduce(authentication, nowMs);
    const isPassed = result.status === "passed" &&
      result.circuit.send({ type: "introduce2", body: sealed });
    // A service whose circuit has just ended listens here no more.
    const status = result.status === "passed" && !isPassed
      ? "unknown"
      : result.status;
    circuit.send({ type: "introduce_ack", body: encodeIntroduceAck(status) });
  }

  #establishRendezvous(circuit: RelayedCircuit, body: Uint8Array): void {
    const cookie = decodeEstablishRendezvous(body);
    const nowMs = this.#clock.nowMs();
    switch (this.#rendezvous.establish(cookie, circuit, nowMs)) {
      case "established":
        circuit.send({ type: "rendezvous_established", body: DONE });
        return this.#arm();
      case "full":
        return refuse(circuit);
      case "known":
      case "taken":
        return circuit.destroy("protocol");
    }
  }

  /** Nothing that the service sends may reach the client before its answer. */
  #meet(service: RelayedCircuit, body: Uint8Array): void {
    const { cookie, reply } = decodeRendezvous1(body);
    const client = this.#rendezvous.meet(cookie);
    if (client === undefined) return service.destroy("expired");
    const isMet = client !== service &&
      client.send({ type: "rendezvous2", body: reply }) &&
      RelayedCircuit.join(client, service);
    if (isMet) return;
    client.destroy("protocol");
    service.destroy("partner");
  }

  #arm(): void {
    const deadlineMs = this.#rendezvous.deadlineMs ?? Infinity;
    // Most are met: an early wake-up costs less than a new timer each time.
    if (this.#timerMs <= deadlineMs) return;
    this.#timerMs = deadlineMs;
    this.#timer?.cancel();
    const waitMs = deadlineMs - this.#clock.nowMs();
    this.#timer = this.#clock.schedule(waitMs, () => this.#expire(), {
      keepAlive: false,
    });
  }

  #expire(): void {
    this.#timerMs = Infinity;
    for (const circuit of this.#rendezvous.expire(this.#clock.nowMs())) {
      circuit.destroy("expired");
    }
    this.#arm();
  }
}

function refuse(circuit: RelayedCircuit): void {
  circuit.send({ type: "close", code: "overloaded" });
  circuit.destroy("overloaded");
}
