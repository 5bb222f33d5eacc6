/**
 * Why a connection was closed, as far as the peer is told: three numbers, so that
 * a peer that probes a node learns nothing from how it hangs up.
 *
 * @see protocol §3.7 "Two links, and the end of a link"
 * @module
 */

/** Application close codes of a connection. */
export const CLOSE_CODE = {
  /** The link is no longer needed. */
  done: 0,
  /** The peer broke the protocol, or was not let in. */
  refused: 1,
  /** The node has no room at the moment; try another, or later. */
  busy: 2,
} as const;

/** One of the values of {@linkcode CLOSE_CODE}. */
export type CloseCode = typeof CLOSE_CODE[keyof typeof CLOSE_CODE];
