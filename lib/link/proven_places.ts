/**
 * Where peers answered when they were dialled last: one place of each, however many a
 * peer's records claim, so that one identity that answers at many pushes out none of
 * the others.
 *
 * @see protocol §3.7 "Two links, and the end of a link"
 * @module
 */
import { RecentMap } from "../base/recent_map.ts";

/** Tuning: peers remembered. As many relays as a network has, and a few hundred bytes each. */
const MAX_PROVEN_PEERS = 4096;

/** Memory of dials that came to a link. */
export class ProvenPlaces {
  readonly #places: RecentMap<string, string>;

  /** @param capacity Default {@linkcode MAX_PROVEN_PEERS}. */
  constructor(capacity: number = MAX_PROVEN_PEERS) {
    this.#places = new RecentMap(capacity);
  }

  /** Whether a peer answered at this place last. */
  has(peer: string, place: string): boolean {
    return this.#places.get(peer) === place;
  }

  /** A link came up to a peer that was dialled. */
  onSuccess(peer: string, place: string): void {
    this.#places.set(peer, place);
  }

  /** A dial failed. What a peer claims elsewhere says nothing of where it answered. */
  onFailure(peer: string, place: string): void {
    if (this.has(peer, place)) this.#places.delete(peer);
  }
}
