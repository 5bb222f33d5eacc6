/**
 * The links that a node has: one of use per peer, those beside it for more
 * circuits, and those that drain.
 *
 *     add ─▶ first of its peer ──────────────▶ of use ─┐
 *        └─▶ second ─▶ which one stays? ─ loser ─▶ drains ─▶ removed
 *
 * @see protocol §3.6 "Limits", §3.7 "Two links, and the end of a link"
 * @module
 */
import type { PublicKey } from "../../auth/identity.ts";
import { compareBytes, equalBytes } from "../../base/bytes.ts";
import { CLOSE_CODE } from "../../link/close_code.ts";
import type { Link, LinkDirection } from "./link.ts";

/**
 * How far apart two links to one peer may come up and still be taken for one
 * dial from each side, ms: the time that a dial and its handshake may take.
 */
const SIMULTANEOUS_MS = 20_000;

/** The links of one node. */
export class LinkSet {
  readonly #ofUse = new Map<string, Link>();
  readonly #draining = new Set<Link>();
  readonly #further = new Set<Link>();

  /** Links in all. */
  get size(): number {
    return this.#ofUse.size + this.#draining.size + this.#further.size;
  }

  /** All links. */
  get all(): readonly Link[] {
    return [...this.#ofUse.values(), ...this.#further, ...this.#draining];
  }

  /** Links beside the one of use to the same peer. */
  get further(): readonly Link[] {
    return [...this.#further];
  }

  /** The links of use, one per peer. */
  get ofUse(): readonly Link[] {
    return [...this.#ofUse.values()];
  }

  /** Links that have been replaced and have not ended. */
  get draining(): readonly Link[] {
    return [...this.#draining];
  }

  /** The link of use to a peer. */
  get(peerKey: PublicKey): Link | undefined {
    const link = this.#ofUse.get(peerKey.toHex());
    return link?.isOpen ? link : undefined;
  }

  /** All links to a peer, those that drain first, oldest first. */
  to(peerKey: PublicKey): readonly Link[] {
    const links = this.draining.filter((link) =>
      equalBytes(link.peerKey, peerKey)
    );
    const link = this.get(peerKey);
    return link === undefined ? links : [...links, link];
  }

  /** Take in a link that has come up; it or another to its peer may drain. */
  add(link: Link): void {
    const other = this.get(link.peerKey);
    const loser = other === undefined ? undefined : loserOf(other, link);
    if (loser !== link) this.#ofUse.set(link.peerKey.toHex(), link);
    if (loser === undefined) return;
    this.#draining.add(loser);
    loser.drain();
  }

  /** Take in a link of ours beside the one of use; it carries circuits alone. */
  addFurther(link: Link): void {
    this.#further.add(link);
  }

  /** End an idle link for the sake of another. */
  evict(link: Link): void {
    link.close(CLOSE_CODE.done, "link.evicted");
    this.remove(link);
  }

  /** Forget a link that has ended. */
  remove(link: Link): void {
    const key = link.peerKey.toHex();
    if (this.#ofUse.get(key) === link) this.#ofUse.delete(key);
    this.#draining.delete(link);
    this.#further.delete(link);
  }

  /** The link idle for longest; `undefined` while all are in use. */
  get idlest(): Link | undefined {
    let idlest: Link | undefined;
    for (const link of this.all) {
      if (link.usedMs < (idlest?.usedMs ?? Infinity)) idlest = link;
    }
    return idlest;
  }
}

/** Of two links to one peer, the one to drain: both ends come to the same. */
function loserOf(older: Link, newer: Link): Link {
  const areSimultaneous = older.direction !== newer.direction &&
    newer.openedMs - older.openedMs < SIMULTANEOUS_MS;
  // Otherwise the peer has lost the older one, or it would not have dialled.
  if (!areSimultaneous) return older;
  const localIsLower = compareBytes(newer.localId, newer.nodeId) < 0;
  const winner: LinkDirection = localIsLower ? "outbound" : "inbound";
  return newer.direction === winner ? older : newer;
}
