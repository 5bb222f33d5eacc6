/**
 * What ties a stream of a service to its target, over whatever transport.
 *
 * @see protocol §7.7 "Behind the service"
 * @module
 */

/** A connection with two directions, each with an end of its own. */
export interface TargetConnection {
  /** Bytes read into `into`; `null` at the end. */
  read(into: Uint8Array): Promise<number | null>;
  /** @returns How many bytes were taken, at least one. */
  write(bytes: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  /** Close both directions; what is under way rejects. */
  close(): void;
  /**
   * The same, and where the transport can say it the target learns that what it got is
   * not all: over TCP by a reset. Unix sockets know none.
   */
  reset(): void;
}
