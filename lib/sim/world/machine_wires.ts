/**
 * Links between machines, and the time that messages take over them. What a link
 * costs in time is kept: a node that has none with another needs three round trips
 * more.
 *
 *     reach ─▶ link there? ─ no ─▶ 3 round trips ─▶ one way, now and then twice ─▶ arrive
 *
 * @module
 */
import { type Random, randomFloat } from "../../base/random.ts";
import type { EventQueue } from "./event_queue.ts";
import { jitterMs, latencyMs, REPEAT_MS } from "./geography.ts";
import type { MachineNode } from "./machine_node.ts";
import type { Departure } from "./sim_world.ts";

/** Round trips before the first request on a new link. */
const LINK_ROUND_TRIPS = 3;
/** A link that was not used for so long has to be set up again, ms. */
const LINK_IDLE_MS = 300_000;
/** Time after which a node notices that the other end of a link is gone, ms. */
const LINK_SILENCE_MS = 10_000;
/** When links that are long over are forgotten, ms. */
const SWEEP_LINKS_MS = 60_000;

/** What wires are made of. */
export interface MachineWiresOptions {
  readonly events: EventQueue;
  readonly random: Random;
  /** Share of messages that are lost, and repeated. */
  readonly loss: number;
  /** All nodes, by their indexes. */
  readonly nodes: readonly MachineNode[];
  /** Hears that a node has dialled another. */
  readonly onLink: (to: MachineNode, from: MachineNode) => void;
  /** Hears that a node has noticed the silence of another. */
  readonly onLinkLost: (node: MachineNode, lost: MachineNode) => void;
}

/** All links of one world. */
export class MachineWires {
  readonly #options: MachineWiresOptions;
  #dials = 0;
  #cuts = 0;

  constructor(options: MachineWiresOptions) {
    this.#options = options;
    this.#sweep();
  }

  /** Links set up so far. */
  get dials(): number {
    return this.#dials;
  }

  /** Links that there are. */
  get links(): number {
    let ends = 0;
    for (const { isUp, links } of this.#options.nodes) {
      if (isUp) ends += links.size;
    }
    return ends / 2;
  }

  /** Carry out `arrive` where a message gets to `to`, over a new link if need be. */
  reach(from: MachineNode, to: MachineNode, arrive: () => void): void {
    const { events } = this.#options;
    const usedMs = from.links.get(to.index) ?? -Infinity;
    const isLinked = events.nowMs - usedMs <= LINK_IDLE_MS;
    const rounds = isLinked ? 0 : LINK_ROUND_TRIPS;
    const delayMs = this.#delayMs(from, to) +
      Math.round(2 * rounds * latencyMs(from.place, to.place));
    events.schedule(delayMs, () => {
      if (!from.isUp || !to.isUp || from.side !== to.side) return;
      const isNew = !from.links.has(to.index);
      from.links.set(to.index, events.nowMs);
      to.links.set(from.index, events.nowMs);
      if (isNew) {
        this.#dials++;
        this.#options.onLink(to, from);
      }
      arrive();
    });
  }

  /** Carry out `arrive` where what `from` answers gets back to the one that asked. */
  answer(from: MachineNode, to: MachineNode, arrive: () => void): void {
    this.#options.events.schedule(this.#delayMs(from, to), () => {
      if (to.isUp && to.side === from.side) arrive();
    });
  }

  /**
   * A node is gone, and its links with it. Silence ends a link: a goodbye would say
   * no more than that it was idle.
   */
  leave(node: MachineNode, departure: Departure): void {
    const { events, nodes, onLinkLost } = this.#options;
    for (const [peer, usedMs] of node.links) {
      const other = nodes[peer];
      if (other === undefined) continue;
      other.links.delete(node.index);
      const isOpen = events.nowMs - usedMs <= LINK_IDLE_MS;
      if (departure !== "crash" || !isOpen) continue;
      events.schedule(LINK_SILENCE_MS, () => {
        if (other.isUp) onLinkLost(other, node);
      });
    }
    node.links.clear();
  }

  /** Nothing gets from these nodes to the others, or back, until it is disposed of. */
  cut(members: readonly MachineNode[]): Disposable {
    const side = ++this.#cuts;
    for (const node of members) node.side = side;
    return {
      [Symbol.dispose]() {
        for (const node of members) if (node.side === side) node.side = 0;
      },
    };
  }

  #delayMs(from: MachineNode, to: MachineNode): number {
    const { random, loss } = this.#options;
    const leastMs = latencyMs(from.place, to.place);
    const lateMs = jitterMs(leastMs) * randomFloat(random);
    const isLost = loss > 0 && randomFloat(random) < loss;
    return Math.round(leastMs + lateMs + (isLost ? REPEAT_MS : 0));
  }

  #sweep(): void {
    const { events, nodes } = this.#options;
    events.schedule(SWEEP_LINKS_MS, () => {
      for (const { links } of nodes) {
        for (const [other, usedMs] of links) {
          if (events.nowMs - usedMs > LINK_IDLE_MS) links.delete(other);
        }
      }
      this.#sweep();
    });
  }
}
