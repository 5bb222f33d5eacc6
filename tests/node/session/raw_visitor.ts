/**
 * A visitor that keeps to no rule: it seals what it likes and sends it by any
 * introduction point of a service.
 *
 * @module
 */
import { AVOID_NOTHING } from "../../../lib/path/path_avoid.ts";
import assert from "node:assert/strict";
import type { NodeId, PublicKey } from "../../../lib/auth/identity.ts";
import type { NodeRecord } from "../../../lib/auth/node_record.ts";
import type { Bytes } from "../../../lib/base/bytes.ts";
import { HostFinder } from "../../../lib/node/visit/host_finder.ts";
import { waitAtRendezvous } from "../../../lib/node/visit/meeting.ts";
import type { ServiceContext } from "../../../lib/node/session/service_context.ts";
import {
  type Introduction,
  sealIntroduction,
} from "../../../lib/service/meeting/introduction.ts";
import {
  decodeIntroduceAck,
  encodeIntroduce1,
  type IntroduceAnswer,
} from "../../../lib/service/meeting/introduction_messages.ts";
import type { KnownDescriptor } from "../../../lib/service/known_descriptors.ts";
import { RendezvousHandshake } from "../../../lib/service/meeting/rendezvous.ts";
import type { FakeCircuit, FakeCircuits } from "../circuit/fake_circuits.ts";
import { NEVER, type ServiceWorld } from "./service_world.ts";

const LIMIT = { signal: NEVER };

/** A client that means no good. */
export class RawVisitor {
  readonly circuits: FakeCircuits;
  readonly #context: ServiceContext;
  readonly #descriptor: KnownDescriptor;

  private constructor(
    context: ServiceContext & { circuits: FakeCircuits },
    descriptor: KnownDescriptor,
  ) {
    this.circuits = context.circuits;
    this.#context = context;
    this.#descriptor = descriptor;
  }

  /** One who has read the descriptor. */
  static async of(
    world: ServiceWorld,
    service: PublicKey,
  ): Promise<RawVisitor> {
    const context = world.context();
    const finder = new HostFinder(context, () => undefined);
    const { first } = await finder.find(service, "", "newest", LIMIT);
    return new RawVisitor(context, first);
  }

  /** A circuit that waits with a cookie. */
  async wait(): Promise<
    { circuit: FakeCircuit; cookie: Bytes; rendezvous: Bytes }
  > {
    const waiting = await waitAtRendezvous(
      this.#context,
      AVOID_NOTHING,
      LIMIT,
    );
    return {
      circuit: waiting.circuit as FakeCircuit,
      cookie: waiting.cookie,
      rendezvous: waiting.point.encoded,
    };
  }

  /** Keys for a session by point `index`. */
  async handshake(cookie: Bytes, index = 0): Promise<RendezvousHandshake> {
    const { crypto, random } = this.#context;
    return await RendezvousHandshake.start(
      crypto,
      random,
      this.#point(index).keys,
      this.#descriptor.name.blinded,
      cookie,
    );
  }

  /** Encrypt an introduction for point `index`. */
  async seal(introduction: Introduction, index = 0): Promise<Bytes> {
    const { crypto, random } = this.#context;
    const { sealed } = await sealIntroduction(
      crypto,
      random,
      this.#point(index).keys,
      this.#descriptor.name.blinded,
      introduction,
    );
    return sealed;
  }

  /** Send what was sealed, or something else, by point `index`. */
  async send(sealed: Bytes, index = 0): Promise<IntroduceAnswer["status"]> {
    const { keys } = this.#point(index);
    const endAt = this.#relay(index);
    const circuit = await this.circuits.take({
      purpose: "introduction",
      endAt,
      ...LIMIT,
    });
    const { authentication } = keys;
    const body = encodeIntroduce1({ authentication, sealed });
    const ack = await circuit.ask("introduce1", body, LIMIT);
    circuit.close();
    return decodeIntroduceAck(ack).status;
  }

  /**
   * Begin a session and never say a word on it.
   *
   * @param port Of a stream to ask for.
   * @returns Its secret.
   */
  async beginSilently(
    port?: number,
  ): Promise<{ secret: Bytes; circuit: FakeCircuit }> {
    const { circuit, cookie, rendezvous } = await this.wait();
    const handshake = await this.handshake(cookie);
    const { request } = handshake;
    const asked = port === undefined ? {} : { port };
    await this.send(
      await this.seal({ cookie, rendezvous, handshake: request, ...asked }),
    );
    const secret = await handshake.finish(await circuit.met(LIMIT));
    return { secret, circuit };
  }

  /** The keys under which the service listens. */
  get authentications(): PublicKey[] {
    return this.#descriptor.content.points.map(({ keys }) =>
      keys.authentication
    );
  }

  /** Where point `index` is. */
  relayId(index: number): NodeId {
    return this.#relay(index).nodeId;
  }

  #relay(index: number): NodeRecord {
    const { relay } = this.#point(index);
    const record = this.circuits.relays().find(({ encoded }) =>
      encoded.toHex() === relay.toHex()
    );
    assert.ok(record !== undefined);
    return record;
  }

  #point(index: number) {
    const point = this.#descriptor.content.points[index];
    assert.ok(point !== undefined);
    return point;
  }
}
