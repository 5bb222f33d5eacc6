/**
 * What clients that have never been connected before get of a relay: circuits,
 * introductions to a service that listens there, and goodput.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { NodeRecord } from "../../lib/auth/node_record.ts";
import { sleep } from "../../lib/base/clock.ts";
import { BODY_BYTES } from "../../lib/circuit/cell.ts";
import { OwnCircuit } from "../../lib/node/circuit/own_circuit.ts";
import { SEALED_BYTES } from "../../lib/service/meeting/introduction.ts";
import { IntroductionKeys } from "../../lib/service/meeting/introduction_keys.ts";
import {
  decodeIntroduceAck,
  encodeEstablishIntro,
  encodeIntroduce1,
} from "../../lib/service/meeting/introduction_messages.ts";
import {
  CIRCUIT_CRYPTO,
  startClient,
  TestPort,
} from "../node/circuit/circuit_world.ts";
import type { LinkWorld } from "../node/link/link_world.ts";
import { AnsweringPort, joinCircuits } from "../support/joined_circuits.ts";

/** Newcomers, each on a host of its own. */
const NEWCOMERS = 6;
const BODY = new Uint8Array(BODY_BYTES);
/** Cells that a newcomer has under way, both ways; the window of a young session. */
const WINDOW_CELLS = 64;

/** What newcomers got. */
export interface Service {
  /** Shares of what they tried. */
  readonly circuits: number;
  readonly introductions: number;
  /** Bytes per second, up and down together, of one that sends all the time. */
  readonly goodput: number;
}

/** A relay, another beside it, and a service that has listened since it was quiet. */
export class Door {
  readonly relay: NodeRecord;
  readonly #world: LinkWorld;
  readonly #beside: () => Promise<NodeRecord>;
  readonly #keys: IntroductionKeys;
  readonly #goodputMs: number;

  private constructor(
    world: LinkWorld,
    relay: NodeRecord,
    beside: () => Promise<NodeRecord>,
    keys: IntroductionKeys,
    goodputMs: number,
  ) {
    this.#world = world;
    this.relay = relay;
    this.#beside = beside;
    this.#keys = keys;
    this.#goodputMs = goodputMs;
  }

  /**
   * @param beside A relay to go on to, that the first one has no link to yet.
   * @param goodputMs How long goodput is measured.
   */
  static async open(
    world: LinkWorld,
    relay: NodeRecord,
    beside: () => Promise<NodeRecord>,
    goodputMs: number,
  ): Promise<Door> {
    const keys = await IntroductionKeys.generate(CIRCUIT_CRYPTO, world.random);
    const door = new Door(world, relay, beside, keys, goodputMs);
    const circuit = await door.#build([relay]);
    assert.ok(circuit !== undefined);
    circuit.onIntroduction(() => {});
    const body = encodeEstablishIntro(keys, circuit.binding);
    await circuit.ask("establish_intro", body);
    return door;
  }

  /** Let newcomers come, and see what they get. */
  async measure(): Promise<Service> {
    const circuits: boolean[] = [];
    const introductions: boolean[] = [];
    for (let count = 0; count < NEWCOMERS; count++) {
      const beside = await this.#beside();
      for (
        const path of [[this.relay], [this.relay, beside], [beside, this.relay]]
      ) {
        const circuit = await this.#build(path);
        circuits.push(circuit !== undefined);
        circuit?.close();
      }
      introductions.push(await this.#introduce());
    }
    return {
      circuits: shareOf(circuits),
      introductions: shareOf(introductions),
      goodput: await this.goodput(),
    };
  }

  /** A circuit of a client that is new. */
  async #build(path: readonly NodeRecord[]): Promise<OwnCircuit | undefined> {
    const { host } = await startClient(this.#world);
    const result = await OwnCircuit.build(host, path).catch(() => undefined);
    return result?.ok ? result.circuit : undefined;
  }

  async #introduce(): Promise<boolean> {
    const circuit = await this.#build([this.relay]);
    if (circuit === undefined) return false;
    const sealed = this.#world.random.bytes(SEALED_BYTES);
    const { authentication } = this.#keys.public;
    const body = encodeIntroduce1({ authentication, sealed });
    try {
      const answer = decodeIntroduceAck(await circuit.ask("introduce1", body));
      return answer.status === "passed";
    } catch {
      return false;
    } finally {
      circuit.close();
    }
  }

  /** A newcomer's, through the relay to another newcomer that sends all of it back. */
  async goodput(): Promise<number> {
    const { clock, random } = this.#world;
    const ends = [
      await this.#build([this.relay]),
      await this.#build([this.relay]),
    ];
    const [one, other] = ends;
    if (one === undefined || other === undefined) return 0;
    await joinCircuits(one, other, random.bytes(20));
    AnsweringPort.attach(other, "echo");
    const port = TestPort.on(one);
    const fromMs = clock.nowMs();
    let sent = 0;
    const isOver = () =>
      !one.isOpen || clock.nowMs() - fromMs >= this.#goodputMs;
    while (!isOver()) {
      const room = WINDOW_CELLS - (sent - port.received.length);
      port.send(...Array<typeof BODY>(room).fill(BODY));
      sent += room;
      await sleep(clock, 2);
    }
    const bytes = 2 * port.received.length * BODY_BYTES;
    one.close();
    other.close();
    return bytes * 1000 / (clock.nowMs() - fromMs);
  }
}

function shareOf(outcomes: readonly boolean[]): number {
  return outcomes.filter(Boolean).length / outcomes.length;
}

/** Newcomers come in while a relay is under attack, and have half of their goodput. */
export function assertServed(quiet: Service, attacked: Service): void {
  const told = `quiet ${JSON.stringify(quiet)}, attacked ${
    JSON.stringify(attacked)
  }`;
  assert.equal(quiet.circuits, 1, told);
  assert.equal(quiet.introductions, 1, told);
  assert.ok(attacked.circuits >= 0.9, told);
  assert.ok(attacked.introductions >= 0.9, told);
  assert.ok(attacked.goodput >= 0.5 * quiet.goodput, told);
}
