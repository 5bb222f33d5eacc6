/**
 * What flooders do all day: each second, each of them has one relay store some
 * records, of publishers that it makes up, at keys as close to that relay as can be.
 *
 * @module
 */
import type { NodeRecord } from "../auth/node_record.ts";
import { type Random, randomChoice } from "../base/random.ts";
import { encodeRequest } from "../dht/messages.ts";
import {
  createStoredRecord,
  type StoredRecord,
} from "../dht/records/stored_record.ts";
import type { SimNode, SimWorld } from "./world/sim_world.ts";

const TURN_MS = 1000;
/** Records of one batch. */
const BATCH = 8;
/** Leading bytes of a key that are the victim's. */
const CLOSE_BYTES = 4;
const VALUE_BYTES = 512;
const LIFE_MS = 12 * 3_600_000;

/** Has the flooders of a world flood. */
export class Flood {
  readonly #world: SimWorld;
  readonly #random: Random;

  constructor(world: SimWorld, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  /** Begin, and never stop. */
  start(): void {
    this.#world.schedule(TURN_MS, () => {
      for (const node of this.#world.nodes) {
        if (node.behaviour === "flooder" && node.joinedMs !== undefined) {
          if (node.isUp) this.#flood(node);
        }
      }
      this.start();
    });
  }

  #flood(node: SimNode): void {
    const victim = randomChoice(this.#random, this.#world.nodes);
    if (victim === undefined || victim === node || !victim.isUp) return;
    for (let count = 0; count < BATCH; count++) {
      const record = this.#record(victim.record).encoded;
      node.ask(victim, encodeRequest({ type: "store", record }));
    }
  }

  #record({ place }: NodeRecord): StoredRecord {
    const { crypto, network, unixMs } = this.#world;
    const key = this.#random.bytes(place.length);
    key.set(place.subarray(0, CLOSE_BYTES));
    return createStoredRecord(
      network,
      crypto.signer(this.#random.bytes(32)),
      {
        key,
        sequence: unixMs,
        expiry: unixMs + LIFE_MS,
        value: new Uint8Array(VALUE_BYTES),
      },
    );
  }
}
