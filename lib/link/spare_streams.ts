/**
 * When a peer that grants too few streams is linked to once more. Streams that are
 * granted cost memory before they exist, so there are few on each link, and more
 * links where they are needed.
 *
 *     free streams of all links to the peer < SPARE_STREAMS ──▶ dial
 *     a dial failed ──▶ not again for RETRY_MS
 *     MAX_LINKS_TO_PEER links ──▶ full
 *
 * @see protocol §3.7 "Two links, and the end of a link"
 * @module
 */

/**
 * Tuning: links to one peer, the first included. A host may bring up 64; half of
 * them leave room for those that end, and for another node behind its address.
 */
export const MAX_LINKS_TO_PEER = 32;

/** Tuning: free streams below which another link is dialled, before they are gone. */
const SPARE_STREAMS = 32;

/** Tuning: after a dial that failed, the peer is not asked for more for so long, ms. */
const RETRY_MS = 5_000;

/** What to do for more streams to one peer. */
export type SpareVerdict = "enough" | "dial" | "wait" | "full";

/** The want of streams to one peer. */
export class SpareStreams {
  #isDialling = false;
  #notBeforeMs = -Infinity;

  /**
   * @param links Links to the peer that are open.
   * @param free Streams that it still grants on all of them.
   */
  onUse(links: number, free: number, nowMs: number): SpareVerdict {
    if (free >= SPARE_STREAMS) return "enough";
    if (this.#isDialling) return "wait";
    if (links >= MAX_LINKS_TO_PEER || nowMs < this.#notBeforeMs) return "full";
    this.#isDialling = true;
    return "dial";
  }

  /** The dial has ended. */
  onDialled(how: "linked" | "failed", nowMs: number): void {
    this.#isDialling = false;
    if (how === "failed") this.#notBeforeMs = nowMs + RETRY_MS;
  }
}
