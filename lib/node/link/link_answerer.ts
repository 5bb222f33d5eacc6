/**
 * The answering side of a node's links: connections come in, and those that find
 * room and prove themselves go out as links.
 *
 *     accept ─▶ record? ─▶ LinkRoom ─▶ handshake ─▶ admitted? ─▶ onEstablished
 *
 * @see protocol §3.6 "Limits", §3.7 "Two links, and the end of a link"
 * @module
 */
import type { Identity, PublicKey } from "../../auth/identity.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import type { RecordVerifier } from "../../auth/record_verifier.ts";
import type { Bytes } from "../../base/bytes.ts";
import { AnonNetError, UnreachableError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { TaskSet } from "../../base/task_set.ts";
import type { Admission } from "../../link/answerer_handshake.ts";
import { CLOSE_CODE } from "../../link/close_code.ts";
import type { HandshakeResult } from "../../link/handshake.ts";
import { welcomeLimits } from "../../link/link_limits.ts";
import type { LinkRoom } from "../../link/link_room.ts";
import { NonceCache } from "../../link/nonce_cache.ts";
import type { Connection, Endpoint } from "../../transport/transport.ts";
import { GuardedConnection } from "./guarded_connection.ts";
import type { Link, LinkHost } from "./link.ts";
import { answerHandshake } from "./link_handshake.ts";
import type { LinkSet } from "./link_set.ts";

/** What an answerer is made of. */
interface LinkAnswererOptions {
  readonly endpoint: Endpoint;
  readonly network: NetworkParameters;
  readonly random: Random;
  readonly verifier: RecordVerifier;
  /** Who answers here: the identity of the endpoint's certificate. */
  readonly identity: Identity;
  /** Our node record, encoded, as it is now. Without one no dialler is answered. */
  readonly record?: () => Bytes | undefined;
  readonly host: LinkHost;
  /** Shared with the dialling side. */
  readonly room: LinkRoom<Connection, Link>;
  readonly links: LinkSet;
  /** A peer came in. */
  readonly onEstablished: (
    connection: Connection,
    result: HandshakeResult,
  ) => void;
}

/** Answers dials, once it has been started. */
export class LinkAnswerer {
  readonly #options: LinkAnswererOptions;
  readonly #nonces = new NonceCache();
  readonly #tasks = new TaskSet((error) => {
    if (error instanceof AnonNetError) return;
    this.#options.host.handlers.onError?.(error);
  });
  #failedHandshakes = 0;
  #turnedAway = 0;

  constructor(options: LinkAnswererOptions) {
    this.#options = options;
  }

  /** Begin to accept. It ends when the endpoint closes. */
  start(): void {
    this.#tasks.run(this.#accept());
  }

  /** Resolves when no handshake runs any more; only after the endpoint has closed. */
  stopped(): Promise<void> {
    return this.#tasks.ended();
  }

  /** Handshakes that failed, ever. */
  get failedHandshakes(): number {
    return this.#failedHandshakes;
  }

  /** Connections turned away for want of room, ever. */
  get turnedAway(): number {
    return this.#turnedAway;
  }

  async #accept(): Promise<void> {
    const { endpoint } = this.#options;
    for (;;) {
      const connection = await endpoint.accept();
      if (connection === undefined) return;
      const answer = this.#report(() => this.#onConnection(connection));
      if (answer === undefined) this.#turnAway(connection);
      else this.#tasks.run(answer);
    }
  }

  /** Begin to answer, if there is a record to show and room for one more. */
  #onConnection(connection: Connection): Promise<void> | undefined {
    const { room, host } = this.#options;
    const record = this.#options.record?.();
    if (record === undefined) return undefined;
    const nowMs = host.clock.nowMs();
    const verdict = room.onConnection(connection, host.load, nowMs);
    if (verdict.type === "refuse") return undefined;
    if (verdict.evicted !== undefined) this.#turnAway(verdict.evicted);
    connection.closed.then(() => room.onConnectionEnd(connection));
    return this.#answer(connection, record)
      .finally(() => room.onHandshakeEnd(connection));
  }

  #turnAway(connection: Connection): void {
    this.#turnedAway++;
    connection.close(CLOSE_CODE.busy);
  }

  async #answer(stranger: Connection, record: Bytes): Promise<void> {
    const { host, onEstablished } = this.#options;
    const connection = new GuardedConnection(stranger);
    const { crypto, clock, handlers } = host;
    let result: HandshakeResult;
    try {
      result = await answerHandshake(connection, {
        ...this.#options,
        crypto,
        clock,
        record,
        nonces: this.#nonces,
        admit: (peerKey) => {
          const admission = this.#admit(connection, peerKey);
          // Before the welcome leaves: its reader may open streams at once.
          connection.open();
          return admission;
        },
      });
    } catch (error) {
      this.#failedHandshakes++;
      if (!(error instanceof AnonNetError)) throw error;
      return this.#report(() =>
        handlers.onRefused?.(error, connection.remoteAddress)
      );
    }
    onEstablished(connection, result);
  }

  #admit(connection: Connection, peerKey: PublicKey): Admission {
    const { room, links, host } = this.#options;
    const nowMs = host.clock.nowMs();
    const verdict = room.forPeer(links, links.to(peerKey), nowMs);
    switch (verdict.type) {
      case "replace":
        verdict.link.close(CLOSE_CODE.done, "link.replaced");
        break;
      case "evict":
        links.evict(verdict.link);
        break;
      case "full":
        this.#turnedAway++;
        throw new UnreachableError(
          "link.busy",
          "Cannot answer: too many links",
        );
    }
    return {
      observedAddress: connection.remoteAddress,
      limits: welcomeLimits(host.limits),
    };
  }

  /** Call the node's code; what it throws is its own, and gives `undefined`. */
  #report<T>(call: () => T): T | undefined {
    try {
      return call();
    } catch (error) {
      this.#options.host.handlers.onError?.(error);
      return undefined;
    }
  }
}
