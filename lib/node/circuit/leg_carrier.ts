/**
 * Where a circuit and a leg of a session meet: the circuit carries cells, the
 * leg fills and takes them. Neither knows more of the other.
 *
 * @see protocol §6.2 "Frames"
 * @module
 */

/** What sends and takes the cells of one leg. */
export interface CellPort {
  /** Whether so much waits that the next body is that of a train. Default: it never does. */
  trainWaits?(): boolean;
  /**
   * Fill `body` with the next cell, or train if one waits.
   *
   * @returns Whether there was one; ask again after {@linkcode LegCarrier.wake}.
   */
  fill(body: Uint8Array): boolean;
  /** Take a cell or train; `body` may be overwritten, and is not valid after the call. */
  onCell(body: Uint8Array): void;
}

/** A joined circuit, as a leg sees it. */
export interface LegCarrier {
  /** Begin to carry cells for `port`, which is asked whenever there is room. */
  attach(port: CellPort): void;
  /** The port may have cells to send. Cheap; may be called too often. */
  wake(): void;
  /** Close the circuit, after what was taken from the port has been written. */
  close(): void;
  /** Resolves when the circuit is gone; never rejects. */
  readonly closed: Promise<unknown>;
}
