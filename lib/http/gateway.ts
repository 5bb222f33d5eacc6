/**
 * What the proxies need of a node: streams to ports of services. The proxies
 * know nothing of circuits, and nothing beyond this can leave the machine.
 *
 *     client ══ TCP ══▶ SOCKS or HTTP ══▶ Gateway.connect ══ GatewayStream ══▶ service
 *
 * @see protocol §8.1 "Targets and isolation"
 * @module
 */
import { errorCode } from "../base/errors.ts";

/** What a client wants to reach. */
export interface GatewayTarget {
  /** Host name in lower case that ends in `.anon`; not checked any further. */
  readonly host: string;
  /** Virtual port, 1 to 65535. */
  readonly port: number;
  /**
   * Whether the program named the service by an address of Tor's form, which this host
   * was made of. Default: no.
   */
  readonly isAlias?: boolean | undefined;
  /**
   * Isolation key: two different ones never share a circuit, a rendezvous or a
   * session. `undefined` is a key of its own, shared by all clients that gave none.
   */
  readonly isolation: string | undefined;
}

/**
 * Whether an error says that no circuit can be built: another try would wait as long
 * for the same answer.
 */
export function isOutage(error: unknown): boolean {
  return errorCode(error).startsWith("path.");
}

/** Opens streams to services. */
export interface Gateway {
  /**
   * Open a stream. Resolves as soon as bytes can be written: on a live session
   * at once, before the target has been asked.
   *
   * @throws {AnonNetError} with one of the codes of protocol §8.2 "Errors", or the reason
   * of `signal`. After an abort nothing may be left behind.
   */
  connect(
    target: GatewayTarget,
    options: { readonly signal: AbortSignal },
  ): Promise<GatewayStream>;
}

/**
 * A reliable stream of bytes, each direction with an end of its own. One `read`
 * and one `write` may be under way at a time.
 */
export interface GatewayStream {
  /**
   * Resolves once the target is known to have accepted. Rejects with
   * `service.refused`, `service.no_port` or `service.timeout` when it did not. A
   * stream that cannot tell resolves with the first byte or the end from there.
   * A caller need not listen: the implementer marks a rejection as handled.
   */
  readonly opened: Promise<void>;
  /**
   * The next bytes, never none of them, and best all that are there, up to
   * 64 KiB; `undefined` at the end that the other side sent. They stay as they are
   * until the next call.
   *
   * @throws {AnonNetError} when the stream was reset, by either side.
   */
  read(): Promise<Uint8Array | undefined>;
  /**
   * Resolves when more is welcome; the caller may then reuse the bytes.
   *
   * @throws {AnonNetError} when the stream was reset, by either side.
   */
  write(bytes: Uint8Array): Promise<void>;
  /**
   * What is written from now on asks for an answer, on a stream that was used before.
   * Until bytes come, the stream is reset with an error `path.*` where nothing can get
   * through; without this call it waits, since what was cut may come back.
   */
  awaitAnswer?(): void;
  /** Send the end. The other direction stays open. */
  closeWrite(): Promise<void>;
  /**
   * Send the end, and take no more: all is said, and what stands behind the service
   * shall see an end and no reset. Harmless when the stream is over.
   */
  leave(): void;
  /**
   * Reset the stream: the other side learns that it is not complete, reads and
   * writes under way reject. Harmless when it is over.
   */
  abort(): void;
}
