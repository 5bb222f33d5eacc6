/**
 * What the parts of a node do with what comes over its links: each part names
 * the methods that it answers, the table of links asks here.
 *
 * @module
 */
import type { SocketAddress } from "../../auth/socket_address.ts";
import { BugError } from "../../base/errors.ts";
import type { Bytes } from "../../base/bytes.ts";
import type { ByteStream } from "../../transport/transport.ts";
import type { Link, LinkEnd, LinkHandlers } from "./link.ts";
import { type Log, thrown } from "../../log/log.ts";

/**
 * Answers one method.
 *
 * @param signal Aborts when the peer no longer waits for the answer any more.
 * @throws {ProtocolError} when the peer broke the protocol: its link is closed.
 */
type RequestHandler = (
  link: Link,
  body: Bytes,
  signal: AbortSignal,
) => Promise<Uint8Array> | Uint8Array;

/** Takes the stream of a circuit that a peer creates, and ends it both ways. */
type CircuitHandler = (link: Link, stream: ByteStream) => void;

/** Hears of links. */
export interface LinkListener {
  onLink?(link: Link): void;
  onLinkClosed?(link: Link, end: LinkEnd): void;
  /** A handshake towards us failed. A flooding peer decides how often. */
  onRefused?(error: unknown, from: SocketAddress): void;
}

/** Methods, circuits and listeners, registered by the parts of a node. */
export class LinkServices implements LinkHandlers {
  readonly #requests = new Map<string, RequestHandler>();
  readonly #listeners = new Set<LinkListener>();
  readonly #log: Log;
  #circuits: CircuitHandler | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Have `handler` answer `method`, such as `dht.find_node`. */
  answer(method: string, handler: RequestHandler): void {
    if (this.#requests.has(method)) {
      throw new BugError("node.method", `There are two parts for ${method}`);
    }
    this.#requests.set(method, handler);
  }

  /** Have `handler` take circuits. Without one they are refused. */
  takeCircuits(handler: CircuitHandler): void {
    if (this.#circuits !== undefined) {
      throw new BugError("node.circuits", "There are two parts for circuits");
    }
    this.#circuits = handler;
  }

  /** Tell `listener` of links from now on. */
  listen(listener: LinkListener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  async onRequest(
    link: Link,
    method: string,
    body: Bytes,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    return await this.#requests.get(method)?.(link, body, signal);
  }

  onCircuit(link: Link, stream: ByteStream): void {
    if (this.#circuits === undefined) stream.cancel();
    else this.#circuits(link, stream);
  }

  onLink(link: Link): void {
    for (const listener of this.#listeners) listener.onLink?.(link);
  }

  onLinkClosed(link: Link, end: LinkEnd): void {
    for (const listener of this.#listeners) listener.onLinkClosed?.(link, end);
  }

  onRefused(error: unknown, from: SocketAddress): void {
    for (const listener of this.#listeners) listener.onRefused?.(error, from);
  }

  onError(error: unknown): void {
    this.#log.error("A bug: a part of the node failed for a peer", {
      error: thrown(error),
    });
  }
}
