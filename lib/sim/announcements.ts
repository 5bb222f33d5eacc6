/**
 * What inventors do all day: they tell every other relay of relays that are not there,
 * as fast as one peer is listened to.
 *
 *     every 10 s   inventor ─ Announce ─▶ every other relay, until all were told of;
 *                  and again half an hour after it began
 *
 * Where there are several, each tells of others.
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { ANNOUNCE_WINDOW_MS, MAX_ANNOUNCED } from "../dht/gossip.ts";
import { encodeRequest, MAX_PAGE_RECORDS } from "../dht/messages.ts";
import type { Inventions } from "./world/behaviour.ts";
import type { SimNode, SimWorld } from "./world/sim_world.ts";

/** Time between two beginnings of telling of all of them, ms: rumours are held for hours. */
const AGAIN_MS = 30 * 60_000;

/** Has the inventors of a world tell of what they made up, again and again. */
export class Announcements {
  readonly #world: SimWorld;
  readonly #inventions: Inventions;
  /** How many were told of so far. */
  #told = 0;

  constructor(world: SimWorld, inventions: Inventions) {
    this.#world = world;
    this.#inventions = inventions;
  }

  /** How many of them every relay has been told of by now. */
  get told(): number {
    return this.#told;
  }

  /** Begin, and never stop. */
  start(): void {
    if (this.#inventions.size > 0) this.#begin();
  }

  #begin(): void {
    const beganMs = this.#world.nowMs;
    const tell = (from: number) => {
      const { size } = this.#inventions;
      let next = from;
      for (const inventor of this.#inventors()) {
        for (const request of this.#requests(next)) {
          this.#tell(inventor, request);
        }
        next += MAX_ANNOUNCED;
      }
      this.#told = Math.max(this.#told, Math.min(next, size));
      if (next < size) {
        this.#world.schedule(ANNOUNCE_WINDOW_MS, () => tell(next));
      } else {
        const dueMs = beganMs + AGAIN_MS - this.#world.nowMs;
        this.#world.schedule(
          Math.max(ANNOUNCE_WINDOW_MS, dueMs),
          () => this.#begin(),
        );
      }
    };
    tell(0);
  }

  /** As many as are listened to in a window, from this one on. */
  #requests(from: number): Bytes[] {
    const { records } = this.#inventions;
    const requests: Bytes[] = [];
    for (let page = 0; page < MAX_ANNOUNCED; page += MAX_PAGE_RECORDS) {
      const encoded = records
        .slice(
          from + page,
          Math.min(from + page + MAX_PAGE_RECORDS, from + MAX_ANNOUNCED),
        )
        .map(({ encoded }) => encoded);
      if (encoded.length === 0) break;
      requests.push(encodeRequest({ type: "announce", records: encoded }));
    }
    return requests;
  }

  #inventors(): SimNode[] {
    return this.#world.nodes.filter(({ behaviour, isUp }) =>
      behaviour === "inventor" && isUp
    );
  }

  #tell(inventor: SimNode, request: Bytes): void {
    for (const victim of this.#world.nodes) {
      if (victim.isUp && victim.behaviour === "honest") {
        inventor.ask(victim, request);
      }
    }
  }
}
