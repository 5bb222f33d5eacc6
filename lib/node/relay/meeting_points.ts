/**
 * A relay where clients and services meet: the last hop of their circuits, as
 * introduction point and as rendezvous point.
 *
 *     service ── establish_intro ──▶ listens under its key
 *     client  ── introduce1 ───────▶ introduce2 to that service, introduce_ack back,
 *                                    or a demand for work
 *     client  ── establish_rendezvous ▶ waits with its cookie
 *     service ── rendezvous1 ──────▶ rendezvous2 to that client; both are joined
 *
 * @see protocol §5.7 "Joining", §7 "Services"
 * @module
 */
import type { Bytes } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { ProtocolError } from "../../base/errors.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import type { Random } from "../../base/random.ts";
import type { ServiceRequest } from "../../circuit/control_messages.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import {
  decodeEstablishIntro,
  decodeIntroduce1,
  encodeIntroduceAck,
  type IntroduceAnswer,
} from "../../service/meeting/introduction_messages.ts";
import {
  IntroductionTable,
  type TableAction,
} from "../../service/meeting/introduction_table.ts";
import {
  decodeEstablishRendezvous,
  decodeRendezvous1,
} from "../../service/meeting/rendezvous.ts";
import { RendezvousTable } from "../../service/meeting/rendezvous_table.ts";
import { encodeCbor } from "../../wire/cbor.ts";
import { RelayedCircuit } from "./relayed_circuit.ts";

/** "Yes", with nothing to add. */
const DONE = encodeCbor({});

/** Clients and services that wait for one another at one relay. */
export class MeetingPoints {
  readonly #crypto: CryptoSuite;
  readonly #clock: Clock;
  readonly #introductions: IntroductionTable<RelayedCircuit>;
  readonly #rendezvous = new RendezvousTable<RelayedCircuit>();
  readonly #timer: MachineTimer;

  constructor(crypto: CryptoSuite, clock: Clock, random: Random) {
    this.#crypto = crypto;
    this.#clock = clock;
    this.#introductions = new IntroductionTable(crypto, random);
    this.#timer = new MachineTimer(clock, () => this.#onTime());
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
  withdraw(circuit: RelayedCircuit): void {
    this.#rendezvous.remove(circuit);
    this.#carryOut(this.#introductions.withdraw(circuit));
  }

  /** Nothing is left of a circuit. */
  forget(circuit: RelayedCircuit): void {
    this.#introductions.forget(circuit);
  }

  /** Forget the timer: the node stops. */
  stop(): void {
    this.#timer.stop();
  }

  #establishIntro(circuit: RelayedCircuit, body: Uint8Array): void {
    const { key, rate } = decodeEstablishIntro(
      this.#crypto,
      body,
      circuit.binding,
    );
    const nowMs = this.#clock.nowMs();
    const result = this.#introductions.establish(key, circuit, rate, nowMs);
    if (result === "full") return refuse(circuit);
    if (result === "taken") return circuit.destroy("protocol");
    circuit.send({ type: "intro_established", body: DONE });
    result.replaced?.destroy("expired");
  }

  #introduce(circuit: RelayedCircuit, body: Uint8Array): void {
    const wanted = decodeIntroduce1(body);
    const nowMs = this.#clock.nowMs();
    const asker = { circuit, binding: circuit.binding };
    this.#carryOut(this.#introductions.introduce(wanted, asker, nowMs));
  }

  #carryOut(actions: readonly TableAction<RelayedCircuit>[]): void {
    for (const action of actions) {
      switch (action.type) {
        case "pass":
          this.#pass(action.service, action.client, action.sealed);
          break;
        case "answer":
          answer(action.client, action.answer);
          break;
        case "refuse":
          action.client.destroy("protocol");
          break;
      }
    }
    this.#arm();
  }

  #pass(service: RelayedCircuit, client: RelayedCircuit, sealed: Bytes): void {
    const isPassed = service.send({ type: "introduce2", body: sealed });
    // A service whose circuit has just ended listens here no more.
    answer(client, { status: isPassed ? "passed" : "unknown" });
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
    const deadlineMs = Math.min(
      this.#rendezvous.deadlineMs,
      this.#introductions.deadlineMs,
    );
    this.#timer.set(deadlineMs);
  }

  #onTime(): void {
    const nowMs = this.#clock.nowMs();
    for (const circuit of this.#rendezvous.expire(nowMs)) {
      circuit.destroy("expired");
    }
    this.#carryOut(this.#introductions.onTime(nowMs));
  }
}

function answer(client: RelayedCircuit, answer: IntroduceAnswer): void {
  client.send({ type: "introduce_ack", body: encodeIntroduceAck(answer) });
}

function refuse(circuit: RelayedCircuit): void {
  circuit.send({ type: "close", code: "overloaded" });
  circuit.destroy("overloaded");
}
