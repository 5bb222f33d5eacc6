/**
 * Places for dials under way, by whom they are of and who asked for them. A dial of
 * an address where no node is lasts for ten seconds, and records that claim such
 * addresses are cheap: who asks for many must not use up the dials of others.
 *
 *     peer    one identity signs records with ever other addresses: few dials of it
 *     asker   a neighbour whose circuits go on to other relays: few dials for it
 *     proven  a peer that answered where it is dialled: places of its own
 *
 * One host that goes through many relays is many askers, and so fills what all of them
 * have; but no dial of where a peer has answered, and each such place is proven no more
 * once it is silent.
 *
 * The node's own dials have no asker; {@linkcode MAX_DIALS_ASKED} leaves them two fifths
 * of what the transport bears.
 *
 * @see protocol §3.7 "Two links, and the end of a link"
 * @module
 */
import { Places } from "../base/places.ts";

/**
 * Tuning: dials of one key at once, each at other addresses: an identity that signs
 * one record after the other, each with other dead addresses, takes up no more.
 */
export const MAX_DIALS_OF_PEER = 4;
/** Tuning: dials at once for one neighbour, of up to four addresses each. */
export const MAX_DIALS_OF_ASKER = 8;
/**
 * Tuning: dials at once for all neighbours of one kind, and of all proven peers for
 * neighbours of either. Relays, which cost work, and strangers take nothing from each
 * other.
 */
export const MAX_DIALS_ASKED = 32;

/** A neighbour that a dial is for: a relay by its identity, or all clients of one host. */
export interface DialAsker {
  readonly name: string;
  readonly kind: "relay" | "stranger";
}

/** What is dialled. */
export interface DialTarget {
  /** Whom, by key. */
  readonly peer: string;
  /** Whether it answered when it was last dialled there. */
  readonly isProven: boolean;
}

/** Dials under way. */
export class DialPlaces {
  readonly #peers = new Places(Infinity, MAX_DIALS_OF_PEER);
  readonly #askers = {
    relay: new Places(MAX_DIALS_ASKED, MAX_DIALS_OF_ASKER),
    stranger: new Places(MAX_DIALS_ASKED, MAX_DIALS_OF_ASKER),
    proven: new Places(MAX_DIALS_ASKED, MAX_DIALS_OF_ASKER),
  };

  /**
   * A dial begins.
   *
   * @param asker Whom it is for; `undefined` when it is the node's own.
   * @returns Which part is full; `undefined` when it has its places.
   */
  take(
    target: DialTarget,
    asker?: DialAsker,
  ): "peer" | "asker" | undefined {
    const { peer, isProven } = target;
    // Dials of a peer where it is not hold up none where it is.
    if (!isProven && !this.#peers.take(peer)) return "peer";
    if (
      asker === undefined || this.#placesFor(target, asker).take(asker.name)
    ) {
      return undefined;
    }
    if (!isProven) this.#peers.give(peer);
    return "asker";
  }

  /** A dial that had its places has ended. */
  give(target: DialTarget, asker?: DialAsker): void {
    if (!target.isProven) this.#peers.give(target.peer);
    if (asker !== undefined) this.#placesFor(target, asker).give(asker.name);
  }

  #placesFor({ isProven }: DialTarget, { kind }: DialAsker): Places {
    return this.#askers[isProven ? "proven" : kind];
  }
}
